//! What is known of a container that did not do what it should.

use std::time::Duration;

use time::OffsetDateTime;

/// What is known of a container that did not do what it should.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The name of the container.
    pub container: String,
    /// The Docker API's word for its state.
    pub state: String,
    /// The exit code of its last run, if that has ended.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
    /// How often the engine has started it again.
    pub restarts: u32,
    /// How long ago it was started last.
    pub started: Option<Duration>,
    /// How long its last run took, if that has ended.
    pub ran: Option<Duration>,
    /// Its health check: the command.
    pub probe: Vec<String>,
    /// The last probes, the latest last.
    pub probes: Vec<Probe>,
    /// Its memory limit, bytes.
    pub memory_limit: Option<u64>,
    /// The last lines of its log, those of standard error and of standard output each in order.
    pub log: Vec<Said>,
    /// How long it was waited for.
    pub waited: Option<Duration>,
}

impl Evidence {
    /// Whether the engine starts it again and again.
    #[must_use]
    pub fn loops(&self) -> bool {
        self.restarts > 1
    }
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it was written to standard error.
    pub stderr: bool,
    /// The line without its end, as it was written.
    pub text: String,
}

/// One run of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The exit code; 0 is healthy.
    pub exit_code: i64,
    /// The first lines of what it printed.
    pub output: String,
    /// When it began, UTC.
    pub at: Option<OffsetDateTime>,
}
