//! Images: built from a directory, pulled from a registry or pushed to one.

mod attempts;
pub mod build;
#[cfg(feature = "buildkit")]
mod buildkit;
pub mod context;
pub(crate) mod credentials;
pub mod digest;
pub mod ignore;
mod layers;
pub mod pull;
pub(crate) mod push;
mod steps;
