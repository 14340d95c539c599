//! What a stack asks for and a backend does not do, by its column of the attribute table.

use crate::attributes::{Attribute, Schema};
use crate::canonical::text;
use crate::diagnostic::Diagnostic;
use crate::load::Loaded;
use crate::tree::{Kind, Node};

/// A column of the table.
pub(crate) struct Column {
    /// What runs the stack, as it is called in sentences.
    pub(crate) backend: &'static str,
    /// Whether an attribute is honoured; else why not, or what to use instead.
    pub(crate) honours: fn(&Attribute) -> Result<(), &'static str>,
    /// Whether stackctl does nothing yet about an attribute that the backend would honour.
    pub(crate) not_yet: fn(&Attribute) -> bool,
    /// What to do about an attribute of this path that is honoured with other values than this.
    pub(crate) value: fn(&str, &str) -> Option<&'static str>,
}

impl Column {
    /// One warning for every attribute of the files that is not honoured, in the order of
    /// the files. What was filled in without being written is no attribute of a file.
    pub(crate) fn not_honoured(&self, loaded: &Loaded) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        self.visit(&loaded.stack.tree, Schema::root(), "", &mut found);
        // Links and shared namespaces imply a dependency, which stands where they stand.
        found.retain(|told| {
            let written = told.origin.as_ref().map_or("", |origin| {
                loaded.sources.get(origin.source).text.get(origin.span.range()).unwrap_or_default()
            });
            let key = told.path.rsplit('.').next().unwrap_or_default();
            !told.path.contains(".depends_on") || written.contains(key)
        });
        found.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
        // An anchor brings one place to several services.
        found.dedup_by(|later, earlier| later.origin == earlier.origin && later.message == earlier.message);
        found
    }

    fn visit(&self, node: &Node, schema: &Schema, path: &str, found: &mut Vec<Diagnostic>) {
        match &node.kind {
            Kind::Mapping(entries) => {
                for (key, entry) in entries {
                    let Some(child) = schema.below(key) else { continue };
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    match (self.honours)(child.row) {
                        Err(_) if asks_nothing(&entry.node) => {}
                        Err(why) => found.push(
                            Diagnostic::warning(format!("{} does not honour `{key}`", self.backend))
                                .at(&entry.key)
                                .path(path)
                                .help(why),
                        ),
                        Ok(()) if (self.not_yet)(child.row) && !asks_nothing(&entry.node) => found.push(
                            Diagnostic::warning(format!(
                                "stackctl does not honour `{key}` on {}",
                                self.backend
                            ))
                            .at(&entry.key)
                            .path(path)
                            .help("remove it if the stack works without it"),
                        ),
                        Ok(()) => {
                            self.look(&entry.node, child, &path, found);
                            self.visit(&entry.node, child, &path, found);
                        }
                    }
                }
            }
            Kind::Sequence(items) => {
                let Some(child) = schema.item.as_deref() else { return };
                for (index, item) in items.iter().enumerate() {
                    self.visit(item, child, &format!("{path}[{index}]"), found);
                }
            }
            Kind::Scalar(_) => {}
        }
    }

    fn look(&self, node: &Node, schema: &Schema, path: &str, found: &mut Vec<Diagnostic>) {
        if let Some(help) = (self.value)(schema.row.path, text(node)) {
            found.push(
                Diagnostic::warning(format!("{} does not honour this `{}`", self.backend, schema.row.name()))
                    .at(&node.origin)
                    .path(path)
                    .help(help),
            );
        }
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
