//! Files of this machine that are followed: synced, rebuilt, restarted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::support::{Project, eventually, inside};

const LIMIT: Duration = Duration::from_secs(120);
const SLEEPS: &str = "command: [sleep, '600']\n    stop_grace_period: 0s\n    init: true";

/// A stackctl that watches. It is interrupted when the test forgets it.
struct Watching {
    child: Child,
    said: Arc<Mutex<String>>,
    shown: Arc<Mutex<String>>,
}

impl Watching {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stackctl starts");
        let said = gather(child.stderr.take().expect("standard error"));
        let shown = gather(child.stdout.take().expect("standard output"));
        Self { child, said, shown }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has said something.
    #[track_caller]
    fn says(&self, text: &str) {
        let begun = std::time::Instant::now();
        while !self.said().contains(text) {
            assert!(begun.elapsed() < LIMIT, "{text:?} is not said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it has said something that it had not before.
    #[track_caller]
    fn says_after(&self, before: usize, text: &str) {
        eventually(text, LIMIT, || self.said()[before..].contains(text).then_some(()));
    }

    /// Sends Ctrl-C and waits for the end.
    fn end(mut self) -> i32 {
        self.interrupt();
        self.child.wait().expect("an end").code().unwrap_or(-1)
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<std::process::ExitStatus> = self.child.wait();
    }
}

fn gather(from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let all = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&all);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut all = into.lock().unwrap_or_else(PoisonError::into_inner);
            all.push_str(&line);
            all.push('\n');
        }
    });
    all
}

fn write(project: &Project, path: &str, text: &str) {
    let path = project.directory.path().join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

/// The id of a service's first container.
fn id(project: &Project, service: &str) -> String {
    let address = format!("{service}/1");
    let found = project.ids().into_iter().find(|(name, _)| *name == address);
    found.unwrap_or_else(|| panic!("{address} is not there")).1
}

fn started_at(container: &str) -> String {
    let output = Command::new("docker").args(["inspect", "-f", "{{.State.StartedAt}}", container]).output();
    String::from_utf8_lossy(&output.expect("docker runs").stdout).into_owned()
}

/// Waits until a command in a container writes this.
#[track_caller]
fn becomes(container: &str, command: &str, wanted: &str) {
    eventually(&format!("{command} writes {wanted}"), LIMIT, || {
        (inside(container, command).trim() == wanted).then_some(())
    });
}

#[test]
fn files_that_change_must_be_in_the_container_and_nowhere_else() {
    let project = Project::new(&format!(
        "services:\n  web:\n    image: redis:latest\n    {SLEEPS}\n    develop:\n      watch:\n        - {{ path: src, action: sync, target: /srv/src, ignore: [skip/] }}\n  other:\n    image: redis:latest\n    {SLEEPS}\n"
    ));
    write(&project, "src/kept.txt", "kept");
    write(&project, "src/old/gone.txt", "gone");
    let watching = Watching::start(&project, &["watch"]);
    watching.says("web  watches src (sync)");
    watching.says("watching 2 files for 1 service");
    let (web, other) = (id(&project, "web"), id(&project, "other"));

    write(&project, "src/deep/new.txt", "one");
    becomes(&web, "cat /srv/src/deep/new.txt 2>/dev/null || true", "one");
    // What did not change was not copied: only `initial_sync` does that.
    assert_eq!(inside(&web, "ls /srv/src").trim(), "deep");
    write(&project, "src/deep/new.txt", "two");
    becomes(&web, "cat /srv/src/deep/new.txt", "two");

    let before = watching.said().len();
    write(&project, "src/kept.txt", "kept");
    write(&project, "src/skip/a", "left out");
    std::fs::remove_dir_all(project.directory.path().join("src/deep")).expect("removed");
    becomes(&web, "ls /srv/src", "");
    let said = watching.said()[before..].to_owned();
    assert!(!said.contains("kept.txt") && !said.contains("skip"), "{said}");

    // Thousands of files that come at once are one sync.
    let beside = project.directory.path().join("beside");
    std::fs::create_dir(&beside).expect("made");
    for number in 0..2000 {
        std::fs::write(beside.join(number.to_string()), "x").expect("written");
    }
    let before = watching.said().len();
    std::fs::rename(&beside, project.directory.path().join("src/many")).expect("renamed");
    watching.says_after(before, "more synced to 1 container");
    assert_eq!(inside(&web, "ls /srv/src/many | wc -l").trim(), "2000");
    assert_eq!(watching.said()[before..].matches("synced").count(), 1);

    // What does not run gets its files, too.
    let stopped = Command::new("docker").args(["kill", &web]).stdout(Stdio::null()).status();
    assert!(stopped.expect("docker runs").success());
    let before = watching.said().len();
    write(&project, "src/mended.txt", "mended");
    watching.says_after(before, "src/mended.txt synced to 1 container");
    assert_eq!(watching.end(), 130);
    project.run(&["start", "web"]).exits(0);
    assert_eq!(inside(&web, "cat /srv/src/mended.txt"), "mended");
    assert_eq!((id(&project, "web"), id(&project, "other")), (web, other));
}

#[test]
fn a_rebuild_must_replace_its_service_alone_and_a_broken_one_nothing() {
    let project = Project::new(&format!(
        "services:\n  app:\n    build: ctx\n    {SLEEPS}\n    depends_on: [other]\n    develop:\n      watch: [ {{ path: ctx, action: rebuild }} ]\n  other:\n    image: redis:latest\n    {SLEEPS}\n  follower:\n    image: redis:latest\n    {SLEEPS}\n    depends_on: {{ app: {{ condition: service_started, restart: true }} }}\n"
    ));
    let dockerfile = "FROM redis:latest\nCOPY app.txt /srv/app.txt\n";
    write(&project, "ctx/Dockerfile", dockerfile);
    write(&project, "ctx/.dockerignore", "notes.txt\n");
    write(&project, "ctx/app.txt", "one");
    let watching = Watching::start(&project, &["watch", "--quiet"]);
    watching.says("for 1 service");
    let (app, other) = (id(&project, "app"), id(&project, "other"));
    let follower = started_at(&id(&project, "follower"));

    // What the build does not see starts none.
    write(&project, "ctx/notes.txt", "note");
    write(&project, "ctx/app.txt", "two");
    watching.says("ctx/app.txt changed: rebuilding");
    let replaced = eventually("app is replaced", LIMIT, || {
        let now = project.ids().into_iter().find(|(name, _)| name == "app/1");
        now.map(|(_, id)| id)
            .filter(|id| *id != app && watching.said().matches("app/1  started").count() == 2)
    });
    becomes(&replaced, "cat /srv/app.txt", "two");
    assert_eq!(id(&project, "other"), other);
    eventually("what follows is restarted", LIMIT, || {
        (started_at(&id(&project, "follower")) != follower).then_some(())
    });

    let before = watching.said().len();
    write(&project, "ctx/Dockerfile", "FROM redis:latest\nRUN exit 3\n");
    watching.says_after(before, "app  stays as it was; it is built again at the next change");
    assert_eq!(id(&project, "app"), replaced);
    let before = watching.said().len();
    write(&project, "ctx/Dockerfile", dockerfile);
    watching.says_after(before, "app  the image is the same: its containers stay");
    assert_eq!(id(&project, "app"), replaced);
    assert!(!watching.said().contains("notes.txt"), "{}", watching.said());
    // The image that was replaced is gone.
    let images = ["images", "-q", "--filter", "dangling=true", "--filter"];
    let label = format!("label=com.docker.compose.project={}", project.name);
    let dangling = Command::new("docker").args(images).arg(label).output().expect("docker runs");
    assert_eq!(String::from_utf8_lossy(&dangling.stdout), "");
    assert_eq!(watching.end(), 130);
}

#[test]
fn restarts_and_commands_must_follow_the_files_that_they_are_for() {
    let project = Project::new(&format!(
        "services:\n  web:\n    image: redis:latest\n    {SLEEPS}\n    scale: 2\n    develop:\n      watch:\n        - {{ path: conf, action: sync+restart, target: /srv/conf, initial_sync: true, include: '*.conf' }}\n        - {{ path: page.html, action: sync+exec, target: /srv/, exec: {{ command: [sh, -c, 'echo read $$(cat /srv/page.html) by $$WHO'], environment: {{ WHO: me }} }} }}\n        - {{ path: flag, action: restart }}\n"
    ));
    write(&project, "conf/a.conf", "one");
    write(&project, "conf/a.bak", "one");
    write(&project, "page.html", "one");
    project.run(&["up", "-d"]).exits(0);
    let web = id(&project, "web");
    let watching = Watching::start(&project, &["watch", "--no-up", "web"]);
    watching.says("web  1 file of conf synced to 2 containers");
    watching.says("watching");
    assert_eq!(inside(&web, "ls /srv/conf").trim(), "a.conf");
    let started = started_at(&web);

    write(&project, "page.html", "two");
    watching.says("web/1  read two by me");
    watching.says("web/2  read two by me");
    assert_eq!(started_at(&web), started);
    write(&project, "conf/b.conf", "b");
    watching.says("conf/b.conf synced to 2 containers");
    let again = eventually("web is restarted", LIMIT, || Some(started_at(&web)).filter(|at| *at != started));
    becomes(&web, "cat /srv/conf/b.conf", "b");
    eventually("both are restarted", LIMIT, || {
        (watching.said().matches("started").count() >= 2).then_some(())
    });
    write(&project, "flag", "");
    eventually("web is restarted", LIMIT, || (started_at(&web) != again).then_some(()));
    assert_eq!(id(&project, "web"), web);
    assert_eq!(watching.end(), 130);
}

#[test]
fn up_must_follow_files_while_it_shows_the_logs_and_stop_all_at_its_end() {
    let project = Project::new(
        "services:\n  web:\n    image: redis:latest\n    init: true\n    stop_grace_period: 1s\n    command: [sh, -c, 'until cat /srv/word 2>/dev/null; do sleep 0.1; done; sleep 600']\n    develop: { watch: [ { path: src, action: sync, target: /srv } ] }\n",
    );
    write(&project, "src/other", "x");
    let watching = Watching::start(&project, &["up", "--watch"]);
    watching.says("watching 1 file for 1 service");
    write(&project, "src/word", "hello from here\n");
    eventually("the container says what came", LIMIT, || {
        let shown = watching.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.contains("web-1  | hello from here").then_some(())
    });
    assert_eq!(watching.end(), 130);
    assert!(project.observe().containers.iter().all(|container| !container.state.is_up()));
}

#[test]
fn what_cannot_be_followed_must_be_refused_with_its_place() {
    let project = Project::new(
        "services:\n  web:\n    image: redis:latest\n    develop:\n      watch:\n        - { path: src, action: rebuild }\n        - { path: a, action: sync+exec, target: /a }\n        - { path: b, action: restart, ignore: ['[x'] }\n  plain: { image: redis:latest }\n",
    );
    let refused = project.run(&["watch"]).exits(3);
    let refused = refused.says("web cannot be rebuilt: it has no `build`").says("stack.yaml:6");
    refused.says("`sync+exec` has no command").says("is no pattern").says("stack.yaml:8");
    project.run(&["watch", "plain"]).exits(3).says("plain has nothing to watch").says("develop: {");
    project.run(&["up", "--watch", "-d"]).exits(64);
    project.run(&["watch", "wbe"]).exits(64).says("did you mean web?");
    assert!(project.observe().containers.is_empty());
    // What is mounted is there without a copy.
    project.write("services:\n  web:\n    image: redis:latest\n    volumes: ['./src:/srv/src']\n    develop: { watch: [ { path: src/a, action: sync, target: /srv/src/a }, { path: c, action: restart } ] }\n");
    let dry = project.run(&["--dry-run", "watch"]).exits(0);
    dry.says("src/a is mounted into web").shows("web  watches c (restart)");
}
