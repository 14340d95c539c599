//! The program itself: its exit codes, its signals, and nginx in front of it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Client, PATIENCE, config, eventually, free_port, get, instance, raw, ready};

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(arguments, variables).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A process that is killed when the test forgets it.
pub(crate) struct Process(Child);

impl Process {
    /// The server itself, with these variables.
    pub(crate) fn server(variables: &[(&str, &str)]) -> Self {
        Self(command(&["serve"], variables).stdout(Stdio::piped()).spawn().expect("it runs"))
    }

    /// What it has logged, once it has ended.
    pub(crate) fn log(&mut self) -> String {
        let mut log = String::new();
        std::io::Read::read_to_string(self.0.stdout.as_mut().expect("a log"), &mut log).expect("text");
        log
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }

    pub(crate) fn ends_with(&mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An nginx that ends with the test, its workers with it.
pub(crate) struct Nginx(Process);

impl Drop for Nginx {
    fn drop(&mut self) {
        // Workers outlive a master that is killed.
        let id = self.0.0.id().to_string();
        if Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|status| status.success()) {
            let _ = self.0.0.wait();
        }
    }
}

#[test]
fn what_is_set_wrongly_is_told_at_once() {
    let (code, _, said) = run(&["serve"], &[("SERVER_PORT", "x"), ("LOG_LEVEL", "loud")]);
    assert_eq!(code, 2);
    assert!(said.contains("SERVER_PORT=\"x\"") && said.contains("LOG_LEVEL=\"loud\""), "{said}");
    let (code, _, said) = run(&["dance"], &[]);
    assert!(code == 2 && said.contains("server --help"), "{said}");
    let (code, out, _) = run(&["--help"], &[]);
    assert!(code == 0 && out.contains("healthcheck") && out.contains("REDIS_HOST"), "{out}");
}

#[test]
fn a_port_in_use_is_said_with_the_next_step() {
    let taken = std::net::TcpListener::bind(("0.0.0.0", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (code, _, said) = run(&[], &[("SERVER_PORT", &port)]);
    assert_eq!(code, 1);
    assert!(said.contains(&port) && said.contains("set SERVER_PORT"), "{said}");
}

#[tokio::test]
async fn a_server_is_healthy_until_its_redis_is_gone_and_ends_in_order() {
    let port = free_port();
    let (text, nowhere) = (port.to_string(), free_port().to_string());
    let variables = [("SERVER_PORT", text.as_str()), ("SERVER_ID", "s")];
    let (code, _, said) = run(&["healthcheck"], &variables);
    assert!(code == 1 && said.contains("no server answers"), "{said}");

    let mut child = Process::server(&variables);
    ready(port).await;
    assert_eq!(run(&["healthcheck"], &variables).0, 0);
    let client = Client::connect(port).await.expect("a connection");
    child.signal("-TERM");
    assert_eq!(client.closed_with().await, 4200);
    assert_eq!(child.ends_with(), 0);
    let log = child.log();
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(events.iter().all(|event| event["server_id"] == "s"), "{log}");
    assert!(events.iter().any(|event| event["event"] == "closed" && event["code"] == 4200), "{log}");

    let lost = [variables[0], variables[1], ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &nowhere)];
    let mut child = Process(command(&[], &lost).stdout(Stdio::null()).spawn().expect("it runs"));
    eventually("the cause is told", async || {
        let (code, _, said) = run(&["healthcheck"], &variables);
        (code == 1 && said.contains(&format!("redis: connection refused (127.0.0.1:{nowhere})")))
            .then_some(())
    })
    .await;
    child.signal("-INT");
    assert_eq!(child.ends_with(), 0);
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once() {
    let port = free_port();
    let text = port.to_string();
    let mut child =
        Process(command(&[], &[("SERVER_PORT", &text)]).stdout(Stdio::null()).spawn().expect("it runs"));
    ready(port).await;
    let _client = Client::connect(port).await.expect("a connection");
    child.signal("-TERM");
    eventually("it drains", async || (get(port, "/readyz").await.0 == 503).then_some(())).await;
    child.signal("-TERM");
    assert_eq!(child.ends_with(), 1);
}

/// nginx with the project's own configuration, its ports moved to those of a test.
pub(crate) fn nginx(directory: &Path, door: u16, servers: [u16; 2]) -> Nginx {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker/nginx.conf");
    let text = std::fs::read_to_string(own).expect("docker/nginx.conf");
    for place in ["listen 80;", "app1:3001", "app2:3002", "127.0.0.1:8001", "127.0.0.1:8002"] {
        assert!(text.contains(place), "{place} is not in docker/nginx.conf");
    }
    let text = text
        .replace("listen 80;", &format!("listen 127.0.0.1:{door};"))
        .replace("app1:3001", &format!("127.0.0.1:{}", servers[0]))
        .replace("app2:3002", &format!("127.0.0.1:{}", servers[1]))
        .replace("127.0.0.1:8001", &format!("127.0.0.1:{}", free_port()))
        .replace("127.0.0.1:8002", &format!("127.0.0.1:{}", free_port()))
        .replace("/dev/stdout", "access.log")
        .replace("/dev/stderr", "error.log");
    std::fs::write(directory.join("nginx.conf"), text).expect("a file");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).args(["-c", "nginx.conf", "-e", "error.log"]);
    command.args(["-g", "daemon off; pid nginx.pid;"]).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Nginx(Process(command.spawn().expect("these tests need nginx: cargo xtask test installs it")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_takes_turns_and_passes_by_an_instance_that_drains() {
    let mut settings = config("a", None);
    settings.timing.drain_wait = Duration::from_secs(3);
    let (a, b) = (instance(settings).await, instance(config("b", None)).await);
    let directory = tempfile::tempdir().expect("a directory");
    let door = free_port();
    let _nginx = nginx(directory.path(), door, [a.address().port(), b.address().port()]);
    eventually("nginx answers", async || (get(door, "/healthz").await.0 == 200).then_some(())).await;
    let mut servers = Vec::new();
    let mut open = Vec::new();
    for _ in 0..10 {
        let client = Client::connect(door).await.expect("a connection");
        servers.push(client.hello["server"].as_str().expect("a name").to_owned());
        open.push(client);
    }
    assert!(servers.windows(2).all(|pair| pair[0] != pair[1]), "round-robin: {servers:?}");

    let port = a.address().port();
    let drain = tokio::spawn(a.drain());
    eventually("it drains", async || (get(port, "/readyz").await.0 == 503).then_some(())).await;
    for _ in 0..20 {
        let client = Client::connect(door).await.expect("a connection");
        assert_eq!(client.hello["server"], "b");
        assert_eq!(get(door, "/readyz").await.0, 200);
    }
    drop(open);
    drain.await.expect("no panic");
    // Nothing of it is sent to one that is away, so that the other gets it, whatever it would change.
    for method in ["GET", "POST"] {
        for _ in 0..10 {
            let request = format!(
                "{method} /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
            );
            let answer = raw(door, &request).await;
            let wanted = if method == "GET" { "HTTP/1.1 200 " } else { "HTTP/1.1 405 " };
            assert!(answer.starts_with(wanted), "{method}: {answer}");
        }
    }
}
