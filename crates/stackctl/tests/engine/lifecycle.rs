//! The commands that work on the containers that are there, on the real engine.

use std::process::Command;
use std::time::Duration;

use crate::support::{Project, eventually};
use stack_plan::observed::ContainerState;

const PATIENCE: Duration = Duration::from_secs(20);

const SLEEPER: &str =
    "image: redis:latest\n    command: [sleep, '600']\n    stop_grace_period: 0s\n    init: true";

/// A database with a health check, what needs it, and what has nothing to do with them.
fn stack() -> Project {
    Project::new(&format!(
        "services:\n  app:\n    {SLEEPER}\n    depends_on:\n      db: {{ condition: service_healthy, restart: true }}\n  db:\n    image: redis:latest\n    healthcheck: {{ test: [CMD, redis-cli, ping], interval: 1s }}\n  apart:\n    {SLEEPER}\n    tmpfs: [/data]\n"
    ))
}

/// The states of the containers, by `service/number`.
fn states(project: &Project) -> Vec<String> {
    let containers = project.observe().containers;
    let told = |found: stack_plan::observed::ObservedContainer| {
        format!("{}/{} {}", found.service, found.number, found.state.word())
    };
    containers.into_iter().map(told).collect()
}

/// When the container of a service was started, in the engine's words.
fn started(project: &Project, service: &str) -> String {
    let name = format!("{}-{service}-1", project.name);
    let output = Command::new("docker").args(["inspect", "--format", "{{.State.StartedAt}}", &name]).output();
    String::from_utf8_lossy(&output.expect("docker runs").stdout).into_owned()
}

#[track_caller]
fn assert_order(text: &str, words: &[&str]) {
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word:?} is not in\n{text}"));
    for pair in words.windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{:?} is not before {:?} in\n{text}", pair[0], pair[1]);
    }
}

#[test]
fn a_stack_must_go_through_all_its_states_in_the_order_of_its_dependencies() {
    let project = stack();
    project.run(&["create"]).exits(0).says("4 changed");
    assert_eq!(states(&project), ["apart/1 created", "app/1 created", "db/1 created"]);
    let start = project.run(&["start", "--wait", "--wait-timeout", "20"]).exits(0);
    assert_order(&start.err, &["db/1  started", "db/1  healthy", "app/1  started", "app/1  ready"]);
    let ids = project.ids();
    project.run(&["start"]).exits(0).says("nothing to start");

    let pause = project.run(&["pause"]).exits(0);
    assert_order(&pause.err, &["app/1  paused", "db/1  paused"]);
    assert_eq!(states(&project), ["apart/1 paused", "app/1 paused", "db/1 paused"]);
    project.run(&["pause"]).exits(0).says("nothing to pause");
    let unpause = project.run(&["unpause", "app", "db"]).exits(0);
    assert_order(&unpause.err, &["db/1  unpaused", "app/1  unpaused"]);
    project.run(&["start", "apart"]).exits(0).says("apart/1  unpaused");

    let stop = project.run(&["stop"]).exits(0);
    assert_order(&stop.err, &["app/1  stopped", "db/1  stopped"]);
    project.run(&["stop"]).exits(0).says("nothing to stop");
    project.run(&["start", "app"]).exits(0).says("db/1  healthy");
    assert_eq!(states(&project), ["apart/1 exited", "app/1 running", "db/1 running"]);
    project.run(&["kill", "--signal", "KILL", "app"]).exits(0).says("app/1  killed");
    eventually("the end", PATIENCE, || (states(&project)[1] == "app/1 exited").then_some(()));
    assert_eq!(ids, project.ids());
}

#[test]
fn a_restart_must_take_along_what_asks_for_it_and_nothing_else() {
    let project = stack();
    project.run(&["up", "-d"]).exits(0);
    let ids = project.ids();
    let at = || ["apart", "app", "db"].map(|service| started(&project, service));
    let before = at();
    let restart = project.run(&["restart", "db"]).exits(0);
    assert_order(
        &restart.err,
        &["db/1  stopped", "db/1  started", "db/1  healthy", "app/1  stopped", "app/1  started"],
    );
    let after = at();
    assert!(before[0] == after[0] && before[1] != after[1] && before[2] != after[2], "{before:?} {after:?}");
    project.run(&["restart", "--no-deps", "--timeout", "1", "db"]).exits(0).says("1 changed");
    assert_eq!(after[1], at()[1]);
    assert_eq!(ids, project.ids());
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
}

#[test]
fn a_container_that_ignores_its_stop_signal_must_be_named_while_it_is_waited_for() {
    let project = Project::new(
        "services:\n  deaf:\n    image: redis:latest\n    entrypoint: [sh, -c]\n    command: [\"trap '' USR1; while true; do sleep 1; done\"]\n    stop_signal: SIGUSR1\n    stop_grace_period: 3s\n",
    );
    project.run(&["up", "-d"]).exits(0);
    project
        .run(&["stop"])
        .exits(0)
        .says("deaf/1  waiting for its end: SIGUSR1 ignored for 2 s, killed at 3 s")
        .says("deaf/1  stopped");
}

#[test]
fn rm_must_remove_only_what_does_not_run_and_only_with_consent() {
    let project = stack();
    project.run(&["up", "-d"]).exits(0);
    project.run(&["rm", "--force"]).exits(0).says("there are no stopped containers");
    project.run(&["stop", "apart"]).exits(0);
    let refused = project.run(&["rm"]).exits(5).says(&format!("{}-apart-1 would be removed", project.name));
    refused.says("stackctl rm --force");
    assert_eq!(project.ids().len(), 3);
    project.run(&["--dry-run", "rm"]).exits(0).shows("apart/1");
    assert_eq!(project.ids().len(), 3);
    project.run(&["rm", "-f"]).exits(0).says("apart/1  removed");
    assert_eq!(states(&project), ["app/1 running", "db/1 running"]);

    let volume = project.observe().containers[1].volumes[0].name.clone();
    let stop = project.run(&["rm", "-fsv"]).exits(0);
    assert_order(&stop.err, &["app/1  stopped", "app/1  removed", "db/1  stopped", "db/1  removed"]);
    assert!(project.ids().is_empty());
    let left = Command::new("docker").args(["volume", "ls", "--quiet"]).output().expect("docker runs");
    assert!(!String::from_utf8_lossy(&left.stdout).contains(&volume), "the volume {volume} is left");
    project.run(&["start"]).exits(1).says("has no container").says("stackctl up");
}

#[test]
fn a_service_that_is_not_there_must_be_refused_and_the_name_alone_must_be_enough() {
    let project = stack();
    project.run(&["up", "-d", "apart"]).exits(0);
    for command in ["start", "stop", "restart", "kill", "rm", "pause", "unpause", "wait"] {
        project
            .run(&[command, "aparr"])
            .exits(64)
            .says("there is no service aparr")
            .says("did you mean apart?");
    }
    project.run(&["scale", "aparr=2"]).exits(64).says("did you mean apart?");
    project.run(&["scale", "apart"]).exits(64).says("stackctl scale web=3");

    let elsewhere = tempfile::tempdir().expect("a directory");
    let by_name = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
        command.current_dir(elsewhere.path()).env("COMPOSE_PROGRESS", "plain");
        command.args(["-p", &project.name]).args(arguments).output().expect("stackctl runs")
    };
    for (arguments, said) in [
        (&["pause"][..], "apart/1  paused"),
        (&["unpause"], "apart/1  unpaused"),
        (&["restart", "apart"], "apart/1  started"),
        (&["stop"], "apart/1  stopped"),
        (&["start"], "apart/1  started"),
        (&["kill"], "apart/1  killed"),
        (&["rm", "-f"], "apart/1  removed"),
    ] {
        let output = by_name(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains(said), "{arguments:?}\n{told}");
    }
    let output = by_name(&["stop", "apart"]);
    assert_eq!(output.status.code(), Some(64), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn scale_must_make_and_remove_containers_and_leave_the_others() {
    let project = stack();
    project.run(&["up", "-d"]).exits(0);
    let ids = project.ids();
    project.run(&["scale", "apart=3", "--no-deps"]).exits(0).says("apart/3  started");
    assert_eq!(project.ids().len(), 5);
    project.run(&["scale", "apart=1"]).exits(0).says("apart/2  removed");
    assert_eq!(ids, project.ids());
}

#[test]
fn wait_must_end_with_the_container_and_tell_its_exit_code() {
    let project = Project::new(&format!(
        "services:\n  job:\n    image: redis:latest\n    init: true\n    command: [sh, -c, 'until [ -e /go ]; do sleep 0.1; done; exit 7']\n    tmpfs: [/data]\n  app:\n    {SLEEPER}\n    tmpfs: [/data]\n"
    ));
    project.run(&["up", "-d"]).exits(0);
    let id = project.ids().into_iter().find(|(name, _)| name == "job/1").expect("a job").1;
    let waiting = project.spawn(&["wait", "job"]);
    let taking_down = project.spawn(&["wait", "--down-project", "job", "app"]);
    let go = Command::new("docker").args(["exec", &id, "touch", "/go"]).status().expect("docker runs");
    assert!(go.success());
    waiting.wait().exits(7).shows(&format!("container \"{id}\" exited with status code 7"));
    taking_down.wait().exits(7).shows("exited with status code 7").says("app/1  removed");
    assert!(project.ids().is_empty());
    project.run(&["up", "-d", "app"]).exits(0);
    project.run(&["wait", "job"]).exits(1).says("no container of job runs");
}

#[test]
fn down_must_leave_what_others_use_and_say_so() {
    let project = Project::new(&format!(
        "services:\n  app:\n    {SLEEPER}\n    volumes: ['data:/data']\nvolumes: {{ data: {{}} }}\n"
    ));
    project.run(&["up", "-d"]).exits(0);
    let guest = format!("{}-guest", project.name);
    let (network, volume) = (format!("{}_default", project.name), format!("{}_data", project.name));
    let mount = format!("{volume}:/data");
    let run =
        ["run", "--detach", "--rm", "--init", "--name", &guest, "--network", &network, "--volume", &mount];
    let run = Command::new("docker").args(run).args(["redis:latest", "sleep", "600"]).output();
    assert!(run.expect("docker runs").status.success());
    let down = project.run(&["down", "--volumes"]);
    let killed = Command::new("docker").args(["rm", "--force", &guest]).output();
    assert!(killed.expect("docker runs").status.success());
    let down = down.exits(0).says(&format!("network:default cannot be removed: in use by {guest}"));
    down.says(&format!("volume:data cannot be removed: in use by {guest}")).says("it stays");
    project
        .run(&["down", "--volumes"])
        .exits(0)
        .says("network:default  removed")
        .says("volume:data  removed");
}

#[test]
fn one_that_ended_badly_must_not_keep_others_from_starting_and_be_told_by_wait() {
    let project = Project::new(&format!(
        "services:\n  broken:\n    image: redis:latest\n    command: [sh, -c, 'echo no config; exit 3']\n    healthcheck: {{ test: [CMD, 'false'], interval: 20s }}\n  app:\n    {SLEEPER}\n"
    ));
    project.run(&["create"]).exits(0);
    project
        .run(&["start", "--wait"])
        .exits(1)
        .says("broken/1 is not ready: ended with exit code 3")
        .says("no config")
        .says("app/1  ready");
    let states: Vec<_> = project.observe().containers.into_iter().map(|found| found.state).collect();
    assert_eq!(states, [ContainerState::Running, ContainerState::Exited(3)]);
}
