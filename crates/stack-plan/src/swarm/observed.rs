//! What a swarm has of one project, without judgement.

use std::collections::{BTreeMap, BTreeSet};

use stack_file::model::{DeployMode, FileKind};

use crate::api::Api;
use crate::fields::{Alteration, Recorded};

/// Everything of one project that a swarm has.
#[derive(Clone, Debug, Default)]
pub struct SwarmObserved {
    /// The version of the API that the manager is spoken to with.
    pub api: Api,
    /// Seconds since 1970 at which it was looked at.
    pub at: i64,
    /// The id of the node that was asked.
    pub here: String,
    /// Whether the kernel of that node has no IPVS; `None` where that cannot be seen.
    pub without_ipvs: Option<bool>,
    /// The nodes, by name.
    pub nodes: Vec<ObservedNode>,
    /// Services of the project, by name.
    pub services: Vec<ObservedService>,
    /// Networks of the project, and those that the file names and others own.
    pub networks: Vec<ObservedOverlay>,
    /// Configs and secrets of the project, and those that the file names and others own.
    pub objects: Vec<ObservedObject>,
    /// Named volumes of the project on the node that was asked.
    pub volumes: Vec<String>,
    /// The images asked about that the node has, by reference.
    pub images: BTreeMap<String, SwarmImage>,
    /// The nodes besides whose engines can be spoken to, by id, and which of those images they have
    /// that no registry has, by id.
    pub ways: BTreeMap<String, BTreeSet<String>>,
}

impl SwarmObserved {
    /// The service of this key.
    #[must_use]
    pub fn service(&self, key: &str) -> Option<&ObservedService> {
        self.services.iter().find(|service| service.service == key)
    }

    /// What a node is to be called: by its name, or by its id where several have that name.
    #[must_use]
    pub fn call<'a>(&'a self, node: &'a ObservedNode) -> &'a str {
        let same = self.nodes.iter().filter(|other| other.name == node.name).count();
        if same > 1 { &node.id } else { &node.name }
    }

    /// Whether tasks may land on other nodes than the one that is asked.
    #[must_use]
    pub fn has_other_nodes(&self) -> bool {
        self.nodes.iter().any(|node| node.id != self.here && node.takes_tasks())
    }

    /// Whether there are nodes that may need images which this node alone has.
    #[must_use]
    pub fn has_lonely_images(&self) -> bool {
        self.has_other_nodes() && self.images.values().any(|image| image.digest.is_none())
    }

    /// The name of a node.
    #[must_use]
    pub fn node_name(&self, id: &str) -> &str {
        self.nodes.iter().find(|node| node.id == id).map_or("", |node| &node.name)
    }
}

/// A node of a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedNode {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub name: String,
    /// Its address, as the managers know it.
    pub address: String,
    /// Whether it is a manager.
    pub manager: bool,
    /// Whether it answers.
    pub ready: bool,
    /// What the managers say of it when it does not.
    pub message: String,
    /// Whether it gets tasks.
    pub availability: Availability,
    /// The version of its engine.
    pub engine: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its processors, in billionths; 0 when that is not known.
    pub nano_cpus: i64,
    /// Its memory, bytes; 0 when that is not known.
    pub memory: i64,
}

impl ObservedNode {
    /// Whether it gets new tasks.
    #[must_use]
    pub fn takes_tasks(&self) -> bool {
        self.ready && self.availability == Availability::Active
    }
}

/// Whether a node gets tasks, in the Docker API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Active,
    /// It keeps those that it has.
    Pause,
    /// It keeps none.
    Drain,
}

impl Availability {
    /// The Docker API's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pause => "pause",
            Self::Drain => "drain",
        }
    }
}

/// A service of the project.
#[derive(Clone, Debug)]
pub struct ObservedService {
    /// The swarm's id.
    pub id: String,
    /// The name: `PROJECT_SERVICE`.
    pub name: String,
    /// The service, by its key in the file.
    pub service: String,
    /// The version that a change has to name.
    pub version: u64,
    /// The settings it was made with; `None` when another program made it.
    pub recorded: Option<Recorded>,
    /// What was changed by hand since it was made or changed by stackctl, setting by setting.
    pub altered: Vec<Alteration>,
    /// The ids of the configs and secrets that its tasks get, and those of before while a change is open.
    pub uses: BTreeSet<String>,
    /// What its tasks are made from, as the nodes are told.
    pub image: String,
    /// The image as the file names it.
    pub reference: String,
    /// How many tasks there are, and whether they come to an end.
    pub mode: DeployMode,
    /// How many tasks it is to have; 0 where the nodes decide.
    pub replicas: u64,
    /// How often its tasks were replaced without a change.
    pub force_update: u64,
    /// How the last change goes, or went.
    pub update: Option<ObservedUpdate>,
    /// Tasks that are to run, or to have run to their end.
    pub desired: u64,
    /// Tasks of the last run of a job that have ended well.
    pub completed: u64,
    /// Whether its tasks have a health check that the file or the image says.
    pub checked: bool,
    /// Its ports as text: `8080->80/tcp`.
    pub ports: Vec<String>,
    /// Its tasks, those of the past included, by slot, the latest first.
    pub tasks: Vec<ObservedTask>,
}

/// How a change of a service goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedUpdate {
    /// How far it is.
    pub state: UpdateState,
    /// The swarm's words.
    pub message: String,
    /// When it began, nanoseconds since 1970.
    pub began: i64,
}

/// How far a change of a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateState {
    /// Tasks are being replaced.
    Updating,
    /// It stopped after a failure.
    Paused,
    /// It is done.
    Completed,
    /// The tasks of before are coming back.
    RollbackStarted,
    /// The way back stopped after a failure.
    RollbackPaused,
    /// The tasks of before are back.
    RollbackCompleted,
}

/// A task: one run of a container on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedTask {
    /// The swarm's id.
    pub id: String,
    /// Its number within the service, from 1; where each node has one, a number in the order of the nodes.
    pub slot: u64,
    /// The id of its node; empty as long as it has none.
    pub node: String,
    /// What it is doing.
    pub state: TaskState,
    /// What it is to do.
    pub wanted: TaskState,
    /// Why it does not do that, in the swarm's words.
    pub error: String,
    /// The exit code of its container, if that has ended.
    pub exit_code: Option<i64>,
    /// The id of its container.
    pub container: Option<String>,
    /// What it was made from.
    pub image: String,
    /// Whether it was made with the settings that the service has now.
    pub current: bool,
    /// Seconds since 1970 at which it was made.
    pub created: i64,
    /// Seconds since 1970 at which it got to its state.
    pub since: i64,
}

/// What a task is doing, in the order in which it comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    /// It is made.
    New,
    /// Its networks are.
    Allocated,
    /// It waits for a node.
    Pending,
    /// It has a node.
    Assigned,
    /// The node knows of it.
    Accepted,
    /// Its image is pulled, its mounts are made.
    Preparing,
    /// Its container is there.
    Ready,
    /// Its container was started and its health check has not passed.
    Starting,
    /// It runs, and is healthy where it has a health check.
    Running,
    /// It ended with exit code 0.
    Complete,
    /// It was ended.
    Shutdown,
    /// It ended otherwise.
    Failed,
    /// Its node could not make it.
    Rejected,
    /// It is being removed.
    Remove,
    /// Its node is not heard of any more.
    Orphaned,
}

impl TaskState {
    /// All states.
    pub const ALL: [Self; 15] = [
        Self::New,
        Self::Allocated,
        Self::Pending,
        Self::Assigned,
        Self::Accepted,
        Self::Preparing,
        Self::Ready,
        Self::Starting,
        Self::Running,
        Self::Complete,
        Self::Shutdown,
        Self::Failed,
        Self::Rejected,
        Self::Remove,
        Self::Orphaned,
    ];

    /// The Docker API's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Allocated => "allocated",
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Remove => "remove",
            Self::Orphaned => "orphaned",
        }
    }
}

/// A network of the swarm, or one of the node that the file names.
#[derive(Clone, Debug)]
pub struct ObservedOverlay {
    /// The engine's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Whether the project owns it.
    pub own: bool,
    /// Whether services of a swarm can join it.
    pub swarm: bool,
    /// The settings it was made with; `None` when another program made it.
    pub recorded: Option<Recorded>,
}

/// A config or secret of the swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedObject {
    /// Which of both.
    pub kind: FileKind,
    /// The swarm's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The key in the file, if the project owns it.
    pub key: Option<String>,
    /// The digest of what is in it, by label; empty when another program made it.
    pub digest: String,
}

/// An image that the node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmImage {
    /// `sha256:…`.
    pub id: String,
    /// Under which digest a registry has it; `None` for one that was built or loaded here.
    pub digest: Option<String>,
    /// Seconds since 1970 at which the engine pulled, built or tagged it; `None` when nobody asked.
    pub tagged: Option<i64>,
}
