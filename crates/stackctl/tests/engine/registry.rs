//! Images pulled from a registry, and pushed to one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Project, eventually, free_ports};

/// The configuration of an image without layers, and its digest.
const CONFIGURATION: &str =
    r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
const ITS_DIGEST: &str = "sha256:c5b1d63604f273462ef36fadac3182d43ae6a6138731cf594b314835cf1c034f";

/// What lets `ada` in with the password `s3cret`.
const HTPASSWD: &str = "ada:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";
pub(crate) const CREDENTIALS: &str = "YWRhOnMzY3JldA==";

/// A registry of our own, which ends with the test.
pub(crate) struct Registry {
    child: Child,
    /// Where it listens: `127.0.0.1:PORT`.
    pub(crate) place: String,
    _directory: tempfile::TempDir,
}

impl Registry {
    /// Starts a registry that lets everybody in, or only ada.
    pub(crate) fn start(guarded: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let [port] = free_ports();
        let place = format!("127.0.0.1:{port}");
        let at = |name: &str| directory.path().join(name);
        let mut configuration = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{place}'}}\n",
            at("data").display(),
        );
        if guarded {
            let users = at("htpasswd").display().to_string();
            configuration.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {users}}}}}\n"));
        }
        std::fs::write(at("htpasswd"), HTPASSWD).expect("a file");
        std::fs::write(at("config.yml"), configuration).expect("a file");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(at("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need docker-registry: cargo xtask test installs it");
        let registry = Self { child, place, _directory: directory };
        eventually("the registry listens", Duration::from_secs(20), || {
            TcpStream::connect(&registry.place).ok()
        });
        registry
    }

    /// One request, and the head of its answer.
    fn ask(&self, method: &str, path: &str, kind: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.place).expect("a connection");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {CREDENTIALS}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.place,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_owned();
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        head
    }

    /// Puts an image there, and returns its digest.
    pub(crate) fn push(&self, name: &str, tag: &str) -> String {
        let begun = self.ask("POST", &format!("/v2/{name}/blobs/uploads/"), "text/plain", "");
        let place = header(&begun, "Location");
        let path = &place[place.find("/v2/").expect("a path")..];
        let bytes = "application/octet-stream";
        self.ask("PUT", &format!("{path}&digest={ITS_DIGEST}"), bytes, CONFIGURATION);
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":{},"digest":"{ITS_DIGEST}"}},"layers":[]}}"#,
            CONFIGURATION.len()
        );
        let done = self.ask("PUT", &format!("/v2/{name}/manifests/{tag}"), kind, &manifest);
        header(&done, "Docker-Content-Digest")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<std::process::ExitStatus> = self.child.wait();
    }
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("{name} in {head}")).1.to_owned()
}

/// An image on the engine that goes when the test ends.
struct Local(String);

impl Local {
    fn is_there(&self) -> bool {
        let output = Command::new("docker").args(["image", "inspect", &self.0]).output();
        output.expect("docker runs").status.success()
    }

    fn remove(&self) {
        let output = Command::new("docker").args(["image", "rm", "--force", &self.0]).output();
        let _: std::process::Output = output.expect("docker runs");
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A project whose docker configuration knows these credentials for the registry.
fn project(registry: &Registry, stack: &str, credentials: Option<&str>) -> Project {
    let mut project = Project::new(stack);
    let docker = project.directory.path().join("docker");
    std::fs::create_dir(&docker).expect("a folder");
    if let Some(credentials) = credentials {
        let auths = format!(r#"{{"auths":{{"{}":{{"auth":"{credentials}"}}}}}}"#, registry.place);
        std::fs::write(docker.join("config.json"), auths).expect("a file");
    }
    project.env("DOCKER_CONFIG", docker.display());
    project
}

#[test]
fn what_is_built_must_come_back_from_the_registry_it_was_pushed_to() {
    let registry = Registry::start(true);
    let place = &registry.place;
    let [app, also] = ["app:1", "app:also"].map(|name| Local(format!("{place}/t/{name}")));
    let build = "build: { dockerfile_inline: \"FROM scratch\\nCOPY stack.yaml /\\n\", tags: [TAG] }";
    let stack = format!(
        "services:\n  app: {{ image: '{}', {} }}\n  twin: {{ image: '{}' }}\n  bare: {{ {} }}\n",
        app.0,
        build.replace("TAG", &format!("'{}'", also.0)),
        app.0,
        "build: { dockerfile_inline: FROM scratch }"
    );
    let project = project(&registry, &stack, Some(CREDENTIALS));
    project.run(&["build", "app"]).exits(0);

    let pushed = project.run(&["push"]).exits(0);
    pushed.says("bare is not pushed").says(&format!("image:{}  pushed", app.0)).says(&also.0);
    app.remove();
    also.remove();
    assert!(!app.is_there());

    let pulled = project.run(&["pull"]).exits(0).says(&format!("image:{}  pulled", app.0));
    assert_eq!(pulled.err.matches("  pulled").count(), 1, "{}", pulled.err);
    assert!(app.is_there() && !also.is_there());
    // `latest` aside, what is there is not fetched again when it need only be there.
    project.run(&["pull", "--policy", "missing"]).exits(0).says("nothing to pull: all is there");
    project.run(&["pull", "--ignore-buildable", "app"]).exits(0).says("nothing to pull");
    let quiet = project.run(&["pull", "-q"]).exits(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));

    let rehearsed = project.run(&["pull", "--dry-run"]).exits(0);
    rehearsed.shows("pull").shows(&app.0);
}

#[test]
fn a_registry_must_be_told_who_asks() {
    let registry = Registry::start(true);
    let app = Local(format!("{}/t/guarded:1", registry.place));
    let build = "build: { dockerfile_inline: FROM scratch }";
    let stack = format!("services: {{ app: {{ image: '{}', {build} }} }}\n", app.0);
    let stack = stack.replace("FROM scratch", "\"FROM scratch\\nCOPY stack.yaml /\\n\"");
    let stranger = project(&registry, &stack, None);
    stranger.run(&["build"]).exits(0);
    let refused = stranger.run(&["push"]).exits(1);
    refused.says("cannot be pushed").says("docker login");
    let refused = stranger.run(&["pull"]).exits(1);
    refused.says("cannot be pulled").says("docker login").says("can be built with: stackctl build app");
    stranger.run(&["pull", "--ignore-pull-failures"]).exits(0).says("going on without it");
    stranger.run(&["push", "--ignore-push-failures"]).exits(0).says("going on without it");
    // A wrong password is no better than none.
    let wrong = project(&registry, &stack, Some("YWRhOndyb25n"));
    wrong.run(&["push"]).exits(1).says("docker login");
}

#[test]
fn a_registry_without_a_guard_must_do_without_credentials() {
    let registry = Registry::start(false);
    let app = Local(format!("{}/t/open:1", registry.place));
    let build = "build: { dockerfile_inline: \"FROM scratch\\nCOPY stack.yaml /\\n\" }";
    let stack = format!(
        "services:\n  app: {{ image: '{}', {build}, depends_on: [base] }}\n  base: {{ image: '{}/t/none:1' }}\n",
        app.0, registry.place
    );
    let project = project(&registry, &stack, None);
    // What was never built cannot be pushed.
    project.run(&["push", "app"]).exits(1).says("there is no image").says("stackctl build");
    project.run(&["build"]).exits(0);
    project.run(&["push", "app"]).exits(0);
    app.remove();
    project.run(&["pull", "app"]).exits(0);
    assert!(app.is_there());
    let refused = project.run(&["pull", "app", "--include-deps"]).exits(1);
    refused.says(&format!("{} has no {0}/t/none:1", registry.place));
    // A registry that is gone is told apart from one that refuses.
    let place = registry.place.clone();
    drop(registry);
    project.run(&["pull", "app"]).exits(1).says(&format!("{place} does not answer"));
}

/// Starts something that stands before a registry and answers the first requests for a manifest
/// with "service unavailable". Returns where it listens; it ends with the process.
fn overloaded(registry: &Registry, mut refusals: usize) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let place = listener.local_addr().expect("an address").to_string();
    let behind = registry.place.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
                // The engine speaks TLS first, and HTTP when it is not answered.
                if !head[0].is_ascii_alphabetic() {
                    break;
                }
            }
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            if head.contains("/manifests/") && refusals > 0 {
                refusals -= 1;
                let answer =
                    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _: std::io::Result<()> = stream.write_all(answer.as_bytes());
                continue;
            }
            // One request for each connection, so that every one is seen here.
            let head = head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
            let Ok(mut real) = TcpStream::connect(&behind) else { return };
            let passed = real.write_all(head.as_bytes());
            let _: std::io::Result<u64> = passed.and_then(|()| std::io::copy(&mut real, &mut stream));
        }
    });
    place
}

#[test]
fn a_registry_that_is_overloaded_must_be_asked_again_and_said_so() {
    let registry = Registry::start(false);
    let app = Local(format!("{}/t/busy:1", registry.place));
    let build = "build: { dockerfile_inline: \"FROM scratch\\nCOPY stack.yaml /\\n\" }";
    let project =
        project(&registry, &format!("services: {{ app: {{ image: '{}', {build} }} }}\n", app.0), None);
    project.run(&["build"]).exits(0);
    project.run(&["push"]).exits(0);
    let place = overloaded(&registry, 2);
    let through = Local(format!("{place}/t/busy:1"));
    project.write(&format!("services: {{ app: {{ image: '{}' }} }}\n", through.0));
    project.run(&["pull"]).exits(0).says("attempt 2 of 4 follows").says("pulled");
    assert!(through.is_there());
    let place = overloaded(&registry, usize::MAX);
    project.write(&format!("services: {{ app: {{ image: '{place}/t/busy:1' }} }}\n"));
    project.run(&["pull"]).exits(1).says("attempt 4 of 4 follows").says("(4 attempts)");
}

#[test]
fn an_interrupt_must_end_a_pull_at_once_even_while_a_credential_helper_hangs() {
    let registry = Registry::start(false);
    let mut project =
        project(&registry, &format!("services: {{ a: {{ image: '{}/t/a:1' }} }}\n", registry.place), None);
    let folder = project.directory.path().to_owned();
    let started = folder.join("started");
    let helper = folder.join("docker-credential-hangs");
    let script =
        format!("#!/bin/sh\necho $$ > {0}.new && mv {0}.new {0}\nexec sleep 1000\n", started.display());
    std::fs::write(&helper, script).expect("a file");
    let made = Command::new("chmod").arg("+x").arg(&helper).status().expect("chmod runs");
    assert!(made.success());
    std::fs::write(folder.join("docker/config.json"), r#"{"credsStore":"hangs"}"#).expect("a file");
    project.env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").expect("a PATH")));
    let running = project.spawn(&["pull"]);
    let id =
        eventually("the helper runs", Duration::from_secs(60), || std::fs::read_to_string(&started).ok());
    running.signal("INT");
    running.wait().exits(130);
    let _: std::io::Result<std::process::ExitStatus> = Command::new("kill").arg(id.trim()).status();
}

#[test]
fn a_lock_must_hold_while_the_tag_moves_and_outdated_must_say_that_it_has() {
    let registry = Registry::start(false);
    let place = &registry.place;
    let app = Local(format!("{place}/t/app:1"));
    let build = |version: u8| {
        format!(
            "services: {{ app: {{ image: '{}', build: {{ dockerfile_inline: \"FROM redis:latest\\nLABEL v={version}\\n\" }} }} }}\n",
            app.0
        )
    };
    let stack = format!(
        "services:\n  app: {{ image: '{}' }}\n  off: {{ image: '{}', profiles: [more] }}\n",
        app.0, app.0
    );
    let project = project(&registry, &build(1), None);
    project.run(&["build", "--push"]).exits(0);
    project.write(&stack);

    project.run(&["up", "--locked", "-d"]).exits(3).says("there is no lock at").says("stackctl lock");
    project.run(&["outdated"]).exits(0).shows("not running");
    project.run(&["lock"]).exits(0).says("the images of 2 services are locked");
    let lock = project.directory.path().join("stack.lock");
    let first = std::fs::read_to_string(&lock).expect("a lock");
    assert!(first.contains(&format!("    image: {}@sha256:", app.0)), "{first}");
    project.run(&["up", "--locked", "-d"]).exits(0);
    let locked = project.ids();
    project.run(&["outdated"]).exits(0).shows("current");

    // Another image gets the tag.
    project.write(&build(2));
    project.run(&["build", "--push", "-q"]).exits(0);
    project.write(&stack);
    project.run(&["outdated"]).exits(2).shows("outdated");
    let told = project.run(&["outdated", "--format", "json"]).exits(2).json();
    assert_eq!((&told[0][0]["service"], &told[0][0]["state"]), (&"app".into(), &"outdated".into()));
    project.run(&["plan", "--locked"]).exits(0);
    project.run(&["up", "--locked", "-d", "--pull", "always"]).exits(0);
    assert_eq!(project.ids(), locked);
    project.run(&["pull", "--locked"]).exits(0).says("@sha256:");
    project.run(&["run", "--locked", "--rm", "-T", "app", "echo", "it ran"]).exits(0).shows("it ran");
    project.run(&["scale", "--locked", "app=2"]).exits(0);
    assert!(locked.iter().all(|one| project.ids().contains(one)), "{locked:?} {:?}", project.ids());
    project.run(&["scale", "--locked", "app=1"]).exits(0);
    assert_eq!(project.ids(), locked);
    project.run(&["rollout", "--locked", "app"]).exits(0);
    let rolled = project.ids();
    assert_ne!(rolled, locked);
    project.run(&["plan", "--locked"]).exits(0);
    project.run(&["lock"]).exits(0);
    assert_ne!(std::fs::read_to_string(&lock).expect("a lock"), first);
    project.run(&["up", "--locked", "-d"]).exits(0);
    assert_ne!(project.ids(), rolled);
    project.run(&["outdated"]).exits(0).shows("current");

    // What the lock does not have is refused, with its line.
    project.write(&format!(
        "services:\n  app: {{ image: '{place}/t/app:2' }}\n  new: {{ image: '{}' }}\n",
        app.0
    ));
    let refused = project.run(&["up", "--locked", "-d"]).exits(8).says("another image of app");
    refused.says("the lock has no image of new").says("stack.yaml:3").says("nothing was done");
    for words in
        [&["run", "--locked", "app", "true"][..], &["scale", "--locked", "app=2"], &["pull", "--locked"]]
    {
        project.run(words).exits(8).says("another image of app");
    }
    project.run(&["outdated"]).exits(1).says(&format!("has no {place}/t/app:2")).shows("unknown");
    project.write(&stack);
    project.run(&["down", "--timeout", "0"]).exits(0);
    for lock in [first, std::fs::read_to_string(&lock).expect("a lock")] {
        let pinned = lock.lines().find_map(|line| line.trim().strip_prefix("image: ")).expect("an image");
        Local(pinned.to_owned()).remove();
    }
}

#[test]
fn a_way_back_must_fetch_a_lost_image_by_its_digest() {
    fn inspect(what: &str, format: &str) -> String {
        let output = Command::new("docker").args(["inspect", "-f", format, what]).output();
        String::from_utf8_lossy(&output.expect("docker runs").stdout).trim().to_owned()
    }
    let registry = Registry::start(false);
    let app = Local(format!("{}/t/back:1", registry.place));
    let web = |more: &str| {
        let web = "command: [sleep, '600'], init: true, stop_grace_period: 0s";
        format!("services: {{ web: {{ image: '{}', {web}{more} }} }}\n", app.0)
    };
    let publish = |project: &Project, version: u8| {
        let recipe = format!("\"FROM redis:latest\\nLABEL v={version}\\n\"");
        project.write(&web(&format!(", build: {{ dockerfile_inline: {recipe} }}")));
        project.run(&["build", "--push", "-q"]).exits(0);
        // What is only here is not what a registry has given.
        app.remove();
        project.write(&web(""));
        project.run(&["up", "-d", "--pull", "always"]).exits(0);
    };
    let project = project(&registry, &web(""), None);
    let name = format!("{}-web-1", project.name);
    publish(&project, 1);
    let first = inspect(&name, "{{.Image}}");
    let digest = inspect(&first, "{{index .RepoDigests 0}}");
    publish(&project, 2);
    assert_ne!(inspect(&name, "{{.Image}}"), first);
    Local(digest.clone()).remove();
    Local(first.clone()).remove();
    assert!(!Local(first.clone()).is_there(), "{first}");

    project.run(&["rollback", "--dry-run"]).exits(0).shows(&digest);
    project.run(&["rollback"]).exits(0).says(&format!("image:{digest}  pulled"));
    assert_eq!(inspect(&name, "{{.Image}}"), first);
    assert_eq!(inspect(&name, "{{.Config.Labels.v}}"), "1");
    project.run(&["rollback"]).exits(0);
    assert_eq!(inspect(&name, "{{.Config.Labels.v}}"), "2");

    // Where the registry is gone, too, nothing is begun.
    Local(digest.clone()).remove();
    Local(first.clone()).remove();
    drop(registry);
    let before = project.ids();
    let refused = project.run(&["rollback", "1"]);
    assert_ne!(refused.code, 0, "{}", refused.err);
    refused.says(&digest);
    assert_eq!(project.ids(), before);
}
