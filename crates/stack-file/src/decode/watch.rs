//! What a service does while files change.

use std::path::PathBuf;

use super::hook::hook;
use super::values::{is_true, items, spanned, strings, value};
use crate::canonical::text;
use crate::model::{WatchAction, WatchRule};
use crate::source::Spanned;
use crate::tree::Node;

/// The items of `develop.watch` of a service.
pub(super) fn watch_rules(service: &Node) -> Vec<Spanned<WatchRule>> {
    let Some(develop) = service.get("develop") else { return Vec::new() };
    items(develop, "watch").filter_map(|item| Some(spanned(item, watch_rule(item)?))).collect()
}

/// One item; its check has refused one without a path or an action.
fn watch_rule(node: &Node) -> Option<WatchRule> {
    let (path, action) = (node.get("path")?, node.get("action")?);
    Some(WatchRule {
        path: spanned(path, PathBuf::from(text(path))),
        action: spanned(action, WatchAction::of(text(action))?),
        target: value(node, "target"),
        include: strings(node, "include"),
        ignore: strings(node, "ignore"),
        initial_sync: is_true(node, "initial_sync"),
        exec: node.get("exec").map(hook),
    })
}
