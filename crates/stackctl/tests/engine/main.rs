//! stackctl on a real Docker Engine.

mod attached;
mod digests;
mod first_stack;
mod plans;
mod scenarios;
mod support;
