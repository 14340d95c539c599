//! stackctl on files alone: no engine.

mod check;
mod explain;
mod json;
mod schema;
mod support;
