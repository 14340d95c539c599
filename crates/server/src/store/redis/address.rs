//! Where Redis is.

use std::io;
use std::time::Duration;

use fred::prelude::Config as FredConfig;
use fred::types::config::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where Redis is, with its credentials.
#[derive(Clone)]
pub struct Address {
    pub(super) config: FredConfig,
    shown: String,
    hosts: Vec<(String, u16)>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Address {
    /// A single Redis without a password.
    #[must_use]
    pub fn host(host: &str, port: u16) -> Self {
        let server = ServerConfig::new_centralized(host, port);
        Self::of(FredConfig { server, ..FredConfig::default() })
    }

    /// Reads a URL: `redis://[user:password@]host[:port][/database]`,
    /// `redis-sentinel://host[:port]?sentinelServiceName=NAME[&node=host:port]` with
    /// the addresses of Sentinels, or `redis-cluster://host[:port][?node=host:port]`
    /// with those of some nodes of a Redis Cluster.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it, because it may hold a password.
    pub fn url(url: &str) -> Result<Self, String> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("redis" | "redis-sentinel" | "redis-cluster") => {}
            Some("rediss" | "rediss-sentinel" | "rediss-cluster") => {
                return Err("TLS is not supported".to_owned());
            }
            _ => return Err("not a Redis URL".to_owned()),
        }
        let config = FredConfig::from_url(url).map_err(|_| "not a well-formed URL".to_owned())?;
        Ok(Self::of(config))
    }

    /// Whether it is a Redis Cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.config.server.is_clustered()
    }

    fn of(config: FredConfig) -> Self {
        let hosts: Vec<(String, u16)> =
            config.server.hosts().iter().map(|server| (server.host.to_string(), server.port)).collect();
        let shown: Vec<String> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        Self { config, shown: shown.join(","), hosts }
    }

    /// Why no connection can be made, or `None` if one can.
    pub(super) async fn fault(&self) -> Option<String> {
        let mut last = None;
        for (host, port) in &self.hosts {
            last = match timeout(PATIENCE, TcpStream::connect((host.as_str(), *port))).await {
                Ok(Ok(_)) => return None,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    Some("connection refused")
                }
                Ok(Err(error)) if error.raw_os_error().is_none() => Some("host name not found"),
                Ok(Err(_)) => Some("host unreachable"),
                Err(_) => Some("connection timed out"),
            };
        }
        last.map(|reason| format!("{reason} ({self})"))
    }
}
