//! Docker Swarm: the same Engine API, with services in place of containers.

mod converge;
pub mod generations;
mod listed;
mod logs;
mod objects;
mod observe;
mod paths;
mod perform;
mod service;
mod settings;
mod ship;
mod update;

use stack_plan::swarm::{SwarmDesired, SwarmObserved};

use crate::docker::DockerEngine;
use crate::engine::EngineError;

pub(super) use self::converge::wait;
pub(super) use self::perform::perform;

/// What to look at on a swarm.
#[derive(Clone, Debug, Default)]
pub struct SwarmQuery {
    /// The project name.
    pub project: String,
    /// Image references to look up on the node that is asked.
    pub images: Vec<String>,
    /// Names of networks that the project may use without owning them.
    pub networks: Vec<String>,
    /// Names of configs and secrets that the project may use without owning them.
    pub objects: Vec<String>,
}

impl SwarmQuery {
    /// What has to be known before a stack can be planned.
    #[must_use]
    pub fn of(desired: &SwarmDesired) -> Self {
        Self {
            project: desired.project.clone(),
            images: desired.references(),
            networks: desired.networks.iter().map(|spec| spec.network.name.clone()).collect(),
            objects: desired.objects.iter().map(|spec| spec.name.clone()).collect(),
        }
    }
}

/// Whether an engine can be asked about a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It is a manager.
    Manager,
    /// It is a worker, which knows nothing of services; the addresses of managers that it knows.
    Worker(Vec<String>),
    /// It is in no swarm.
    Outside,
    /// It is in a swarm that it cannot work in, and why.
    Broken(String),
}

impl DockerEngine {
    /// Looks at everything of one project on the swarm.
    ///
    /// # Errors
    /// When the manager does not answer.
    pub async fn survey(&self, query: &SwarmQuery) -> Result<SwarmObserved, EngineError> {
        observe::observe(self, query).await
    }

    /// What the engine is to a swarm.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn membership(&self) -> Result<Membership, EngineError> {
        observe::membership(self).await
    }
}
