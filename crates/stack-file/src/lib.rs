//! Turns stack files and variables into one [`Stack`](model::Stack), every value
//! with its place in the text. Knows nothing of Docker, tokio or the terminal;
//! the process environment is passed in.

pub mod attributes;
mod backend;
mod canonical;
mod check;
mod complete;
pub mod config;
mod contents;
mod decode;
pub mod destination;
pub mod diagnostic;
pub mod draw;
mod effective;
mod env_file;
pub mod explain;
mod extends;
mod find;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod given;
mod include;
mod interpolate;
pub mod kubernetes;
pub mod lint;
pub mod load;
mod merge;
pub mod model;
mod name;
pub mod quantity;
mod reading;
mod scalar;
pub mod security;
pub mod select;
mod short_syntax;
pub mod source;
mod support;
pub mod swarm;
pub mod tree;
pub mod variables;
mod verbatim;
mod yaml;
