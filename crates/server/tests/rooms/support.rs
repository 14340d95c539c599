//! Instances, clients, and a Redis of the test's own.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server::config::Config;
use server::instance::Instance;
use server::store::redis::Address;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis of the test's own, gone with it.
pub(crate) struct Redis {
    pub(crate) port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        // Somebody else may take the port between the look and the start.
        for _ in 0..5 {
            let directory = tempfile::tempdir().expect("a directory");
            let port = free_port();
            let mut child = Self::spawn(port, &directory);
            if answers(port, &mut child) {
                return Self { port, child, directory };
            }
        }
        panic!("redis-server does not start");
    }

    fn spawn(port: u16, directory: &tempfile::TempDir) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server: cargo xtask test installs it")
    }

    /// Ends it without any notice.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again, with what it had written.
    pub(crate) fn restart(&mut self) {
        self.child = Self::spawn(self.port, &self.directory);
        assert!(answers(self.port, &mut self.child), "redis-server does not start again");
    }

    /// Forgets what it had written; only while it is down.
    pub(crate) fn forget(&self) {
        std::fs::remove_dir_all(self.directory.path().join("appendonlydir")).expect("its files");
    }

    /// Stops it for a while without ending it, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }

    /// Runs a command.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(words)
            .output()
            .expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(port: u16, child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The settings of an instance on a free port, without limits that a test would run into.
pub(crate) fn config(name: &str, redis: Option<&Redis>) -> Config {
    let mut config = Config::read(|_| None).expect("defaults");
    config.port = 0;
    config.server_id = name.to_owned();
    config.redis = redis.map(|redis| Address::host("127.0.0.1", redis.port));
    config.limits.commands_per_second = 1_000_000;
    config.limits.command_burst = 1_000_000;
    config.limits.connects_per_second = 1_000_000;
    config.timing.drain_wait = Duration::from_millis(50);
    config
}

/// Starts an instance and waits until it is ready.
pub(crate) async fn instance(config: Config) -> Instance {
    let instance = Instance::start(config).await.expect("it starts");
    ready(instance.address().port()).await;
    instance
}

/// Waits until the instance on this port is ready.
pub(crate) async fn ready(port: u16) {
    eventually("the instance is ready", async || (get(port, "/readyz").await.0 == 200).then_some(())).await;
}

/// Status and body of a GET.
pub(crate) async fn get(port: u16, path: &str) -> (u16, String) {
    let text =
        raw(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// The answer to these bytes, up to the end of the connection; empty if there is none.
pub(crate) async fn raw(port: u16, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return String::new() };
    let mut bytes = Vec::new();
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tries again until it is there.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A client of the protocol.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) hello: Value,
    next: u32,
    pushed: Vec<Value>,
}

impl Client {
    /// Connects without a word.
    pub(crate) async fn open(port: u16) -> Result<Self, Error> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut request = format!("ws://{address}/ws").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "rooms.v1".parse().expect("a header"));
        let (socket, _) = connect_async(request).await?;
        Ok(Self::over(socket))
    }

    /// Speaks over a connection that is there.
    pub(crate) fn over(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self { socket, hello: Value::Null, next: 0, pushed: Vec::new() }
    }

    /// Connects and says hello.
    pub(crate) async fn connect(port: u16) -> Result<Self, Error> {
        let mut client = Self::open(port).await?;
        let reply = client.try_call(json!({ "t": "hello" })).await?;
        client.hello = reply["ok"].clone();
        Ok(client)
    }

    /// Connects to an instance.
    pub(crate) async fn at(instance: &Instance) -> Self {
        Self::connect(instance.address().port()).await.expect("a connection")
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.expect("a connection");
    }

    /// Sends a command and waits for its reply, which must come.
    pub(crate) async fn call(&mut self, frame: Value) -> Value {
        self.try_call(frame).await.expect("a reply")
    }

    pub(crate) async fn try_call(&mut self, mut frame: Value) -> Result<Value, Error> {
        self.next += 1;
        let id = self.next;
        frame["id"] = id.into();
        self.socket.send(Message::text(frame.to_string())).await?;
        loop {
            let frame = self.read().await?;
            if frame["id"] == id && frame["t"].is_null() {
                return Ok(frame);
            }
            self.pushed.push(frame);
        }
    }

    /// The next frame that is JSON text.
    pub(crate) async fn read(&mut self) -> Result<Value, Error> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a frame in time");
            match message.ok_or(Error::ConnectionClosed)?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(_) => return Err(Error::ConnectionClosed),
                _ => {}
            }
        }
    }

    /// Joins a room, which must succeed.
    pub(crate) async fn join(&mut self, room: &str) -> Value {
        let reply = self.call(json!({ "t": "join", "room": room })).await;
        assert!(reply["ok"].is_object(), "{reply}");
        reply["ok"].clone()
    }

    /// Publishes, which must succeed, and returns the offset.
    pub(crate) async fn publish(&mut self, room: &str, data: Value) -> u64 {
        let reply = self.call(json!({ "t": "pub", "room": room, "data": data })).await;
        reply["ok"]["offset"].as_u64().unwrap_or_else(|| panic!("{reply}"))
    }

    /// The next push for which this holds; others are dropped.
    pub(crate) async fn push(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            // The pings of the server alone would keep a test waiting for ever.
            assert!(begun.elapsed() < PATIENCE, "the push did not come");
            let push = if self.pushed.is_empty() {
                self.read().await.expect("a push")
            } else {
                self.pushed.remove(0)
            };
            if is(&push) {
                return push;
            }
        }
    }

    /// The next push of this kind; others are dropped.
    pub(crate) async fn push_of(&mut self, kind: &str) -> Value {
        self.push(|push| push["t"] == kind).await
    }

    /// Reads pushes of rooms up to this offset: offset and frame of each.
    pub(crate) async fn events_to(&mut self, offset: u64) -> Vec<(u64, Value)> {
        let mut events = Vec::new();
        loop {
            let push = self.push(|push| push["offset"].is_u64() && push["t"] != "reset").await;
            let at = push["offset"].as_u64().expect("an offset");
            events.push((at, push));
            if at >= offset {
                return events;
            }
        }
    }

    /// Reads to the end and returns the code with which the server closed.
    pub(crate) async fn closed_with(mut self) -> u16 {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("an end in time");
            match message {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }
}

/// Fails unless the offsets grow by exactly one.
pub(crate) fn assert_no_gap(events: &[(u64, Value)]) {
    for pair in events.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "a gap or a repetition");
    }
}
