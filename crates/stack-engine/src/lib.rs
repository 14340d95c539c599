//! Looks, does, listens: runs a plan against a container engine and tells
//! typed events. Knows nothing of the terminal.

pub mod checkup;
pub mod copy;
pub mod develop;
pub mod docker;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod execute;
pub mod exit;
pub mod fake;
pub mod generate;
pub mod image;
pub mod lock;
pub mod look;
mod pieces;
pub mod provider;
pub mod refusal;
