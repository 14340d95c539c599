//! An engine that ends in the middle of stackctl's work, and starts again.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::interrupted::{Chance, seed, stack};
use crate::rolling::{START_FIRST, web};
use crate::support::{Project, eventually};

/// How often the engine ends, and how often in the middle of a rolling change.
const MOMENTS: u32 = 6;
const ROLLING_MOMENTS: u32 = 4;

/// How long an engine may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine of a test's own, which needs dockerd, containerd and root. What holds the containers is
/// a program beside it, as on most machines, and outlives it.
struct Daemon {
    directory: tempfile::TempDir,
    child: Option<Child>,
    containerd: Child,
}

impl Daemon {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(at("containerd.toml"), "disabled_plugins = ['io.containerd.grpc.v1.cri']\n")
            .expect("a file");
        let mut containerd = Command::new("containerd");
        containerd.args(["--config", &at("containerd.toml"), "--root", &at("containerd")]);
        containerd.args(["--state", &at("containerd-state"), "--address", &at("containerd.sock")]);
        containerd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let containerd = containerd.spawn().expect("this test needs containerd and root");
        let mut daemon = Self { directory, child: None, containerd };
        daemon.start();
        daemon
    }

    fn at(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn host(&self) -> String {
        format!("unix://{}", self.at("socket"))
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["-H", &self.host()]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.at("log")).expect("a file");
        // An engine without a bridge takes away that of the machine's, so it has a network of its own.
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "dockerd",
            "-H",
            &self.host(),
            "--data-root",
            &self.at("data"),
            "--exec-root",
            &self.at("exec"),
        ]);
        command.args(["--pidfile", &self.at("pid"), "--containerd", &self.at("containerd.sock")]);
        command.args(["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.expect("this test needs unshare"));
        let begun = Instant::now();
        while !self.docker(&["version"]).status().expect("docker runs").success() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || begun.elapsed() > PATIENCE {
                self.child = self.child.take().filter(|_| ended.is_none());
                let log = std::fs::read_to_string(self.at("log")).unwrap_or_default();
                panic!("the engine does not answer; it ended: {ended:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn load(&self, image: &str) {
        let save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn();
        let mut save = save.expect("docker runs");
        let loaded = self.docker(&["load"]).stdin(save.stdout.take().expect("its output")).status();
        assert!(loaded.expect("docker runs").success() && save.wait().expect("an end").success());
    }

    /// Ends it as a restart of the engine does. One that is killed may never again start a container
    /// that it was starting: "id already in use".
    fn end(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        child.wait().expect("an end");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_some() {
            let list = Command::new("docker").args(["-H", &self.host(), "ps", "-aq"]).output();
            let ids = list.map(|list| String::from_utf8_lossy(&list.stdout).into_owned()).unwrap_or_default();
            let mut remove: Vec<&str> = vec!["rm", "--force", "--volumes"];
            remove.extend(ids.split_whitespace());
            let _: std::io::Result<_> = self.docker(&remove).status();
            let _: std::io::Result<_> = self.docker(&["network", "prune", "--force"]).status();
            self.end();
        }
        let _: std::io::Result<()> = self.containerd.kill();
        let _: std::io::Result<_> = self.containerd.wait();
        // An engine that was killed leaves its directory mounted on itself.
        let _: std::io::Result<_> =
            Command::new("umount").args(["-R", "-l", "-q", &self.at("data")]).status();
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed of a run that fails makes it again")]
fn after_the_engine_has_ended_in_the_middle_up_must_reach_the_same_end() {
    let seed = seed();
    eprintln!("STACKCTL_SEED={seed}");
    let mut chance = Chance(seed);
    let mut daemon = Daemon::new();
    daemon.load("redis:latest");
    let mut project = Project::new(&stack(0));
    project.env("DOCKER_HOST", daemon.host());
    let begun = Instant::now();
    project.run(&["up", "-d"]).exits(0);
    let whole = begun.elapsed();
    for round in 1..=MOMENTS {
        project.write(&stack(round));
        let moment = whole.mul_f64(chance.next());
        let told = format!("round {round}, ended after {moment:?}, seed {seed}");
        let meant = ["a-1", "b-1", "c-1", "c-2"].map(|name| format!("{}-{name}", project.name));
        end_in_it(&mut daemon, &project, moment, &told);
        assert_eq!(names(&project), meant, "{told}");
        eventually("nothing is left to do", PATIENCE, || (project.run(&["plan"]).code == 0).then_some(()));
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed of a run that fails makes it again")]
fn after_the_engine_has_ended_in_a_rolling_change_the_next_run_must_finish_it() {
    let seed = seed();
    eprintln!("STACKCTL_SEED={seed}");
    let mut chance = Chance(seed);
    let mut daemon = Daemon::new();
    daemon.load("redis:latest");
    // An engine starts again what nobody has stopped.
    let more = format!("    restart: always\n{START_FIRST}");
    let mut project = Project::new(&web("1", "0", &more));
    project.env("DOCKER_HOST", daemon.host());
    project.run(&["up", "--wait"]).exits(0);
    project.write(&web("1", "first", &more));
    let begun = Instant::now();
    project.run(&["up", "-d"]).exits(0);
    let whole = begun.elapsed();
    for round in 1..=ROLLING_MOMENTS {
        project.write(&web("1", &round.to_string(), &more));
        let moment = whole.mul_f64(chance.next());
        let told = format!("round {round}, ended after {moment:?}, seed {seed}");
        let meant = ["1", "2", "3"].map(|number| format!("{}-web-{number}", project.name));
        end_in_it(&mut daemon, &project, moment, &told);
        assert_eq!(names(&project), meant, "{told}");
        eventually("nothing is left to do", PATIENCE, || (project.run(&["plan"]).code == 0).then_some(()));
    }
}

/// Ends the engine at a moment of a run; the next run does the rest.
fn end_in_it(daemon: &mut Daemon, project: &Project, moment: Duration, told: &str) {
    let broken = project.spawn(&["up", "-d"]);
    std::thread::sleep(moment);
    daemon.end();
    // It may have come to its end before; otherwise it has to say that the engine is lost.
    let broken = broken.wait();
    assert!(broken.code == 0 || !broken.err.is_empty(), "{told}\n{}", broken.err);
    daemon.start();
    let up = project.run(&["up", "-d"]);
    assert_eq!(up.code, 0, "{told}\n{}\n{}", broken.err, up.err);
}

/// The names of all containers of the project, in order.
fn names(project: &Project) -> Vec<String> {
    let listed = project.run(&["ps", "-a", "--format", "json"]).exits(0).json();
    let names = listed.iter().filter_map(|found| found["Name"].as_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}
