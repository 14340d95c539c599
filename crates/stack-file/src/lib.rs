//! Turns stack files and variables into one [`Stack`](model::Stack), every value
//! with its place in the text. Knows nothing of Docker, tokio or the terminal;
//! the process environment is passed in.

pub mod diagnostic;
pub mod model;
pub mod source;
pub mod tree;
