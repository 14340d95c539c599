//! The planner against what is there, written by hand: each case is an obligation.

mod config_hash;
mod containers;
mod ground;
mod lenders;
mod lifecycle;
mod ports;
mod records;
mod support;
mod teardown;
