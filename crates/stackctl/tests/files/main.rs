//! stackctl on files alone: no engine.

mod explain;
mod json;
mod support;
