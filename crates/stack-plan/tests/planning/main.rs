//! The planner against what is there, written by hand: each case is an obligation.

mod config_hash;
mod containers;
mod files;
mod ground;
mod hooks;
mod lenders;
mod lifecycle;
mod ports;
mod providers;
mod records;
mod rolling;
mod run;
mod support;
mod swarm;
mod teardown;
