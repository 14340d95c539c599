//! stackctl on a real Docker Engine.

mod attached;
mod first_stack;
mod logs;
mod looks;
mod plans;
mod scenarios;
mod support;
