//! The systems that ours is measured beside: two nodes of each, whose messages
//! reach the clients of both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;

use crate::fleet::{Program, Redis, eventually, free_port, get};
use crate::load::dialect::Dialect;

const SOCKET_IO: &str = include_str!("peers/socketio.cjs");
const BUN: &str = include_str!("peers/bun.js");
const NCHAN: &str = include_str!("peers/nchan.conf");

/// How long a node may take to end when it is asked to.
const GOODBYE: Duration = Duration::from_secs(2);

/// A system that may be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Bun,
    Nats,
    Nchan,
    SocketIo,
}

/// All of them.
pub(crate) const PEERS: [Peer; 4] = [Peer::Bun, Peer::Nats, Peer::Nchan, Peer::SocketIo];

/// Two nodes that run.
pub(crate) struct Nodes {
    pub(crate) dialect: Dialect,
    pub(crate) ports: Vec<u16>,
    programs: Vec<Program>,
    redis: Option<Redis>,
    _directory: tempfile::TempDir,
}

impl Nodes {
    /// Every process there is of it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let redis = self.redis.as_ref().map(Redis::id);
        self.programs.iter().map(Program::id).chain(redis).collect()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // The workers of an nginx that is killed would outlive it.
        let asked = self.programs.iter_mut().filter(|program| program.signal("-TERM").is_ok());
        asked.for_each(|program| program.ended_within(GOODBYE));
    }
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bun => "bun",
            Self::Nats => "NATS",
            Self::Nchan => "nchan",
            Self::SocketIo => "Socket.IO",
        }
    }

    /// What must be there below the folder of peers.
    fn needs(self, peers: &Path) -> PathBuf {
        peers.join(match self {
            Self::Bun => "node_modules/bun/bin/bun.exe",
            Self::Nats => "nats/bin/nats-server",
            Self::Nchan => "nchan/usr/lib/nginx/modules/ngx_nchan_module.so",
            Self::SocketIo => "node_modules/socket.io/package.json",
        })
    }

    /// Whether it can be started.
    pub(crate) fn is_there(self, peers: &Path) -> bool {
        self.needs(peers).is_file()
    }

    /// Starts two nodes, and waits until both answer.
    pub(crate) async fn start(self, peers: &Path) -> Result<Nodes> {
        let directory = tempfile::tempdir()?;
        let redis = if self == Self::Nats { None } else { Some(Redis::start(false).await?) };
        let redis_port = redis.as_ref().map_or(0, |redis| redis.port);
        let ports = vec![free_port()?, free_port()?];
        let routes = [free_port()?, free_port()?];
        let mut programs = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let home = directory.path().join(index.to_string());
            fs::create_dir(&home)?;
            let mut command = match self {
                Self::SocketIo => script("node".into(), &home, "socketio.cjs", SOCKET_IO)?,
                Self::Bun => script(self.needs(peers), &home, "bun.js", BUN)?,
                Self::Nchan => {
                    let module = self.needs(peers);
                    let text = NCHAN
                        .replace("MODULE", &module.display().to_string())
                        .replace("REDIS", &redis_port.to_string())
                        .replace("PORT", &port.to_string());
                    fs::write(home.join("nginx.conf"), text)?;
                    let mut command = Command::new("nginx");
                    command.arg("-p").arg(&home).args(["-c", "nginx.conf", "-e", "error.log"]);
                    command
                }
                Self::Nats => {
                    let mut command = Command::new(self.needs(peers));
                    let route = |port: u16| format!("nats://127.0.0.1:{port}");
                    command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "--cluster_name", "load"]);
                    command.args(["--cluster", &route(routes[index]), "--routes", &route(routes[1 - index])]);
                    command
                }
            };
            if matches!(self, Self::SocketIo | Self::Bun) {
                command.args([port.to_string(), redis_port.to_string()]);
                command.env("NODE_PATH", peers.join("node_modules"));
            }
            programs.push(Program::start(self.name(), command)?);
        }
        for port in &ports {
            eventually(&format!("{} answers", self.name()), async || match self {
                Self::Nats => TcpStream::connect(("127.0.0.1", *port)).await.ok().map(drop),
                _ => get(*port, "/").await.map(drop),
            })
            .await?;
        }
        let dialect = match self {
            Self::SocketIo => Dialect::SocketIo,
            Self::Bun | Self::Nchan => Dialect::Plain,
            Self::Nats => Dialect::Nats,
        };
        Ok(Nodes { dialect, ports, programs, redis, _directory: directory })
    }
}

fn script(program: PathBuf, home: &Path, name: &str, text: &str) -> Result<Command> {
    let file = home.join(name);
    fs::write(&file, text).with_context(|| file.display().to_string())?;
    let mut command = Command::new(program);
    command.arg(file);
    Ok(command)
}
