//! The environment, read once at the start: every fault is reported, not only the first.

mod reader;

use std::fmt;
use std::time::Duration;

use self::reader::Reader;
use crate::store::redis::Address;
use crate::store::{History, Lease};

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
    /// `AUTH_SECRET`: what tokens are signed with; without it, clients are guests.
    pub auth_secret: Option<Secret>,
    /// `API_KEY`: opens the server-side API, which is off without it.
    pub api_key: Option<Secret>,
    /// How much a client may do.
    pub limits: Limits,
    /// How long things may take.
    pub timing: Timing,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A setting as `server --help` shows it: name, default, meaning.
pub type Setting = (&'static str, &'static str, &'static str);

/// Every variable that is read.
pub const SETTINGS: [Setting; 33] = [
    ("SERVER_PORT", "3001", "port to listen on"),
    ("SERVER_ID", "host name", "name of this instance"),
    ("REDIS_HOST", "", "host of Redis; without it, rooms live in this process alone"),
    ("REDIS_PORT", "6379", "port of Redis"),
    (
        "REDIS_URL",
        "",
        "instead of both: redis://[user:password@]host[:port][/database], \
         redis-sentinel://host:port?sentinelServiceName=NAME&node=host:port, or \
         redis-cluster://host:port?node=host:port",
    ),
    ("LOG_LEVEL", "info", "error, warn, info, debug or trace"),
    ("ALLOWED_ORIGINS", "same host", "pages that may connect: origins with commas between, or *"),
    ("AUTH_SECRET", "", "secret of the tokens (HS256), 32 bytes or more; without it, clients are guests"),
    ("API_KEY", "", "key of the server-side API, 16 characters or more; without it, the API is off"),
    ("MAX_FRAME_BYTES", "65536", "longest frame of a client"),
    ("MAX_DOC_BYTES", "65536", "longest document"),
    ("MAX_INFO_BYTES", "1024", "longest info of a member"),
    ("MAX_JSON_DEPTH", "64", "how deep frames may be nested"),
    ("MAX_ROOMS", "32", "rooms that one connection may be in"),
    ("MAX_MEMBERS_LISTED", "256", "members that are listed; beyond, they are only counted"),
    ("MAX_CONNECTIONS", "20000", "connections of this instance"),
    ("MAX_USER_CONNECTIONS", "50", "connections of one user to this instance"),
    ("MAX_QUEUE_FRAMES", "512", "frames that may wait for a slow client"),
    ("MAX_QUEUE_BYTES", "1048576", "bytes that may wait for a slow client"),
    ("MAX_STRIKES", "100", "refused commands after which a client is closed"),
    ("CONNECTS_PER_SECOND", "500", "new connections; ten seconds' worth may come at once"),
    ("COMMANDS_PER_SECOND", "40", "commands of one connection"),
    ("COMMAND_BURST", "80", "commands that one connection may send at once"),
    ("CASTS_PER_SECOND", "40", "casts of one connection; twice as many may come at once"),
    ("HISTORY_EVENTS", "256", "events kept of each room, about"),
    ("HISTORY_SECONDS", "600", "how long they are kept after the last one"),
    ("HELLO_SECONDS", "10", "from the upgrade to hello, and for the header of a request"),
    ("PING_SECONDS", "25", "between pings of a quiet connection"),
    ("PONG_SECONDS", "10", "from a ping to any sign of life"),
    ("WRITE_SECONDS", "10", "for one write to a client"),
    ("LEASE_SECONDS", "30", "until members of a lost instance are gone"),
    ("STORE_PATIENCE_SECONDS", "30", "without Redis until clients are sent elsewhere"),
    ("DRAIN_SECONDS", "20", "from SIGTERM to the end, whatever is left"),
];

/// Enough for a moment in which many rooms are busy.
const NOTICES: usize = 16_384;

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
    /// `MAX_INFO_BYTES`: the longest `info` of a member, in bytes of JSON.
    pub info_bytes: usize,
    /// `MAX_JSON_DEPTH`: how deep a frame may be nested.
    pub depth: usize,
    /// `MAX_ROOMS`: rooms that one connection may be in.
    pub rooms: usize,
    /// `MAX_MEMBERS_LISTED`: members that are listed.
    pub members: usize,
    /// `MAX_CONNECTIONS`: connections of this instance.
    pub connections: usize,
    /// `MAX_USER_CONNECTIONS`: connections of one user to this instance.
    pub user_connections: usize,
    /// `MAX_QUEUE_FRAMES`: frames that may wait for one connection.
    pub queue_frames: usize,
    /// `MAX_QUEUE_BYTES`: bytes that may wait for one connection.
    pub queue_bytes: usize,
    /// `MAX_STRIKES`: refused commands after which a connection is closed.
    pub strikes: u32,
    /// `CONNECTS_PER_SECOND`: new connections; ten seconds' worth may come at once. An instance
    /// that drains sends away as many each second, and the others have to take them.
    pub connects_per_second: u32,
    /// `COMMANDS_PER_SECOND`: commands of one connection.
    pub commands_per_second: u32,
    /// `COMMAND_BURST`: commands that one connection may send at once.
    pub command_burst: u32,
    /// `CASTS_PER_SECOND`: casts of one connection; twice as many may come at once.
    pub casts_per_second: u32,
    /// `HISTORY_EVENTS` and `HISTORY_SECONDS`: what is kept of each room.
    pub history: History,
    /// Notices of Redis that may wait before every room is looked at again instead.
    pub notices: usize,
}

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Timing {
    /// `HELLO_SECONDS`: from the upgrade to the client's `hello`.
    pub hello: Duration,
    /// `PING_SECONDS`: between two pings of a quiet connection, ±10 %.
    pub ping: Duration,
    /// `PONG_SECONDS`: from a ping to any sign of life.
    pub pong: Duration,
    /// `WRITE_SECONDS`: one write to a connection.
    pub write: Duration,
    /// Between two checks of the positions of all rooms.
    pub check: Duration,
    /// `LEASE_SECONDS`: from an instance's last sign of life to the end of its members.
    pub lease: Duration,
    /// Between two signs of life of an instance for its members; a third of the lease.
    pub keep: Duration,
    /// Between two looks for members that are gone without a word.
    pub sweep: Duration,
    /// `STORE_PATIENCE_SECONDS`: without the store until clients are sent elsewhere.
    pub store_patience: Duration,
    /// From SIGTERM to the first `drain`.
    pub drain_wait: Duration,
    /// Over which closing many connections is spread.
    pub drain_spread: Duration,
    /// `DRAIN_SECONDS`: from SIGTERM to the end, whatever is left.
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

impl Limits {
    pub(crate) fn lease(&self, timing: &Timing) -> Lease {
        Lease { time: timing.lease, listed: self.members }
    }
}

impl Config {
    /// Reads the variables that `lookup` gives; an empty one counts as not set.
    ///
    /// # Errors
    /// All the faults at once.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(lookup);
        let limits = Limits {
            frame_bytes: reader.number("MAX_FRAME_BYTES", 1024, 1024 * 1024),
            doc_bytes: reader.number("MAX_DOC_BYTES", 2, 1024 * 1024),
            info_bytes: reader.number("MAX_INFO_BYTES", 2, 64 * 1024),
            depth: reader.number("MAX_JSON_DEPTH", 4, 120),
            rooms: reader.number("MAX_ROOMS", 1, 1024),
            members: reader.number("MAX_MEMBERS_LISTED", 1, 4096),
            connections: reader.number("MAX_CONNECTIONS", 1, 1_000_000),
            user_connections: reader.number("MAX_USER_CONNECTIONS", 1, 1_000_000),
            queue_frames: reader.number("MAX_QUEUE_FRAMES", 16, 1_000_000),
            queue_bytes: reader.number("MAX_QUEUE_BYTES", 1024, 1024 * 1024 * 1024),
            strikes: reader.number("MAX_STRIKES", 1, 1_000_000),
            connects_per_second: reader.number("CONNECTS_PER_SECOND", 1, 1_000_000),
            commands_per_second: reader.number("COMMANDS_PER_SECOND", 1, 1_000_000),
            command_burst: reader.number("COMMAND_BURST", 1, 1_000_000),
            casts_per_second: reader.number("CASTS_PER_SECOND", 1, 1_000_000),
            history: History {
                events: reader.number("HISTORY_EVENTS", 1, 10_000),
                time: reader.seconds("HISTORY_SECONDS", 86_400),
            },
            notices: NOTICES,
        };
        let lease = reader.seconds("LEASE_SECONDS", 3600);
        let timing = Timing {
            hello: reader.seconds("HELLO_SECONDS", 3600),
            ping: reader.seconds("PING_SECONDS", 3600),
            pong: reader.seconds("PONG_SECONDS", 3600),
            write: reader.seconds("WRITE_SECONDS", 3600),
            check: Duration::from_secs(15),
            lease,
            keep: lease / 3,
            sweep: (lease / 6).min(Duration::from_secs(5)),
            store_patience: reader.seconds("STORE_PATIENCE_SECONDS", 86_400),
            drain_wait: Duration::from_secs(2),
            drain_spread: Duration::from_secs(7),
            drain_cap: reader.seconds("DRAIN_SECONDS", 3600),
        };
        let config = Self {
            port: reader.number("SERVER_PORT", 1, u16::MAX),
            server_id: reader.server_id(),
            redis: reader.redis(),
            log_level: reader.log_level(),
            origins: reader.origins(),
            auth_secret: reader.secret("AUTH_SECRET", 32),
            api_key: reader.secret("API_KEY", 16),
            limits,
            timing,
        };
        if reader.faults.is_empty() { Ok(config) } else { Err(ConfigError { faults: reader.faults }) }
    }

    /// Reads only `SERVER_PORT`, which is all that a health check needs.
    ///
    /// # Errors
    /// If it is no port.
    pub fn read_port(lookup: impl Fn(&str) -> Option<String>) -> Result<u16, ConfigError> {
        let mut reader = Reader::new(lookup);
        let port = reader.number("SERVER_PORT", 1, u16::MAX);
        if reader.faults.is_empty() { Ok(port) } else { Err(ConfigError { faults: reader.faults }) }
    }
}

#[cfg(test)]
mod tests;
