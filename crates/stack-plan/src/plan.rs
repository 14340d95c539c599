//! A plan: what will be done, in which order, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use stack_file::model::{FileKind, Hook};
use stack_file::source::Origin;

use crate::address::Address;
use crate::desired::{
    FileSpec, ImageSpec, Joined, ModelSpec, NetworkSpec, ProviderSpec, ServiceSpec, VolumeSpec,
};
use crate::fields::FieldChange;
use crate::labels;
use crate::rollout::Rollout;
use crate::shortfall::Shortfall;
use crate::swarm::{ObjectSpec, SwarmService};

/// What will be done to one project.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The project name.
    pub project: String,
    /// The steps; each comes after all the steps it waits for.
    pub steps: Vec<Step>,
    /// The resources that are as wanted.
    pub unchanged: Vec<Address>,
    /// What a person should know, one sentence each.
    pub warnings: Vec<String>,
    /// What the file asks for and the engine is too old for, of all that is made.
    pub shortfalls: Vec<Shortfall>,
    /// The services of which running containers are replaced one after the other.
    pub rollouts: Vec<Rollout>,
    /// What keeps the plan from being carried out: nothing is begun while there is any.
    pub obstacles: Vec<Obstacle>,
}

/// Something that has to be there, or to be otherwise, before a plan can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The resource it is about.
    pub address: Address,
    /// What is in the way, one fragment.
    pub what: String,
    /// What to do about it.
    pub next: String,
    /// Where the file asks for it.
    pub origin: Origin,
}

/// Names a step of one plan, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One engine call, or one wait.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name within the plan.
    pub id: StepId,
    /// The resource it is about.
    pub address: Address,
    /// What is done.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// The steps that must be done first. When one fails, this one is skipped.
    pub after: Vec<StepId>,
    /// The steps that must have ended first, well or not: what an optional dependency needs.
    pub after_any: Vec<StepId>,
    /// What all steps of this resource together do.
    pub group: Change,
    /// What could be lost.
    pub risk: Risk,
    /// What takes the step back, in this order, as long as every step done so far in its group has an undo.
    pub undo: Vec<Action>,
}

/// What the steps of one resource together do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It is made, and started if it is a container.
    Create,
    /// Another takes its place.
    Replace,
    /// It is changed where it is, and goes on.
    Mend,
    /// A service of a swarm is changed; the swarm replaces its tasks where they have to be others.
    Update,
    /// A service of a swarm goes back to what it was before its last change.
    Rollback,
    /// It is started.
    Start,
    /// It is stopped and started.
    Restart,
    /// It is stopped.
    Stop,
    /// It gets a signal.
    Kill,
    /// It is frozen.
    Pause,
    /// It goes on after it was frozen.
    Unpause,
    /// It is removed.
    Remove,
    /// An image is pulled.
    Pull,
    /// An image is pushed.
    Push,
    /// An image goes to another node.
    Ship,
    /// An image is built.
    Build,
    /// Nothing is done to it; something waits for it.
    Await,
    /// Another program sees to it that it is there, as it always does; whether that changes
    /// anything, only the program knows.
    Provide,
}

/// One call to the engine, or one wait.
#[derive(Clone, Debug)]
pub enum Action {
    /// Makes a network.
    CreateNetwork(Arc<NetworkSpec>),
    /// Makes a volume.
    CreateVolume(Arc<VolumeSpec>),
    /// Makes a container, without starting it.
    CreateContainer(Box<NewContainer>),
    /// Starts a container.
    Start(Target),
    /// Stops a container: its stop signal, and the kill after `grace`.
    Stop {
        /// The container.
        target: Target,
        /// `None` leaves it to the container's own setting, else the engine's 10 s.
        grace: Option<Duration>,
    },
    /// Sends a signal to a container.
    Kill {
        /// The container.
        target: Target,
        /// A name as `SIGHUP` or `HUP`, or a number: the engine knows which there are.
        signal: String,
    },
    /// Freezes a container.
    Pause(Target),
    /// Lets a frozen container go on.
    Unpause(Target),
    /// Removes a container that does not run.
    RemoveContainer {
        /// The container.
        target: Target,
        /// Whether its anonymous volumes go with it.
        volumes: bool,
    },
    /// Removes a network, by id.
    RemoveNetwork(String),
    /// Removes a volume, by name.
    RemoveVolume(String),
    /// Removes an image, by reference.
    RemoveImage(String),
    /// Renames a container.
    Rename {
        /// The container.
        target: Target,
        /// The new name.
        to: String,
    },
    /// Detaches a container from a network.
    Disconnect {
        /// The container.
        target: Target,
        /// The network's name.
        network: String,
    },
    /// Attaches a container to a further network.
    Connect {
        /// The container.
        target: Target,
        /// The network, and how it is joined.
        network: Box<Joined>,
    },
    /// Puts configs and secrets into a container.
    Upload {
        /// The container.
        target: Target,
        /// The directory under which they are put: `/`, or one of the container's volumes.
        directory: String,
        /// The files.
        files: Vec<Arc<FileSpec>>,
    },
    /// Runs a hook in a container that runs.
    Run {
        /// The container.
        target: Target,
        /// When it runs.
        event: HookEvent,
        /// The command.
        hook: Arc<Hook>,
    },
    /// Lets another program make a service, or take it down.
    Provide {
        /// The service and the program.
        spec: Arc<ProviderSpec>,
        /// What the program is asked for.
        command: ProviderCommand,
    },
    /// Lets the program of AI models fetch one and say where it is.
    ProvideModel(Arc<ModelSpec>),
    /// Pulls an image.
    Pull(Arc<ImageSpec>),
    /// Pushes an image.
    Push(Arc<ImageSpec>),
    /// Builds an image.
    Build(Arc<ImageSpec>),
    /// Brings an image of the node that is asked to another one.
    Ship {
        /// The image as the file names it.
        reference: String,
        /// Its id.
        image: String,
        /// The id of the node.
        node: String,
        /// The name of the node.
        name: String,
    },
    /// Makes a service of a swarm.
    CreateService(Arc<SwarmService>),
    /// Changes a service of a swarm.
    UpdateService {
        /// The service, by id.
        id: String,
        /// The version that was looked at: the swarm refuses the change of another.
        version: u64,
        /// Another number than before replaces all tasks.
        force_update: u64,
        /// What it is to be.
        spec: Arc<SwarmService>,
    },
    /// Replaces the tasks of a service of a swarm by equal ones.
    RestartService(String),
    /// Takes a service of a swarm back to what it was before its last change.
    RollbackService(String),
    /// Removes a service of a swarm, by id.
    RemoveService(String),
    /// Makes a config or secret of a swarm.
    CreateObject(Arc<ObjectSpec>),
    /// Removes a config or secret of a swarm.
    RemoveObject {
        /// Which of both.
        kind: FileKind,
        /// Its id.
        id: String,
    },
    /// Lets some time pass.
    Delay(Duration),
    /// Waits until a container is in a state.
    Await {
        /// The container.
        target: Target,
        /// The state.
        condition: Condition,
        /// Whether it is a failure when the state is not reached; else what comes after goes on.
        required: bool,
    },
}

impl Action {
    /// One word for it: `create`, `await healthy`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::CreateNetwork(_)
            | Self::CreateVolume(_)
            | Self::CreateContainer(_)
            | Self::CreateService(_)
            | Self::CreateObject(_) => "create",
            Self::UpdateService { .. } => "update",
            Self::RestartService(_) => "restart",
            Self::RollbackService(_) => "roll back",
            Self::Start(_) => "start",
            Self::Stop { .. } => "stop",
            Self::Kill { .. } => "kill",
            Self::Pause(_) => "pause",
            Self::Unpause(_) => "unpause",
            Self::RemoveContainer { .. }
            | Self::RemoveNetwork(_)
            | Self::RemoveVolume(_)
            | Self::RemoveImage(_)
            | Self::RemoveService(_)
            | Self::RemoveObject { .. } => "remove",
            Self::Rename { .. } => "rename",
            Self::Connect { .. } => "connect",
            Self::Disconnect { .. } => "disconnect",
            Self::Upload { .. } => "upload",
            Self::Run { event: HookEvent::PostStart, .. } => "run post_start",
            Self::Run { event: HookEvent::PreStop, .. } => "run pre_stop",
            Self::Provide { command: ProviderCommand::Up, .. } | Self::ProvideModel(_) => "provide",
            Self::Provide { command: ProviderCommand::Down, .. } => "release",
            Self::Pull(_) => "pull",
            Self::Push(_) => "push",
            Self::Ship { .. } => "ship",
            Self::Build(_) => "build",
            Self::Delay(_) => "delay",
            Self::Await { condition, .. } => match condition {
                Condition::Ready => "await ready",
                Condition::Healthy => "await healthy",
                Condition::Completed => "await completed",
                Condition::Ended => "await ended",
                Condition::Steady { .. } => "await steady",
                Condition::Converged => "await converged",
                Condition::TasksCompleted => "await completed",
                Condition::RolledBack => "await rolled back",
                Condition::NoTasks => "await no tasks",
            },
        }
    }
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookEvent {
    /// After the start of the container; what waits for the start waits for the hook, too.
    /// A container whose hook fails is stopped, so that the hook runs again with its next start.
    PostStart,
    /// Before the stop of the container, which stays as it is when the hook fails.
    PreStop,
}

/// What a provider is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderCommand {
    /// To make the service.
    Up,
    /// To take it down.
    Down,
}

/// A file or directory of the engine's machine that a container sees itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileBind {
    /// The path there, absolute.
    pub source: PathBuf,
    /// The path in the container.
    pub target: String,
    /// Whether the container may not write to it.
    pub read_only: bool,
}

/// A container to be made.
#[derive(Clone, Debug)]
pub struct NewContainer {
    /// The name it is made with.
    pub name: String,
    /// The name it has when the plan is done, which is also one of its names on its networks.
    pub known_as: String,
    /// Its number within the service, from 1; 0 for a container of `run`.
    pub number: u32,
    /// The settings.
    pub spec: Arc<ServiceSpec>,
    /// All labels that it gets.
    pub labels: BTreeMap<String, String>,
    /// Anonymous volumes taken over from the container it replaces: path inside the container, volume name.
    pub keep: Vec<(String, String)>,
    /// The networks it is made on; further ones are joined by steps of their own.
    pub networks: Vec<Joined>,
    /// Other containers under names of its choice, as `CONTAINER:ALIAS`, where it joins no network.
    pub links: Vec<String>,
    /// The containers that lend it namespaces or mounts, by service.
    pub lenders: BTreeMap<String, Target>,
    /// Files that it sees besides its mounts: configs and secrets that are not copied.
    pub binds: Vec<FileBind>,
    /// Whether standard input is closed when the first who is attached to it goes away.
    pub stdin_once: bool,
    /// Whether the engine removes it as soon as it has ended.
    pub auto_remove: bool,
}

impl NewContainer {
    /// All labels that it gets when its lenders have these ids, by service.
    #[must_use]
    pub fn labels_with(&self, lenders: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = self.labels.clone();
        all.insert(labels::CONFIG_HASH.to_owned(), self.spec.config_hash(lenders));
        if !lenders.is_empty() {
            all.insert(labels::LENDERS.to_owned(), labels::write_lenders(lenders));
        }
        all
    }
}

/// The object of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One that is there, by the engine's id or name.
    Known(String),
    /// The one that an earlier step makes.
    Made(StepId),
}

/// The state a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// Healthy if it has a health check, else running, or ended with exit code 0 if it is not to be restarted.
    Ready,
    /// Its health check passes.
    Healthy,
    /// It ended with exit code 0.
    Completed,
    /// It ended, with whatever exit code.
    Ended,
    /// All tasks of a swarm's service run, and are healthy where they have a health check.
    Converged,
    /// All tasks of a job of a swarm have ended with exit code 0.
    TasksCompleted,
    /// The tasks of a swarm's service are those of before its last change.
    RolledBack,
    /// The last task of a removed service of a swarm has ended.
    NoTasks,
    /// Its health check passes, or it runs for a time if it has none; it has neither ended nor
    /// been started again meanwhile.
    Steady {
        /// How long it is watched.
        monitor: Duration,
        /// Whether it is watched as long after its health check passes, too.
        checked: bool,
    },
}

/// Why a step is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is wanted and not there.
    Missing,
    /// It was made with other settings.
    Changed(Vec<FieldChange>),
    /// It was changed by hand since it was made: what it is set to now, and what it is to be.
    Altered(Vec<FieldChange>),
    /// It was made by another program, which kept no record of the settings.
    Unrecorded,
    /// The image's reference now names another image.
    ImageMoved,
    /// Its content is another one, and it cannot be changed.
    ContentChanged,
    /// What it depends on is replaced or restarted.
    DependencyReplaced(Address),
    /// The file does not have it.
    Orphaned,
    /// It is there, but not in the state that is wanted: the Docker API's word for the state.
    Drifted(&'static str),
    /// There are more containers than the service is to have.
    Surplus,
    /// An earlier run was interrupted before the end.
    Interrupted,
    /// The command line asks for it.
    Asked,
    /// A dependent, or the command line, waits for it.
    Awaited,
}

/// What could be lost by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Nothing that the file does not bring back.
    None,
    /// The data of a volume.
    LosesData,
}

impl Plan {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether anything but waits is to be done.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step.group, Change::Await | Change::Provide))
    }

    /// The step of this id.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get((id.0 as usize).checked_sub(1)?)
    }

    /// Whether it pulls or builds, so that what follows can be known only after that.
    #[must_use]
    pub fn has_image_steps(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Pull(_) | Action::Build(_)))
    }

    /// Whether other programs are asked for services, so that the variables of what depends
    /// on these are known only after that.
    #[must_use]
    pub fn has_provider_steps(&self) -> bool {
        self.steps.iter().any(|step| step.group == Change::Provide)
    }

    /// The services that other programs are asked for.
    #[must_use]
    pub fn provided_services(&self) -> Vec<String> {
        let asked = self.steps.iter().filter(|step| step.group == Change::Provide);
        asked.filter_map(|step| step.address.service().map(str::to_owned)).collect()
    }

    /// The same plan with only the steps that see to AI models.
    #[must_use]
    pub fn model_steps(&self) -> Plan {
        self.only(|action| matches!(action, Action::ProvideModel(_)))
    }

    /// The same plan with only the steps that pull or build.
    #[must_use]
    pub fn image_steps(&self) -> Plan {
        self.only(|action| matches!(action, Action::Pull(_) | Action::Build(_)))
    }

    /// The same plan with only the steps that build.
    #[must_use]
    pub fn build_steps(&self) -> Plan {
        self.only(|action| matches!(action, Action::Build(_)))
    }

    /// The same plan with only some of the steps, which wait for nothing but each other.
    fn only(&self, wanted: impl Fn(&Action) -> bool) -> Plan {
        let mut plan = Plan { project: self.project.clone(), ..Plan::default() };
        let mut kept: BTreeMap<StepId, StepId> = BTreeMap::new();
        for step in &self.steps {
            if wanted(&step.action) {
                let id = StepId(plan.steps.len() as u32 + 1);
                let after = step.after.iter().filter_map(|earlier| kept.get(earlier).copied()).collect();
                kept.insert(step.id, id);
                plan.steps.push(Step { id, after, after_any: Vec::new(), ..step.clone() });
            }
        }
        plan
    }

    /// The same plan up to the start of the last container that it makes, which is left to another.
    #[must_use]
    pub fn until_last_start(mut self) -> Plan {
        let last = self.steps.iter().rposition(|step| matches!(step.action, Action::Start(_)));
        self.steps.truncate(last.unwrap_or(self.steps.len()));
        self
    }

    /// The resources that lose data, each once.
    #[must_use]
    pub fn data_losses(&self) -> BTreeSet<&Address> {
        self.steps.iter().filter(|step| step.risk == Risk::LosesData).map(|step| &step.address).collect()
    }

    /// The steps by resource, in the order in which each resource first appears.
    #[must_use]
    pub fn by_address(&self) -> IndexMap<&Address, Vec<&Step>> {
        let mut groups: IndexMap<&Address, Vec<&Step>> = IndexMap::new();
        for step in &self.steps {
            groups.entry(&step.address).or_default().push(step);
        }
        groups
    }
}

/// One line per step, and one per replica that may be put back: what it waits for (`?` where that may fail), its number, resource, action, cause.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let done = step.after.iter().map(|id| id.0.to_string());
            let ended = step.after_any.iter().map(|id| format!("{}?", id.0));
            let after = done.chain(ended).collect::<Vec<_>>().join(",");
            write!(f, "[{after}] -> {} {}, {}, {}", step.id, step.address, step.action.word(), step.cause)?;
            if step.risk == Risk::LosesData {
                f.write_str(", loses data")?;
            }
            if self.rollouts.iter().any(|rollout| rollout.has(step.id)) && !step.undo.is_empty() {
                let undo: Vec<_> = step.undo.iter().map(Action::word).collect();
                write!(f, "; taken back by: {}", undo.join(", "))?;
            }
            writeln!(f)?;
        }
        self.rollouts.iter().try_for_each(|rollout| write!(f, "{rollout}"))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Changed(fields) => {
                let names: Vec<_> = fields.iter().map(|change| change.field.as_str()).collect();
                write!(f, "changed: {}", names.join(", "))
            }
            Self::Altered(fields) => {
                let names: Vec<_> = fields.iter().map(|change| change.field.as_str()).collect();
                write!(f, "changed by hand: {}", names.join(", "))
            }
            Self::Unrecorded => f.write_str("made by another program"),
            Self::ImageMoved => f.write_str("image is newer"),
            Self::ContentChanged => f.write_str("content changed"),
            Self::DependencyReplaced(address) => write!(f, "depends on {address}, replaced"),
            Self::Orphaned => f.write_str("not in the file"),
            Self::Drifted(state) => write!(f, "is {state}"),
            Self::Surplus => f.write_str("more than asked for"),
            Self::Interrupted => f.write_str("left by an interrupted run"),
            Self::Asked => f.write_str("asked for"),
            Self::Awaited => f.write_str("waited for"),
        }
    }
}

/// Collects steps, each after those it waits for.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    steps: Vec<Step>,
}

impl Draft {
    /// Adds a step without undo or risk and returns its id.
    pub(crate) fn add(
        &mut self,
        address: &Address,
        action: Action,
        group: Change,
        cause: &Cause,
        after: impl IntoIterator<Item = StepId>,
    ) -> StepId {
        let id = self.next();
        let after: BTreeSet<StepId> = after.into_iter().collect();
        debug_assert!(after.iter().all(|earlier| *earlier < id));
        self.steps.push(Step {
            id,
            address: address.clone(),
            action,
            cause: cause.clone(),
            after: after.into_iter().collect(),
            after_any: Vec::new(),
            group,
            risk: Risk::None,
            undo: Vec::new(),
        });
        id
    }

    /// The id of the step that is added next.
    pub(crate) fn next(&self) -> StepId {
        StepId(self.steps.len() as u32 + 1)
    }

    /// The steps of one resource and one change from `first` on.
    pub(crate) fn since(&self, first: StepId, address: &Address, group: Change) -> Vec<StepId> {
        let steps = self.steps.iter().skip(first.0 as usize - 1);
        steps.filter(|step| step.address == *address && step.group == group).map(|step| step.id).collect()
    }

    /// Lets the step wait for the end of others, be it good or bad.
    pub(crate) fn after_any(&mut self, id: StepId, others: &[StepId]) {
        debug_assert!(others.iter().all(|earlier| *earlier < id));
        let step = &mut self.steps[id.0 as usize - 1];
        let all: BTreeSet<StepId> =
            others.iter().filter(|other| !step.after.contains(other)).copied().collect();
        step.after_any = all.into_iter().collect();
    }

    /// Lets the step wait for others too, as far as they come before it.
    pub(crate) fn also_after(&mut self, id: StepId, others: &[StepId]) {
        let after = &mut self.steps[id.0 as usize - 1].after;
        after.extend(others.iter().filter(|other| **other < id));
        after.sort_unstable();
        after.dedup();
    }

    /// Says what takes the step back.
    pub(crate) fn undo(&mut self, id: StepId, undo: Vec<Action>) {
        self.steps[id.0 as usize - 1].undo = undo;
    }

    /// Marks the step as losing data.
    pub(crate) fn loses_data(&mut self, id: StepId) {
        self.steps[id.0 as usize - 1].risk = Risk::LosesData;
    }

    /// The group of a step.
    pub(crate) fn group(&self, id: StepId) -> Option<Change> {
        self.steps.get((id.0 as usize).checked_sub(1)?).map(|step| step.group)
    }

    pub(crate) fn finish(self) -> Vec<Step> {
        self.steps
    }
}

/// Where a changed setting stands, if the cause is one.
#[must_use]
pub fn first_origin(cause: &Cause) -> Option<&Origin> {
    match cause {
        Cause::Changed(fields) | Cause::Altered(fields) => fields.first().map(|change| &change.origin),
        _ => None,
    }
}
