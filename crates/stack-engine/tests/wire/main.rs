//! What goes over the socket: path, API version, query and body of every call
//! that brings a stack up, against an engine that only writes them down.

mod calls;
mod containers;
mod files;
mod ground;
mod host;
mod mounts;
mod namespaces;
mod networks;
mod recorder;
#[path = "../stacks/mod.rs"]
mod stacks;
mod swarm;
