//! What looking commands ask an engine for, beyond what plans need.

use std::collections::BTreeMap;

use stack_plan::observed::{ContainerState, Health, ObservedPort};
use time::OffsetDateTime;

/// A container in a list, with everything that the list tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The engine's id, 64 hexadecimal digits.
    pub id: String,
    /// The name, without a leading slash.
    pub name: String,
    /// The project, by label.
    pub project: String,
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
    /// The engine's own words for its state: `Up 3 minutes (healthy)`.
    pub status: String,
    /// The image reference it was made with.
    pub image: String,
    /// The image it was made from, `sha256:…`.
    pub image_id: String,
    /// Its command line, whole.
    pub command: String,
    /// Seconds since 1970 at which it was made.
    pub created: i64,
    /// All of its labels.
    pub labels: BTreeMap<String, String>,
    /// What is mounted in it, in the engine's order.
    pub mounts: Vec<ListedMount>,
    /// The names of its networks.
    pub networks: Vec<String>,
    /// Its exposed and published ports.
    pub ports: Vec<ObservedPort>,
    /// Bytes that it has written, and those with its image; `None` unless asked for.
    pub size: Option<(u64, u64)>,
}

/// Something mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMount {
    /// The volume, or the path on the host.
    pub name: String,
    /// The driver of a volume.
    pub driver: Option<String>,
}

/// A volume of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVolume {
    /// The name.
    pub name: String,
    /// The driver.
    pub driver: String,
    /// `local` or `global`.
    pub scope: String,
    /// Where its data is, on the engine's machine.
    pub mountpoint: String,
    /// All of its labels.
    pub labels: BTreeMap<String, String>,
}

/// The processes of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// The heads of the columns, as `ps` of the engine's machine names them.
    pub titles: Vec<String>,
    /// The processes, each with a value per column.
    pub rows: Vec<Vec<String>>,
}

/// What a container uses at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Processor time, as a percentage of one processor.
    pub cpu: f64,
    /// Memory without the cache that could be given back, bytes.
    pub memory: u64,
    /// The most memory that it may use, bytes.
    pub memory_limit: u64,
    /// Bytes received and sent since the start.
    pub network: (u64, u64),
    /// Bytes read from and written to disks since the start.
    pub disk: (u64, u64),
    /// Processes and threads.
    pub processes: u64,
}

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: OffsetDateTime,
    /// The Docker API's word, and more after a colon: `start`, `health_status: healthy`.
    pub action: String,
    /// The container's id.
    pub id: String,
    /// The service, by label.
    pub service: String,
    /// Whether it was started by `run`.
    pub one_off: bool,
    /// What the engine adds to it, and the labels of the container.
    pub attributes: BTreeMap<String, String>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// `sha256:…`.
    pub id: String,
    /// Its references with a tag: `redis:7`.
    pub tags: Vec<String>,
    /// Its references with the digest under which a registry has it: `redis@sha256:…`.
    pub digests: Vec<String>,
    /// `linux/amd64`.
    pub platform: String,
    /// Bytes, with all layers.
    pub size: u64,
    /// When it last got a tag on this engine.
    pub last_tagged: Option<OffsetDateTime>,
    /// When it was made.
    pub created: Option<OffsetDateTime>,
}
