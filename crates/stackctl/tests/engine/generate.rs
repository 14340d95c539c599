//! Stack files for containers that are there.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::Project;

#[test]
fn the_file_of_a_stack_that_runs_must_ask_for_what_is_there() {
    let project = Project::new(
        "services:\n  web:\n    image: redis:latest\n    command: [sleep, '600']\n    init: true\n    stop_grace_period: 0s\n    environment: { PRICE: '5$$', EMPTY: '' }\n    ports: ['127.0.0.1::80']\n    volumes: ['data:/d', './x:/x:ro', '/anon']\n    restart: on-failure:3\n    cap_add: [NET_ADMIN]\n    ulimits: { nofile: { soft: 100, hard: 200 } }\n    mem_limit: 64m\n    cpus: 0.5\n    depends_on: [db]\n    healthcheck: { test: [CMD, 'true'], interval: 5s, retries: 2 }\n    labels: { mine: '1' }\n    networks: { front: { aliases: [www] }, default: {} }\n    scale: 2\n    tmpfs: ['/run:size=1m']\n    extra_hosts: ['a:1.2.3.4']\n    shm_size: 32m\n    read_only: true\n    logging: { driver: json-file, options: { max-size: 1m } }\n  db:\n    image: redis:latest\n    command: [sleep, '600']\n    init: true\n    stop_grace_period: 0s\n    hostname: dbhost\n    user: '1000'\n    working_dir: /tmp\nvolumes: { data: {} }\nnetworks: { front: { internal: true } }\n",
    );
    project.run(&["up", "-d"]).exits(0);
    let directory = project.directory.path().display().to_string();
    let generated =
        project.elsewhere(&["-p", &project.name, "generate", "--project-dir", &directory]).exits(0);
    assert!(
        generated.out.contains("source: ./x") && !generated.out.contains("com.docker.compose"),
        "{}",
        generated.out
    );
    project.write(&generated.out);
    project.run(&["plan"]).exits(0).shows("nothing to change");
}

/// A container that was made without a project. It goes when it is dropped.
struct Alone(String);

impl Drop for Alone {
    fn drop(&mut self) {
        let removed = Command::new("docker").args(["rm", "-f", "-v", &self.0]).stdout(Stdio::null()).status();
        assert!(removed.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_container_that_was_made_by_hand_must_come_up_again_from_its_file() {
    let project = Project::new("services: {}\n");
    let alone = Alone(format!("{}_alone", project.name));
    let run = [
        "run",
        "-d",
        "--name",
        &alone.0,
        "--label",
        "stackctl.test=1",
        "-e",
        "WORD=$HOME",
        "-w",
        "/srv",
        "--init",
        "redis:latest",
        "sleep",
        "600",
    ];
    assert!(Command::new("docker").args(run).stdout(Stdio::null()).status().expect("docker runs").success());
    let generated =
        project.elsewhere(&["generate", "--name", &project.name, "--format", "json", &alone.0]).exits(0);
    let stack: Value = serde_json::from_str(&generated.out).expect("JSON");
    let service = &stack["services"][&alone.0];
    assert_eq!(service["network_mode"], "bridge");
    assert_eq!(service["command"], serde_json::json!(["sleep", "600"]));
    project.write(&generated.out);
    project.run(&["up", "-d"]).exits(0);
    let id = &project.ids()[0].1;
    assert_eq!(crate::support::inside(id, "echo $WORD; pwd").trim(), "$HOME\n/srv");
    let absent = project.elsewhere(&["generate", "no-such-container"]).exits(1);
    absent.says("there is no container no-such-container");
}
