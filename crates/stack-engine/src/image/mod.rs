//! Images: built from a directory, pulled from a registry or pushed to one.

pub mod build;
#[cfg(feature = "buildkit")]
mod buildkit;
pub mod context;
pub(crate) mod credentials;
pub(crate) mod digest;
pub mod ignore;
mod layers;
pub mod pull;
pub(crate) mod push;
mod steps;
