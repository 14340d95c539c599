//! Dependencies: those of the file in full, and those that other attributes imply.

use super::empty;
use crate::canonical::text;
use crate::source::Origin;
use crate::tree::{Entries, Entry, Kind, Node, ScalarKind};

/// Every dependency in full, those that other attributes imply included if `with_implied`.
pub(crate) fn complete(service: &mut Entries, with_implied: bool) {
    let implied = if with_implied { implied(service) } else { Vec::new() };
    for (name, restart, origin) in implied {
        let all = service.entry("depends_on".to_owned()).or_insert_with(|| empty(&origin));
        if let Kind::Mapping(entries) = &mut all.node.kind {
            entries.entry(name).or_insert_with(|| {
                let mut wanted = Entries::new();
                default(&mut wanted, 0, "restart", restart, ScalarKind::Boolean, &origin);
                Entry {
                    key: origin.clone(),
                    node: Node { kind: Kind::Mapping(wanted), origin: origin.clone() },
                }
            });
        }
    }
    let Some(Kind::Mapping(all)) = service.get_mut("depends_on").map(|entry| &mut entry.node.kind) else {
        return;
    };
    for entry in all.values_mut() {
        let origin = entry.node.origin.clone();
        if entry.node.is_null() {
            entry.node.kind = Kind::Mapping(Entries::new());
        }
        if let Kind::Mapping(wanted) = &mut entry.node.kind {
            default(wanted, 0, "condition", "service_started", ScalarKind::String, &origin);
            default(wanted, 1, "restart", "false", ScalarKind::Boolean, &origin);
            default(wanted, 2, "required", "true", ScalarKind::Boolean, &origin);
        }
    }
}

/// Services whose links, namespaces or volumes a service uses, and whether it restarts with them.
fn implied(service: &Entries) -> Vec<(String, &'static str, Origin)> {
    let mut all = Vec::new();
    let items =
        |key: &str| service.get(key).and_then(|entry| entry.node.as_sequence()).unwrap_or_default().iter();
    for link in items("links") {
        let name = text(link).split(':').next().unwrap_or_default();
        all.push((name.to_owned(), "true", link.origin.clone()));
    }
    for namespace in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(entry) = service.get(namespace) else { continue };
        if let Some(name) = text(&entry.node).strip_prefix("service:") {
            all.push((name.to_owned(), "true", entry.node.origin.clone()));
        }
    }
    for other in items("volumes_from") {
        let name = text(other);
        if !name.starts_with("container:") {
            let name = name.split(':').next().unwrap_or_default();
            all.push((name.to_owned(), "false", other.origin.clone()));
        }
    }
    all
}

fn default(entries: &mut Entries, at: usize, key: &str, value: &str, kind: ScalarKind, origin: &Origin) {
    if !entries.contains_key(key) {
        let node = Node::scalar(value, kind, origin.clone());
        let at = at.min(entries.len());
        entries.shift_insert(at, key.to_owned(), Entry { key: origin.clone(), node });
    }
}
