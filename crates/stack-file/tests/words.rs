//! What single words mean at single places, beside what docker compose makes of them.
//!
//! `words.tsv` has a line for each: the place, the word, and what docker compose 2.40's
//! `config --format json` then has there: JSON, `-` for nothing, `refused` for a file that it
//! does not take. A fourth column has ours where it differs on purpose; decision 15 says why.
//! `UPDATE_WORDS=1` writes the fourth column anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stack_file::config::Form;
use stack_file::load::{Request, load};

/// A place: the file around the word, which stands for `@`, and where it is looked for.
const PLACES: &[(&str, &str, &str)] = &[
    ("env", "services: {a: {image: i, environment: {K: @}}}", "/services/a/environment/K"),
    ("label", "services: {a: {image: i, labels: {K: @}}}", "/services/a/labels/K"),
    ("x", "services: {a: {image: i}}\nx-k: @", "/x-k"),
    ("xkey", "services: {a: {image: i}}\nx-k: {@: 1}", "/x-k"),
    ("envkey", "services: {a: {image: i, environment: {@: w}}}", "/services/a/environment"),
    ("hostname", "services: {a: {image: i, hostname: @}}", "/services/a/hostname"),
    ("image", "services: {a: {image: @}}", "/services/a/image"),
    ("tty", "services: {a: {image: i, tty: @}}", "/services/a/tty"),
    ("scale", "services: {a: {image: i, scale: @}}", "/services/a/scale"),
    (
        "retries",
        "services: {a: {image: i, healthcheck: {test: x, retries: @}}}",
        "/services/a/healthcheck/retries",
    ),
    ("cpus", "services: {a: {image: i, cpus: @}}", "/services/a/cpus"),
    ("mem", "services: {a: {image: i, mem_limit: @}}", "/services/a/mem_limit"),
    ("grace", "services: {a: {image: i, stop_grace_period: @}}", "/services/a/stop_grace_period"),
    ("command", "services: {a: {image: i, command: @}}", "/services/a/command"),
    ("port", "services: {a: {image: i, ports: [@]}}", "/services/a/ports"),
    ("host", "services: {a: {image: i, extra_hosts: {k: @}}}", "/services/a/extra_hosts"),
    ("cmd", "services: {a: {image: i, command: [@]}}", "/services/a/command"),
    ("group", "services: {a: {image: i, group_add: [@]}}", "/services/a/group_add"),
    (
        "published",
        "services: {a: {image: i, ports: [{target: 80, published: @}]}}",
        "/services/a/ports/0/published",
    ),
    ("opt", "services: {a: {image: i, logging: {options: {k: @}}}}", "/services/a/logging/options/k"),
    ("arg", "services: {a: {build: {context: ., args: {k: @}}}}", "/services/a/build/args/k"),
    (
        "mode",
        "services: {a: {image: i, secrets: [{source: s, mode: @}]}}\nsecrets: {s: {file: ./s}}",
        "/services/a/secrets/0/mode",
    ),
    ("ulimit", "services: {a: {image: i, ulimits: {nofile: @}}}", "/services/a/ulimits/nofile"),
    ("oom", "services: {a: {image: i, oom_score_adj: @}}", "/services/a/oom_score_adj"),
];

fn ours(place: &str, word: &str) -> String {
    let (_, file, pointer) = PLACES.iter().find(|(name, ..)| *name == place).expect("a place");
    let text = format!("name: t\n{}\n", file.replacen('@', word, 1));
    let environment = BTreeMap::new();
    let loaded = load(&Request {
        files: vec!["-".into()],
        directory: "/none".into(),
        project_directory: None,
        project_name: None,
        env_files: Vec::new(),
        profiles: Vec::new(),
        environment: &environment,
        stdin: Some(&text),
    });
    if loaded.has_errors() {
        return "refused".to_owned();
    }
    let whole = serde_json::to_value(loaded.stack.config(Form::Json)).expect("JSON");
    whole.pointer(pointer).map_or_else(|| "-".to_owned(), Value::to_string)
}

/// Equal texts, or equal JSON: keys have no order, and not every writer gives a number the same
/// digits.
fn agree(one: &str, other: &str) -> bool {
    let number = |text: &str| serde_json::from_str::<f64>(text).ok();
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    one == other
        || number(one).is_some_and(|one| number(other) == Some(one))
        || value(one).is_some_and(|one| value(other) == Some(one))
}

#[test]
fn words_mean_what_docker_compose_takes_them_for() {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/words.tsv");
    let table = fs::read_to_string(&path).expect("the table");
    let update = std::env::var_os("UPDATE_WORDS").is_some();
    let (mut anew, mut wrong, mut lines) = (String::new(), Vec::new(), 0);
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [place, word, theirs, rest @ ..] = columns.as_slice() else { panic!("{line:?} lacks a column") };
        let expected = rest.first().unwrap_or(theirs);
        let found = ours(place, word);
        if !agree(&found, expected) {
            wrong.push(format!("{place} {word}: {found}, and not {expected}"));
        }
        let own = if agree(&found, theirs) { String::new() } else { format!("\t{found}") };
        writeln!(anew, "{place}\t{word}\t{theirs}{own}").expect("a text");
        lines += 1;
    }
    if update {
        fs::write(path, anew).expect("the table is written");
        return;
    }
    assert!(lines > 1_000, "only {lines} lines");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
