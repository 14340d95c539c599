//! What `deploy` asks of a cluster, besides what one engine honours, too.

use std::time::Duration;

use indexmap::IndexMap;

use crate::source::Spanned;

/// What `deploy` asks of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deploy {
    /// How many tasks there are, and whether they come to an end.
    pub mode: DeployMode,
    /// Labels of the service, not of its containers.
    pub labels: IndexMap<String, Spanned<String>>,
    /// How connections are spread: `vip` or `dnsrr`; `None` is the cluster's default, `vip`.
    pub endpoint_mode: Option<Spanned<String>>,
    /// What a node must fulfil: `node.role==worker`.
    pub constraints: Vec<Spanned<String>>,
    /// The labels over whose values tasks are spread, the most important first.
    pub spread: Vec<Spanned<String>>,
    /// The most tasks on one node; `None` is no limit.
    pub max_replicas_per_node: Option<Spanned<u64>>,
    /// When tasks are started again.
    pub restart_policy: Option<Spanned<RestartPolicy>>,
    /// Processors kept free for each task.
    pub reserved_cpus: Option<Spanned<f64>>,
    /// Other resources kept free for each task.
    pub generic_resources: Vec<Spanned<GenericResource>>,
}

/// `deploy.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeployMode {
    /// A number of tasks.
    #[default]
    Replicated,
    /// One task on each node.
    Global,
    /// A number of tasks that run to their end.
    ReplicatedJob,
    /// One task on each node that runs to its end.
    GlobalJob,
}

impl DeployMode {
    /// The mode that the Compose Specification calls so.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::Replicated, Self::Global, Self::ReplicatedJob, Self::GlobalJob];
        all.into_iter().find(|mode| mode.word() == word)
    }

    /// The Compose Specification's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Replicated => "replicated",
            Self::Global => "global",
            Self::ReplicatedJob => "replicated-job",
            Self::GlobalJob => "global-job",
        }
    }

    /// Whether its tasks run to their end.
    #[must_use]
    pub fn is_job(self) -> bool {
        matches!(self, Self::ReplicatedJob | Self::GlobalJob)
    }

    /// Whether each node has one task.
    #[must_use]
    pub fn is_global(self) -> bool {
        matches!(self, Self::Global | Self::GlobalJob)
    }
}

/// When a cluster starts tasks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// After which ends.
    pub condition: RestartCondition,
    /// The time before a restart; `None` is the cluster's default, 5 s.
    pub delay: Option<Duration>,
    /// How often at most; `None` is without end.
    pub max_attempts: Option<u64>,
    /// The time in which the attempts are counted; `None` is all of it.
    pub window: Option<Duration>,
}

/// After which ends a task is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartCondition {
    /// None.
    None,
    /// Another exit code than 0.
    OnFailure,
    /// Every one.
    Any,
}

impl RestartCondition {
    /// The Compose Specification's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OnFailure => "on-failure",
            Self::Any => "any",
        }
    }
}

/// A resource that the nodes of a cluster say that they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenericResource {
    /// The kind, as `SSD`.
    pub kind: String,
    /// How many.
    pub value: i64,
}

/// Where a published port is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortMode {
    /// On every node of a cluster, which passes connections on to any task.
    #[default]
    Ingress,
    /// On the node of each task.
    Host,
}
