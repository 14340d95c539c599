//! stackctl on files alone: no engine.

mod check;
mod explain;
mod export;
mod json;
mod names;
mod schema;
mod support;
mod variables;
