//! How an image is built, and when it is pulled.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::canonical::is_remote;
use crate::model::Ulimit;
use crate::source::{Origin, Spanned};

/// How an image is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// The context directory, absolute, or an address: see [`Build::remote`].
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
    /// Further contexts by name: an absolute folder, `docker-image://REFERENCE`, `service:NAME`
    /// or the address of a git repository.
    pub additional_contexts: IndexMap<String, Spanned<String>>,
    /// Where the layer cache is exported to: `type=inline` and its like.
    pub cache_to: Vec<Spanned<String>>,
    /// Rights that the build asks for.
    pub entitlements: Vec<Spanned<String>>,
    /// Stages that are built without the layer cache.
    pub no_cache_filter: Vec<Spanned<String>>,
    /// Platforms to build for; empty is the service's or the engine's own.
    pub platforms: Vec<Spanned<String>>,
    /// Whether `RUN` steps may have all privileges.
    pub privileged: Option<Spanned<bool>>,
    /// How an attestation of the provenance is made: `true`, `false`, `mode=max`.
    pub provenance: Option<Spanned<String>>,
    /// Whether and by what a bill of materials is made.
    pub sbom: Option<Spanned<String>>,
    /// Secrets for `RUN` steps.
    pub secrets: Vec<BuildSecret>,
    /// SSH agents and keys for `RUN` steps by id; `None` is the agent of the user.
    pub ssh: IndexMap<String, Spanned<Option<String>>>,
    /// Limits of `RUN` steps.
    pub ulimits: IndexMap<String, Spanned<Ulimit>>,
}

impl Build {
    /// The address of a context that is no directory of this machine, of git or HTTP.
    #[must_use]
    pub fn remote(&self) -> Option<&str> {
        self.context.value.to_str().filter(|context| is_remote(context))
    }
}

/// A secret for `RUN` steps.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildSecret {
    /// The id that `RUN` steps know it by.
    pub id: String,
    /// The key under `secrets`.
    pub source: String,
    /// Where the build asks for it.
    pub origin: Origin,
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
    /// When it is not there, or was pulled so long ago.
    Refresh(Duration),
}
