//! A service, and what belongs to it alone.

use std::time::Duration;

use indexmap::IndexMap;

use super::{Attachment, Build, Mount, PullPolicy, Ulimit};
use crate::source::Spanned;
use crate::tree::Node;

/// A service: one container or several equal ones.
#[derive(Clone, Debug)]
pub struct Service {
    /// The key under `services`.
    pub name: Spanned<String>,
    /// The service in canonical form, as in [`Stack::tree`].
    pub tree: Node,
    /// The image reference as written.
    pub image: Option<Spanned<String>>,
    /// How to build the image.
    pub build: Option<Spanned<Build>>,
    /// Overrides the image's command; an empty list clears it.
    pub command: Option<Spanned<Vec<String>>>,
    /// Overrides the image's entry point; an empty list clears it.
    pub entrypoint: Option<Spanned<Vec<String>>>,
    /// Variables of the container: env_file below, `environment` on top. `None` unsets one of the image's.
    pub environment: IndexMap<String, Spanned<Option<String>>>,
    /// Published ports, ranges unrolled: one entry per port.
    pub ports: Vec<Spanned<Port>>,
    /// Ports shown to other containers only, as `80/tcp`.
    pub expose: Vec<Spanned<String>>,
    /// Mounts: binds, named and anonymous volumes, tmpfs.
    pub volumes: Vec<Spanned<Mount>>,
    /// Short-form tmpfs mounts: path, optionally with `:options`.
    pub tmpfs: Vec<Spanned<String>>,
    /// Networks the container joins, by key of [`Stack::networks`]. Empty when `network_mode` is set.
    pub networks: IndexMap<String, Spanned<Attachment>>,
    /// `host`, `none`, `bridge`, `service:NAME`, `container:NAME`.
    pub network_mode: Option<Spanned<String>>,
    /// What must be there first, by service name.
    pub depends_on: IndexMap<String, Spanned<Dependency>>,
    /// The health check; `None` leaves the image's.
    pub healthcheck: Option<Spanned<Healthcheck>>,
    /// When the engine restarts the container.
    pub restart: Option<Spanned<Restart>>,
    /// How long a stop waits before the kill; the engine's default is 10 s.
    pub stop_grace_period: Option<Spanned<Duration>>,
    /// The signal that stops the container, such as `SIGQUIT`.
    pub stop_signal: Option<Spanned<String>>,
    /// A fixed name for the only container.
    pub container_name: Option<Spanned<String>>,
    /// Host name inside the container.
    pub hostname: Option<Spanned<String>>,
    /// Domain name inside the container.
    pub domainname: Option<Spanned<String>>,
    /// Labels of the container.
    pub labels: IndexMap<String, Spanned<String>>,
    /// Annotations passed to the runtime.
    pub annotations: IndexMap<String, Spanned<String>>,
    /// Working directory inside the container.
    pub working_dir: Option<Spanned<String>>,
    /// User, as `name`, `uid` or `uid:gid`.
    pub user: Option<Spanned<String>>,
    /// Further groups, names or ids.
    pub group_add: Vec<Spanned<String>>,
    /// Whether a small init runs as process 1.
    pub init: Option<Spanned<bool>>,
    /// Whether the root file system is read-only.
    pub read_only: Option<Spanned<bool>>,
    /// Whether a terminal is allocated.
    pub tty: Option<Spanned<bool>>,
    /// Whether standard input stays open.
    pub stdin_open: Option<Spanned<bool>>,
    /// Whether the container has all privileges.
    pub privileged: Option<Spanned<bool>>,
    /// Capabilities added.
    pub cap_add: Vec<Spanned<String>>,
    /// Capabilities dropped.
    pub cap_drop: Vec<Spanned<String>>,
    /// Security options, as `no-new-privileges:true`.
    pub security_opt: Vec<Spanned<String>>,
    /// Kernel parameters.
    pub sysctls: IndexMap<String, Spanned<String>>,
    /// Limits by name: soft and hard.
    pub ulimits: IndexMap<String, Spanned<Ulimit>>,
    /// Lines for `/etc/hosts`, as `name:address`.
    pub extra_hosts: Vec<Spanned<String>>,
    /// DNS servers.
    pub dns: Vec<Spanned<String>>,
    /// DNS options.
    pub dns_opt: Vec<Spanned<String>>,
    /// DNS search domains.
    pub dns_search: Vec<Spanned<String>>,
    /// Size of `/dev/shm`, bytes.
    pub shm_size: Option<Spanned<u64>>,
    /// Memory limit, bytes.
    pub mem_limit: Option<Spanned<u64>>,
    /// Memory kept free for the container, bytes.
    pub mem_reservation: Option<Spanned<u64>>,
    /// CPU limit in processors, as 1.5.
    pub cpus: Option<Spanned<f64>>,
    /// Limit of processes; -1 for none.
    pub pids_limit: Option<Spanned<i64>>,
    /// Log driver and its options.
    pub logging: Option<Spanned<Logging>>,
    /// When the image is pulled or built.
    pub pull_policy: Option<Spanned<PullPolicy>>,
    /// Platform of the image, as `linux/arm64`.
    pub platform: Option<Spanned<String>>,
    /// How many containers, by `scale` or `deploy.replicas`; `None` is one.
    pub scale: Option<Spanned<u32>>,
    /// Profiles that enable the service; empty is always.
    pub profiles: Vec<Spanned<String>>,
}

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Port inside the container.
    pub target: u16,
    /// Port on the host; `None` lets the engine choose. A range `a-b` lets it choose within.
    pub published: Option<String>,
    /// Address on the host; `None` is every address.
    pub host_ip: Option<String>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// What one service wants of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The state it must have reached.
    pub condition: DependencyCondition,
    /// Whether this service restarts when stackctl replaces or restarts the other.
    pub restart: bool,
    /// Whether a failure or absence of the other is an error.
    pub required: bool,
}

/// The state a dependency must have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyCondition {
    /// Its container was started.
    Started,
    /// Its health check passes.
    Healthy,
    /// It ended with exit code 0.
    CompletedSuccessfully,
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["CMD", …]`, `["CMD-SHELL", text]`, `["NONE"]`; empty leaves the image's.
    pub test: Vec<String>,
    /// Time between probes.
    pub interval: Option<Duration>,
    /// Time a probe may take.
    pub timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<u32>,
    /// Time in which failures do not count.
    pub start_period: Option<Duration>,
    /// Time between probes during the start period (engines from API 1.44 on).
    pub start_interval: Option<Duration>,
    /// Whether the image's check is turned off.
    pub disable: bool,
}

/// When the engine restarts a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// Always, also after the engine started again.
    Always,
    /// Always, except when it was stopped by hand.
    UnlessStopped,
    /// On a non-zero exit, at most so many times; 0 is without end.
    OnFailure(u32),
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The driver; `None` is the engine's default.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: IndexMap<String, String>,
}
