//! Hooks: commands that run in a container after its start or before its stop.

use indexmap::IndexMap;

use crate::source::Spanned;

/// A command that runs in a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The user, by name or id; `None` is the container's.
    pub user: Option<String>,
    /// Whether it has all privileges.
    pub privileged: bool,
    /// The working directory; `None` is the container's.
    pub working_dir: Option<String>,
    /// Variables of the command, besides the container's. `None` unsets one.
    pub environment: IndexMap<String, Spanned<Option<String>>>,
}
