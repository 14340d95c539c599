//! stackctl on a real Docker Engine.

mod attached;
mod attributes;
mod broken;
mod configs;
mod cp;
mod digests;
mod exec;
mod first_stack;
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
mod providers;
mod pty;
mod registry;
mod run;
mod scenarios;
mod sharing;
mod support;
mod watch;
