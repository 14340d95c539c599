//! What an engine is to us: it can be looked at, told to do one thing, and listened to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use stack_plan::desired::Provided;
use stack_plan::observed::Observed;
use stack_plan::plan::{Action, HookEvent, NewContainer, StepId, Target};
use stack_plan::ports::HeldPort;
use stack_plan::swarm::Trouble;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::event::Progress;
use crate::evidence::Evidence;
use crate::exit;
use crate::image::build::BuildError;
use crate::image::pull::PullError;
use crate::provider::ProviderError;
use crate::refusal::{self, Refusal};

/// An engine: look, do, listen.
pub trait Engine {
    /// Looks at everything of one project.
    fn observe(&self, query: &Query) -> impl Future<Output = Result<Observed, EngineError>>;

    /// Does one thing, or waits for one.
    fn perform(&self, work: Work<'_>) -> impl Future<Output = Result<Outcome, Failure>>;

    /// Looks who has these ports of the host, protocol and number: containers of any project,
    /// and programs of the engine's host as far as they can be seen from here.
    fn held_ports(
        &self,
        ports: &BTreeSet<(String, u16)>,
    ) -> impl Future<Output = Result<Vec<HeldPort>, EngineError>>;

    /// Listens to what containers say: what is there already in the order of time, and what comes.
    fn follow(&self, selection: Selection) -> impl Stream<Item = Result<LogLine, EngineError>>;
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The project name.
    pub project: String,
    /// Image references to look up.
    pub images: Vec<String>,
    /// Those of them whose age matters.
    pub aging: Vec<String>,
    /// Names of networks that the project may use without owning them.
    pub networks: Vec<String>,
    /// Names of volumes that the project may use without owning them.
    pub volumes: Vec<String>,
    /// Also what the containers are set to now, whatever was recorded of them, where there are at
    /// most so many: it takes one call for each.
    pub actual: usize,
}

/// One thing to do.
pub struct Work<'a> {
    /// What.
    pub action: &'a Action,
    /// The ids of what earlier steps have made.
    pub ledger: &'a Ledger,
    /// When a wait gives up.
    pub deadline: Option<Deadline>,
    /// Told how it goes on.
    pub report: &'a dyn Fn(Progress),
}

/// When a wait gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// The time that was given, from the start of the plan.
    pub limit: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The id of what was made.
    pub made: Option<String>,
    /// The exit code of the container whose end was waited for.
    pub exit_code: Option<i64>,
    /// The variables that a provider has set.
    pub provided: Provided,
}

impl Outcome {
    /// Something was made.
    #[must_use]
    pub fn made(id: String) -> Self {
        Self { made: Some(id), ..Self::default() }
    }
}

/// The ids of what the steps of a plan have made so far.
#[derive(Debug, Default)]
pub struct Ledger {
    ids: RefCell<HashMap<StepId, String>>,
}

impl Ledger {
    /// Writes down what a step has made.
    pub fn enter(&self, step: StepId, id: String) {
        self.ids.borrow_mut().insert(step, id);
    }

    /// The id behind a target.
    ///
    /// # Errors
    /// When the step that should have made it has made nothing.
    pub fn resolve(&self, target: &Target) -> Result<String, EngineError> {
        match target {
            Target::Known(id) => Ok(id.clone()),
            Target::Made(step) => self.ids.borrow().get(step).cloned().ok_or(EngineError::NotMade(*step)),
        }
    }

    /// The ids of the containers that lend to a new one, by service.
    ///
    /// # Errors
    /// When the step that should have made one of them has made nothing.
    pub fn lenders(&self, new: &NewContainer) -> Result<BTreeMap<String, String>, EngineError> {
        let lenders = new.lenders.iter();
        lenders.map(|(service, target)| Ok((service.clone(), self.resolve(target)?))).collect()
    }
}

/// Which logs to listen to.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The containers that are there.
    pub containers: Vec<LogSource>,
    /// Also containers of this project that start later, or start again, each from its start.
    pub project: Option<String>,
    /// Only the last lines of each container.
    pub tail: Option<u64>,
    /// Only lines since then.
    pub since: Option<OffsetDateTime>,
    /// Only lines until then.
    pub until: Option<OffsetDateTime>,
}

/// A container whose logs are listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSource {
    /// The engine's id.
    pub id: String,
    /// Its service.
    pub service: String,
    /// Its number within the service.
    pub number: u32,
}

/// One line of a log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Who said it.
    pub source: LogSource,
    /// Where it was written.
    pub channel: Channel,
    /// When, if the engine knows.
    pub at: Option<OffsetDateTime>,
    /// The line without its end.
    pub text: Bytes,
}

/// One line of a log that is read to its end.
#[derive(Clone, Copy, Debug)]
pub struct LineRef<'a> {
    /// Who said it.
    pub source: &'a LogSource,
    /// Where it was written.
    pub channel: Channel,
    /// When, in nanoseconds since 1970, if the engine was asked.
    pub nanoseconds: Option<i64>,
    /// The line without its end.
    pub text: &'a [u8],
}

impl LogLine {
    /// The line, borrowed.
    #[must_use]
    pub fn as_line_ref(&self) -> LineRef<'_> {
        let nanoseconds = self.at.and_then(|at| i64::try_from(at.unix_timestamp_nanos()).ok());
        LineRef { source: &self.source, channel: self.channel, nanoseconds, text: &self.text }
    }
}

/// Where a line was written, or what else there is to say about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere: the container has ended with this exit code. The text is empty.
    Exit(i64),
}

/// A step that failed, and what the engine knows about it.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: EngineError,
    /// What is known of the container.
    pub evidence: Option<Box<Evidence>>,
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { error, evidence: None }
    }
}

/// What went wrong with the engine, or on it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine refused. It is told in our words where they are known, see [`EngineError::refusal`].
    #[error("{}", in_words(message))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The engine does not answer any more.
    #[error("the engine does not answer: {0}")]
    Lost(String),
    /// An image that is needed is not there.
    #[error("there is no image {reference}")]
    NoImage {
        /// The image.
        reference: String,
    },
    /// A host port is taken.
    #[error("port {port} is in use{}", holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default())]
    PortInUse {
        /// The port of the host.
        port: String,
        /// Who holds it, if it is a container.
        holder: Option<String>,
    },
    /// A name, a subnet or an address has an owner already.
    #[error("{what} is taken{}", by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default())]
    Taken {
        /// What is taken.
        what: Taken,
        /// Who has it, if that can be seen.
        by: Option<String>,
        /// The engine's words.
        message: String,
    },
    /// What is to be removed is used by others: it stays.
    #[error("in use{}", if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) })]
    InUse {
        /// The names of the containers that use it, as far as the engine tells.
        by: Vec<String>,
    },
    /// A container is not in the state that is waited for.
    #[error("{0}")]
    NotReady(NotReady),
    /// The tasks of a swarm's service are not as they are to be.
    #[error("{0}")]
    Tasks(Box<TasksFailure>),
    /// What was looked at is not what is there now.
    #[error("somebody else has changed it meanwhile")]
    ChangedMeanwhile,
    /// A build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A pull failed.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// A hook ended with another exit code than 0.
    #[error("its {} hook ended with exit code {code}", word(*event))]
    Hook {
        /// When it ran.
        event: HookEvent,
        /// The exit code.
        code: i64,
        /// The last lines that it wrote.
        output: Vec<String>,
    },
    /// A provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// An earlier step should have made what this one needs.
    #[error("step {0} has made nothing")]
    NotMade(StepId),
    /// The engine does not have what the file asks for.
    #[error("{0}")]
    Unsupported(String),
}

impl EngineError {
    /// What to do next, one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoImage { .. } => {
                Some("build it with: stackctl build, or pull it with: docker pull".to_owned())
            }
            Self::PortInUse { holder: Some(holder), .. } => {
                Some(format!("stop it with: docker stop {holder}, or publish another port in the file"))
            }
            Self::PortInUse { .. } => {
                Some("stop the program that listens there, or publish another port in the file".to_owned())
            }
            Self::Build(error) => error.hint(),
            Self::Pull(error) => error.hint(),
            Self::Provider(error) => error.hint(),
            Self::Hook { event: HookEvent::PostStart, .. } => Some(
                "the container was stopped; its next start, as by `stackctl up`, runs the hook again"
                    .to_owned(),
            ),
            Self::Hook { event: HookEvent::PreStop, .. } => Some(
                "the container was left running; correct the hook, or stop it with: docker stop".to_owned(),
            ),
            Self::Lost(_) => {
                Some("see whether the engine runs; `stackctl up` goes on where this stopped".to_owned())
            }
            Self::Refused { status: 507, .. } => Some("free space on the engine's disk".to_owned()),
            Self::Taken { what, by, .. } => Some(what.next(by.as_deref())),
            Self::NotReady(why) => why.hint(),
            Self::Tasks(why) => why.hint(),
            Self::ChangedMeanwhile => Some("run the same command again".to_owned()),
            Self::Refused { .. } => self.refusal().map(|known| known.next.to_owned()),
            _ => None,
        }
    }

    /// Of which kind it is, in one word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Lost(_) => "lost",
            Self::NoImage { .. } => "no_image",
            Self::PortInUse { .. } => "port_in_use",
            Self::Taken { .. } => "taken",
            Self::InUse { .. } => "in_use",
            Self::NotReady(NotReady::Unhealthy { .. }) => "unhealthy",
            Self::NotReady(NotReady::Exited { .. }) => "exited",
            Self::NotReady(NotReady::OutOfMemory { .. }) => "out_of_memory",
            Self::NotReady(NotReady::Loops { .. }) => "loops",
            Self::NotReady(NotReady::NoHealthcheck) => "no_healthcheck",
            Self::NotReady(NotReady::Gone) => "gone",
            Self::NotReady(NotReady::TimedOut { .. }) => "timed_out",
            Self::Tasks(why) => why.kind(),
            Self::ChangedMeanwhile => "changed_meanwhile",
            Self::Build(_) => "build",
            Self::Pull(_) => "pull",
            Self::Hook { .. } => "hook",
            Self::Provider(_) => "provider",
            Self::NotMade(_) => "not_made",
            Self::Unsupported(_) => "unsupported",
        }
    }

    /// What the engine's refusal means, where that is known.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { message, .. } | Self::Pull(PullError::Other(message)) => refusal::known(message),
            _ => None,
        }
    }

    /// The engine's own words, where ours stand in their place.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Taken { message, .. } => Some(message),
            Self::Refused { message, .. } | Self::Pull(PullError::Other(message)) => {
                self.refusal().is_some().then_some(message)
            }
            _ => None,
        }
    }
}

fn in_words(message: &str) -> String {
    refusal::known(message).map_or_else(|| message.to_owned(), |known| known.cause)
}

/// What only one can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The name of a container.
    Name(String),
    /// A range of addresses.
    Subnet {
        /// What is asked for, as `10.0.0.0/24`.
        wanted: String,
        /// The range of the network that has it.
        theirs: Option<String>,
    },
    /// An address in a network.
    Address(String),
}

impl Taken {
    fn next(&self, by: Option<&str>) -> String {
        match (self, by) {
            (Self::Name(name), _) => {
                format!("remove it with: docker rm -f {name}, or take another container_name")
            }
            (Self::Subnet { .. }, Some(by)) => {
                format!("take another subnet, or remove that network with: docker network rm {by}")
            }
            (Self::Subnet { .. }, None) => {
                "take another subnet: a network of the engine or of its machine has this one".to_owned()
            }
            (Self::Address(_), _) => "take another address, or leave it to the engine".to_owned(),
        }
    }
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the container name {name}"),
            Self::Subnet { wanted, theirs: None } => write!(f, "the subnet {wanted}"),
            Self::Subnet { wanted, theirs: Some(theirs) } => {
                write!(f, "the subnet {wanted} overlaps with {theirs}, which")
            }
            Self::Address(address) => write!(f, "the address {address}"),
        }
    }
}

/// The attribute of a hook.
fn word(event: HookEvent) -> &'static str {
    match event {
        HookEvent::PostStart => "post_start",
        HookEvent::PreStop => "pre_stop",
    }
}

/// Why a container is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// The engine calls it unhealthy.
    Unhealthy {
        /// Probes that failed in a row.
        probes: u32,
        /// Since its start.
        after: Duration,
    },
    /// It has ended.
    Exited {
        /// The exit code.
        code: i64,
    },
    /// The kernel killed it for want of memory.
    OutOfMemory {
        /// Its memory limit, bytes; `None` when the machine had no more.
        limit: Option<u64>,
    },
    /// It ends again and again, and the engine starts it again.
    Loops {
        /// How often it was started again.
        restarts: u32,
        /// The exit code of the last run.
        code: i64,
    },
    /// It has no health check to wait for.
    NoHealthcheck,
    /// Somebody removed it.
    Gone,
    /// It was not ready in time.
    TimedOut {
        /// The time that was given.
        limit: Duration,
    },
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unhealthy { probes, after } => {
                let plural = if *probes == 1 { "" } else { "s" };
                write!(f, "unhealthy after {probes} failed probe{plural} in {:.1} s", after.as_secs_f64())
            }
            Self::Exited { code: 0 } => f.write_str("ended, with exit code 0, before it was ready"),
            Self::Exited { code } => write!(f, "ended with {}", coded(*code)),
            Self::OutOfMemory { limit: Some(limit) } => {
                write!(f, "out of memory: killed at its limit of {} (exit code 137)", mebibytes(*limit))
            }
            Self::OutOfMemory { limit: None } => {
                f.write_str("out of memory: killed because the machine had no more (exit code 137)")
            }
            Self::Loops { restarts, code } => {
                write!(f, "ends again and again: {restarts} restarts so far, last with {}", coded(*code))
            }
            Self::NoHealthcheck => f.write_str("has no health check, so it can never be healthy"),
            Self::Gone => f.write_str("was removed meanwhile"),
            Self::TimedOut { limit } => write!(f, "not ready within {} s", limit.as_secs()),
        }
    }
}

impl NotReady {
    /// What to do next, where the reason alone says it.
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoHealthcheck => "give it a healthcheck, or wait for it with: condition: service_started",
            Self::OutOfMemory { limit: Some(_) } => "raise its memory limit, or let the program use less",
            Self::OutOfMemory { limit: None } => "give the machine more memory, or let the program use less",
            Self::Exited { code: 126 | 127 } => "correct the command or the entrypoint",
            Self::Gone => "start it again with: stackctl up",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Why the tasks of a swarm's service are not as they are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TasksFailure {
    /// What came of them.
    pub trouble: Trouble,
    /// The exit code of the task that tells most, if it ever ran.
    pub code: Option<i64>,
    /// Whether its health check failed.
    pub unhealthy: bool,
    /// Whether it has a health check, which may have failed where nobody can see it.
    pub checked: bool,
    /// What the swarm says of that task.
    pub error: String,
    /// What the swarm says of its change of the service.
    pub update: String,
}

impl TasksFailure {
    /// What became of the task that tells most.
    fn task(&self) -> String {
        if self.unhealthy {
            return "failed its health check".to_owned();
        }
        match self.code {
            Some(0) if self.checked => "ended with exit code 0, or failed its health check".to_owned(),
            Some(code) => format!("ended with {}", coded(code)),
            None if self.error.is_empty() => "did not run in time".to_owned(),
            None => format!("could not be started: {}", in_words(&self.error)),
        }
    }

    /// What to do next, where the reason alone says it.
    fn hint(&self) -> Option<String> {
        let text = match &self.trouble {
            Trouble::NoNode { .. } => {
                "add a node that fits, or ask for less in deploy.placement and deploy.resources; see them with: docker node ls"
            }
            Trouble::Paused => "correct the file and run `stackctl up` again, which goes on with the change",
            Trouble::RollbackPaused => "correct the file and run `stackctl up` again",
            _ if matches!(self.code, Some(126 | 127)) => "correct the command or the entrypoint",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Of which kind it is, in one word for programs.
    fn kind(&self) -> &'static str {
        match &self.trouble {
            Trouble::RolledBack => "rolled_back",
            Trouble::Paused => "paused",
            Trouble::RollbackPaused => "rollback_paused",
            Trouble::Loops { .. } => "loops",
            Trouble::NoNode { .. } => "no_node",
            Trouble::Ended { .. } if self.unhealthy => "unhealthy",
            Trouble::Ended { code: Some(_), .. } => "exited",
            Trouble::Ended { code: None, .. } => "rejected",
        }
    }
}

impl std::fmt::Display for TasksFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let task = self.task();
        match &self.trouble {
            Trouble::RolledBack => {
                write!(f, "a new task {task}; the swarm has put back what was there before")
            }
            Trouble::Paused => {
                write!(
                    f,
                    "a new task {task}; the swarm has stopped replacing tasks, those of before serve on"
                )
            }
            Trouble::RollbackPaused => {
                write!(f, "a task {task} on the way back to what was there before, and the swarm has stopped")
            }
            Trouble::Ended { .. } => write!(f, "a task {task}"),
            Trouble::Loops { times, .. } => {
                write!(f, "its tasks end again and again: {times} so far, and the last one {task}")
            }
            Trouble::NoNode { .. } => {
                let why = self.error.strip_prefix("no suitable node ").unwrap_or(&self.error);
                write!(f, "no node fits it: {}", why.trim_start_matches('(').trim_end_matches(')'))
            }
        }
    }
}

/// An exit code with its meaning.
fn coded(code: i64) -> String {
    match exit::meaning(code) {
        Some(meaning) => format!("exit code {code}: {meaning}"),
        None => format!("exit code {code}"),
    }
}

/// Bytes in the unit of memory limits.
fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        whole => format!("{whole} MiB"),
    }
}
