//! Ctrl-C in every phase: what is left is told, the exit code is 130, and the next run finishes.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::scenarios::SLEEPER;
use crate::support::{Project, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

/// A stackctl that works, and what it says.
struct Working {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Working {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(arguments);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("stackctl starts");
        let told = child.stderr.take().expect("standard error");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(told).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line with this text.
    #[track_caller]
    fn says(&mut self, text: &str) {
        while !self.said.last().is_some_and(|line| line.contains(text)) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("{text:?} is not said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Presses Ctrl-C, and returns all that it said when it has ended with 130.
    #[track_caller]
    fn interrupt(mut self) -> String {
        self.signal();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        let said = self.said.join("\n");
        assert_eq!(self.child.wait().expect("an end").code(), Some(130), "{said}");
        said
    }

    fn signal(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<std::process::ExitStatus> = self.child.wait();
    }
}

/// The next run of a corrected file comes to its end, and nothing is left to do.
#[track_caller]
fn finishes(project: &Project, yaml: &str) {
    project.write(yaml);
    project.run(&["up", "--wait"]).exits(0);
    project.run(&["plan"]).exits(0);
}

fn well() -> String {
    format!("services:\n  web:\n    {SLEEPER}\n")
}

#[test]
fn in_the_load_it_must_end_at_once_and_have_done_nothing() {
    let project = Project::new(&well());
    // A file that does not come.
    let mut up = project.command(&["-f", "-", "up", "-d"]);
    let mut up = up.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("stackctl starts");
    // Where in the kernel it sleeps.
    let place = format!("/proc/{}/wchan", up.id());
    let reads = || std::fs::read_to_string(&place).is_ok_and(|at| at.contains("pipe_read"));
    eventually("it reads its standard input", PATIENCE, || reads().then_some(()));
    let id = up.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    let end = up.wait().expect("an end");
    // A shell makes 130 of the signal.
    assert!(end.code() == Some(130) || end.signal() == Some(2), "{end:?}");
    assert!(project.observe().containers.is_empty() && project.observe().networks.is_empty());
    finishes(&project, &well());
}

#[test]
fn in_a_create_what_is_made_must_stay_and_the_next_up_must_finish() {
    let services: String = (0..30).map(|number| format!("  s{number}:\n    {SLEEPER}\n")).collect();
    let many = format!("services:\n{services}");
    let project = Project::new(&many);
    let mut up = Working::start(&project, &["--parallel", "2", "up", "-d"]);
    up.says("created");
    up.says("/1  created");
    let said = up.interrupt();
    assert!(said.contains("interrupted: ") && said.contains("steps left; broken off: "), "{said}");
    assert!(said.contains("`stackctl up` goes on from here"), "{said}");
    finishes(&project, &many);
    assert_eq!(project.observe().containers.len(), 30);
}

#[test]
fn in_a_pull_the_image_must_be_named() {
    // A registry that takes the connection and says nothing.
    let registry = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = registry.local_addr().expect("an address").port();
    let project = Project::new(&format!(
        "services:\n  web:\n    image: localhost:{port}/nobody/has:this\n    command: [sleep, '600']\n"
    ));
    let mut up = Working::start(&project, &["up", "-d"]);
    up.says("pulling");
    let said = up.interrupt();
    assert!(said.contains("interrupted: 1 of 1 step left; broken off: image:localhost:"), "{said}");
    assert!(said.contains("`stackctl up` goes on from here"), "{said}");
    drop(registry);
    finishes(&project, &well());
}

#[test]
fn in_a_build_the_image_must_be_named() {
    let project = Project::new(
        "services:\n  web:\n    build:\n      context: .\n      dockerfile_inline: |\n        FROM redis:latest\n        RUN sleep 600\n",
    );
    for arguments in [&["up", "-d"][..], &["build"]] {
        let mut up = Working::start(&project, arguments);
        up.says("building");
        let said = up.interrupt();
        assert!(said.contains("step left; broken off: image:"), "{said}");
        assert!(said.contains(" building ("), "{said}");
    }
    finishes(&project, &well());
}

#[test]
fn in_a_wait_it_must_be_said_who_was_waited_for_and_how_long() {
    let waiting = format!(
        "services:\n  db:\n    {SLEEPER}\n    healthcheck: {{ test: [CMD, 'false'], interval: 300s, start_period: 300s }}\n  web:\n    {SLEEPER}\n    depends_on: {{ db: {{ condition: service_healthy }} }}\n"
    );
    let project = Project::new(&waiting);
    let mut up = Working::start(&project, &["up", "-d"]);
    up.says("db/1  started");
    let said = up.interrupt();
    assert!(said.contains("db/1 waiting for it to be ready ("), "{said}");
    assert!(said.contains("`stackctl up` goes on from here, `stackctl down` removes it"), "{said}");
    // The same, before it stays attached.
    let mut up = Working::start(&project, &["--verbose", "up"]);
    up.says("probe");
    up.interrupt();
    finishes(&project, &well());
}

#[test]
fn in_a_stop_the_one_that_does_not_end_must_be_named_and_the_next_down_must_finish() {
    let project = Project::new(
        "services:\n  deaf:\n    image: redis:latest\n    stop_grace_period: 8s\n    command: [sh, -c, 'trap \"\" TERM; while true; do sleep 1; done']\n",
    );
    project.run(&["up", "-d"]).exits(0);
    let mut down = Working::start(&project, &["down"]);
    down.says("SIGTERM ignored for");
    let said = down.interrupt();
    assert!(said.contains("broken off: deaf/1 stopping ("), "{said}");
    assert!(said.contains("the same command goes on from here"), "{said}");
    project.run(&["down"]).exits(0);
    assert!(project.observe().containers.is_empty() && project.observe().networks.is_empty());
}

#[test]
fn attached_the_first_must_stop_gracefully_and_say_for_whom_it_waits_and_the_second_must_kill() {
    let project = Project::new(
        "services:\n  deaf:\n    image: redis:latest\n    stop_grace_period: 600s\n    command: [sh, -c, 'trap \"\" TERM; while true; do sleep 1; done']\n",
    );
    let mut up = Working::start(&project, &["up"]);
    up.says("changed in");
    up.signal();
    up.says("stopping; press Ctrl-C again to kill");
    up.says("SIGTERM ignored for");
    assert!(up.said.last().is_some_and(|line| line.contains("killed at 600 s")), "{:?}", up.said);
    let said = up.interrupt();
    assert!(said.contains("killing"), "{said}");
    assert!(project.observe().containers.iter().all(|found| !found.state.is_up()));
}
