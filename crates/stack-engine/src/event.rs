//! What happens while a plan runs, as typed events: the only bridge between
//! the doer and the teller.

use std::sync::Arc;
use std::time::Duration;

use stack_plan::desired::Provided;
use stack_plan::plan::{Plan, StepId};
use time::OffsetDateTime;

use crate::engine::Failure;
use crate::image::build::BuildProgress;
use crate::image::pull::PullProgress;

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, UTC.
    pub at: OffsetDateTime,
    /// The step it is about, of the plan announced last.
    pub step: Option<StepId>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A plan is about to run.
    PlanReady(Arc<Plan>),
    /// The step was begun.
    StepStarted,
    /// The step goes on.
    Progress(Progress),
    /// The step is done.
    StepDone,
    /// The step failed.
    StepFailed {
        /// Why.
        failure: Arc<Failure>,
        /// Whether it is no failure of the run: what comes after goes on all the same.
        tolerated: bool,
    },
    /// The step was not begun, because that one failed.
    StepSkipped {
        /// The step that failed first.
        because: StepId,
    },
    /// What the steps of the resource had done was taken back.
    RolledBack,
    /// What the steps of the resource had done could not be taken back, or not all of it.
    TakeBackFailed {
        /// Why.
        failure: Arc<Failure>,
    },
    /// The plan has run.
    Finished(Summary),
}

/// How a step goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A build.
    Build(BuildProgress),
    /// A pull or a push.
    Pull(PullProgress),
    /// The engine does it, and has something to say about it.
    Warning(String),
    /// A wait: what the container is doing meanwhile.
    Waiting(Waiting),
    /// A line that a hook has written.
    Hook(String),
    /// What a provider says of its work.
    Provider(String),
}

/// What a container that is waited for is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// So many probes have failed so far.
    Probed {
        /// Failed probes of ours, in a row.
        failures: u32,
        /// Failed probes that the engine has counted in a row, and how many make it unhealthy;
        /// `None` as long as it has counted none.
        counted: Option<(u32, u32)>,
        /// The last line that the latest wrote, or its exit code.
        last: String,
    },
    /// It has ended and the engine starts it again.
    Restarting {
        /// The exit code of the last run.
        exit_code: i64,
    },
    /// So many tasks of a swarm's service are as they are to be.
    Tasks {
        /// So many.
        ready: u64,
        /// Of so many.
        of: u64,
        /// What one of the others does, or why it does not run.
        doing: String,
    },
    /// So many tasks of a service that was removed have not ended.
    TasksEnding {
        /// So many.
        left: usize,
    },
    /// It has got its stop signal and still runs.
    Stopping {
        /// The signal, as `SIGTERM`.
        signal: String,
        /// How long it has had it.
        since: Duration,
        /// The time after which it is killed; `None` is never.
        grace: Option<Duration>,
    },
}

/// How a plan ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps done.
    pub done: usize,
    /// Steps that failed, in the order of failing; tolerated failures are not among them.
    pub failed: Vec<StepId>,
    /// The exit codes of the containers whose end was waited for, in the order of ending.
    pub ended: Vec<(StepId, i64)>,
    /// Steps not begun because an earlier one failed.
    pub skipped: Vec<StepId>,
    /// Failed steps of a new version after which the old one serves again.
    pub rolled_back: Vec<StepId>,
    /// Failed steps that would have changed what somebody else has changed since it was looked at.
    pub stale: Vec<StepId>,
    /// How long it took.
    pub took: Duration,
    /// The variables that providers have set.
    pub provided: Provided,
}

impl Summary {
    /// Whether everything was done.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }

    /// Whether nothing failed but new versions, in whose place the old ones serve again.
    #[must_use]
    pub fn is_rolled_back(&self) -> bool {
        !self.failed.is_empty() && self.failed.iter().all(|failed| self.rolled_back.contains(failed))
    }
}
