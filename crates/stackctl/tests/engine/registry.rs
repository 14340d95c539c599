//! Images pulled from a registry, and pushed to one.

use std::io::{Read, Write};
use std::net::TcpStream;
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
