//! How the containers of a service are replaced while others of it serve.

use std::time::Duration;

/// `deploy.update_config` or `deploy.rollback_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateConfig {
    /// How many containers at a time; 0 is all of them.
    pub parallelism: u32,
    /// The time between the end of one and the begin of the next.
    pub delay: Duration,
    /// What follows when more fail than may.
    pub failure_action: FailureAction,
    /// How long a new container is watched; `None` where the file says nothing.
    pub monitor: Option<Duration>,
    /// The share of the containers that may fail, from 0 to 1.
    pub max_failure_ratio: f64,
    /// Which goes first.
    pub order: UpdateOrder,
}

impl UpdateConfig {
    /// How long a container without a health check is watched where the file says nothing, as
    /// Swarm has it.
    pub const MONITOR: Duration = Duration::from_secs(5);
}

impl Default for UpdateConfig {
    fn default() -> Self {
        Self {
            parallelism: 1,
            delay: Duration::ZERO,
            failure_action: FailureAction::Pause,
            monitor: None,
            max_failure_ratio: 0.0,
            order: UpdateOrder::StopFirst,
        }
    }
}

/// What follows when more containers fail than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    /// No further container is touched.
    Pause,
    /// The others are replaced all the same.
    Continue,
    /// Those that were replaced are put back.
    Rollback,
}

impl FailureAction {
    /// The Compose Specification's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Continue => "continue",
            Self::Rollback => "rollback",
        }
    }
}

/// Which goes first, the new container or the old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOrder {
    /// The old one stops before the new one starts.
    StopFirst,
    /// The new one is good before the old one stops.
    StartFirst,
}

impl UpdateOrder {
    /// The Compose Specification's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::StopFirst => "stop-first",
            Self::StartFirst => "start-first",
        }
    }
}
