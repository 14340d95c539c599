//! The stack as `docker compose config` writes it, which reads back to the same stack.

use crate::attributes::{Schema, Shape, Short};
use crate::canonical::text;
use crate::model::Stack;
use crate::source::Origin;
use crate::tree::{Entries, Entry, Kind, Node, ScalarKind};

/// For whom the stack is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people: as YAML, with extensions, without what is not there.
    Yaml,
    /// For programs: as JSON. Only the extensions of the top level are in it, and some
    /// attributes are there without a value.
    Json,
}

/// Attributes that say something even when they are `false` or 0.
const SAY_SOMETHING: &[&str] = &[
    "networks.*.enable_ipv4",
    "networks.*.enable_ipv6",
    "services.*.attach",
    "services.*.depends_on.*.required",
    "services.*.deploy.replicas",
    "services.*.deploy.resources.reservations.generic_resources[].discrete_resource_spec.value",
    "services.*.deploy.restart_policy.max_attempts",
    "services.*.deploy.rollback_config.parallelism",
    "services.*.deploy.update_config.parallelism",
    "services.*.env_file[].required",
    "services.*.healthcheck.retries",
    "services.*.init",
    "services.*.scale",
];

/// Times that say nothing when they are 0.
const NO_TIME: &[&str] = &[
    "services.*.deploy.rollback_config.delay",
    "services.*.deploy.rollback_config.monitor",
    "services.*.deploy.update_config.delay",
    "services.*.deploy.update_config.monitor",
];

/// Mappings that say nothing to people when they are empty.
const NOTHING_IF_EMPTY: &[&str] =
    &["networks.*.ipam", "services.*.deploy.placement", "services.*.deploy.resources"];

impl Stack {
    /// The stack as `docker compose config` writes it.
    #[must_use]
    pub fn config(&self, form: Form) -> Node {
        Writer { form }.mapping(&self.tree, Schema::root())
    }
}

struct Writer {
    form: Form,
}

impl Writer {
    /// A value in the form in which it is written; `None` for one that says nothing.
    fn value(&self, node: &Node, schema: &Schema) -> Option<Node> {
        let row = schema.row;
        let origin = node.origin.clone();
        let says_something = SAY_SOMETHING.contains(&row.path);
        Some(match (row.shape, &node.kind) {
            (Shape::Mapping, Kind::Mapping(entries))
                if entries.is_empty() && self.form == Form::Yaml && NOTHING_IF_EMPTY.contains(&row.path) =>
            {
                return None;
            }
            (Shape::Mapping, Kind::Mapping(entries)) => {
                single_limit(entries, schema).unwrap_or_else(|| self.mapping(node, schema))
            }
            (Shape::Keyed, Kind::Mapping(entries)) => {
                let each = schema.each.as_deref()?;
                let mut written = Entries::with_capacity(entries.len());
                for (key, entry) in entries {
                    if let Some(node) = self.value(&entry.node, each) {
                        written.insert(key.clone(), Entry { key: entry.key.clone(), node });
                    }
                }
                not_empty(Node { kind: Kind::Mapping(written), origin })?
            }
            (Shape::List, Kind::Sequence(items)) => {
                let item = schema.item.as_deref()?;
                let items = items.iter().filter_map(|node| self.value(node, item)).collect();
                not_empty(Node { kind: Kind::Sequence(items), origin })?
            }
            (Shape::Texts, Kind::Sequence(items)) if row.short == Short::Hosts => {
                let mut lines: Vec<Node> = items.iter().map(host).collect();
                lines.sort_by(|one, other| text(one).cmp(text(other)));
                not_empty(Node { kind: Kind::Sequence(lines), origin })?
            }
            // An empty command takes the image's away.
            (Shape::Texts, _) if row.short == Short::Words => node.clone(),
            (Shape::Variables, Kind::Mapping(entries)) if row.path == "services.*.build.ssh" => {
                let keys = entries.iter().map(|(key, entry)| {
                    let key = match text(&entry.node) {
                        "" => key.clone(),
                        path => format!("{key}={path}"),
                    };
                    Node::string(key, entry.node.origin.clone())
                });
                not_empty(Node { kind: Kind::Sequence(keys.collect()), origin })?
            }
            (Shape::Boolean, _) if text(node) == "false" && !says_something => return None,
            (Shape::Integer | Shape::Count | Shape::Number | Shape::Amount, _)
                if text(node) == "0" && !says_something =>
            {
                return None;
            }
            (Shape::Duration, _) if text(node) == "0s" && NO_TIME.contains(&row.path) => return None,
            (Shape::Bytes | Shape::Limit, _) if text(node) == "0" => return None,
            (Shape::Bytes | Shape::Limit, _) => Node::string(text(node), origin),
            (_, Kind::Sequence(_) | Kind::Mapping(_)) => not_empty(node.clone())?,
            (Shape::Text, _) if text(node).is_empty() && !node.is_null() => return None,
            _ => node.clone(),
        })
    }

    fn mapping(&self, node: &Node, schema: &Schema) -> Node {
        let mut written = Entries::new();
        for (key, entry) in node.as_mapping().into_iter().flatten() {
            let kept = if key.starts_with("x-") {
                let kept = self.form == Form::Yaml || schema.row.path.is_empty();
                kept.then(|| entry.node.clone())
            } else {
                schema.children.get(key.as_str()).and_then(|child| self.value(&entry.node, child))
            };
            if let Some(node) = kept {
                written.insert(key.clone(), Entry { key: entry.key.clone(), node });
            }
        }
        self.unsaid(&mut written, schema.row.path, &node.origin);
        schema.order(&mut written);
        Node { kind: Kind::Mapping(written), origin: node.origin.clone() }
    }

    /// What is written though the file does not say it.
    fn unsaid(&self, written: &mut Entries, path: &str, origin: &Origin) {
        let nothing = || Node::scalar("", ScalarKind::Null, origin.clone());
        let empty = || Node { kind: Kind::Mapping(Entries::new()), origin: origin.clone() };
        let mut add = |key: &str, node: Node| {
            written.entry(key.to_owned()).or_insert_with(|| Entry { key: origin.clone(), node });
        };
        match path {
            "" => add("services", empty()),
            "services.*.ports[]" => add("mode", Node::string("ingress", origin.clone())),
            _ => {}
        }
        if self.form == Form::Yaml {
            return;
        }
        match path {
            "services.*" => {
                add("command", nothing());
                add("entrypoint", nothing());
            }
            "services.*.post_start[]" | "services.*.pre_stop[]" | "services.*.pre_start[]" => {
                add("command", nothing());
            }
            "services.*.develop.watch[]" => {
                let command = Entry { key: origin.clone(), node: nothing() };
                let kind = Kind::Mapping(Entries::from([("command".to_owned(), command)]));
                add("exec", Node { kind, origin: origin.clone() });
            }
            "services.*.deploy" => {
                add("resources", empty());
                add("placement", empty());
            }
            "networks.*" => add("ipam", empty()),
            _ => {}
        }
    }
}

/// The short form of a limit stands in one place for both: it is written as it was.
fn single_limit(entries: &Entries, schema: &Schema) -> Option<Node> {
    if schema.row.short != Short::Ulimit {
        return None;
    }
    let (soft, hard) = (&entries.get("soft")?.node, &entries.get("hard")?.node);
    (text(soft) == text(hard) && soft.origin == hard.origin).then(|| soft.clone())
}

/// `name=address`: the sign that cannot be part of an address.
fn host(line: &Node) -> Node {
    Node::string(text(line).replacen(':', "=", 1), line.origin.clone())
}

fn not_empty(node: Node) -> Option<Node> {
    let empty = match &node.kind {
        Kind::Sequence(items) => items.is_empty(),
        Kind::Mapping(entries) => entries.is_empty(),
        Kind::Scalar(_) => false,
    };
    (!empty).then_some(node)
}
