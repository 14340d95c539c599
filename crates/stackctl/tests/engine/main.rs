//! stackctl on a real Docker Engine.

mod attached;
mod attributes;
mod broken;
mod broken_off;
mod configs;
mod cp;
mod digests;
mod exec;
mod first_stack;
mod generate;
mod generations;
mod hooks;
mod images;
mod interrupted;
mod lifecycle;
mod lock;
mod logs;
mod looks;
mod plans;
mod plugin;
mod ports;
#[cfg(feature = "buildkit")]
mod private_git;
mod providers;
mod pty;
mod registry;
mod restarted;
mod rolling;
mod run;
mod scenarios;
mod sharing;
mod support;
mod swarm;
mod telling;
mod watch;
