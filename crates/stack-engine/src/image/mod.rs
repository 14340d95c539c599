//! Images: built from a directory, or pulled from a registry.

pub mod build;
pub mod context;
pub(crate) mod credentials;
pub(crate) mod digest;
pub mod ignore;
pub mod pull;
