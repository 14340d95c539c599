//! What the scenarios need: a project of their own on the real engine, that is
//! taken down whatever happens.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use stack_engine::docker::DockerEngine;
use stack_engine::docker::connect::{Where, connect};
use stack_engine::engine::{Engine, Ledger, Query, Work};
use stack_plan::observed::Observed;
use stack_plan::plan::Action;

/// A project with a directory and a name of its own.
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) file: PathBuf,
    pub(crate) env: Vec<(String, String)>,
    /// What stackctl keeps between its runs, beside the files of the stack.
    pub(crate) state: tempfile::TempDir,
}

impl Project {
    /// A project with this stack file.
    pub(crate) fn new(yaml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("stack.yaml");
        let project = Self::of(&file, directory);
        project.write(yaml);
        project
    }

    /// A project with a stack file that stands elsewhere.
    pub(crate) fn at(file: &Path) -> Self {
        Self::of(file, tempfile::tempdir().expect("a temporary directory"))
    }

    fn of(file: &Path, directory: tempfile::TempDir) -> Self {
        let tail = directory.path().file_name().expect("a name").to_string_lossy().to_lowercase();
        let name = format!("t{}", tail.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
        Self {
            name,
            directory,
            file: file.to_owned(),
            env: Vec::new(),
            state: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Writes the stack file anew.
    pub(crate) fn write(&self, yaml: &str) {
        std::fs::write(&self.file, yaml).expect("the stack file is written");
    }

    /// Sets a variable for every command.
    pub(crate) fn env(&mut self, name: &str, value: impl ToString) {
        self.env.push((name.to_owned(), value.to_string()));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
        command.arg("-f").arg(&self.file).args(["-p", &self.name]).args(arguments);
        command.env("COMPOSE_PROGRESS", "plain").env("XDG_STATE_HOME", self.state.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// A command that a person types: progress and colours are as a terminal has them.
    pub(crate) fn command_of_a_person(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env_remove("COMPOSE_PROGRESS");
        command
    }

    /// Runs stackctl to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(to_the_end(self.command(arguments), arguments), arguments)
    }

    /// Runs stackctl to its end in another directory, without naming the project or its file.
    pub(crate) fn elsewhere(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
        command.args(arguments).current_dir("/").env("COMPOSE_PROGRESS", "plain").stdin(Stdio::null());
        Outcome::of(to_the_end(command, arguments), arguments)
    }

    /// Starts stackctl and leaves it running.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Running {
        let child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("stackctl starts");
        Running(Some(child))
    }

    /// What the engine has of the project.
    pub(crate) fn observe(&self) -> Observed {
        on_engine(async |engine| {
            let query = Query { project: self.name.clone(), ..Query::default() };
            engine.observe(&query).await.expect("the engine answers")
        })
    }

    /// The containers by `service/number`, each with its id.
    pub(crate) fn ids(&self) -> Vec<(String, String)> {
        let containers = self.observe().containers;
        containers
            .into_iter()
            .map(|found| (format!("{}/{}", found.service, found.number), found.id))
            .collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let output = self
            .command(&["down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "0"])
            .output();
        // A broken file must not keep its containers: the labels are enough.
        if !output.is_ok_and(|output| output.status.success()) {
            let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
            command.current_dir(self.directory.path()).stdin(Stdio::null());
            command.args(["-p", &self.name, "down"]).env("XDG_STATE_HOME", self.state.path());
            let _: std::io::Result<Output> =
                command.args(["--volumes", "--remove-orphans", "--timeout", "0"]).output();
        }
    }
}

/// Does something with the engine that stackctl would find.
pub(crate) fn on_engine<T>(work: impl AsyncFnOnce(&DockerEngine) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let lookup = |name: &str| std::env::var(name).ok();
        let connection = connect(&Where::default(), &lookup)
            .await
            .expect("these tests need a Docker Engine: cargo xtask test starts one");
        work(&DockerEngine::new(connection, true)).await
    })
}

/// Does one thing on the engine.
pub(crate) fn perform(action: &Action) {
    on_engine(async |engine| {
        let work = Work { action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
        if let Err(failure) = engine.perform(work).await {
            panic!("{}", failure.error);
        }
    });
}

/// How long a command may take before the test gives it up: no command of a test takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(300);

#[track_caller]
fn to_the_end(mut command: Command, arguments: &[&str]) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stackctl starts");
    ended(child, arguments)
}

/// Waits for the end, and fails the test with what was said so far when that does not come.
#[track_caller]
pub(crate) fn ended(mut child: Child, arguments: &[&str]) -> Output {
    fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
        std::thread::spawn(move || {
            let mut read = Vec::new();
            let _: std::io::Result<usize> = from.read_to_end(&mut read);
            read
        })
    }
    let out = reader(child.stdout.take().expect("standard output"));
    let err = reader(child.stderr.take().expect("standard error"));
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a state") {
            break Some(status);
        }
        if begun.elapsed() > LIMIT {
            child.kill().expect("it is killed");
            child.wait().expect("an end");
            break None;
        }
        std::thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(20));
    };
    let (stdout, stderr) = (out.join().expect("read"), err.join().expect("read"));
    let Some(status) = status else {
        panic!(
            "stackctl {} did not end in {LIMIT:?}\n{}\n{}",
            arguments.join(" "),
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
    };
    Output { status, stdout, stderr }
}

/// How a run of stackctl ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    what: String,
}

impl Outcome {
    pub(crate) fn of(output: Output, arguments: &[&str]) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            what: arguments.join(" "),
        }
    }

    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stackctl {}\n{}\n{}", self.what, self.out, self.err);
        self
    }

    /// Fails the test unless standard error has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not said by stackctl {}:\n{}", self.what, self.err);
        self
    }

    /// Fails the test unless standard output has this text.
    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Self {
        assert!(self.out.contains(text), "{text:?} is not shown by stackctl {}:\n{}", self.what, self.out);
        self
    }

    /// The lines of standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

/// A stackctl that runs. It is killed when the test forgets it.
pub(crate) struct Running(Option<Child>);

impl Running {
    /// Sends a signal, as `INT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.0.as_ref().expect("still running").id().to_string();
        let status = Command::new("kill").args([&format!("-{signal}"), &id]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Outcome {
        let child = self.0.take().expect("still running");
        let arguments = ["(in the background)"];
        Outcome::of(ended(child, &arguments), &arguments)
    }

    /// Reads standard output until it has this text.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        let out = self.0.as_mut().and_then(|child| child.stdout.as_mut()).expect("standard output");
        let mut byte = [0];
        while out.read(&mut byte).is_ok_and(|count| count == 1) {
            read.push(byte[0]);
            if read.ends_with(text.as_bytes()) {
                return String::from_utf8_lossy(&read).into_owned();
            }
        }
        panic!("{text:?} was not shown before the end:\n{}", String::from_utf8_lossy(&read));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _: std::io::Result<()> = child.kill();
            let _: std::io::Result<std::process::ExitStatus> = child.wait();
        }
    }
}

/// Ports of the host that nobody uses now.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// Tries again until it is there, for at most `limit`.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command in a container and returns what it writes.
#[track_caller]
pub(crate) fn inside(container: &str, command: &str) -> String {
    let output = Command::new("docker").args(["exec", container, "sh", "-c", command]).output();
    let output = output.expect("docker runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
