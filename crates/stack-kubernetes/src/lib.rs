//! Writes a stack as manifests of Kubernetes, and says with its line what they cannot say.
//!
//! Pure: what is in files beside the stack file is asked for through a function, and the same
//! stack gives the same manifests to the byte. Nothing here talks to a cluster.

mod access;
mod content;
mod labels;
mod lifecycle;
mod manifests;
mod mounts;
mod name;
mod network;
mod placement;
mod pod;
mod ports;
mod probe;
mod resources;
mod security;
mod volumes;
mod wait;
mod workload;

use std::path::Path;

use serde_json::Value;
use stack_file::diagnostic::Diagnostic;
use stack_file::load::Loaded;

pub use self::name::is_label as is_namespace;
pub use self::resources::is_quantity;

/// How a stack is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of all objects; `None` leaves it to whoever applies them.
    pub namespace: Option<String>,
    /// What published ports become.
    pub publish: Publish,
    /// The size of claims for volumes that tell none, as Kubernetes writes sizes.
    pub volume_size: String,
    /// The image of the containers that wait for dependencies. It needs `sh` and `nc`, and
    /// `curl` where a Job is waited for.
    pub wait_image: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespace: None, publish: Publish::default(), volume_size: "1Gi".to_owned(), wait_image: None }
    }
}

/// What a published port becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// A Service of type LoadBalancer, which keeps the number of the port.
    #[default]
    LoadBalancer,
    /// A Service of type NodePort; only numbers from 30000 to 32767 are kept.
    NodePort,
    /// Nothing: the port is open within the cluster alone.
    Nothing,
}

/// What is at a path that a service binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file.
    File {
        /// What is in it.
        content: Vec<u8>,
        /// Whether it may be run.
        executable: bool,
    },
    /// A directory: the files in it and below, by their path in it, in order.
    Directory(Vec<(String, Vec<u8>)>),
    /// Nothing, or something that is neither.
    Other,
    /// Something that cannot be read, or is too much for a manifest; with why.
    Unread(String),
}

/// An object of Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The kind: `Deployment`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// The whole object.
    pub value: Value,
}

/// A stack as objects of Kubernetes.
#[derive(Clone, Debug)]
pub struct Export {
    /// The objects: what others refer to comes first.
    pub objects: Vec<Object>,
    /// What the objects do not say, one warning per use, and what keeps the stack from being
    /// written, one error each; in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// Writes a stack. `look` tells what is at a path of this machine, which is asked for only
/// where a service binds something within the project directory.
#[must_use]
pub fn export(loaded: &Loaded, options: &Options, look: &dyn Fn(&Path) -> Found) -> Export {
    manifests::Manifests::of(loaded, options, look).finish()
}
