//! stackctl on a real Docker Engine.

mod first_stack;
mod scenarios;
mod support;
