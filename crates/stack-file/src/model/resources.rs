//! What the containers of a service may use of the machine.

/// A soft and a hard limit; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// The limit that holds.
    pub soft: i64,
    /// The highest that the process may ask for.
    pub hard: i64,
}
