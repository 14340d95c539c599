//! Hooks on the real engine.

use std::time::Duration;

use stack_plan::observed::ContainerState;

use crate::support::{Project, eventually, inside};

/// A service that only sleeps.
const SLEEPER: &str =
    "image: redis:latest\n    command: [sleep, '600']\n    stop_grace_period: 0s\n    init: true";

#[test]
fn hooks_must_run_in_order_as_the_file_says_and_before_what_waits_for_them() {
    let project = Project::new(&format!(
        "services:
  app:
    {SLEEPER}
    depends_on: [db]
  db:
    {SLEEPER}
    user: '1000'
    post_start:
      - {{ command: [sh, -c, 'id -u; pwd; echo $$WHAT >&2'], working_dir: /tmp, environment: {{ WHAT: first }} }}
      - {{ command: [sh, -c, 'id -u; touch /marker'], user: root }}
    pre_stop:
      - {{ command: [sh, -c, 'echo goodbye'] }}
"
    ));
    let up = project.run(&["up", "-d"]).exits(0);
    let at = |text: &str| up.err.find(text).unwrap_or_else(|| panic!("{text} in {}", up.err));
    assert!(at("db-1 -> | 1000") < at("db-1 -> | 0"));
    assert!(at("db-1 -> | /tmp") < at("db/1  post_start done") && at("db-1 -> | first") > 0);
    assert!(at("db-1 -> | 0") < at("app/1  started"));
    assert_eq!(inside(&format!("{}-db-1", project.name), "stat -c %u /marker"), "0\n");
    project.run(&["up", "-d"]).exits(0).says("nothing to change");

    let restart = project.run(&["restart", "db"]).exits(0);
    let at = |text: &str| restart.err.find(text).unwrap_or_else(|| panic!("{text} in {}", restart.err));
    assert!(at("db-1 -> | goodbye") < at("db/1  stopped") && at("db/1  stopped") < at("db-1 -> | first"));
    project.run(&["stop"]).exits(0).says("db-1 -> | goodbye");
    project.run(&["up", "-d"]).exits(0).says("db-1 -> | first");
    let down = project.run(&["down"]).exits(0);
    let at = |text: &str| down.err.find(text).unwrap_or_else(|| panic!("{text} in {}", down.err));
    assert!(at("db-1 -> | goodbye") < at("db/1  stopped"));
}

#[test]
fn a_hook_that_fails_must_stop_what_waits_for_it_and_run_again() {
    let yaml = |end: &str| {
        format!(
            "services:
  app:
    {SLEEPER}
    depends_on: [db]
  db:
    {SLEEPER}
    volumes: ['.:/here']
    post_start: [{{ command: [sh, -c, 'echo no such table; test -e /here/table || exit 7'] }}]{end}
"
        )
    };
    let project = Project::new(&yaml(""));
    project
        .run(&["up", "-d"])
        .exits(1)
        .says("db/1 is not ready: its post_start hook ended with exit code 7; app waits for it")
        .says("output    no such table");
    let state = |service: &str| {
        let containers = project.observe().containers;
        containers.into_iter().find(|found| found.service == service).map(|found| found.state)
    };
    assert!(matches!(state("db"), Some(ContainerState::Exited(_))), "{:?}", state("db"));
    assert_eq!(state("app"), Some(ContainerState::Created));
    std::fs::write(project.directory.path().join("table"), "").expect("written");
    project.run(&["up", "-d"]).exits(0).says("db/1  post_start done");
    assert_eq!(state("app"), Some(ContainerState::Running));

    project.write(&yaml("\n    pre_stop: [{ command: [sh, -c, 'echo still busy; exit 3'] }]"));
    project.run(&["up", "-d"]).exits(1).says("its pre_stop hook ended with exit code 3").says("still busy");
    // The new one was taken back, and the old one runs on.
    assert_eq!(state("db"), Some(ContainerState::Running));
    assert_eq!(project.observe().containers.len(), 2);
    project.write(&yaml(""));
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
}

#[test]
fn a_job_that_has_ended_must_run_again_only_when_it_is_asked_for_or_changed() {
    let yaml = |level: &str| {
        format!(
            "services: {{ job: {{ image: 'redis:latest', restart: 'no', command: ['true'], environment: {{ LEVEL: '{level}' }} }} }}"
        )
    };
    let project = Project::new(&yaml("one"));
    project.run(&["up", "--wait"]).exits(0);
    project.run(&["up", "--wait"]).exits(0).says("nothing to change");
    project.run(&["plan"]).exits(0);
    // What runs without a health check is ready, so a job may still be at its work.
    eventually("the job ends", Duration::from_secs(20), || {
        (project.observe().containers[0].state == ContainerState::Exited(0)).then_some(())
    });
    project.run(&["up", "--wait", "--rerun"]).exits(0).says("job/1  started");
    project.run(&["up", "--wait"]).exits(0).says("nothing to change");
    project.write(&yaml("two"));
    project.run(&["up", "--wait"]).exits(0).says("job/1  started");
}
