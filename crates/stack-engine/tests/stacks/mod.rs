//! Stacks from text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stack_file::load::{Loaded, Request, load};
use stack_plan::desired::Desired;

/// What is read of a file's text, as the project `shop`, with these variables.
pub(crate) fn loaded(text: &str, environment: &BTreeMap<String, String>) -> Loaded {
    let loaded = load(&Request {
        files: vec![PathBuf::from("-")],
        directory: PathBuf::from("/nowhere/shop"),
        project_directory: None,
        project_name: Some("shop".to_owned()),
        env_files: Vec::new(),
        profiles: Vec::new(),
        environment,
        stdin: Some(text),
    });
    assert!(!loaded.has_errors(), "{text}\n{:#?}", loaded.diagnostics);
    loaded
}

/// The stack of a file's text, as the project `shop`.
pub(crate) fn desired(text: &str) -> Desired {
    Desired::of(&loaded(text, &BTreeMap::new()).stack, &BTreeMap::new())
}
