//! What a step does: one call to the engine, or one wait.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stack_file::model::{FileKind, Hook};

use super::StepId;
use crate::desired::{
    FileSpec, ImageSpec, Joined, ModelSpec, NetworkSpec, ProviderSpec, ServiceSpec, VolumeSpec,
};
use crate::labels;
use crate::swarm::{ObjectSpec, SwarmService};

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
