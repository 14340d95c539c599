//! The stack as it is meant: every short form resolved, every variable filled in.
//!
//! Names and meanings are those of the Compose Specification. An attribute that
//! is absent is `None` or empty: the image or the engine decides.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::source::Spanned;
use crate::tree::Node;

/// A whole stack: one project.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The project name: lower-case letters, digits, `-` and `_`.
    pub name: Spanned<String>,
    /// The project directory, absolute: relative paths are resolved against it.
    pub directory: PathBuf,
    /// The stack files in the order of merging, absolute.
    pub files: Vec<PathBuf>,
    /// The environment files given by `--env-file`, absolute; empty when `.env` was taken.
    pub env_files: Vec<PathBuf>,
    /// The enabled services by name, in the order of the file.
    pub services: IndexMap<String, Service>,
    /// Names of services that no active profile enables.
    pub disabled: Vec<String>,
    /// The networks in use by key, `default` included when a service uses it.
    pub networks: IndexMap<String, Network>,
    /// The named volumes by key.
    pub volumes: IndexMap<String, Volume>,
    /// The whole document in canonical form: long syntax, casts done, paths absolute.
    pub tree: Node,
}

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

/// How an image is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// The context directory, absolute.
    pub context: Spanned<PathBuf>,
    /// The Dockerfile, relative to the context or absolute.
    pub dockerfile: Option<Spanned<String>>,
    /// The text of the Dockerfile itself.
    pub dockerfile_inline: Option<Spanned<String>>,
    /// Build arguments; `None` was resolved to nothing and is left out.
    pub args: IndexMap<String, Spanned<Option<String>>>,
    /// The stage to build.
    pub target: Option<Spanned<String>>,
    /// Labels of the image.
    pub labels: IndexMap<String, Spanned<String>>,
    /// Images whose layers may be reused.
    pub cache_from: Vec<Spanned<String>>,
    /// Lines for `/etc/hosts` during the build.
    pub extra_hosts: Vec<Spanned<String>>,
    /// Network of `RUN` steps.
    pub network: Option<Spanned<String>>,
    /// Size of `/dev/shm` during the build, bytes.
    pub shm_size: Option<Spanned<u64>>,
    /// Whether the layer cache is left unused.
    pub no_cache: Option<Spanned<bool>>,
    /// Whether base images are always pulled.
    pub pull: Option<Spanned<bool>>,
    /// Further tags of the image.
    pub tags: Vec<Spanned<String>>,
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

/// One mount of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Path inside the container.
    pub target: String,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A path of the host, absolute.
    Bind {
        /// The path.
        path: PathBuf,
        /// Whether a missing path is made, as a directory.
        create: bool,
        /// Mount propagation, as `rshared`.
        propagation: Option<String>,
        /// SELinux relabelling: `z` shared, `Z` private.
        selinux: Option<String>,
    },
    /// A named volume, by key of [`Stack::volumes`].
    Volume {
        /// The key.
        key: String,
        /// Whether the image's files at the target are left out of a new volume.
        nocopy: bool,
    },
    /// A volume without a name, made for this container.
    Anonymous,
    /// A file system in memory.
    Tmpfs {
        /// Size, bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
    },
}

/// How a container joins a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Names under which the container is found there, besides the service's.
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// The highest is joined first.
    pub priority: i64,
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

/// A soft and a hard limit; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// The limit that holds.
    pub soft: i64,
    /// The highest that the process may ask for.
    pub hard: i64,
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The driver; `None` is the engine's default.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: IndexMap<String, String>,
}

/// When an image is pulled or built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Every time.
    Always,
    /// Never: it must be there.
    Never,
    /// When it is not there.
    Missing,
    /// It is built, never pulled.
    Build,
}

/// A network of the stack.
#[derive(Clone, Debug)]
pub struct Network {
    /// The key under `networks`, or `default`.
    pub key: Spanned<String>,
    /// The network in canonical form.
    pub tree: Node,
    /// The engine's name for it: `PROJECT_KEY` unless given.
    pub name: String,
    /// Whether somebody else owns it: it must be there, and is never made or removed.
    pub external: bool,
    /// The driver; `None` is the engine's default, `bridge`.
    pub driver: Option<Spanned<String>>,
    /// Options of the driver.
    pub driver_opts: IndexMap<String, Spanned<String>>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Whether containers from outside the stack may join.
    pub attachable: bool,
    /// Whether it has IPv6.
    pub enable_ipv6: Option<Spanned<bool>>,
    /// Labels.
    pub labels: IndexMap<String, Spanned<String>>,
    /// Address ranges.
    pub ipam: Vec<IpamPool>,
}

/// An address range of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpamPool {
    /// Subnet in CIDR form.
    pub subnet: Option<String>,
    /// Gateway address.
    pub gateway: Option<String>,
    /// Range for containers in CIDR form.
    pub ip_range: Option<String>,
}

/// A named volume of the stack.
#[derive(Clone, Debug)]
pub struct Volume {
    /// The key under `volumes`.
    pub key: Spanned<String>,
    /// The volume in canonical form.
    pub tree: Node,
    /// The engine's name for it: `PROJECT_KEY` unless given.
    pub name: String,
    /// Whether somebody else owns it.
    pub external: bool,
    /// The driver; `None` is `local`.
    pub driver: Option<Spanned<String>>,
    /// Options of the driver.
    pub driver_opts: IndexMap<String, Spanned<String>>,
    /// Labels.
    pub labels: IndexMap<String, Spanned<String>>,
}
