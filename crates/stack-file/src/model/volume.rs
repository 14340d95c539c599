//! Named volumes.

use indexmap::IndexMap;

use crate::source::Spanned;
use crate::tree::Node;

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
