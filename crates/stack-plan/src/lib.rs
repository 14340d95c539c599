//! Compares what is wanted with what is, and says what to do, in which order
//! and why.
//!
//! Everything here is pure: no clock, no network, no prompt. Planning cannot
//! fail, and the same input gives the same plan.

pub mod address;
pub mod api;
pub mod config_hash;
pub mod containers;
pub mod desired;
mod drift;
pub mod fields;
pub mod fingerprint;
pub mod generation;
mod hooks;
pub mod labels;
pub mod lifecycle;
pub mod observed;
pub mod one_off;
pub mod plan;
pub mod ports;
pub mod registry;
pub mod rollout;
pub mod shortfall;
pub mod swarm;
pub mod teardown;
