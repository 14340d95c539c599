//! Two runs of stackctl on one project, on the real engine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Project, eventually};
use stack_plan::observed::ContainerState;

const PATIENCE: Duration = Duration::from_secs(20);

/// A stack whose `up --wait` goes on until `/go` is there.
fn slow() -> Project {
    Project::new(
        "services:\n  slow:\n    image: redis:latest\n    init: true\n    command: [sleep, '600']\n    stop_grace_period: 0s\n    healthcheck: { test: [CMD, test, -e, /go], interval: 300s, retries: 100 }\n",
    )
}

fn go(project: &Project) {
    let name = format!("{}-slow-1", project.name);
    let go = Command::new("docker").args(["exec", &name, "touch", "/go"]).status().expect("docker runs");
    assert!(go.success());
}

/// A stackctl in the background, with the lines of its standard error as they come.
fn start(project: &Project, arguments: &[&str]) -> (Child, mpsc::Receiver<String>) {
    let mut command = project.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("stackctl starts");
    let told = child.stderr.take().expect("standard error");
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(told).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    (child, lines)
}

#[track_caller]
fn line_with(lines: &mpsc::Receiver<String>, text: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{text:?} is not said"));
        if line.contains(text) {
            return line;
        }
    }
}

/// Starts an `up` that waits, and returns it when its container runs.
fn at_work(project: &Project) -> (Child, mpsc::Receiver<String>) {
    let (child, lines) = start(project, &["up", "--wait"]);
    line_with(&lines, "slow/1  started");
    (child, lines)
}

#[test]
fn the_second_must_wait_for_the_first_and_say_for_whom() {
    let project = slow();
    let (mut first, _lines) = at_work(&project);
    let (mut second, told) = start(&project, &["up", "--wait"]);
    let line = line_with(&told, "waiting for `stackctl up`");
    assert!(line.contains(&format!("process {}", first.id())), "{line}");
    assert!(line.contains(&project.name) && line.contains(" on ") && line.contains("since"), "{line}");
    // Who only looks does not wait.
    project.run(&["ps"]).exits(0).shows("slow");
    project.run(&["plan"]).exits(0);
    project.run(&["logs"]).exits(0);
    project.run(&["--dry-run", "up", "-d"]).exits(0);
    go(&project);
    assert!(first.wait().expect("an end").success());
    assert!(second.wait().expect("an end").success());
    line_with(&told, "nothing to change");
}

#[test]
fn a_crash_must_leave_no_lock_and_ctrl_c_must_end_the_waiting() {
    let project = slow();
    let (mut first, _lines) = at_work(&project);
    let (mut second, told) = start(&project, &["stop"]);
    line_with(&told, "waiting for `stackctl up`");
    let interrupted = Command::new("kill").args(["-INT", &second.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    assert!(!second.wait().expect("an end").success());
    assert!(matches!(project.observe().containers[0].state, ContainerState::Running));

    let (mut third, told) = start(&project, &["stop"]);
    line_with(&told, "waiting for `stackctl up`");
    first.kill().expect("a kill");
    first.wait().expect("an end");
    assert!(third.wait().expect("an end").success());
    let ended = || matches!(project.observe().containers[0].state, ContainerState::Exited(_)).then_some(());
    eventually("the end of the container", PATIENCE, ended);
}

#[test]
fn kill_must_not_wait_and_another_project_must_not_either() {
    let (project, other) = (slow(), slow());
    let (mut first, _lines) = at_work(&project);
    other.run(&["up", "--no-start"]).exits(0).says("slow/1  created");
    project.run(&["kill"]).exits(0).says("slow/1  killed");
    assert!(!first.wait().expect("an end").success());
}

#[test]
fn an_attached_up_must_let_others_work_while_it_shows_the_logs() {
    let project = Project::new(
        "services:\n  talker:\n    image: redis:latest\n    init: true\n    command: [sh, -c, 'echo hello; sleep 600']\n    stop_grace_period: 0s\n",
    );
    let mut up = project.spawn(&["up"]);
    up.read_until("hello");
    project.run(&["stop"]).exits(0).says("talker/1  stopped");
    up.wait().exits(0);
}
