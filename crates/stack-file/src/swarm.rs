//! What a stack asks for and Swarm does not do.

use crate::attributes::Schema;
use crate::canonical::text;
use crate::diagnostic::Diagnostic;
use crate::load::Loaded;
use crate::tree::{Kind, Node};

/// One warning for every attribute of the files that Swarm does not honour, in the order of
/// the files. What was filled in without being written is no attribute of a file.
#[must_use]
pub fn not_honoured(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    visit(&loaded.stack.tree, Schema::root(), "", &mut found);
    // Links and shared namespaces imply a dependency, which stands where they stand.
    found.retain(|told| {
        let written = told.origin.as_ref().map_or("", |origin| {
            loaded.sources.get(origin.source).text.get(origin.span.range()).unwrap_or_default()
        });
        !told.path.ends_with(".depends_on") || written.contains("depends_on")
    });
    found.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
    // An anchor brings one place to several services.
    found.dedup_by(|later, earlier| later.origin == earlier.origin && later.message == earlier.message);
    found
}

fn visit(node: &Node, schema: &Schema, path: &str, found: &mut Vec<Diagnostic>) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, entry) in entries {
                let Some(child) = schema.below(key) else { continue };
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match child.row.on_swarm() {
                    Err(_) if asks_nothing(&entry.node) => {}
                    Err(why) => found.push(
                        Diagnostic::warning(format!("Swarm does not honour `{key}`"))
                            .at(&entry.key)
                            .path(path)
                            .help(why),
                    ),
                    Ok(()) => {
                        value(&entry.node, child, &path, found);
                        visit(&entry.node, child, &path, found);
                    }
                }
            }
        }
        Kind::Sequence(items) => {
            let Some(child) = schema.item.as_deref() else { return };
            for (index, item) in items.iter().enumerate() {
                visit(item, child, &format!("{path}[{index}]"), found);
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// Whether a value is that of an attribute that is not there.
fn asks_nothing(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.text == "false",
        Kind::Sequence(items) => items.is_empty(),
        Kind::Mapping(entries) => entries.is_empty(),
    }
}

/// Attributes that Swarm honours with some values only.
fn value(node: &Node, schema: &Schema, path: &str, found: &mut Vec<Diagnostic>) {
    let help = match (schema.row.path, text(node)) {
        ("networks.*.driver", driver) if !matches!(driver, "overlay" | "" | "host") => {
            "services of a swarm need an `overlay` network"
        }
        _ => return,
    };
    found.push(
        Diagnostic::warning(format!("Swarm does not honour this `{}`", schema.row.name()))
            .at(&node.origin)
            .path(path)
            .help(help),
    );
}
