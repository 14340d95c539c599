//! Replacing running containers on the real engine, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stack_plan::observed::ContainerState;

use crate::support::{Project, eventually, free_ports};

/// A service that is good where `GOOD` is 1, at once.
fn web(good: &str, level: &str, more: &str) -> String {
    format!(
        "services:
  web:
    image: redis:latest
    command: [sh, -c, 'echo level {level}; exec sleep 600']
    init: true
    stop_grace_period: 0s
    environment: {{ GOOD: '{good}', LEVEL: '{level}' }}
    healthcheck: {{ test: 'test \"$$GOOD\" = 1', interval: 1s, retries: 2 }}
{more}"
    )
}

/// The containers that run: name to id.
fn running(project: &Project) -> BTreeMap<String, String> {
    let containers = project.observe().containers.into_iter();
    let running = containers.filter(|found| found.state == ContainerState::Running);
    running.map(|found| (found.name, found.id)).collect()
}

const START_FIRST: &str =
    "    scale: 3\n    deploy: { update_config: { order: start-first, failure_action: rollback } }\n";

#[test]
fn a_good_version_must_take_every_place_and_leave_nothing_behind() {
    let project = Project::new(&web("1", "a", START_FIRST));
    project.run(&["up", "--wait"]).exits(0);
    let before = running(&project);
    project.write(&web("1", "b", START_FIRST));
    project
        .run(&["plan", "--steps"])
        .exits(2)
        .shows("web/1, start, changed: command[2], environment.LEVEL; taken back by: stop")
        .shows("web: start-first; when more than 0 % fail: rollback, 1 at a time");
    project.run(&["up", "-d"]).exits(0).says("web/3  steady");
    let after = running(&project);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let old: BTreeSet<&String> = before.values().collect();
    assert!(after.values().all(|id| !old.contains(id)), "{before:?} {after:?}");
    assert_eq!(project.observe().containers.len(), 3);
    project.run(&["plan"]).exits(0);
}

#[test]
fn a_bad_version_must_go_and_what_it_had_replaced_must_serve_again() {
    for order in ["start-first", "stop-first"] {
        let more = START_FIRST.replace("start-first", order);
        let project = Project::new(&web("1", "a", &more));
        project.run(&["up", "--wait"]).exits(0);
        let before = running(&project);
        project.write(&web("0", "b", &more));
        project
            .run(&["up", "-d"])
            .exits(9)
            .says("web/1 is not ready: unhealthy after")
            .says("stdout    level b")
            .says("web/1  taken back")
            .says("rolled back: what it had replaced serves again");
        assert_eq!(running(&project), before, "{order}");
        assert_eq!(project.observe().containers.len(), 3, "{order}");
    }
}

#[test]
fn what_ends_at_once_without_a_health_check_must_be_taken_back() {
    let yaml = |command: &str| {
        format!(
            "services:
  web:
    image: redis:latest
    command: [sh, -c, '{command}']
    init: true
    restart: always
    stop_grace_period: 0s
    deploy: {{ update_config: {{ monitor: 2s }} }}
"
        )
    };
    let project = Project::new(&yaml("exec sleep 600"));
    project.run(&["up", "-d"]).exits(0);
    let before = running(&project);
    project.write(&yaml("echo broken; exit 3"));
    project.run(&["up", "-d"]).exits(9).says("ended with exit code 3").says("stdout    broken");
    assert_eq!(running(&project), before);
}

#[test]
fn a_fixed_port_must_make_the_old_one_go_first() {
    let [port] = free_ports();
    let more = format!("    ports: ['127.0.0.1:{port}:6379']\n");
    let project = Project::new(&web("1", "a", &more));
    project.run(&["up", "--wait"]).exits(0);
    let before = running(&project);
    let reason = format!("only one container at a time can have port {port} of the host");
    project.write(&web("0", "b", &more));
    project.run(&["plan", "--rolling"]).exits(2).shows(&reason);
    project.run(&["up", "-d", "--rolling"]).exits(9);
    assert_eq!(running(&project), before);
    project.write(&web("1", "c", &more));
    project.run(&["up", "-d", "--rolling"]).exits(0);
    assert_ne!(running(&project), before);
}

#[test]
fn a_run_that_is_killed_must_be_finished_or_undone_by_the_next() {
    let project = Project::new(&web("1", "a", START_FIRST));
    project.run(&["up", "--wait"]).exits(0);
    let before = running(&project);
    // Killed while the new one is looked at: it is not good yet, and never will be.
    project.write(&web("0", "b", START_FIRST));
    let up = project.spawn(&["up", "-d"]);
    eventually("a new one runs", Duration::from_secs(60), || (running(&project).len() > 3).then_some(()));
    drop(up);
    project.run(&["up", "-d"]).exits(9);
    assert_eq!(running(&project), before);
    project.write(&web("1", "c", START_FIRST));
    project.run(&["up", "-d"]).exits(0);
    assert_eq!(running(&project).len(), 3);
    assert_eq!(project.observe().containers.len(), 3);
}

#[test]
fn rollout_must_replace_and_a_rolling_restart_must_keep_the_containers() {
    let project = Project::new(&web("1", "a", "    scale: 2\n"));
    project.run(&["up", "--wait"]).exits(0);
    let first = running(&project);
    project.run(&["rollout", "web"]).exits(0).says("web/2  steady");
    let second = running(&project);
    assert_eq!(second.len(), 2);
    assert!(second.values().all(|id| !first.values().any(|old| old == id)));
    project.run(&["restart", "--rolling"]).exits(0).says("web/1  steady").says("web/2  steady");
    assert_eq!(running(&project), second);
}
