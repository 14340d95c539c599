//! The environment, read once at the start: every fault is reported, not only the first.

use std::fmt;
use std::time::Duration;

use crate::store::redis::Address;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `SERVER_PORT`: the TCP port to listen on, on all addresses. 0 takes a free one.
    pub port: u16,
    /// `SERVER_ID`: the name of this instance. Default: the host name, else a random one.
    pub server_id: String,
    /// `REDIS_URL`, or `REDIS_HOST` and `REDIS_PORT`: where Redis is. Without
    /// one, rooms live in this process alone.
    pub redis: Option<Address>,
    /// `LOG_LEVEL`: the least important level that is logged.
    pub log_level: tracing::Level,
    /// `ALLOWED_ORIGINS`: the pages that may connect.
    pub origins: Origins,
    /// How much a client may do.
    pub limits: Limits,
    /// How long things may take.
    pub timing: Timing,
}

/// Which pages may open a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Pages of the host that the request names.
    SameHost,
    /// Pages of any host, `*`.
    Any,
    /// Pages of these origins, such as `https://example.org`.
    Listed(Vec<String>),
}

/// How much a client may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `MAX_FRAME_BYTES`: the longest frame of a client, in bytes.
    pub frame_bytes: usize,
    /// `MAX_DOC_BYTES`: the longest document, in bytes of JSON.
    pub doc_bytes: usize,
    /// `MAX_ROOMS`: rooms that one connection may be in.
    pub rooms: usize,
    /// `MAX_CONNECTIONS`: connections of this instance.
    pub connections: usize,
    /// `CONNECTS_PER_SECOND`: new connections; ten seconds' worth may come at once.
    pub connects_per_second: u32,
    /// `COMMANDS_PER_SECOND`: commands of one connection.
    pub commands_per_second: u32,
    /// `COMMAND_BURST`: commands that one connection may send at once.
    pub command_burst: u32,
    /// `CASTS_PER_SECOND`: casts of one connection; twice as many may come at once.
    pub casts_per_second: u32,
    /// `HISTORY_EVENTS`: events kept of each room.
    pub history: usize,
    /// Frames that may wait for one connection.
    pub queue_frames: usize,
    /// Bytes that may wait for one connection.
    pub queue_bytes: usize,
}

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Timing {
    /// From the upgrade to the client's `hello`.
    pub hello: Duration,
    /// Between two pings of a quiet connection, ±10 %.
    pub ping: Duration,
    /// From a ping to any sign of life.
    pub pong: Duration,
    /// One write to a connection.
    pub write: Duration,
    /// Between two checks of the positions of all rooms.
    pub check: Duration,
    /// From SIGTERM to the first `drain`.
    pub drain_wait: Duration,
    /// Over which closing many connections is spread.
    pub drain_spread: Duration,
    /// From SIGTERM to the end, whatever is left.
    pub drain_cap: Duration,
}

/// Every fault of the environment.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// One line each: variable, value, what is expected.
    pub faults: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 64 * 1024,
            doc_bytes: 64 * 1024,
            rooms: 32,
            connections: 20_000,
            connects_per_second: 100,
            commands_per_second: 40,
            command_burst: 80,
            casts_per_second: 40,
            history: 256,
            queue_frames: 512,
            queue_bytes: 1024 * 1024,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(10),
            ping: Duration::from_secs(25),
            pong: Duration::from_secs(10),
            write: Duration::from_secs(10),
            check: Duration::from_secs(15),
            drain_wait: Duration::from_secs(2),
            drain_spread: Duration::from_secs(8),
            drain_cap: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// Reads the variables that `lookup` gives; an empty one counts as not set.
    ///
    /// # Errors
    /// All the faults at once.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { lookup, faults: Vec::new() };
        let default = Limits::default();
        let limits = Limits {
            frame_bytes: reader.number("MAX_FRAME_BYTES", 1024, 1024 * 1024, default.frame_bytes),
            doc_bytes: reader.number("MAX_DOC_BYTES", 2, 1024 * 1024, default.doc_bytes),
            rooms: reader.number("MAX_ROOMS", 1, 1024, default.rooms),
            connections: reader.number("MAX_CONNECTIONS", 1, 1_000_000, default.connections),
            connects_per_second: reader.number(
                "CONNECTS_PER_SECOND",
                1,
                1_000_000,
                default.connects_per_second,
            ),
            commands_per_second: reader.number(
                "COMMANDS_PER_SECOND",
                1,
                1_000_000,
                default.commands_per_second,
            ),
            command_burst: reader.number("COMMAND_BURST", 1, 1_000_000, default.command_burst),
            casts_per_second: reader.number("CASTS_PER_SECOND", 1, 1_000_000, default.casts_per_second),
            history: reader.number("HISTORY_EVENTS", 1, 10_000, default.history),
            queue_frames: default.queue_frames,
            queue_bytes: default.queue_bytes,
        };
        let config = Self {
            port: reader.number("SERVER_PORT", 1, u16::MAX, 3001),
            server_id: reader.server_id(),
            redis: reader.redis(),
            log_level: reader.log_level(),
            origins: reader.origins(),
            limits,
            timing: Timing::default(),
        };
        if reader.faults.is_empty() { Ok(config) } else { Err(ConfigError { faults: reader.faults }) }
    }

    /// Reads only `SERVER_PORT`, which is all that a health check needs.
    ///
    /// # Errors
    /// If it is no port.
    pub fn read_port(lookup: impl Fn(&str) -> Option<String>) -> Result<u16, ConfigError> {
        let mut reader = Reader { lookup, faults: Vec::new() };
        let port = reader.number("SERVER_PORT", 1, u16::MAX, 3001);
        if reader.faults.is_empty() { Ok(port) } else { Err(ConfigError { faults: reader.faults }) }
    }
}

struct Reader<L> {
    lookup: L,
    faults: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn fault(&mut self, name: &str, value: &str, expected: &str) {
        self.faults.push(format!("{name}={value:?}: expected {expected}"));
    }

    fn number<N>(&mut self, name: &str, least: N, most: N, default: N) -> N
    where
        N: std::str::FromStr + PartialOrd + fmt::Display + Copy,
    {
        let Some(value) = self.value(name) else { return default };
        match value.parse::<N>() {
            Ok(number) if number >= least && number <= most => number,
            _ => {
                self.fault(name, &value, &format!("a whole number from {least} to {most}"));
                default
            }
        }
    }

    fn server_id(&mut self) -> String {
        if let Some(value) = self.value("SERVER_ID") {
            if !is_server_id(&value) {
                self.fault("SERVER_ID", &value, "1 to 64 of the characters A-Z a-z 0-9 _ . -");
            }
            return value;
        }
        let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        self.value("HOSTNAME")
            .or_else(kernel)
            .map(|name| name.trim().to_owned())
            .filter(|name| is_server_id(name))
            .unwrap_or_else(|| format!("server-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]))
    }

    fn redis(&mut self) -> Option<Address> {
        let port = self.number("REDIS_PORT", 1, u16::MAX, 6379);
        match (self.value("REDIS_URL"), self.value("REDIS_HOST")) {
            (Some(_), Some(host)) => {
                self.fault("REDIS_HOST", &host, "nothing, because REDIS_URL is set too");
                None
            }
            (Some(url), None) => match Address::url(&url) {
                Ok(address) => Some(address),
                Err(reason) => {
                    // The value may hold a password.
                    self.faults.push(format!(
                        "REDIS_URL=…: {reason}; expected redis://[user:password@]host[:port][/database] or redis-sentinel://…"
                    ));
                    None
                }
            },
            (None, Some(host)) => {
                if host.contains(['/', '@', ' ']) || host.matches(':').count() == 1 {
                    self.fault("REDIS_HOST", &host, "a host name or address alone (the port is REDIS_PORT)");
                    return None;
                }
                Some(Address::host(&host, port))
            }
            (None, None) => None,
        }
    }

    fn log_level(&mut self) -> tracing::Level {
        let Some(value) = self.value("LOG_LEVEL") else { return tracing::Level::INFO };
        match value.to_ascii_lowercase().as_str() {
            "error" => tracing::Level::ERROR,
            "warn" => tracing::Level::WARN,
            "info" => tracing::Level::INFO,
            "debug" => tracing::Level::DEBUG,
            "trace" => tracing::Level::TRACE,
            _ => {
                self.fault("LOG_LEVEL", &value, "error, warn, info, debug or trace");
                tracing::Level::INFO
            }
        }
    }

    fn origins(&mut self) -> Origins {
        let Some(value) = self.value("ALLOWED_ORIGINS") else { return Origins::SameHost };
        let mut listed = Vec::new();
        for origin in value.split(',').map(str::trim).filter(|origin| !origin.is_empty()) {
            if origin == "*" {
                return Origins::Any;
            }
            let origin = origin.trim_end_matches('/').to_ascii_lowercase();
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '@', ' ', '*', '?', '#'])) {
                self.fault(
                    "ALLOWED_ORIGINS",
                    &origin,
                    "origins such as https://example.org, with commas between them, or *",
                );
            }
            listed.push(origin);
        }
        Origins::Listed(listed)
    }
}

fn is_server_id(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::read(move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()))
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let config =
            read(&[("HOSTNAME", "app1"), ("REDIS_HOST", ""), ("ALLOWED_ORIGINS", " ")]).expect("valid");
        assert_eq!((config.port, config.server_id.as_str()), (3001, "app1"));
        assert!(config.redis.is_none());
        assert_eq!(config.log_level, tracing::Level::INFO);
        assert_eq!(config.origins, Origins::SameHost);
        assert_eq!(
            (config.limits.frame_bytes, config.limits.doc_bytes, config.limits.rooms),
            (65536, 65536, 32)
        );
        assert_eq!((config.limits.commands_per_second, config.limits.command_burst), (40, 80));
    }

    #[test]
    fn what_is_set_is_honoured() {
        let config = read(&[
            ("SERVER_PORT", "3002"),
            ("SERVER_ID", "app2"),
            ("REDIS_HOST", "redis"),
            ("REDIS_PORT", "6380"),
            ("LOG_LEVEL", "DEBUG"),
            ("ALLOWED_ORIGINS", "https://One.example/, http://two.example:8080"),
            ("COMMANDS_PER_SECOND", "5"),
        ])
        .expect("valid");
        assert_eq!((config.port, config.server_id.as_str()), (3002, "app2"));
        assert_eq!(config.redis.expect("set").to_string(), "redis:6380");
        assert_eq!(config.log_level, tracing::Level::DEBUG);
        let listed = vec!["https://one.example".to_owned(), "http://two.example:8080".to_owned()];
        assert_eq!(config.origins, Origins::Listed(listed));
        assert_eq!(config.limits.commands_per_second, 5);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let error = read(&[
            ("SERVER_PORT", "99999"),
            ("SERVER_ID", "a b"),
            ("REDIS_PORT", "x"),
            ("REDIS_HOST", "redis:6379"),
            ("LOG_LEVEL", "loud"),
            ("ALLOWED_ORIGINS", "example.org"),
            ("MAX_ROOMS", "0"),
        ])
        .expect_err("seven faults");
        let expected = [
            "MAX_ROOMS=\"0\": expected a whole number from 1 to 1024",
            "SERVER_PORT=\"99999\": expected a whole number from 1 to 65535",
            "SERVER_ID=\"a b\": expected 1 to 64 of the characters A-Z a-z 0-9 _ . -",
            "REDIS_PORT=\"x\": expected a whole number from 1 to 65535",
            "REDIS_HOST=\"redis:6379\": expected a host name or address alone (the port is REDIS_PORT)",
            "LOG_LEVEL=\"loud\": expected error, warn, info, debug or trace",
            "ALLOWED_ORIGINS=\"example.org\": expected origins such as https://example.org, with commas between them, or *",
        ];
        assert_eq!(error.faults, expected);
    }

    #[test]
    fn a_redis_url_never_shows_its_password() {
        for url in
            ["rediss://u:secret@h", "redis-cluster://u:secret@h", "u:secret@h", "redis://u:secret@:x:y"]
        {
            let error = read(&[("REDIS_URL", url)]).expect_err("refused");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let config = read(&[("REDIS_URL", "redis://u:secret@cache:7000/2")]).expect("valid");
        let redis = config.redis.clone().expect("set");
        assert_eq!(redis.to_string(), "cache:7000");
        assert!(!format!("{config:?}").contains("secret"));
        let both = read(&[("REDIS_URL", "redis://h"), ("REDIS_HOST", "h")]).expect_err("contradiction");
        assert!(both.to_string().contains("REDIS_URL is set too"));
    }
}
