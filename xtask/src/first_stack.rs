//! The project's own stack under another project and on other ports, so that one that runs is
//! left alone.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::engine::Engine;

/// The variables that move the published ports; the last is that of the proxy.
const PORTS: [&str; 4] = ["REDIS_PUBLISH", "APP1_PUBLISH", "APP2_PUBLISH", "NGINX_PUBLISH"];

/// Linux gives its ports from here on to connections.
const BELOW: u16 = 32_768;

/// The stack of one project.
pub(crate) struct Stack<'a> {
    root: &'a Path,
    pub(crate) engine: &'a Engine,
    pub(crate) stackctl: &'a Path,
    pub(crate) project: &'a str,
    ports: [u16; 4],
}

impl<'a> Stack<'a> {
    /// A stack on ports that nobody has now, and that no connection gets by chance while the
    /// container that had one is replaced.
    pub(crate) fn new(
        root: &'a Path,
        engine: &'a Engine,
        stackctl: &'a Path,
        project: &'a str,
    ) -> Result<Self> {
        let mut ports = [0; 4];
        let first = BELOW - 1000 - u16::try_from(std::process::id() % 10_000).unwrap_or_default();
        let mut free = (first..BELOW).filter(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok());
        for port in &mut ports {
            *port = free.next().context("no port is free")?;
        }
        Ok(Self { root, engine, stackctl, project, ports })
    }

    /// The port of the proxy.
    pub(crate) fn door(&self) -> u16 {
        self.ports[PORTS.len() - 1]
    }

    /// Where the proxy is reached: at the address of its container where this machine has a way
    /// there, because the program behind a published port may have too few files for a crowd.
    pub(crate) fn proxy(&self) -> Result<SocketAddr> {
        let path = format!("/containers/{}-nginx-1/json", self.project);
        let container = self.engine.get(&path)?.context("the proxy has no container")?;
        let networks = container["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        let mut addresses = networks.filter_map(|(_, network)| network["IPAddress"].as_str()?.parse().ok());
        let own = addresses.next().map(|address: IpAddr| SocketAddr::new(address, 80));
        let reached = own.filter(|own| TcpStream::connect_timeout(own, Duration::from_secs(1)).is_ok());
        let published = || (self.engine.host(), self.door()).to_socket_addrs()?.next().context("no address");
        reached.map_or_else(published, Ok)
    }

    /// A program that finds the stack's engine and ports.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let (name, value) = self.engine.variable();
        command.current_dir(self.root).env(name, value).stdin(Stdio::null());
        command.envs(PORTS.iter().zip(self.ports.map(|port| port.to_string())));
        command
    }

    /// What calls stackctl or docker compose for this stack, with further files over its own.
    pub(crate) fn words(&self, program: &Path, further: &[PathBuf], arguments: &[&str]) -> Vec<String> {
        let mut words = vec![program.display().to_string(), "--file".to_owned(), "stack.yaml".to_owned()];
        for file in further {
            words.extend(["--file".to_owned(), file.display().to_string()]);
        }
        words.extend(["--project-name".to_owned(), self.project.to_owned()]);
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        words
    }

    /// Runs stackctl on the stack.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<()> {
        let words = self.words(self.stackctl, &[], arguments);
        let status =
            self.command(self.stackctl).args(&words[1..]).status().context("stackctl cannot be run")?;
        ensure!(status.success(), "stackctl {} ended with {status}", arguments.join(" "));
        Ok(())
    }
}
