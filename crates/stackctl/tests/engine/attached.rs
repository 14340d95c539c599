//! `up` that stays: what is shown, and with which exit code it ends.

use std::time::Duration;

use stack_plan::observed::ContainerState;

use crate::scenarios::SLEEPER;
use crate::support::{Project, eventually};

fn ends(code: u8, after: &str) -> String {
    format!(
        "image: redis:latest\n    init: true\n    stop_grace_period: 1s\n    command: [sh, -c, 'sleep {after}; exit {code}']"
    )
}

fn nothing_runs(project: &Project) {
    let running =
        project.observe().containers.into_iter().filter(|found| found.state == ContainerState::Running);
    assert_eq!(running.count(), 0);
}

#[test]
fn the_first_end_must_stop_the_others_and_give_its_exit_code() {
    let project = Project::new(&format!(
        "services:\n  job:\n    image: redis:latest\n    command: ['true']\n  app:\n    {}\n    depends_on:\n      job: {{ condition: service_completed_successfully }}\n  db:\n    {SLEEPER}\n",
        ends(3, "0.5")
    ));
    // The job ends first, and well, because app waits for that: it is no reason to stop.
    let up = project.run(&["up", "--abort-on-container-exit"]).exits(3);
    up.says("app-1 ended with exit code 3; stopping the others").says("db/1  stopped");
    nothing_runs(&project);
}

#[test]
fn only_a_failure_must_stop_the_others_when_that_is_asked_for() {
    let project = Project::new(&format!(
        "services:\n  fine:\n    {}\n  bad:\n    {}\n  db:\n    {SLEEPER}\n",
        ends(0, "0.2"),
        ends(4, "1")
    ));
    project.run(&["up", "--abort-on-container-failure"]).exits(4).says("bad-1 ended with exit code 4");
    nothing_runs(&project);
}

#[test]
fn the_exit_code_must_be_that_of_the_service_asked_for() {
    let project = Project::new(&format!(
        "services:\n  test:\n    {}\n  db:\n    {}\n  other:\n    {}\n",
        ends(5, "0.5"),
        SLEEPER.replace("stop_grace_period: 0s", "stop_grace_period: 1m"),
        ends(6, "60")
    ));
    project.run(&["up", "--exit-code-from", "test"]).exits(5);
    // Asked for one that a stop has ended: SIGTERM is 15.
    project.run(&["up", "--exit-code-from", "db"]).exits(143);
    project.run(&["up", "--exit-code-from", "tset"]).exits(64).says("did you mean test?");
    project.run(&["up", "-d", "--exit-code-from", "test"]).exits(64);
}

#[test]
fn only_the_logs_asked_for_must_be_shown() {
    let says = |name: &str| {
        format!(
            "  {name}:\n    image: redis:latest\n    init: true\n    stop_grace_period: 0s\n    command: [sh, -c, 'echo this is {name}; sleep 1']\n"
        )
    };
    let project = Project::new(&format!(
        "services:\n{}    depends_on: [two]\n{}{}",
        says("one"),
        says("two"),
        says("three")
    ));
    let check = |arguments: &[&str], shown: &[&str]| {
        let up = project.run(arguments).exits(0);
        for name in ["one", "two", "three"] {
            let there = up.out.contains(&format!("this is {name}"));
            assert_eq!(there, shown.contains(&name), "{name} with {arguments:?}:\n{}", up.out);
        }
    };
    check(&["up"], &["one", "two", "three"]);
    check(&["up", "one"], &["one"]);
    check(&["up", "--attach-dependencies", "one"], &["one", "two"]);
    check(&["up", "--attach", "two"], &["two"]);
    check(&["up", "--no-attach", "two"], &["one", "three"]);
    project.write(&format!("services:\n{}    attach: false\n{}{}", says("one"), says("two"), says("three")));
    check(&["up"], &["two", "three"]);
    check(&["up", "--attach", "one"], &["one"]);
}

#[test]
fn a_question_must_not_be_asked_when_the_answer_is_given() {
    let stack = |size: &str| {
        format!(
            "services:\n  db:\n    {SLEEPER}\n    volumes: [data:/data]\nvolumes:\n  data:\n    driver_opts: {{ type: tmpfs, device: tmpfs, o: size={size} }}\n"
        )
    };
    let project = Project::new(&stack("1m"));
    project.run(&["up", "-d"]).exits(0);
    project.write(&stack("2m"));
    project.run(&["up", "-d"]).exits(5).says("volume:data would lose its data");
    project.run(&["up", "-d", "--yes"]).exits(0);
    eventually("it runs", Duration::from_secs(5), || {
        (project.observe().containers[0].state == ContainerState::Running).then_some(())
    });
}
