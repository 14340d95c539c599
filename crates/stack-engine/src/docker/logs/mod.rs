//! What containers say, line by line: to the end, or as long as they run.

pub(in crate::docker) mod begin;
mod file;
mod follow;
mod moment;
mod read;
mod split;

pub(super) use follow::follow;
pub(super) use read::read;

/// A longer line is cut here, bytes: a container must not fill our memory.
const LONGEST_LINE: usize = 1 << 20;
