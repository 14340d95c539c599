//! `exec`, `attach`, `export` and `commit`: what goes in, what comes out, and with which exit code.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::pty::Terminal;
use crate::scenarios::SLEEPER;
use crate::support::{Outcome, Project, ended, eventually};

fn sleepers() -> Project {
    let project = Project::new(&format!("services:\n  web:\n    {SLEEPER}\n    scale: 2\n"));
    project.run(&["up", "-d"]).exits(0);
    project
}

/// Runs stackctl with this on standard input.
fn fed(project: &Project, arguments: &[&str], input: &[u8]) -> Outcome {
    let mut command = project.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("stackctl starts");
    let mut stdin = child.stdin.take().expect("standard input");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that reads nothing is no fault of the test.
        let _ = stdin.write_all(&input);
    });
    let output = ended(child, arguments);
    writer.join().expect("written");
    Outcome::of(output, arguments)
}

#[test]
fn a_command_must_pass_on_its_exit_code_and_both_outputs() {
    let project = sleepers();
    let exec = project.run(&["exec", "web", "sh", "-c", "echo out; echo err >&2; exit 7"]).exits(7);
    assert_eq!((exec.out.as_str(), exec.err.as_str()), ("out\n", "err\n"));
    project.run(&["exec", "web", "true"]).exits(0);
    // The code is the engine's: older ones say that it cannot be run, newer ones that it is not there.
    let missing = project.run(&["exec", "web", "no-such-program"]);
    assert!(matches!(missing.code, 126 | 127), "{} {}", missing.code, missing.err);
    project.run(&["exec", "web", "sh", "-c", "kill -9 $$"]).exits(137);
    // The output ends long before the command does.
    project.run(&["exec", "web", "sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 5"]).exits(5);
}

#[test]
fn standard_input_must_reach_the_command_to_its_last_byte() {
    let project = sleepers();
    // More than every buffer on the way, and not a text.
    let input: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let exec = fed(&project, &["exec", "-T", "web", "sh", "-c", "wc -c; echo end"], &input).exits(0);
    assert_eq!(exec.out, "3000000\nend\n");
    fed(&project, &["exec", "-T", "-i=false", "web", "sh", "-c", "wc -c"], b"unread").exits(0).shows("0\n");
    fed(&project, &["exec", "-t", "web", "ls"], b"").exits(64).says("standard input is no terminal");
}

#[test]
fn what_follows_the_service_must_be_the_commands() {
    let project = sleepers();
    let words = |arguments: &[&str]| {
        let all = [&["exec", "web", "printf", "%s|"], arguments].concat();
        project.run(&all).exits(0).out
    };
    assert_eq!(words(&["-d", "--help", "--json", "--", "-T"]), "-d|--help|--json|--|-T|");
    project.run(&["exec", "web", "ls", "-la", "/"]).exits(0).shows("etc");
    project.run(&["exec", "web"]).exits(64);
}

#[test]
fn the_options_of_a_command_must_be_honoured() {
    let mut project = sleepers();
    project.env("FROM_HERE", "here");
    let exec = project.run(&[
        "exec",
        "-e",
        "A=1",
        "-e",
        "FROM_HERE",
        "-e",
        "NOWHERE_TO_BE_FOUND",
        "-u",
        "1000",
        "-w",
        "/tmp",
        "web",
        "sh",
        "-c",
        "echo $A ${FROM_HERE} ${NOWHERE_TO_BE_FOUND-unset} $(id -u) $(pwd)",
    ]);
    exec.exits(0).shows("1 here unset 1000 /tmp");
    project.run(&["exec", "-d", "web", "touch", "/tmp/detached"]).exits(0);
    eventually("the detached command has run", Duration::from_secs(10), || {
        (project.run(&["exec", "web", "test", "-e", "/tmp/detached"]).code == 0).then_some(())
    });
    project
        .run(&["--dry-run", "exec", "web", "touch", "/tmp/dry"])
        .exits(0)
        .shows("run in web/1: touch /tmp/dry");
    project.run(&["exec", "web", "test", "-e", "/tmp/dry"]).exits(1);
}

#[test]
fn the_container_must_be_the_lowest_or_the_one_asked_for() {
    let project = sleepers();
    let ids = project.ids();
    let host = |arguments: &[&str]| {
        let all = [&["exec"], arguments, &["web", "hostname"]].concat();
        project.run(&all).exits(0).out.trim().to_owned()
    };
    let id = |address: &str| {
        let (_, id) = ids.iter().find(|(known, _)| known == address).expect("a container");
        id[..12].to_owned()
    };
    assert_eq!(host(&[]), id("web/1"));
    assert_eq!(host(&["--index", "2"]), id("web/2"));
    project.run(&["exec", "--index", "3", "web", "ls"]).exits(1).says("web/3 is not running");
    project.run(&["exec", "wep", "ls"]).exits(64).says("did you mean web?");
    // Without its file the project is found by its labels.
    let bare = project.elsewhere(&["-p", &project.name, "exec", "web", "hostname"]).exits(0);
    assert_eq!(bare.out.trim(), id("web/1"));
    project.elsewhere(&["-p", &project.name, "exec", "nope", "ls"]).exits(1).says("nope is not running");
    // A container of `run` is the last choice, and the only one here.
    project.run(&["run", "-d", "web", "sleep", "60"]).exits(0);
    assert_eq!(host(&[]), id("web/1"));
    project.run(&["stop", "-t", "0"]).exits(0);
    project.run(&["run", "-d", "web", "sleep", "60"]).exits(0);
    project.run(&["exec", "web", "true"]).exits(0);
}

/// Waits until the shell in the terminal sees this size; an engine sets it only after the start.
pub(crate) fn has_size(terminal: &mut Terminal, size: &str) {
    eventually("the size is passed on", Duration::from_secs(20), || {
        terminal.types("echo now $(stty size) end\n");
        // The prompt may come between the echo and the answer.
        terminal.shows("end\r\n");
        terminal.shows("now ");
        terminal.shows(" end\r\n").starts_with(size).then_some(())
    });
}

#[test]
fn a_terminal_must_be_passed_on_with_its_size_and_given_back() {
    let project = sleepers();
    let mut terminal = Terminal::run(&project.command_of_a_person(&["exec", "web", "sh"]), 31, 97);
    terminal.shows("# ");
    terminal.types("tty\n");
    terminal.shows("/dev/pts/");
    has_size(&mut terminal, "31 97");
    assert!(!terminal.is_as_before(), "a raw terminal passes every key on");
    terminal.resize(40, 120);
    has_size(&mut terminal, "40 120");
    // Ctrl-C belongs to the command, not to stackctl.
    terminal.types("sleep 100\n");
    terminal.shows("sleep 100\r\n");
    // The echo comes before the shell has started it and given it the terminal.
    eventually("it sleeps", Duration::from_secs(20), || {
        project.run(&["top", "web"]).out.contains("sleep 100").then_some(())
    });
    terminal.types("\x03");
    terminal.shows("# ");
    terminal.types("exit 3\n");
    assert_eq!(terminal.ends(), 3);
    assert!(terminal.is_as_before());
}

#[test]
fn a_terminal_must_be_given_back_when_a_signal_ends_it() {
    let project = sleepers();
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let mut terminal = Terminal::run(&project.command_of_a_person(&["exec", "web", "sh"]), 24, 80);
        terminal.shows("# ");
        assert!(!terminal.is_as_before());
        terminal.signal(signal);
        assert_eq!(terminal.ends(), code, "{signal}");
        assert!(terminal.is_as_before(), "{signal}");
    }
}

#[test]
fn the_keys_to_detach_must_leave_the_command_running() {
    let project = sleepers();
    let command = ["exec", "web", "sh", "-c", "echo ready; sleep 2; touch /tmp/finished"];
    let mut terminal = Terminal::run(&project.command_of_a_person(&command), 24, 80);
    terminal.shows("ready");
    terminal.types("\x10\x11");
    assert_eq!(terminal.ends(), 0);
    assert!(terminal.is_as_before());
    eventually("the command goes on", Duration::from_secs(20), || {
        (project.run(&["exec", "web", "test", "-e", "/tmp/finished"]).code == 0).then_some(())
    });
}

#[test]
fn attach_must_listen_answer_and_pass_signals_on() {
    let project = Project::new(
        "services:
  echo:
    image: redis:latest
    init: true
    stdin_open: true
    command: [sh, -c, 'while read line; do echo heard $$line; [ $$line = end ] && exit 6; done; sleep 60']
  trap:
    image: redis:latest
    command: [sh, -c, 'trap \"echo caught; exit 4\" USR1; while :; do echo tick; sleep 0.1; done']
  term:
    image: redis:latest
    tty: true
    stdin_open: true
    command: [sh]
",
    );
    project.run(&["up", "-d"]).exits(0);
    let echo = fed(&project, &["attach", "echo"], b"hello\nend\n").exits(6);
    assert_eq!(echo.out, "heard hello\nheard end\n");
    project.run(&["attach", "echo"]).exits(1).says("echo is not running");

    let mut trap = project.spawn(&["attach", "--no-stdin", "trap"]);
    trap.read_until("tick\n");
    trap.signal("USR1");
    let trap = trap.wait().exits(4);
    assert!(trap.out.ends_with("caught\n"), "{}", trap.out);

    let attach = project.command_of_a_person(&["attach", "--detach-keys", "ctrl-a,q", "term"]);
    let mut terminal = Terminal::run(&attach, 33, 99);
    // The prompt was there before us.
    terminal.types("\n");
    terminal.shows("# ");
    has_size(&mut terminal, "33 99");
    terminal.types("\x01q");
    assert_eq!(terminal.ends(), 0);
    assert!(terminal.is_as_before());
    let still = project.run(&["exec", "term", "true"]);
    still.exits(0);
    project
        .run(&["attach", "--detach-keys", "ctrl-?", "term"])
        .exits(64)
        .says("--detach-keys ctrl-? names no keys");
}

#[test]
fn a_container_must_be_exported_and_committed_as_it_is() {
    let project = sleepers();
    project.run(&["exec", "web", "sh", "-c", "echo marked > /srv/mark"]).exits(0);
    let file = project.directory.path().join("web.tar");
    let path = file.display().to_string();
    project.run(&["export", "-o", &path, "web"]).exits(0).says("web/1 exported");
    let listed = Command::new("tar").args(["-xOf", &path, "srv/mark"]).output().expect("tar runs");
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "marked\n");
    project
        .run(&["export", "-o", "/nowhere/web.tar", "web"])
        .exits(64)
        .says("there is no directory /nowhere");

    let image = format!("{}-fixed:1", project.name);
    let commit = project.run(&[
        "commit",
        "-m",
        "marked",
        "-a",
        "me",
        "-c",
        "CMD [\"cat\", \"/srv/mark\"]",
        "web",
        &image,
    ]);
    let id = commit.exits(0).out.trim().to_owned();
    assert!(id.starts_with("sha256:"), "{id}");
    let run = Command::new("docker")
        .args(["run", "--rm", "--entrypoint", "cat", &image, "/srv/mark"])
        .output()
        .expect("docker runs");
    let look = ["inspect", "-f", "{{json .Config.Cmd}} {{.Comment}} {{.Author}}", &image];
    let look = Command::new("docker").args(look).output().expect("docker runs");
    let removed = Command::new("docker").args(["rmi", "-f", &image]).output().expect("docker runs");
    assert!(removed.status.success());
    assert_eq!(String::from_utf8_lossy(&look.stdout), "[\"cat\",\"/srv/mark\"] marked me\n");
    assert_eq!(String::from_utf8_lossy(&run.stdout), "marked\n", "{}", String::from_utf8_lossy(&run.stderr));
}
