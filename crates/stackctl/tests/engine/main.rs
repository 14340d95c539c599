//! stackctl on a real Docker Engine.

mod attached;
mod digests;
mod first_stack;
mod interrupted;
mod lifecycle;
mod lock;
mod plans;
mod plugin;
mod ports;
mod scenarios;
mod sharing;
mod support;
