//! A service, and what belongs to it alone.

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    Attachment, Blkio, Build, Deploy, Device, DeviceRequest, FileReference, Hook, ModelUse, Mount, PortMode,
    Provider, PullPolicy, Ulimit, UpdateConfig, WatchRule,
};
use crate::source::Spanned;

/// A service: one container or several equal ones.
#[derive(Clone, Debug)]
pub struct Service {
    /// The key under `services`.
    pub name: Spanned<String>,
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
    /// Mounts: binds, named and anonymous volumes, tmpfs, images.
    pub volumes: Vec<Spanned<Mount>>,
    /// Short-form tmpfs mounts: path, optionally with `:options`.
    pub tmpfs: Vec<Spanned<String>>,
    /// Networks the container joins, by key of [`Stack::networks`](crate::model::Stack::networks). Empty when `network_mode` is set.
    pub networks: IndexMap<String, Spanned<Attachment>>,
    /// `host`, `none`, `bridge`, `service:NAME`, `container:NAME`, or a network of the engine.
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
    /// Whether its containers run to an end: `deploy.mode` is `replicated-job` or `global-job`.
    pub job: bool,
    /// What `deploy` asks of a cluster.
    pub deploy: Deploy,
    /// Credentials of its containers, on engines of Windows.
    pub credential_spec: Option<Spanned<CredentialSpec>>,
    /// How its containers are replaced: `deploy.update_config`.
    pub update: Option<Spanned<UpdateConfig>>,
    /// How what was replaced is put back: `deploy.rollback_config`.
    pub rollback: Option<Spanned<UpdateConfig>>,
    /// Whether `up` shows its logs.
    pub attach: Option<Spanned<bool>>,
    /// Limits of block devices.
    pub blkio: Option<Spanned<Blkio>>,
    /// The cgroup namespace: `host` or `private`.
    pub cgroup: Option<Spanned<String>>,
    /// The cgroup above that of the container.
    pub cgroup_parent: Option<Spanned<String>>,
    /// Processors, on engines of Windows.
    pub cpu_count: Option<Spanned<i64>>,
    /// Share of the processors in percent, on engines of Windows.
    pub cpu_percent: Option<Spanned<f64>>,
    /// Period of the CPU limit, microseconds.
    pub cpu_period: Option<Spanned<i64>>,
    /// Processor time in each period, microseconds.
    pub cpu_quota: Option<Spanned<i64>>,
    /// Period of real-time scheduling, microseconds.
    pub cpu_rt_period: Option<Spanned<i64>>,
    /// Real-time processor time in each period, microseconds.
    pub cpu_rt_runtime: Option<Spanned<i64>>,
    /// Weight against other containers; 1024 is the engine's default.
    pub cpu_shares: Option<Spanned<i64>>,
    /// Processors that may be used, as `0-3`.
    pub cpuset: Option<Spanned<String>>,
    /// Rules for devices, as `c 1:3 mr`.
    pub device_cgroup_rules: Vec<Spanned<String>>,
    /// Devices of the host.
    pub devices: Vec<Spanned<Device>>,
    /// Requests for devices: `gpus`, and `devices` of `deploy.resources.reservations`.
    pub device_requests: Vec<Spanned<DeviceRequest>>,
    /// Containers outside of the stack, as `CONTAINER` or `CONTAINER:ALIAS`.
    pub external_links: Vec<Spanned<String>>,
    /// Services that are also found under other names, as `SERVICE` or `SERVICE:ALIAS`.
    pub links: Vec<Spanned<String>>,
    /// The IPC namespace: `host`, `none`, `private`, `shareable`, `service:NAME`, `container:NAME`.
    pub ipc: Option<Spanned<String>>,
    /// The isolation, on engines of Windows.
    pub isolation: Option<Spanned<String>>,
    /// A fixed MAC address on the network that is joined first.
    pub mac_address: Option<Spanned<String>>,
    /// How readily memory is swapped, 0 to 100.
    pub mem_swappiness: Option<Spanned<i64>>,
    /// Limit of memory and swap together, bytes; -1 for none.
    pub memswap_limit: Option<Spanned<i64>>,
    /// Whether the kernel leaves it alone when memory runs out.
    pub oom_kill_disable: Option<Spanned<bool>>,
    /// How early the kernel kills it, -1000 to 1000.
    pub oom_score_adj: Option<Spanned<i64>>,
    /// The process namespace: `host`, `service:NAME`, `container:NAME`.
    pub pid: Option<Spanned<String>>,
    /// The container runtime, as `runc`.
    pub runtime: Option<Spanned<String>>,
    /// Options of the storage driver.
    pub storage_opt: IndexMap<String, Spanned<String>>,
    /// The user namespace: `host`.
    pub userns_mode: Option<Spanned<String>>,
    /// The UTS namespace: `host`.
    pub uts: Option<Spanned<String>>,
    /// Containers whose mounts it has too: `SERVICE[:ro]` or `container:NAME[:ro]`.
    pub volumes_from: Vec<Spanned<String>>,
    /// Configs and secrets that its containers get; secrets last.
    pub files: Vec<FileReference>,
    /// Commands that run in a container after its start, one after the other.
    pub post_start: Vec<Spanned<Hook>>,
    /// Commands that run in a container before its stop, one after the other.
    pub pre_stop: Vec<Spanned<Hook>>,
    /// What follows while files of this machine change.
    pub watch: Vec<Spanned<WatchRule>>,
    /// The program that makes the service, in place of containers.
    pub provider: Option<Spanned<Provider>>,
    /// AI models that it uses, by key of [`Stack::models`](super::Stack::models).
    pub models: IndexMap<String, Spanned<ModelUse>>,
    /// Whether its containers may use the engine, as the user of stackctl may.
    pub use_api_socket: bool,
}

impl Service {
    /// The services whose first container lends its namespaces to those of this service:
    /// `network_mode`, `ipc` or `pid` is `service:NAME`.
    pub fn namespace_lenders(&self) -> impl Iterator<Item = &str> {
        [&self.network_mode, &self.ipc, &self.pid]
            .into_iter()
            .flatten()
            .filter_map(|mode| mode.strip_prefix("service:"))
    }

    /// The services whose first container lends its mounts to those of this service.
    pub fn volume_lenders(&self) -> impl Iterator<Item = &str> {
        self.volumes_from
            .iter()
            .filter(|other| !other.starts_with("container:"))
            .map(|other| other.split(':').next().unwrap_or_default())
    }
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
    /// Where a cluster opens it.
    pub mode: PortMode,
}

/// Where the credentials of a container of Windows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSpec {
    /// In a config, by its key.
    Config(String),
    /// In a file of the engine.
    File(String),
    /// In the registry of the engine's machine.
    Registry(String),
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
