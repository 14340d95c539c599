//! Images built by the engine.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Outcome, Project, ended, eventually, free_ports};

fn write(project: &Project, path: &str, text: &str) {
    let path = project.directory.path().join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

/// Runs a command in a new container of an image and returns what it writes.
#[track_caller]
pub(crate) fn in_image(image: &str, command: &str) -> String {
    let output =
        Command::new("docker").args(["run", "--rm", "--entrypoint", "sh", image, "-c", command]).output();
    let output = output.expect("docker runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[cfg_attr(not(feature = "buildkit"), ignore = "only a session with BuildKit can")]
fn secrets_must_reach_the_steps_that_ask_for_them_and_nothing_else() {
    let mut project = Project::new(
        "services:\n  app:\n    build:\n      context: ctx\n      secrets: [token, { source: key, target: other }]\n\
         secrets: { token: { environment: TOKEN }, key: { file: key.txt } }\n",
    );
    project.env("TOKEN", "planted-secret");
    write(&project, "key.txt", "planted-key");
    write(
        &project,
        "ctx/Dockerfile",
        "FROM redis:latest\nRUN --mount=type=secret,id=token --mount=type=secret,id=other \\\n  cat /run/secrets/token /run/secrets/other | wc -c > /size && ls /run/secrets > /after\n",
    );
    let built = project.run(&["build"]).exits(0);
    assert!(!built.err.contains("planted") && !built.out.contains("planted"));
    let image = format!("{}-app", project.name);
    assert_eq!(in_image(&image, "cat /size").trim(), "25");
    let history =
        Command::new("docker").args(["history", "--no-trunc", &image]).output().expect("docker runs");
    assert!(!String::from_utf8_lossy(&history.stdout).contains("planted"));
    // What is not there is said before anything is built, with its line.
    std::fs::remove_file(project.directory.path().join("key.txt")).expect("it was there");
    project.run(&["build"]).exits(3).says("key.txt").says("stack.yaml:6");
}

#[test]
#[cfg_attr(not(feature = "buildkit"), ignore = "only a session with BuildKit can")]
fn an_agent_with_the_key_must_answer_the_steps_of_a_build() {
    let project = Project::new("services: { app: { build: { context: ctx, ssh: [ { deploy: key } ] } } }\n");
    let project = {
        let key = project.directory.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "planted-comment", "-f"])
            .arg(&key)
            .stdin(Stdio::null())
            .status();
        assert!(made.expect("these tests need ssh-keygen").success());
        project.write(&format!(
            "services: {{ app: {{ build: {{ context: ctx, ssh: [ 'deploy={}' ] }} }} }}\n",
            key.display()
        ));
        project
    };
    // What `ssh-add -l` would ask: the answer has the comment of the key.
    let ask = "my $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; print $s pack(q(NC), 1, 11); \
               $s->flush; sysread($s, my $b, 4096); exit($b =~ /planted-comment/ ? 0 : 1)";
    write(
        &project,
        "ctx/Dockerfile",
        &format!(
            "FROM rust:1-slim-bookworm\nRUN --mount=type=ssh,id=deploy perl -MIO::Socket::UNIX -e '{ask}' && touch /answered\n"
        ),
    );
    project.run(&["build"]).exits(0);
    let image = format!("{}-app", project.name);
    in_image(&image, "test -e /answered");
    project.write("services: { app: { build: { context: ctx, ssh: [ 'deploy=/nowhere/key' ] } } }\n");
    project.run(&["build"]).exits(1).says("/nowhere/key");
}

#[test]
fn a_failing_step_must_name_its_line_and_what_it_printed() {
    let project = Project::new("services:\n  app:\n    build: ctx\n");
    write(
        &project,
        "ctx/Dockerfile",
        "FROM redis:latest\nRUN echo fine\n\nRUN echo \"this went wrong\" && \\\n  exit 9\n",
    );
    let failed = project.run(&["build"]).exits(1).says("exit code: 9").says("this went wrong");
    failed.says("Dockerfile:4  RUN echo \"this went wrong\"").says("stack.yaml:3").says("app waits for it");
    write(&project, "ctx/Dockerfile", "FROM redis:latest\nRUM echo\n");
    project.run(&["build"]).exits(1).says("RUM");
    write(&project, "ctx/Dockerfile", "FROM 127.0.0.1:9/nobody/has:1\n");
    let failed = project.run(&["build"]).exits(1).says("base image").says("127.0.0.1:9/nobody/has:1");
    failed.says("Dockerfile:1  FROM 127.0.0.1:9").says("stack.yaml:3");
    write(&project, "ctx/Dockerfile", "FROM redis:latest\nRUN dd if=/dev/zero of=/dev/full count=1\n");
    project.run(&["build"]).exits(1).says("a disk is full").says("Dockerfile:2").says("stack.yaml:3");
    std::fs::remove_file(project.directory.path().join("ctx/Dockerfile")).expect("it was there");
    project.run(&["build"]).exits(1).says("there is no Dockerfile at").says("stack.yaml:3");
}

#[test]
fn a_second_build_must_say_what_was_cached_and_print_ids_when_quiet() {
    let project = Project::new("services:\n  app:\n    build: { context: ctx }\n");
    write(&project, "ctx/Dockerfile", "FROM redis:latest\nCOPY . /ctx\nRUN touch /made\n");
    write(&project, "ctx/a file", "x");
    project.run(&["build"]).exits(0);
    project.run(&["build"]).exits(0).says("RUN touch /made  cached");
    let quiet = project.run(&["build", "-q"]).exits(0);
    assert_eq!(quiet.err, "");
    let id = quiet.out.trim();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id:?}");
    project.run(&["build", "--memory", "1g"]).exits(64).says("no limit of memory");
    project.run(&["build", "--builder", "other"]).exits(64).says("--context");
}

#[test]
#[cfg_attr(not(feature = "buildkit"), ignore = "only a session with BuildKit can")]
fn what_the_engine_cannot_do_must_be_refused_with_the_reason() {
    let project = Project::new("");
    write(&project, "ctx/Dockerfile", "FROM redis:latest\nRUN true\n");
    for (attribute, said) in [
        ("sbom: true", "containerd image store"),
        ("network: other", "BuildKit cannot use the network `other`"),
        ("platforms: [linux/s390x]", "has no linux/"),
        ("privileged: true", "security.insecure"),
        ("cache_to: ['type=nowhere']", "nowhere"),
    ] {
        project.write(&format!("services: {{ app: {{ build: {{ context: ctx, {attribute} }} }} }}\n"));
        project.run(&["build"]).exits(1).says(said);
    }
    project.write("services: { app: { build: { context: ctx, platforms: [linux/amd64, linux/arm64, linux/s390x], no_cache_filter: [a], cache_to: ['type=inline'], provenance: false } } }\n");
    project.run(&["build"]).exits(0).says("of `build.platforms` only linux/");
}

/// Makes a repository with a branch `main` that has these files.
pub(crate) fn repository(work: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = work.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(work).args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(arguments);
        assert!(command.stdout(Stdio::null()).status().expect("these tests need git").success());
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
}

/// A repository that git serves on this machine, as long as it lives.
struct Served {
    daemon: std::process::Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Served {
    fn start(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        repository(&folder.path().join("app.git"), files);
        let [port] = free_ports();
        let daemon = Command::new("git")
            .args(["daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.path().display()))
            .stderr(Stdio::null())
            .spawn()
            .expect("git daemon starts");
        eventually("git daemon listens", Duration::from_secs(60), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { daemon, port, folder }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // What it started for each request ends by itself; the daemon is a child of `git`.
        let id = self.daemon.id().to_string();
        let _: std::io::Result<std::process::ExitStatus> = Command::new("kill").arg(&id).status();
        let _: std::io::Result<std::process::ExitStatus> = self.daemon.wait();
        let _ = &self.folder;
    }
}

#[test]
fn a_context_that_git_has_must_be_built_from_there() {
    let served = Served::start(&[
        ("Dockerfile", "FROM redis:latest\nCOPY sub/file /file\n"),
        ("sub/Other", "FROM redis:latest\nCOPY sub/file /other\n"),
        ("sub/file", "from git"),
    ]);
    let address = format!("git://127.0.0.1:{}/app.git#main", served.port);
    let project = Project::new(&format!("services: {{ app: {{ build: '{address}' }} }}\n"));
    let image = format!("{}-app", project.name);
    project.run(&["build"]).exits(0);
    assert_eq!(in_image(&image, "cat /file"), "from git");
    project.write(&format!(
        "services: {{ app: {{ build: {{ context: '{address}', dockerfile: sub/Other }} }} }}\n"
    ));
    project.run(&["build"]).exits(0);
    assert_eq!(in_image(&image, "cat /other"), "from git");
    if cfg!(feature = "buildkit") {
        with_a_dockerfile_of_this_machine(&project, &address, &image);
    }
    let wrong = address.replace("#main", "#nowhere");
    project.write(&format!("services:\n  app:\n    build: '{wrong}'\n"));
    project.run(&["build"]).exits(1).says("the engine fetches the context itself").says("stack.yaml:3");
}

/// Builds from what git has with a Dockerfile of this machine, and from a part of it.
fn with_a_dockerfile_of_this_machine(project: &Project, address: &str, image: &str) {
    let inline = "dockerfile_inline: \"FROM redis:latest\\nCOPY sub/file /inline\\n\"";
    project.write(&format!("services: {{ app: {{ build: {{ context: '{address}', {inline} }} }} }}\n"));
    project.run(&["build"]).exits(0);
    assert_eq!(in_image(image, "cat /inline"), "from git");
    // Engines before 23 fetch a repository as a whole only.
    let part = "dockerfile_inline: \"FROM redis:latest\\nCOPY file /part\\n\"";
    project.write(&format!("services: {{ app: {{ build: {{ context: '{address}:sub', {part} }} }} }}\n"));
    let built = project.run(&["build"]);
    if built.code == 0 {
        assert_eq!(in_image(image, "cat /part"), "from git");
    } else {
        built.exits(1).says("needs Docker Engine 23").says("stack.yaml:1");
    }
}

#[test]
fn an_interrupt_must_end_a_build_at_once() {
    let project = Project::new("services: { app: { build: ctx } }\n");
    write(&project, "ctx/Dockerfile", "FROM redis:latest\nRUN echo it-has-begun && sleep 1000\n");
    let mut command = project.command(&["--progress", "json", "build"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stackctl starts");
    let mut said = std::io::BufReader::new(child.stderr.take().expect("standard error"));
    let mut line = String::new();
    while !line.contains("it-has-begun") || line.contains("RUN") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).expect("a line") > 0, "it ended too soon");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    child.stderr = Some(said.into_inner());
    let ended = Outcome::of(ended(child, &["build"]), &["build"]);
    ended.exits(130);
}

#[test]
fn what_a_new_build_leaves_without_a_name_must_go_when_that_is_asked_for() {
    let project = Project::new("services: { app: { build: ctx } }\n");
    let unnamed = || {
        let label = format!("label=com.docker.compose.project={}", project.name);
        let output =
            Command::new("docker").args(["images", "-q", "-f", "dangling=true", "-f", &label]).output();
        String::from_utf8_lossy(&output.expect("docker runs").stdout).lines().count()
    };
    for number in 1..=3 {
        write(&project, "ctx/Dockerfile", &format!("FROM scratch\nCOPY Dockerfile /{number}\n"));
        match number {
            3 => project.run(&["build", "--prune"]).exits(0).says("2 images without a name were removed"),
            _ => project.run(&["build"]).exits(0),
        };
        assert_eq!(unnamed(), if number == 2 { 1 } else { 0 });
    }
}

/// Stands between stackctl and the engine at a socket of its own, and hangs up when it is told to.
struct Between {
    socket: std::path::PathBuf,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Between {
    fn start(folder: &std::path::Path) -> Self {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        let engine = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned();
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let open: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let kept = Arc::clone(&open);
        std::thread::spawn(move || {
            for from in listener.incoming() {
                let Ok(from) = from else { return };
                let to = UnixStream::connect(&engine).expect("the engine's socket");
                for (from, to) in [(&from, &to), (&to, &from)] {
                    let (mut from, mut to) = (from.try_clone().expect("one"), to.try_clone().expect("two"));
                    kept.lock().expect("a list").push(from.try_clone().expect("three"));
                    std::thread::spawn(move || {
                        let _: std::io::Result<u64> = std::io::copy(&mut from, &mut to);
                        let _: std::io::Result<()> = to.shutdown(std::net::Shutdown::Write);
                    });
                }
            }
        });
        Self { socket, open }
    }

    fn hang_up(&self) {
        for stream in self.open.lock().expect("a list").iter() {
            let _: std::io::Result<()> = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

#[test]
fn an_engine_that_goes_away_in_a_build_must_be_told_with_the_step_and_both_lines() {
    let project = Project::new("services:\n  app:\n    build: ctx\n");
    write(&project, "ctx/Dockerfile", "FROM redis:latest\nRUN echo it-has-begun && sleep 1000\n");
    let between = Between::start(project.directory.path());
    let host = format!("unix://{}", between.socket.display());
    let mut command = project.command(&["-H", &host, "--progress", "json", "build"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stackctl starts");
    let mut said = std::io::BufReader::new(child.stderr.take().expect("standard error"));
    let mut line = String::new();
    while !line.contains("it-has-begun") || line.contains("RUN") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut said, &mut line).expect("a line") > 0, "it ended too soon");
    }
    between.hang_up();
    child.stderr = Some(said.into_inner());
    let told = Outcome::of(ended(child, &["build"]), &["build"]).exits(4);
    told.says("the engine does not answer").says("Dockerfile:2").says("stack.yaml");
}
