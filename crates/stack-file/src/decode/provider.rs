//! Providers and models.

use super::values::{entries, items, number, value};
use crate::canonical::text;
use crate::model::{Model, ModelUse, Provider};
use crate::source::Spanned;
use crate::tree::{Entry, Node};

pub(super) fn provider(node: &Node) -> Provider {
    let kind = node.get("type").unwrap_or(node);
    let values = |node: &Node| match node.as_sequence() {
        Some(items) => items.iter().map(|item| text(item).to_owned()).collect(),
        None => vec![text(node).to_owned()],
    };
    Provider {
        kind: Spanned::new(text(kind).to_owned(), kind.origin.clone()),
        options: entries(node, "options").map(|(name, entry)| (name.clone(), values(&entry.node))).collect(),
    }
}

pub(super) fn model_use(node: &Node) -> ModelUse {
    ModelUse { endpoint_var: value(node, "endpoint_var"), model_var: value(node, "model_var") }
}

/// Reads a completed model.
#[must_use]
pub(crate) fn model(key: &str, entry: &Entry) -> Model {
    let node = &entry.node;
    Model {
        key: Spanned::new(key.to_owned(), entry.key.clone()),
        model: value(node, "model").unwrap_or_default(),
        context_size: number(node, "context_size"),
        runtime_flags: items(node, "runtime_flags").map(|flag| text(flag).to_owned()).collect(),
    }
}
