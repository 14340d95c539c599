//! Images: built from a directory, pulled from a registry or pushed to one.

mod attempts;
pub mod build;
#[cfg(feature = "buildkit")]
mod buildkit;
pub mod context;
pub(crate) mod credentials;
pub mod digest;
mod dockerfile;
pub mod ignore;
mod layers;
mod one_call;
pub mod pull;
pub(crate) mod push;
pub mod request;
mod steps;
