//! Configs and secrets: files that containers get.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::source::{Origin, Spanned};

/// Whether a file is a config or a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// Of the top-level `configs`.
    Config,
    /// Of the top-level `secrets`.
    Secret,
}

impl FileKind {
    /// One of them: `config`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Secret => "secret",
        }
    }

    /// The attribute: `configs`.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Config => "configs",
            Self::Secret => "secrets",
        }
    }
}

/// A config or a secret that the file declares and a service uses.
#[derive(Clone, Debug)]
pub struct FileObject {
    /// The key under `configs` or `secrets`.
    pub key: Spanned<String>,
    /// Where its content comes from.
    pub source: FileSource,
    /// The name under which a cluster knows it, where the file says one.
    pub name: Option<Spanned<String>>,
    /// The driver by which a cluster fills in templates in its content.
    pub template_driver: Option<Spanned<String>>,
    /// Labels of it in a cluster.
    pub labels: IndexMap<String, Spanned<String>>,
}

/// Where the content of a config or secret comes from.
#[derive(Clone, Debug)]
pub enum FileSource {
    /// Somebody else keeps it: only a cluster can do that.
    External,
    /// A file of this machine.
    File {
        /// The file, absolute.
        path: PathBuf,
        /// What is in it, or why that was not read.
        content: Result<Content, Unread>,
    },
    /// A variable, or the stack file itself. `None` when the variable is not set, which is told.
    Inline(Option<Content>),
}

/// What is in a config or secret. It may be secret, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Arc<[u8]>);

impl Content {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

/// Why a file was not read. It can still be shown to a container as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is a directory.
    Directory,
    /// This user may not read it.
    Denied,
    /// It is larger than [`SIZE_LIMIT`](crate::source::SIZE_LIMIT).
    TooLarge,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "it is a directory",
            Self::Denied => "permission denied",
            Self::TooLarge => "it is too large",
        })
    }
}

/// How a service uses a config or secret.
#[derive(Clone, Debug, PartialEq)]
pub struct FileReference {
    /// Which of both.
    pub kind: FileKind,
    /// The key under `configs` or `secrets`.
    pub source: String,
    /// The path in the container, absolute.
    pub target: String,
    /// The owner's number, if it is given.
    pub uid: Option<Spanned<String>>,
    /// The group's number, if it is given.
    pub gid: Option<Spanned<String>>,
    /// Permission bits, if they are given.
    pub mode: Option<u32>,
    /// Where the service says so.
    pub origin: Origin,
}
