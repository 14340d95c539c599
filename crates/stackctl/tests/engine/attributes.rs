//! What the file says of containers, networks and mounts, as the real engine has it.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Project, eventually, on_engine};

/// What `docker` prints as JSON.
#[track_caller]
fn docker(arguments: &[&str]) -> Value {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The first container of a service, inspected.
#[track_caller]
fn container(project: &Project, service: &str) -> Value {
    docker(&["inspect", &format!("{}-{service}-1", project.name)])[0].clone()
}

/// What a command in the first container of a service prints.
#[track_caller]
fn inside(project: &Project, service: &str, words: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(["exec", &format!("{}-{service}-1", project.name)]).args(words);
    let output = command.output().expect("docker runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn assert_has(found: &Value, wanted: &[(&str, Value)]) {
    for (pointer, wanted) in wanted {
        assert_eq!(found.pointer(pointer), Some(wanted), "{pointer} of {found:#}");
    }
}

#[test]
fn limits_and_devices_must_be_those_of_the_file() {
    let project = Project::new(
        "
services:
  web:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    cgroup: private
    cpu_period: 100000
    cpu_quota: 50000
    cpu_shares: 73
    cpuset: '0'
    mem_limit: 64m
    memswap_limit: 128m
    oom_score_adj: 500
    devices: ['/dev/null:/dev/nothing:rw']
    device_cgroup_rules: ['c 1:3 mr']
    runtime: runc
    ipc: shareable
    uts: host
    userns_mode: host
    deploy: { restart_policy: { condition: on-failure, max_attempts: 2 } }
    restart: always
",
    );
    project.run(&["up", "-d"]).exits(0);
    let found = container(&project, "web");
    assert_has(
        &found,
        &[
            ("/HostConfig/CgroupnsMode", json!("private")),
            ("/HostConfig/CpuPeriod", json!(100_000)),
            ("/HostConfig/CpuQuota", json!(50_000)),
            ("/HostConfig/CpuShares", json!(73)),
            ("/HostConfig/CpusetCpus", json!("0")),
            ("/HostConfig/MemorySwap", json!(128 << 20)),
            ("/HostConfig/OomScoreAdj", json!(500)),
            ("/HostConfig/Devices/0/PathInContainer", json!("/dev/nothing")),
            ("/HostConfig/DeviceCgroupRules", json!(["c 1:3 mr"])),
            ("/HostConfig/Runtime", json!("runc")),
            ("/HostConfig/IpcMode", json!("shareable")),
            ("/HostConfig/UTSMode", json!("host")),
            ("/HostConfig/UsernsMode", json!("host")),
            ("/HostConfig/RestartPolicy", json!({ "Name": "on-failure", "MaximumRetryCount": 2 })),
        ],
    );
    assert!(inside(&project, "web", &["ls", "/dev/nothing"]).contains("/dev/nothing"));
    assert_eq!(inside(&project, "web", &["cat", "/proc/self/oom_score_adj"]).trim(), "500");
    project.run(&["plan"]).exits(0).shows("nothing to change");
}

#[test]
fn a_container_must_share_what_another_lends_and_be_replaced_with_it() {
    let text = "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    network_mode: service:db
    ipc: service:db
    pid: service:db
    volumes_from: ['db:ro']
  db:
    image: redis:latest
    command: [redis-server, --save, '']
    ipc: shareable
    stop_grace_period: 0s
    volumes: ['/lent']
";
    let project = Project::new(text);
    project.run(&["up", "-d"]).exits(0);
    let assert_shared = || {
        let db = container(&project, "db")["Id"].as_str().expect("an id").to_owned();
        let app = container(&project, "app");
        let lender = json!(format!("container:{db}"));
        for namespace in ["NetworkMode", "IpcMode", "PidMode"] {
            assert_eq!(app["HostConfig"][namespace], lender, "{namespace}");
        }
        assert_eq!(app["HostConfig"]["VolumesFrom"], json!([format!("{db}:ro")]));
        // The same network, processes and files.
        assert_eq!(inside(&project, "app", &["redis-cli", "ping"]).trim(), "PONG");
        assert!(inside(&project, "app", &["cat", "/proc/1/comm"]).contains("redis-server"));
        inside(&project, "db", &["touch", "/lent/file"]);
        assert!(inside(&project, "app", &["ls", "/lent"]).contains("file"));
        project.run(&["plan"]).exits(0).shows("nothing to change");
    };
    assert_shared();
    let before = project.ids();
    project.write(&text.replace("ipc: shareable", "ipc: shareable\n    hostname: db"));
    project.run(&["plan"]).exits(2).shows("depends on db/1, replaced");
    project.run(&["up", "-d"]).exits(0);
    assert_shared();
    let after = project.ids();
    assert!(before.iter().all(|one| !after.contains(one)), "{before:?} {after:?}");
    // Started again, the lender has other namespaces: what runs in them starts again, too.
    let started = |service: &str| container(&project, service)["State"]["StartedAt"].clone();
    let begun = started("app");
    project.run(&["kill", "db"]).exits(0);
    project.run(&["up", "-d"]).exits(0);
    assert_shared();
    assert_eq!(project.ids(), after);
    assert_ne!(started("app"), begun);
}

#[test]
fn links_must_be_names_of_other_containers() {
    let project = Project::new(
        "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    links: ['db:database']
    networks: [front, back]
  db: { image: redis:latest, stop_grace_period: 0s, networks: [back] }
networks: { front: {}, back: {} }
",
    );
    project.run(&["up", "-d"]).exits(0);
    for name in ["database", "db-1", "db"] {
        assert_eq!(inside(&project, "app", &["redis-cli", "-h", name, "ping"]).trim(), "PONG", "{name}");
    }
}

#[test]
fn networks_must_be_joined_as_the_file_says() {
    let project = Project::new(
        "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    mac_address: 02:42:ac:11:77:02
    networks:
      back: { link_local_ips: [169.254.8.8] }
      front: { priority: 9 }
networks:
  front: { ipam: { driver: default, config: [{ subnet: 10.214.9.0/24, aux_addresses: { printer: 10.214.9.2 } }] } }
  back: {}
",
    );
    project.run(&["up", "-d"]).exits(0);
    let found = container(&project, "app");
    let front = format!("/NetworkSettings/Networks/{}_front", project.name);
    let back = format!("/NetworkSettings/Networks/{}_back", project.name);
    assert_has(
        &found,
        &[
            (&format!("{front}/MacAddress"), json!("02:42:ac:11:77:02")),
            // The first address is the gateway's, and the second is kept for the printer.
            (&format!("{front}/IPAddress"), json!("10.214.9.3")),
            (&format!("{back}/IPAMConfig/LinkLocalIPs"), json!(["169.254.8.8"])),
        ],
    );
    project.run(&["plan"]).exits(0).shows("nothing to change");
}

#[test]
fn mounts_must_have_their_options() {
    let project = Project::new(
        "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    volumes:
      - { type: volume, target: /labelled, volume: { labels: { team: shop } } }
      - { type: volume, source: data, target: /data, volume: { nocopy: true } }
      - { type: bind, source: ./made, target: /flat, read_only: true, bind: { recursive: disabled, create_host_path: false } }
volumes: { data: {} }
",
    );
    std::fs::create_dir(project.directory.path().join("made")).expect("a directory");
    project.run(&["up", "-d"]).exits(0);
    let found = container(&project, "app");
    let mounts = found["Mounts"].as_array().expect("mounts");
    let at = |target: &str| mounts.iter().find(|mount| mount["Destination"] == target).expect("a mount");
    let volume = docker(&["volume", "inspect", at("/labelled")["Name"].as_str().expect("a name")]);
    assert_eq!(volume[0]["Labels"]["team"], "shop");
    assert_eq!(at("/flat")["RW"], false);
    let asked = found["HostConfig"]["Mounts"].as_array().expect("mounts");
    let flat = asked.iter().find(|mount| mount["Target"] == "/flat").expect("a mount");
    assert_eq!(flat["BindOptions"]["NonRecursive"], true);
    // Their volumes stay when the container is replaced.
    let kept = at("/labelled")["Name"].clone();
    project.run(&["up", "-d", "--force-recreate"]).exits(0);
    let found = container(&project, "app");
    let mounts = found["Mounts"].as_array().expect("mounts");
    assert!(mounts.iter().any(|mount| mount["Name"] == kept), "{mounts:#?}");
}

#[test]
fn what_has_no_effect_must_be_said_with_its_line() {
    let project = Project::new(
        "services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    healthcheck: { test: [CMD, 'true'], start_interval: 1s }
    networks: { default: { gw_priority: 1 } }
    deploy:
      mode: global
      placement: { constraints: [node.role==worker] }
",
    );
    let outcome = project.run(&["up", "-d"]).exits(0);
    let outcome = outcome.says("`placement` has no effect").says("stack.yaml:10:7");
    let api = api();
    for (needs, place, attribute) in [
        ((1, 44), "stack.yaml:6:57", "healthcheck.start_interval of app needs an engine with API 1.44"),
        ((1, 48), "stack.yaml:7:41", "networks.default.gw_priority of app needs an engine with API 1.48"),
    ] {
        let line = format!("{place}: {attribute}");
        assert_eq!(outcome.err.contains(&line), api < needs, "{line}\n{}", outcome.err);
    }
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
}

/// The version of the API that the engine of these tests speaks.
fn api() -> (u32, u32) {
    on_engine(async |engine| engine.connection().api_version)
}

#[test]
fn what_newer_engines_know_must_reach_the_container() {
    let project = Project::new(
        "
services:
  web:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    healthcheck: { test: [CMD, 'true'], interval: 30s, start_period: 20s, start_interval: 250ms }
    annotations: { org.example.note: text }
    networks:
      back: { mac_address: '02:42:ac:11:77:03', aliases: [behind] }
      front: { gw_priority: 7, interface_name: door0 }
networks: { back: {}, front: {} }
",
    );
    project.run(&["create"]).exits(0);
    let name = |key: &str| format!("{}_{key}", project.name);
    let networks = container(&project, "web")["NetworkSettings"]["Networks"].clone();
    let joined: Vec<&String> = networks.as_object().expect("networks").keys().collect();
    assert_eq!(joined, [&name("back"), &name("front")], "it is on all of them before it starts");
    project.run(&["up", "-d"]).exits(0);
    let found = container(&project, "web");
    let since = |needs: (u32, u32), value: Value| if api() >= needs { value } else { Value::Null };
    let at = |network: &str, attribute: &str| {
        found["NetworkSettings"]["Networks"][name(network)].get(attribute).cloned().unwrap_or_default()
    };
    let check = &found["Config"]["Healthcheck"];
    assert_eq!(check["Interval"], 30_000_000_000_i64);
    assert_eq!(check["StartInterval"], since((1, 44), json!(250_000_000)));
    assert_eq!(found["HostConfig"]["Annotations"], since((1, 43), json!({ "org.example.note": "text" })));
    assert_eq!(at("front", "GwPriority"), since((1, 48), json!(7)));
    assert_eq!(at("back", "GwPriority"), since((1, 48), json!(0)));
    let aliases = at("back", "Aliases");
    assert!(aliases.as_array().expect("aliases").contains(&json!("behind")), "{aliases}");
    let gateway = |network: &str| at(network, "Gateway").as_str().expect("an address").to_owned();
    let routes = inside(&project, "web", &["cat", "/proc/net/route"]);
    let way_out = routes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let way_out: Vec<_> =
        way_out.filter(|words| words[1] == "00000000").map(|words| words[2].to_owned()).collect();
    let hexadecimal = |address: &str| {
        let parts = address.split('.').rev().map(|part| part.parse::<u8>().expect("a byte"));
        parts.map(|part| format!("{part:02X}")).collect::<String>()
    };
    let wanted = if api() >= (1, 48) { gateway("front") } else { gateway("back") };
    assert_eq!(way_out, [hexadecimal(&wanted)], "{routes}");
    if api() >= (1, 44) {
        assert_eq!(at("back", "MacAddress"), "02:42:ac:11:77:03");
    }
    if api() >= (1, 49) {
        assert!(inside(&project, "web", &["ls", "/sys/class/net"]).contains("door0"));
    }
    project.run(&["plan"]).exits(0).shows("nothing to change");
}

#[test]
fn the_files_of_an_image_must_be_mounted_or_refused_before_anything_is_made() {
    // It goes after the project, which mounts it.
    let site = Tag::unused();
    let project = Project::new("");
    let dockerfile = "FROM redis:latest\\nRUN mkdir /html && echo planted > /html/page\\n";
    project.write(&format!(
        "services: {{ site: {{ image: '{}', build: {{ dockerfile_inline: \"{dockerfile}\" }} }} }}\n",
        site.0
    ));
    project.run(&["build"]).exits(0);
    project.write(&format!(
        "
services:
  web:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    volumes: [{{ type: image, source: '{}', target: /site, image: {{ subpath: html }} }}]
",
        site.0
    ));
    let up = project.run(&["up", "-d"]);
    if api() >= (1, 48) {
        up.exits(0);
        assert_eq!(inside(&project, "web", &["cat", "/site/page"]), "planted\n");
        let mounts = container(&project, "web")["Mounts"].clone();
        let site = mounts.as_array().expect("mounts").iter().find(|mount| mount["Destination"] == "/site");
        assert_eq!(site.expect("a mount")["Type"], "image");
        project.run(&["plan"]).exits(0).shows("nothing to change");
    } else {
        up.exits(8)
            .says("a mount of type image needs an engine with API 1.48")
            .says("stack.yaml:7:")
            .says("COPY --from=")
            .says("nothing was done");
        let observed = project.observe();
        assert!(observed.containers.is_empty() && observed.networks.is_empty());
    }
}

/// The name of an image that goes when the test ends.
struct Tag(String);

impl Tag {
    /// A name that no image has yet.
    fn unused() -> Self {
        let folder = tempfile::tempdir().expect("a name");
        let name = folder.path().file_name().expect("a name").to_string_lossy().to_lowercase();
        Self(format!("tag{}:1", name.replace('.', "")))
    }

    /// A name for the image of the tests, which the engine knows from now on.
    fn new() -> Self {
        let tag = Self::unused();
        let status = Command::new("docker").args(["tag", "redis:latest", &tag.0]).status();
        assert!(status.is_ok_and(|status| status.success()), "docker tag");
        tag
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        let _: std::io::Result<std::process::Output> = Command::new("docker").args(["rmi", &self.0]).output();
    }
}

#[test]
fn an_image_must_be_pulled_again_only_when_it_is_old() {
    let tag = Tag::new();
    let text = format!("services: {{ app: {{ image: '{}', pull_policy: weekly }} }}", tag.0);
    let project = Project::new(&text);
    let outcome = project.run(&["plan"]).exits(2);
    assert!(!outcome.out.contains("pull"), "{}", outcome.out);
    project.write(&text.replace("weekly", "every_0s"));
    eventually("the age of the image", Duration::from_secs(5), || {
        project.run(&["plan"]).exits(2).out.contains("older than it may be").then_some(())
    });
}
