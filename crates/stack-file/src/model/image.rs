//! How an image is built, and when it is pulled.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::source::Spanned;

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
