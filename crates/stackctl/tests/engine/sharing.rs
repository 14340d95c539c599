//! A stack that stackctl and docker compose take turns with, on the real engine.
//!
//! `STACKCTL_COMPOSE` names the program of docker compose: its plugin file, or `docker
//! compose`. `cargo xtask test` sets it, or says that these tests are left out.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Project, free_ports};

/// A stack of about thirty attributes, with what docker compose changes when it is not the same.
fn stack(port: u16, subnet: u8) -> String {
    format!(
        r#"services:
  db:
    image: redis:latest
    command: [redis-server, --save, ""]
    healthcheck: {{ test: [CMD, redis-cli, ping], interval: 1s, timeout: 2s, retries: 5, start_period: 1s }}
    volumes: ["data:/data", "/scratch", {{ type: tmpfs, target: /fast, tmpfs: {{ size: 1048576 }} }}]
    networks: {{ back: {{ aliases: [store] }} }}
    stop_signal: SIGINT
    stop_grace_period: 3s
    ulimits: {{ nofile: {{ soft: 1024, hard: 2048 }} }}
    sysctls: {{ net.core.somaxconn: "511" }}
    mem_limit: 128m
    cpus: 0.5
    restart: unless-stopped
  app:
    image: redis:latest
    entrypoint: [sh, -c]
    command: ["sleep 600"]
    init: true
    user: "999:999"
    working_dir: /tmp
    hostname: app.example
    domainname: example.test
    environment: {{ LEVEL: info, QUOTED: "a b $$c" }}
    env_file: [some.env]
    labels: {{ com.example.kind: app, com.example.on: "true" }}
    ports: ["127.0.0.1:0:6379", "127.0.0.1:{port}:80/tcp"]
    expose: ["9000"]
    extra_hosts: ["other.test:10.1.2.3"]
    dns: [10.9.8.7]
    dns_search: [example.test]
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    security_opt: ["no-new-privileges:true"]
    shm_size: 32m
    group_add: ["12"]
    read_only: true
    tmpfs: [/run, "/var/scratch:size=1m"]
    tty: true
    stdin_open: true
    volumes: ["./bound:/bound:ro"]
    logging: {{ driver: json-file, options: {{ max-size: 1m, max-file: "2" }} }}
    stop_grace_period: 0s
    networks:
      front: {{ ipv4_address: 10.213.{subnet}.10 }}
      back:
    depends_on: {{ db: {{ condition: service_healthy, restart: true }} }}
  twins:
    image: redis:latest
    command: [sleep, "600"]
    init: true
    stop_grace_period: 0s
    deploy: {{ replicas: 2, resources: {{ limits: {{ memory: 64M, cpus: "0.25" }} }} }}
networks:
  front: {{ ipam: {{ config: [{{ subnet: 10.213.{subnet}.0/24 }}] }} }}
  back: {{ labels: {{ com.example.net: back }} }}
volumes:
  data: {{ labels: {{ com.example.volume: data }} }}
"#
    )
}

fn project(subnet: u8) -> Project {
    let [port] = free_ports();
    let project = Project::new(&stack(port, subnet));
    let directory = project.directory.path();
    std::fs::write(directory.join("some.env"), "FROM_FILE=yes\n").expect("a file");
    std::fs::create_dir(directory.join("bound")).expect("a directory");
    project
}

/// Runs docker compose on the stack of a project.
#[track_caller]
fn compose(project: &Project, arguments: &[&str]) -> String {
    let program = std::env::var("STACKCTL_COMPOSE")
        .expect("STACKCTL_COMPOSE names no docker compose: cargo xtask test finds it");
    let mut words = program.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg("-f").arg(&project.file).args(["-p", &project.name]).args(arguments);
    command.envs(project.env.iter().map(|(name, value)| (name, value)));
    let Output { status, stdout, stderr } = command.output().expect("docker compose runs");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "docker compose {}\n{out}\n{err}", arguments.join(" "));
    out.into_owned()
}

#[track_caller]
fn assert_nothing_is_left(project: &Project) {
    let observed = project.observe();
    assert!(observed.containers.is_empty(), "{:?}", observed.containers);
    assert!(observed.networks.is_empty() && observed.volumes.is_empty(), "{observed:?}");
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The volumes that the containers of a project have, named and not.
fn mounts(project: &Project) -> Vec<String> {
    let containers = project.observe().containers;
    containers.into_iter().flat_map(|found| found.volumes).map(|mount| mount.name).collect()
}

#[track_caller]
fn assert_gone(volumes: &[String]) {
    let there = docker(&["volume", "ls", "--quiet"]);
    for volume in volumes {
        assert!(!there.lines().any(|name| name == volume), "the volume {volume} is left");
    }
}

#[test]
fn docker_compose_must_change_nothing_of_ours_and_take_it_down() {
    let project = project(71);
    project.run(&["up", "-d"]).exits(0);
    let (before, volumes) = (project.ids(), mounts(&project));
    compose(&project, &["up", "-d"]);
    assert_eq!(before, project.ids());
    project.run(&["plan"]).exits(0).shows("nothing to change");
    let listed = compose(&project, &["ps", "--format", "{{.Service}} {{.State}}"]);
    let mut listed: Vec<_> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(listed, ["app running", "db running", "twins running", "twins running"]);
    assert!(compose(&project, &["logs", "--no-color", "db"]).contains("Ready to accept connections"));
    compose(&project, &["down", "--volumes"]);
    assert_nothing_is_left(&project);
    assert_gone(&volumes);
}

#[test]
fn what_docker_compose_made_must_be_taken_over_without_a_restart() {
    let project = project(72);
    compose(&project, &["up", "-d"]);
    let (before, volumes) = (project.ids(), mounts(&project));
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
    assert_eq!(before, project.ids());
    project.run(&["ps"]).exits(0).shows(&format!("{}-twins-2", project.name));
    project.run(&["logs", "db"]).exits(0).shows("Ready to accept connections");
    project.run(&["restart", "db"]).exits(0).says("db/1  healthy").says("app/1  started");
    compose(&project, &["up", "-d"]);
    assert_eq!(before, project.ids());
    project.run(&["down", "--volumes"]).exits(0);
    assert_nothing_is_left(&project);
    assert_gone(&volumes);
}

#[test]
fn what_one_changed_the_other_must_find_as_it_is() {
    let project = project(73);
    compose(&project, &["up", "-d"]);
    let text = std::fs::read_to_string(project.directory.path().join("stack.yaml")).expect("the file");
    let changed = text.replace("LEVEL: info", "LEVEL: debug");
    project.write(&changed);
    project.run(&["up", "-d"]).exits(0).says("app/1  started");
    let ours = project.ids();
    compose(&project, &["up", "-d"]);
    assert_eq!(ours, project.ids());
    project.write(&text);
    compose(&project, &["up", "-d"]);
    let theirs = project.ids();
    assert_ne!(ours, theirs);
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
    assert_eq!(theirs, project.ids());
    let volumes = mounts(&project);
    project.run(&["down", "--volumes"]).exits(0);
    assert_nothing_is_left(&project);
    assert_gone(&volumes);
}

#[test]
fn the_first_stack_must_be_shared_too() {
    let mut project = Project::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stack.yaml"));
    let ports: [u16; 4] = free_ports();
    let names = ["REDIS_PUBLISH", "APP1_PUBLISH", "APP2_PUBLISH", "NGINX_PUBLISH"];
    for (name, port) in names.into_iter().zip(ports) {
        project.env(name, port);
    }
    project.run(&["up", "-d"]).exits(0);
    let before = project.ids();
    compose(&project, &["up", "-d"]);
    assert_eq!(before, project.ids());
    compose(&project, &["down", "--volumes"]);
    compose(&project, &["up", "-d"]);
    let before = project.ids();
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
    assert_eq!(before, project.ids());
    project.run(&["down", "--volumes"]).exits(0);
    assert_nothing_is_left(&project);
}

#[test]
fn containers_that_lend_to_others_must_be_left_alone_by_both() {
    let project = Project::new(
        r#"services:
  app:
    image: redis:latest
    command: [sleep, "600"]
    stop_grace_period: 0s
    network_mode: service:db
    pid: service:db
    volumes_from: ["db"]
  web:
    image: redis:latest
    command: [sleep, "600"]
    stop_grace_period: 0s
    links: ["db:database"]
    cpu_shares: 73
    oom_score_adj: 500
    devices: ["/dev/null:/dev/nothing"]
    networks: [front, back]
  db: { image: redis:latest, stop_grace_period: 0s, volumes: [/lent], networks: [back] }
networks: { front: {}, back: {} }
"#,
    );
    project.run(&["up", "-d"]).exits(0);
    let before = project.ids();
    compose(&project, &["up", "-d"]);
    assert_eq!(before, project.ids());
    project.run(&["down"]).exits(0);
    compose(&project, &["up", "-d"]);
    let before = project.ids();
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
    assert_eq!(before, project.ids());
}
