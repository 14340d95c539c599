//! A hook of a service.

use super::values::{is_true, items, value, variables};
use crate::canonical::text;
use crate::model::Hook;
use crate::tree::Node;

pub(super) fn hook(node: &Node) -> Hook {
    Hook {
        command: items(node, "command").map(|word| text(word).to_owned()).collect(),
        user: value(node, "user"),
        privileged: is_true(node, "privileged"),
        working_dir: value(node, "working_dir"),
        environment: variables(node, "environment"),
    }
}
