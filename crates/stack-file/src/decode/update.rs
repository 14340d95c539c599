//! `deploy.update_config` and `deploy.rollback_config`.

use super::values::{number, time};
use crate::canonical::text;
use crate::model::{FailureAction, UpdateConfig, UpdateOrder};
use crate::tree::Node;

pub(super) fn update_config(node: &Node) -> UpdateConfig {
    let duration = |key: &str| node.get(key).and_then(time).map(|time| time.value);
    let default = UpdateConfig::default();
    UpdateConfig {
        parallelism: number(node, "parallelism").unwrap_or(default.parallelism),
        delay: duration("delay").unwrap_or(default.delay),
        failure_action: match node.get("failure_action").map(text) {
            Some("continue") => FailureAction::Continue,
            Some("rollback") => FailureAction::Rollback,
            _ => default.failure_action,
        },
        monitor: duration("monitor"),
        max_failure_ratio: number(node, "max_failure_ratio").unwrap_or(default.max_failure_ratio),
        order: match node.get("order").map(text) {
            Some("start-first") => UpdateOrder::StartFirst,
            _ => default.order,
        },
    }
}
