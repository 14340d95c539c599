//! Replacing the running containers of a service one after the other: what follows when a new
//! one is not good, and the way back.

use std::fmt;
use std::time::Duration;

use stack_file::model::{FailureAction, UpdateOrder};

use crate::address::Address;
use crate::plan::{Action, StepId};

/// The running containers of one service that are replaced one after the other.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// The service.
    pub service: String,
    /// Which goes first.
    pub order: UpdateOrder,
    /// Why the old one goes first, where the new one was to.
    pub reason: Option<String>,
    /// What follows when more fail than may.
    pub failure_action: FailureAction,
    /// The share of the replicas that may fail, from 0 to 1.
    pub max_failure_ratio: f64,
    /// The containers, in the order in which their turn comes.
    pub replicas: Vec<Replica>,
    /// How those that were replaced are put back.
    pub back: WayBack,
}

/// One container that another takes the place of.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its place.
    pub address: Address,
    /// The steps up to the one after which the new one serves and the old one does not.
    pub steps: Vec<StepId>,
    /// The steps after that, which nothing takes back: the old one is removed, the new one gets its name.
    pub settling: Vec<StepId>,
    /// What puts the old one back after the last of `steps`, in this order.
    pub back: Vec<Action>,
}

/// How containers that were replaced are put back: `deploy.rollback_config`.
#[derive(Clone, Debug)]
pub struct WayBack {
    /// How many at a time; 0 is all of them.
    pub parallelism: u32,
    /// The time between the end of one and the begin of the next.
    pub delay: Duration,
    /// Whether the others are put back after one failed for good.
    pub goes_on: bool,
    /// The share of the replicas that may fail, from 0 to 1.
    pub max_failure_ratio: f64,
}

impl Rollout {
    /// Whether the step is one of those that can be taken back.
    #[must_use]
    pub fn has(&self, step: StepId) -> bool {
        self.replicas.iter().any(|replica| replica.steps.contains(&step))
    }

    /// Whether so many failures are more than may be.
    #[must_use]
    pub fn is_too_many(&self, failed: usize) -> bool {
        exceeds(failed, self.replicas.len(), self.max_failure_ratio)
    }
}

impl WayBack {
    /// Whether the way ends after so many failures among so many replicas.
    #[must_use]
    pub fn ends_after(&self, failed: usize, replicas: usize) -> bool {
        !self.goes_on && exceeds(failed, replicas, self.max_failure_ratio)
    }
}

fn exceeds(failed: usize, of: usize, ratio: f64) -> bool {
    failed as f64 > ratio * of as f64
}

/// What follows a failure, and the way back of each replica.
impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.order.word())?;
        if let Some(reason) = &self.reason {
            write!(f, ", because {reason}")?;
        }
        write!(f, "; when more than {:.0} % fail: ", self.max_failure_ratio * 100.0)?;
        match self.failure_action {
            FailureAction::Continue => writeln!(f, "continue"),
            FailureAction::Pause => writeln!(f, "pause, those that are replaced stay so"),
            FailureAction::Rollback => {
                let pace = match self.back.parallelism {
                    0 => "all at once".to_owned(),
                    number => format!("{number} at a time"),
                };
                write!(f, "rollback, {pace}")?;
                if !self.back.delay.is_zero() {
                    write!(f, ", {:?} between them", self.back.delay)?;
                }
                if self.back.goes_on {
                    write!(f, ", whatever fails")?;
                }
                writeln!(f)?;
                for replica in &self.replicas {
                    let words: Vec<_> = replica.back.iter().map(Action::word).collect();
                    writeln!(f, "  {} back: {}", replica.address, words.join(", "))?;
                }
                Ok(())
            }
        }
    }
}
