//! A container, network or volume of ours in the Docker API's words.

mod container;
mod host;
mod mounts;
mod network;
mod resources;
mod security;
pub(super) mod values;
mod volume;

pub(super) use self::container::{Making, container, health};
pub(super) use self::network::{endpoint, network};
pub(super) use self::values::whole_seconds;
pub(super) use self::volume::volume;
