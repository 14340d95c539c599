//! Instances and a Redis of our own, gone with the run.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long anything may take before it counts as never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A program that ends with the run.
pub(crate) struct Program {
    name: String,
    child: Child,
}

impl Program {
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `-TERM`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args([signal, &self.id().to_string()]).status()?;
        if !status.success() {
            bail!("{} takes no signal", self.name);
        }
        Ok(())
    }

    /// Waits for the end without letting anything else go on.
    pub(crate) fn ended_within(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end and returns the exit code.
    pub(crate) async fn ended(&mut self) -> Result<Option<i32>> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            sleep(Duration::from_millis(5)).await;
        }
        bail!("{} does not end", self.name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Redis of our own.
pub(crate) struct Redis {
    pub(crate) port: u16,
    program: Program,
    directory: tempfile::TempDir,
    durable: bool,
}

impl Redis {
    /// Starts one; a durable one writes everything to disk before it answers.
    pub(crate) async fn start(durable: bool) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = free_port()?;
        let program = Self::spawn(port, directory.path(), durable)?;
        let redis = Self { port, program, directory, durable };
        redis.answers().await?;
        Ok(redis)
    }

    fn spawn(port: u16, directory: &Path, durable: bool) -> Result<Program> {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .arg("--dir")
            .arg(directory);
        if durable {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        Program::start("redis-server", command)
    }

    async fn answers(&self) -> Result<()> {
        eventually("redis-server answers", async || {
            TcpStream::connect(("127.0.0.1", self.port)).await.ok().map(drop)
        })
        .await
    }

    /// Kills it and starts it again, with or without what it had written.
    pub(crate) async fn restart(&mut self, forget: bool, away: Duration) -> Result<()> {
        self.program.signal("-KILL")?;
        self.program.ended().await?;
        sleep(away).await;
        if forget {
            std::fs::remove_dir_all(self.directory.path().join("appendonlydir"))?;
        }
        self.program = Self::spawn(self.port, self.directory.path(), self.durable)?;
        self.answers().await
    }

    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        self.program.signal(signal)
    }

    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    /// Runs a command.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<String> {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// An instance of the server.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) program: Program,
}

/// Instances that share one store.
pub(crate) struct Fleet {
    pub(crate) servers: Vec<Server>,
    pub(crate) redis: Option<Redis>,
    server: PathBuf,
    settings: Vec<(String, String)>,
}

impl Fleet {
    /// One instance alone, or two with a Redis. `settings` are added to their environment.
    pub(crate) async fn start(
        server: &Path,
        redis: Option<Redis>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let count = if redis.is_some() { 2 } else { 1 };
        let mut fleet = Self { servers: Vec::new(), redis, server: server.to_owned(), settings };
        for index in 0..count {
            fleet.add(&format!("s{index}")).await?;
        }
        Ok(fleet)
    }

    /// Adds an instance.
    pub(crate) async fn add(&mut self, name: &str) -> Result<()> {
        let port = free_port()?;
        let mut command = Command::new(&self.server);
        command
            .env_clear()
            .env("SERVER_PORT", port.to_string())
            .env("SERVER_ID", name)
            .env("LOG_LEVEL", "warn");
        for (name, value) in [
            ("CONNECTS_PER_SECOND", "100000"),
            ("COMMANDS_PER_SECOND", "1000000"),
            ("COMMAND_BURST", "1000000"),
            ("MAX_USER_CONNECTIONS", "100000"),
        ] {
            command.env(name, value);
        }
        if let Some(redis) = &self.redis {
            command.env("REDIS_HOST", "127.0.0.1").env("REDIS_PORT", redis.port.to_string());
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let program = Program::start(name, command)?;
        eventually(&format!("{name} is ready"), async || {
            get(port, "/readyz").await.filter(|(status, _)| *status == 200).map(drop)
        })
        .await?;
        self.servers.push(Server { name: name.to_owned(), port, program });
        Ok(())
    }

    /// The port for the client of this number: they take turns.
    pub(crate) fn port(&self, number: usize) -> u16 {
        self.servers[number % self.servers.len()].port
    }

    /// Every process of it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let redis = self.redis.as_ref().map(Redis::id);
        self.servers.iter().map(|server| server.program.id()).chain(redis).collect()
    }

    /// The Redis, where there must be one.
    pub(crate) fn redis(&mut self) -> Result<&mut Redis> {
        self.redis.as_mut().context("there is no Redis")
    }
}

/// The value of a metric of an instance; `None` if it has no such.
pub(crate) async fn metric(port: u16, name: &str) -> Option<f64> {
    let (_, text) = get(port, "/metrics").await?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Status and body of a GET, if there is an answer.
pub(crate) async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    get_at(SocketAddr::from(([127, 0, 0, 1], port)), path).await
}

/// The same, of a server that may be elsewhere.
pub(crate) async fn get_at(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
}

/// The status of a POST with a key, if there is an answer.
pub(crate) async fn post(port: u16, path: &str, key: &str, body: &str) -> Option<u16> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let kind = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let request = format!("{head}Authorization: Bearer {key}\r\n{kind}\r\n{body}");
    ask(SocketAddr::from(([127, 0, 0, 1], port)), &request).await.map(|(status, _)| status)
}

async fn ask(address: SocketAddr, request: &str) -> Option<(u16, String)> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
    };
    timeout(Duration::from_secs(5), asked).await.ok()?
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Tries again until it is there.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = attempt().await {
            return Ok(found);
        }
        sleep(Duration::from_millis(10)).await;
    }
    bail!("{what}: not within {} s", PATIENCE.as_secs())
}
