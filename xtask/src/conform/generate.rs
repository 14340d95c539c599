//! Cases made up at random, by a seed: attributes in all their forms, files over one
//! another, variables, environment files, extends, includes and profiles.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Attributes of a service, each with values as they are written, most of them right.
const SERVICE: &[(&str, &[&str])] = &[
    ("command", &["serve --port 80", "[a, \"b c\"]", "[]", "", "\"\"", "echo $$HOME \"${A}\""]),
    ("entrypoint", &["/run.sh x", "[a]", "", "[]"]),
    (
        "environment",
        &[
            "{X: 1, Y: }",
            "[X=2, A, Z=]",
            "{Y: ${B:-none}, T: true, F: 1.50}",
            "!override {O: 1}",
            "!reset {}",
        ],
    ),
    (
        "env_file",
        &[
            "app.env",
            "[app.env]",
            "[{path: app.env, required: true}, {path: gone.env, required: false}]",
            "[{path: app.env, format: raw}]",
        ],
    ),
    ("labels", &["{a: b, n: 1}", "[a=c, d]", "{a: , e: true}"]),
    ("annotations", &["{a: b}", "[c=d]"]),
    (
        "ports",
        &[
            "[80]",
            "[\"8080:80\", \"127.0.0.1:5000-5001:5000-5001/udp\"]",
            "[{target: 80, published: 8081, mode: host}]",
            "!override [\"9000:90\"]",
            "[\"${PORT:-7000}:70\"]",
            "!reset []",
        ],
    ),
    ("expose", &["[80]", "[\"3000-3002\", \"80/udp\"]"]),
    (
        "volumes",
        &[
            "[\"data:/d\"]",
            "[\"./src:/s:ro\", /anon]",
            "[{type: bind, source: ./x, target: /x, bind: {create_host_path: false}}]",
            "[{type: tmpfs, target: /t, tmpfs: {size: 1m}}]",
            "[\"data:/d:ro\", \"~/h:/h:z\"]",
            "!override [\"data:/o\"]",
        ],
    ),
    ("tmpfs", &["/run", "[/run, \"/tmp:size=1m\"]"]),
    (
        "networks",
        &[
            "[front]",
            "{front: , back: {aliases: [x], priority: 5}}",
            "{front: {ipv4_address: 10.1.2.3}}",
            "!reset {}",
        ],
    ),
    (
        "depends_on",
        &[
            "[last]",
            "{last: {condition: service_healthy}}",
            "{last: {condition: service_started, required: false, restart: true}}",
        ],
    ),
    (
        "healthcheck",
        &[
            "{test: [CMD, a], interval: 5s}",
            "{test: curl x, retries: 3, start_period: 1m30s}",
            "{disable: true}",
            "{test: [NONE]}",
        ],
    ),
    (
        "deploy",
        &[
            "{replicas: 2}",
            "{resources: {limits: {cpus: \"0.5\", memory: 64m}, reservations: {memory: 1gb}}}",
            "{labels: [a=b], restart_policy: {condition: on-failure, delay: 5s}}",
            "{update_config: {parallelism: 1, order: start-first}}",
        ],
    ),
    ("restart", &["always", "\"no\"", "on-failure:3", "\"\""]),
    ("hostname", &["h", "\"\"", "${A}.example"]),
    ("user", &["\"1000\"", "\"1000:1000\"", "root"]),
    ("working_dir", &["/w", "\"\""]),
    ("init", &["true", "false"]),
    ("privileged", &["true", "false"]),
    ("read_only", &["true", "\"true\""]),
    ("tty", &["true"]),
    ("stdin_open", &["true"]),
    ("mem_limit", &["64m", "1000000", "0.5g", "\"${MEM:-32mb}\""]),
    ("cpus", &["1", "0.5", "\"1.5\""]),
    ("pids_limit", &["100", "-1"]),
    ("shm_size", &["64M", "1024"]),
    ("stop_grace_period", &["5s", "1m30s", "1500ms"]),
    ("stop_signal", &["SIGINT"]),
    ("cap_add", &["[NET_ADMIN]", "[NET_ADMIN, SYS_TIME]"]),
    ("cap_drop", &["[ALL]"]),
    ("security_opt", &["[\"no-new-privileges:true\"]"]),
    ("sysctls", &["{net.core.somaxconn: 1024}", "[net.core.somaxconn=1025]"]),
    ("ulimits", &["{nofile: 5, nproc: {soft: 1, hard: 2}}", "{nofile: {soft: 3, hard: 4}}"]),
    ("dns", &["1.1.1.1", "[1.1.1.1, 8.8.8.8]"]),
    ("dns_search", &["example.org", "[a.org, b.org]"]),
    ("dns_opt", &["[ndots:1]"]),
    ("extra_hosts", &["[\"a:1.2.3.4\", \"b=::1\"]", "{a: 1.2.3.5, c: [1.1.1.1, 2.2.2.2]}"]),
    (
        "logging",
        &["{driver: json-file, options: {max-size: 1m, n: 3}}", "{driver: local}", "{options: {tag: x}}"],
    ),
    ("secrets", &["[token]", "[{source: token, target: t, mode: 0440}]"]),
    ("configs", &["[app]", "[{source: app, target: /etc/app, uid: \"5\"}]"]),
    ("devices", &["[\"/dev/null:/dev/x\"]", "[\"/dev/null:/dev/x:r\", /dev/zero]"]),
    ("group_add", &["[mail, 5]"]),
    ("profiles", &["[debug]", "[debug, more]"]),
    ("pull_policy", &["always", "if_not_present", "every_12h"]),
    ("platform", &["linux/amd64"]),
    ("network_mode", &["host", "none", "\"service:last\""]),
    ("ipc", &["host", "shareable"]),
    ("pid", &["host"]),
    ("userns_mode", &["host"]),
    ("container_name", &["fixed-${A}"]),
    ("scale", &["3"]),
    ("attach", &["false"]),
    ("blkio_config", &["{weight: 300}"]),
    ("cpu_shares", &["73", "\"73\""]),
    ("oom_score_adj", &["-100"]),
    ("storage_opt", &["{size: 1G}"]),
    ("post_start", &["[{command: [a, b]}]", "[{command: x y, user: root, environment: [A=b]}]"]),
    ("gpus", &["all", "[{driver: nvidia, count: 2}]"]),
    ("develop", &["{watch: [{path: ./src, action: sync, target: /s, ignore: [x]}]}"]),
    ("x-own", &["{a: [1, null, 0x10, yes, 1e3, ~]}", "text"]),
    (
        "image",
        &["a:${TAG:-1}", "b", "c@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ),
    (
        "build",
        &[
            ".",
            "{context: ./ctx, args: {A: , B: x}, target: t}",
            "{context: ., args: [A=1, B], tags: [a:1]}",
            "{dockerfile_inline: \"FROM a\\nRUN b\\n\", labels: [x=y]}",
            "{context: ., cache_from: [a], platforms: [linux/amd64], secrets: [token]}",
        ],
    ),
];

/// Attributes beside the services.
const TOP: &[(&str, &[&str])] = &[
    (
        "networks",
        &[
            "{front: , back: {driver: bridge, internal: true}}",
            "{front: {ipam: {config: [{subnet: 10.1.0.0/16}]}}, back: {name: \"${A}-back\", labels: [a=b]}}",
            "{default: {driver_opts: {a: 1}}, front: {external: true}, back: {enable_ipv6: true, attachable: true}}",
        ],
    ),
    (
        "volumes",
        &[
            "{data: }",
            "{data: {name: d-${A}, labels: {a: b}}}",
            "{data: {external: true, name: there}}",
            "{data: {driver: local, driver_opts: {type: nfs, o: \"addr=1\", device: \":/x\"}}}",
        ],
    ),
    ("secrets", &["{token: {file: ./token.txt}}", "{token: {environment: A}}", "{token: {external: true}}"]),
    ("configs", &["{app: {file: ./app.txt}}", "{app: {content: \"a ${A}\\n\"}}"]),
    ("x-top", &["{deep: {A: $A, n: 012}}", "[1, two, 3.0]"]),
];

/// Lines of environment files.
const ENV_LINES: &[&str] = &[
    "X=from-file",
    "Y=\"two words\" # said",
    "Z='$A stays'",
    "W=$A-${B:-x}",
    "# a remark",
    "",
    "U",
    "S=a#b",
    "R=\"multi\nline\"",
    "Q=${X}",
    "P= padded ",
];

/// Numbers that a seed determines, evenly spread.
struct Dice(u64);

impl Dice {
    /// The next number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64, by Sebastiano Vigna, in the public domain.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    /// `true` in `percent` of a hundred cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

/// Writes case number `number` of a seed into a folder: its files, and the `request` that
/// says how it is loaded.
pub(super) fn write(folder: &Path, seed: u64, number: usize) -> Result<()> {
    let mut dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
    let mut files: Vec<(&str, String)> = Vec::new();
    let mut request = String::from("-p made\n-f stack.yaml\nA=one\n");

    let extends_other = dice.chance(20);
    let includes = dice.chance(15);
    let mut stack = String::new();
    if includes {
        stack.push_str(match dice.roll(3) {
            0 => "include: [part/stack.yaml]\n",
            1 => "include: [{path: part/stack.yaml, env_file: part/own.env}]\n",
            _ => "include:\n  - path: [part/stack.yaml, part/more.yaml]\n    project_directory: part\n",
        });
    }
    services(&mut stack, &mut dice, extends_other, true);
    top(&mut stack, &mut dice);
    files.push(("stack.yaml", stack));
    if dice.chance(50) {
        let mut over = String::new();
        services(&mut over, &mut dice, false, false);
        if dice.chance(40) {
            let (name, values) = dice.pick(TOP);
            let _ = writeln!(over, "{name}: {}", dice.pick(values));
        }
        files.push(("over.yaml", over));
        request.push_str("-f over.yaml\n");
    }
    if extends_other {
        let mut other = String::from("services:\n  base:\n    image: base\n");
        attributes(&mut other, &mut dice, 3);
        files.push(("part/other.yaml", other));
    }
    if includes {
        let mut part =
            String::from("services:\n  inside:\n    image: inside:${C:-c}\n    env_file: own.env\n");
        if dice.chance(50) {
            part.push_str("    volumes: [\"./here:/h\", \"kept:/k\"]\nvolumes: {kept: }\n");
        }
        files.push(("part/stack.yaml", part));
        files.push(("part/more.yaml", "services: {inside: {environment: [M=$C]}}\n".to_owned()));
        files.push(("part/own.env", "C=included\n".to_owned()));
        files.push(("part/.env", "C=beside\n".to_owned()));
    }
    for name in ["app.env", "part/app.env", ".env"] {
        let lines = (0..dice.roll(5)).map(|_| format!("{}\n", dice.pick(ENV_LINES)));
        files.push((name, lines.collect::<String>() + "B=bee\n"));
    }
    for profile in ["debug", "more"] {
        if dice.chance(25) {
            let _ = writeln!(request, "--profile {profile}");
        }
    }
    files.push(("token.txt", "t\n".to_owned()));
    files.push(("app.txt", "a\n".to_owned()));
    files.push(("request", request));
    for (name, text) in files {
        let path = folder.join(name);
        let above = path.parent().context("a file stands in no folder")?;
        std::fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn services(out: &mut String, dice: &mut Dice, extends_other: bool, whole: bool) {
    out.push_str("services:\n");
    for name in ["web", "other", "third"] {
        if name != "web" && !whole && dice.chance(60) {
            continue;
        }
        let _ = writeln!(out, "  {name}:");
        let before = out.len();
        if name == "web" && extends_other {
            out.push_str("    extends: {file: part/other.yaml, service: base}\n");
        } else if name == "third" && whole && dice.chance(25) {
            out.push_str("    extends: other\n");
        }
        if whole {
            let _ = writeln!(out, "    image: {name}");
        }
        let count = if whole { 2 + dice.roll(6) } else { 1 + dice.roll(4) };
        attributes(out, dice, count);
        if out.len() == before {
            out.push_str("    init: true\n");
        }
    }
    if whole {
        out.push_str("  last: {image: last}\n");
    }
}

/// Some attributes of a service, each once.
fn attributes(out: &mut String, dice: &mut Dice, count: usize) {
    let start = out.rfind(":\n").unwrap_or_default();
    let mut used = Vec::new();
    for _ in 0..count {
        let (name, values) = dice.pick(SERVICE);
        let value = dice.pick(values);
        let there = used.contains(name) || out[start..].contains(&format!("    {name}: "));
        if !there {
            used.push(name);
            let _ = writeln!(out, "    {name}: {value}");
        }
    }
}

/// What services may refer to.
fn top(out: &mut String, dice: &mut Dice) {
    for (name, values) in TOP {
        if *name != "x-top" || dice.chance(20) {
            let _ = writeln!(out, "{name}: {}", dice.pick(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_files_again() {
        let read = |seed| {
            let folder = tempfile::tempdir().expect("a folder");
            write(folder.path(), seed, 7).expect("a case");
            std::fs::read_to_string(folder.path().join("stack.yaml")).expect("a file")
        };
        assert_eq!(read(1), read(1));
        assert_ne!(read(1), read(2));
        assert!(read(1).contains("services:\n  web:\n"));
    }
}
