//! The stack as it is meant: every short form resolved, every variable filled in.
//!
//! Names and meanings are those of the Compose Specification. An attribute that
//! is absent is `None` or empty: the image or the engine decides.

mod deploy;
mod file;
mod hook;
mod image;
mod mount;
mod network;
mod provider;
mod resources;
mod service;
mod update;
mod volume;
mod watch;

use std::path::PathBuf;

use indexmap::IndexMap;

use crate::attributes::Schema;
use crate::destination::{Backend, Destination};
use crate::effective::effective;
use crate::source::Spanned;
use crate::tree::Node;

pub use self::deploy::{Deploy, DeployMode, GenericResource, PortMode, RestartCondition, RestartPolicy};
pub use self::file::{Content, FileKind, FileObject, FileReference, FileSource, Unread};
pub use self::hook::Hook;
pub use self::image::{Build, BuildSecret, PullPolicy};
pub use self::mount::{Mount, MountSource, VolumeOptions};
pub use self::network::{Attachment, IpamPool, Network};
pub use self::provider::{Model, ModelUse, Provider};
pub use self::resources::{Blkio, Device, DeviceRate, DeviceRequest, DeviceWeight, Ulimit};
pub use self::service::{
    CredentialSpec, Dependency, DependencyCondition, Healthcheck, Logging, Port, Restart, Service,
};
pub use self::update::{FailureAction, UpdateConfig, UpdateOrder};
pub use self::volume::Volume;
pub use self::watch::{WatchAction, WatchRule};

/// A whole stack: one project.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The project name: lower-case letters, digits, `-` and `_`.
    pub name: Spanned<String>,
    /// What stands between the parts of names that are made up: `-`, or `_` as the first
    /// docker-compose had it, where `COMPOSE_COMPATIBILITY` asks for that.
    pub separator: char,
    /// The project directory, absolute: relative paths are resolved against it.
    pub directory: PathBuf,
    /// Which kind of engine runs it, and which one, as the file says.
    pub destination: Destination,
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
    /// The configs in use by key.
    pub configs: IndexMap<String, FileObject>,
    /// The secrets in use by key.
    pub secrets: IndexMap<String, FileObject>,
    /// The AI models in use by key.
    pub models: IndexMap<String, Model>,
    /// The whole document in canonical form: long syntax, casts done, paths absolute.
    pub tree: Node,
}

impl Stack {
    /// A service as it stands in [`Stack::tree`].
    #[must_use]
    pub fn written_service(&self, name: &str) -> Option<&Node> {
        self.tree.get("services")?.get(name)
    }

    /// What a service comes to on an engine: without extensions and remarks to readers, and with
    /// what the file leaves unsaid. It is as large as the service in the tree, and made anew
    /// for each call.
    #[must_use]
    pub fn service_on_engine(&self, name: &str) -> Option<Node> {
        self.service_on(name, Backend::Docker)
    }

    /// As [`Stack::service_on_engine`], for one kind of engine: what a swarm does not honour is
    /// left out there, and what only a swarm honours stays.
    #[must_use]
    pub fn service_on(&self, name: &str, backend: Backend) -> Option<Node> {
        let row = Schema::root().below("services").and_then(|services| services.each.as_deref());
        self.written_service(name).map(|service| effective(service, row, backend))
    }
}
