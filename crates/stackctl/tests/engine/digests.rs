//! Images pinned to the digests that a registry tells.

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
const CREDENTIALS: &str = "YWRhOnMzY3JldA==";

/// A registry of our own, which ends with the test.
struct Registry {
    child: Child,
    place: String,
    _directory: tempfile::TempDir,
}

impl Registry {
    /// Starts a registry that lets only ada in.
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let [port] = free_ports();
        let place = format!("127.0.0.1:{port}");
        let at = |name: &str| directory.path().join(name);
        let configuration = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{place}'}}\nauth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            at("data").display(),
            at("htpasswd").display()
        );
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
    fn push(&self, name: &str, tag: &str) -> String {
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

#[test]
fn images_must_be_pinned_to_what_their_registry_tells() {
    let registry = Registry::start();
    let digest = registry.push("a/b", "1");
    let place = &registry.place;
    let other = format!("sha256:{}", "0".repeat(64));
    let stack = format!(
        "services:\n  one: {{ image: '{place}/a/b:1' }}\n  two: {{ image: '{place}/a/b:1', build: . }}\n  \
         built: {{ build: . }}\n  fixed: {{ image: '{place}/a/b:9@{other}' }}\n"
    );
    let mut project = Project::new(&stack);
    let docker = project.directory.path().join("docker");
    std::fs::create_dir(&docker).expect("a folder");
    project.env("DOCKER_CONFIG", docker.display());

    let refused = project.run(&["config", "--resolve-image-digests"]).exits(1);
    refused.says("the image of one cannot be pinned").says("docker login");

    let auths = format!(r#"{{"auths":{{"{place}":{{"auth":"{CREDENTIALS}"}}}}}}"#);
    std::fs::write(docker.join("config.json"), auths).expect("a file");
    let shown = project.run(&["config", "--resolve-image-digests", "--format", "json"]).exits(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.out).expect("JSON");
    let image = |name: &str| shown["services"][name]["image"].clone();
    assert_eq!(image("one"), format!("{place}/a/b:1@{digest}"));
    assert_eq!(image("two"), image("one"));
    assert_eq!(image("built"), serde_json::Value::Null);
    assert_eq!(image("fixed"), format!("{place}/a/b@{other}"));

    let lock = project.run(&["config", "--lock-image-digests"]).exits(0).out;
    let lines: Vec<&str> = lock.lines().collect();
    let pinned = format!("    image: {place}/a/b:1@{digest}");
    let fixed = format!("    image: {place}/a/b@{other}");
    assert_eq!(lines, ["services:", "  one:", &pinned, "  two:", &pinned, "  fixed:", &fixed]);

    project.write(&format!("services: {{ one: {{ image: '{place}/a/b:2' }} }}\n"));
    let refused = project.run(&["config", "--lock-image-digests"]).exits(1);
    refused.says(&format!("{place} has no {place}/a/b:2"));
    project.write("services: { one: { image: 'a:${TAG}' } }\n");
    let refused = project.run(&["config", "--lock-image-digests", "--no-interpolate"]);
    refused.says("the image of one has variables").says("leave out --no-interpolate");
}
