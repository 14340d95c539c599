//! Stacks from text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stack_file::load::{Request, load};
use stack_plan::desired::Desired;

/// The stack of a file's text, as the project `shop`.
pub(crate) fn desired(text: &str) -> Desired {
    let environment = BTreeMap::new();
    let loaded = load(&Request {
        files: vec![PathBuf::from("-")],
        directory: PathBuf::from("/nowhere/shop"),
        project_directory: None,
        project_name: Some("shop".to_owned()),
        env_files: Vec::new(),
        profiles: Vec::new(),
        environment: &environment,
        stdin: Some(text),
    });
    assert!(!loaded.has_errors(), "{text}\n{:#?}", loaded.diagnostics);
    Desired::of(&loaded.stack, &BTreeMap::new())
}
