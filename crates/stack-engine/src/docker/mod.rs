//! A Docker Engine, API 1.41 (20.10) or newer. Only this crate names bollard.

pub mod archive;
pub mod attach;
pub mod checkup;
pub mod connect;
mod copy;
mod deliver;
mod evidence;
pub mod exec;
mod explain;
mod generate;
pub mod generations;
mod health;
mod hook;
mod logs;
mod look;
mod members;
mod observe;
mod perform;
mod ports;
pub mod session;
mod settle;
mod stop;
pub mod swarm;
mod translate;
#[cfg(feature = "buildkit")]
pub(crate) mod upgrade;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use bollard::Docker;
use bollard::errors::Error;
use futures_util::Stream;
use stack_plan::api::Api;
use stack_plan::observed::Observed;
use stack_plan::ports::HeldPort;

use crate::docker::connect::Connection;
use crate::docker::watch::Watch;
use crate::engine::{Engine, EngineError, Failure, LogLine, Outcome, Query, Selection, Work};
use crate::evidence::Evidence;
use crate::image::digest;
use crate::image::pull::PullError;
use crate::provider::Programs;

/// A Docker Engine.
pub struct DockerEngine {
    docker: Docker,
    connection: Connection,
    watch: Watch,
    probe: bool,
    programs: OnceLock<Programs>,
    nodes: OnceLock<BTreeMap<String, DockerEngine>>,
}

impl DockerEngine {
    /// Takes over a connection. `probe` says whether waits run health checks themselves,
    /// or leave that to the engine.
    #[must_use]
    pub fn new(connection: Connection, probe: bool) -> Self {
        let docker = connection.docker.clone();
        let watch = Watch::new(docker.clone());
        Self { watch, docker, connection, probe, programs: OnceLock::new(), nodes: OnceLock::new() }
    }

    /// Says where the programs of providers are looked for; without it there are none.
    /// What was said first holds.
    pub fn look_for_programs(&self, programs: impl FnOnce() -> Programs) {
        self.programs.get_or_init(programs);
    }

    /// The version of the API that it is spoken to with.
    fn api(&self) -> Api {
        let (major, minor) = self.connection.api_version;
        Api(major, minor)
    }

    /// How the engine was found, and what it is.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What is known of a container; `None` when it is gone.
    pub async fn evidence(&self, id: &str) -> Option<Box<Evidence>> {
        evidence::evidence_of(&self.docker, id).await
    }

    /// The id of the image that a reference names now; `None` if there is none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>, EngineError> {
        match self.docker.inspect_image(reference).await {
            Ok(image) => Ok(image.id),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(answered(error)),
        }
    }

    /// An image reference in full, pinned to the digest that its registry tells:
    /// `docker.io/library/redis:7@sha256:…`. Nothing is pulled.
    ///
    /// # Errors
    /// When the registry does not tell, and why.
    pub async fn pinned(&self, reference: &str) -> Result<String, PullError> {
        digest::pinned(&self.docker, reference).await
    }
}

impl Engine for DockerEngine {
    async fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        let remote = self.connection.is_remote();
        let observed = observe::observe(&self.docker, query).await?;
        Ok(Observed { api: self.api(), remote, ..observed })
    }

    async fn perform(&self, work: Work<'_>) -> Result<Outcome, Failure> {
        perform::perform(self, work).await
    }

    async fn held_ports(&self, ports: &BTreeSet<(String, u16)>) -> Result<Vec<HeldPort>, EngineError> {
        ports::held(self, ports).await
    }

    fn follow(&self, selection: Selection) -> impl Stream<Item = Result<LogLine, EngineError>> {
        logs::follow(&self.docker, &self.watch, selection)
    }
}

/// The engine's answer as our error.
fn answered(error: Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::Refused { status: status_code, message: message.trim().to_owned() }
        }
        Error::RequestTimeoutError => EngineError::Lost("no answer in time".to_owned()),
        other => {
            // The outermost text is often no more than "client error": the cause is below it.
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(&other);
            while let Some(below) = cause {
                let below_text = below.to_string();
                if !text.contains(&below_text) {
                    text = format!("{text}: {below_text}");
                }
                cause = below.source();
            }
            EngineError::Lost(text)
        }
    }
}

/// Whether the engine does not know the resource.
fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}
