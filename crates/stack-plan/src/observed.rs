//! What is there: the resources of one project on the engine, without judgement.

use std::collections::BTreeMap;

use stack_file::model::DependencyCondition;

use crate::api::Api;
use crate::fields::Recorded;

/// Everything of one project that the engine has.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The version of the API that the engine is spoken to with.
    pub api: Api,
    /// Seconds since 1970 at which it was looked at.
    pub at: i64,
    /// Containers of the project, those of `run` included, in the order of their names.
    pub containers: Vec<ObservedContainer>,
    /// Networks of the project, and those that the file names and others own.
    pub networks: Vec<ObservedNetwork>,
    /// Volumes of the project, and those that the file names and others own.
    pub volumes: Vec<ObservedVolume>,
    /// The images asked about that are there, by reference.
    pub images: BTreeMap<String, ObservedImage>,
    /// Whether the engine is on another machine, which has other files.
    pub remote: bool,
}

/// A container of the project.
#[derive(Clone, Debug)]
pub struct ObservedContainer {
    /// The engine's id, 64 hexadecimal digits.
    pub id: String,
    /// The name, without a leading slash.
    pub name: String,
    /// The service, by label.
    pub service: String,
    /// The number within the service, by label; 0 for a container of `run`.
    pub number: u32,
    /// Whether it was started by `run`.
    pub one_off: bool,
    /// What it is doing.
    pub state: ContainerState,
    /// What its health check says.
    pub health: Health,
    /// The image it was made from, `sha256:…`.
    pub image_id: String,
    /// The image reference it was made with.
    pub image: String,
    /// The settings it was made with; `None` when another program made it.
    pub recorded: Option<Recorded>,
    /// The containers that lend it namespaces or mounts, by label: service to id.
    pub lenders: BTreeMap<String, String>,
    /// docker compose's hash of the settings it was made with, by label.
    pub config_hash: String,
    /// Whether it took the place of another, by label: its anonymous volumes were passed on
    /// to it, and the engine takes them for named ones.
    pub replaced_another: bool,
    /// What it depends on, by label.
    pub depends_on: Vec<ObservedDependency>,
    /// Ids of the networks it is attached to, by network name.
    pub networks: BTreeMap<String, String>,
    /// Volumes it has mounted.
    pub volumes: Vec<ObservedMount>,
    /// The stack files it was made from, by label.
    pub config_files: String,
    /// The command, shortened by the engine.
    pub command: String,
    /// Seconds since 1970 at which it was made.
    pub created: i64,
    /// The engine's own words for its state: `Up 3 minutes (healthy)`.
    pub status: String,
    /// Its published ports.
    pub ports: Vec<ObservedPort>,
    /// What it is set to now; `None` when nobody asked.
    pub actual: Option<Actual>,
}

/// What a container is set to now, whatever was recorded of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// Digests of its variables by name, those of its image included, as records have them.
    pub environment: BTreeMap<String, String>,
    /// Those of its image alone; `None` where nobody can tell them any more.
    pub of_image: Option<BTreeMap<String, String>>,
    /// What `docker update` can change, by the attribute of a service; without those that are unlimited.
    pub limits: BTreeMap<&'static str, String>,
}

/// What a container depends on, as its label tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedDependency {
    /// The service.
    pub service: String,
    /// What the service must have reached.
    pub condition: DependencyCondition,
    /// Whether a restart of the service restarts the container.
    pub restart: bool,
}

/// What a container is doing, in the Docker API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Between two runs.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended, with this exit code.
    Exited(i64),
    /// Could not be removed.
    Dead,
}

impl ContainerState {
    /// Whether it has to be stopped before it can be removed.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// The Docker API's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited(_) => "exited",
            Self::Dead => "dead",
        }
    }
}

/// What a container's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has none, or it does not run.
    None,
    /// No probe has passed yet.
    Starting,
    /// The last probe passed.
    Healthy,
    /// Too many probes failed in a row.
    Unhealthy,
}

impl Health {
    /// The Docker API's word; empty for none.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// A volume in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedMount {
    /// The engine's name of the volume.
    pub name: String,
    /// The path inside the container.
    pub target: String,
}

impl ObservedMount {
    /// Whether the engine made up the name: 64 hexadecimal digits.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.name.len() == 64 && self.name.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// A published or exposed port of a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObservedPort {
    /// Port inside the container.
    pub target: u16,
    /// Port on the host; `None` when it is only exposed.
    pub published: Option<u16>,
    /// Address on the host; empty when it is only exposed.
    pub host_ip: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// A network.
#[derive(Clone, Debug)]
pub struct ObservedNetwork {
    /// The engine's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The key in the file, by label; `None` when the project does not own it.
    pub key: Option<String>,
    /// docker compose's hash of the settings it was made with, by label; empty without one.
    pub config_hash: String,
    /// The settings it was made with; `None` when another program made it.
    pub recorded: Option<Recorded>,
}

/// A volume.
#[derive(Clone, Debug)]
pub struct ObservedVolume {
    /// The name, which is its id too.
    pub name: String,
    /// The key in the file, by label; `None` when the project does not own it.
    pub key: Option<String>,
    /// docker compose's hash of the settings it was made with, by label; empty without one.
    pub config_hash: String,
    /// The settings it was made with; `None` when another program made it.
    pub recorded: Option<Recorded>,
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedImage {
    /// `sha256:…`.
    pub id: String,
    /// Seconds since 1970 at which the engine pulled, built or tagged it; `None` when nobody asked.
    pub tagged: Option<i64>,
}
