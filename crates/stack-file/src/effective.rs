//! What a canonical tree comes to on an engine: without extensions and remarks to
//! readers, and with what the file leaves unsaid.

use std::path::Path;

use crate::attributes::{Schema, Shape, Support};
use crate::canonical::{clean, text};
use crate::destination::Backend;
use crate::short_syntax::exposed;
use crate::source::Origin;
use crate::tree::{Entries, Entry, Kind, Node, ScalarKind};

/// The tree of a service, a network or a volume as an engine is to have it. Keys of
/// the reader's choice, as those of labels, stay whatever they are.
#[must_use]
pub(crate) fn effective(node: &Node, schema: Option<&Schema>, backend: Backend) -> Node {
    let origin = node.origin.clone();
    let path = schema.map_or("", |schema| schema.row.path);
    let mut kind = match &node.kind {
        Kind::Mapping(entries) => {
            let fixed = schema.is_some_and(|schema| schema.row.shape == Shape::Mapping);
            let below = |key: &str| schema.and_then(|schema| schema.below(key));
            Kind::Mapping(
                entries
                    .iter()
                    .filter(|(key, _)| !(fixed && key.starts_with("x-")))
                    .filter(|(key, _)| !below(key).is_some_and(|schema| says_nothing(schema, backend)))
                    .map(|(key, entry)| {
                        let node = effective(&entry.node, below(key), backend);
                        (key.clone(), Entry { key: entry.key.clone(), node })
                    })
                    .collect(),
            )
        }
        Kind::Sequence(items) => {
            let below = schema.and_then(|schema| schema.item.as_deref());
            let items: Vec<Node> = items.iter().map(|item| effective(item, below, backend)).collect();
            Kind::Sequence(match path {
                "services.*.expose" => exposed(items.clone()).unwrap_or(items),
                _ => items,
            })
        }
        Kind::Scalar(_) if node.is_null() && path == "services.*.networks.*" => Kind::Mapping(Entries::new()),
        Kind::Scalar(scalar) => Kind::Scalar(scalar.clone()),
    };
    if let Kind::Mapping(entries) = &mut kind {
        match path {
            "services.*" => healthcheck(entries),
            "services.*.build" => dockerfile(entries),
            "services.*.volumes[]" => mount(entries, &origin),
            "networks.*" => addresses(entries),
            _ => {}
        }
    }
    Node { kind, origin }
}

/// Whether an attribute is nothing to an engine.
fn says_nothing(schema: &Schema, backend: Backend) -> bool {
    let support = schema.row.support;
    match backend {
        Backend::Docker => matches!(support, Support::Told | Support::Ignored(_) | Support::NoEffect(_)),
        Backend::Swarm => {
            let told = support == Support::Told && schema.row.path != "services.*.ports[].mode";
            told || matches!(support, Support::NoEffect(_)) || schema.row.on_swarm().is_err()
        }
    }
}

/// What turns a health check off: `disable: true` and the probe `NONE` mean the same.
pub(crate) fn turned_off(check: &Entries) -> Option<&Node> {
    let disable = check.get("disable").filter(|entry| text(&entry.node) == "true");
    let test = check.get("test");
    let none = |node: &Node| node.as_sequence().and_then(<[Node]>::first).map(text) == Some("NONE");
    disable.or_else(|| test.filter(|entry| none(&entry.node))).map(|entry| &entry.node)
}

/// A health check that is off says nothing else.
fn healthcheck(service: &mut Entries) {
    let Some(entry) = service.get_mut("healthcheck") else { return };
    let Kind::Mapping(check) = &mut entry.node.kind else { return };
    if let Some(off) = turned_off(check) {
        let origin = off.origin.clone();
        let none = Kind::Sequence(vec![Node::string("NONE", origin.clone())]);
        let test = Node { kind: none, origin: origin.clone() };
        let disable = Node::scalar("true", ScalarKind::Boolean, origin.clone());
        *check = Entries::from([
            ("test".to_owned(), Entry { key: origin.clone(), node: test }),
            ("disable".to_owned(), Entry { key: origin, node: disable }),
        ]);
    } else {
        check.shift_remove("disable");
        if check.is_empty() {
            service.shift_remove("healthcheck");
        }
    }
}

/// An empty name means the usual one.
fn dockerfile(build: &mut Entries) {
    let inline = build.contains_key("dockerfile_inline");
    if let Some(file) = build.get_mut("dockerfile").filter(|entry| text(&entry.node).is_empty()) {
        file.node = Node::string("Dockerfile", file.node.origin.clone());
        if inline {
            build.shift_remove("dockerfile");
        }
    }
}

/// A missing path of a bind is made unless the file says otherwise, and options
/// that are at their defaults are none.
fn mount(mount: &mut Entries, origin: &Origin) {
    if let Some(Kind::Mapping(volume)) = mount.get_mut("volume").map(|entry| &mut entry.node.kind)
        && volume.get("nocopy").is_some_and(|entry| text(&entry.node) == "false")
    {
        volume.shift_remove("nocopy");
    }
    mount.retain(|key, entry| {
        let empty = entry.node.as_mapping().is_some_and(|empty| empty.is_empty());
        !(key == "read_only" && text(&entry.node) == "false"
            || matches!(key.as_str(), "volume" | "tmpfs") && empty)
    });
    if mount.get("type").map(|entry| text(&entry.node)) == Some("bind") {
        if let Some(source) = mount.get_mut("source") {
            let path = clean(Path::new(text(&source.node))).to_string_lossy().into_owned();
            source.node = Node::string(path, source.node.origin.clone());
        }
        let bind = mount.entry("bind".to_owned()).or_insert_with(|| Entry {
            key: origin.clone(),
            node: Node { kind: Kind::Mapping(Entries::new()), origin: origin.clone() },
        });
        if let Kind::Mapping(bind) = &mut bind.node.kind
            && !bind.contains_key("create_host_path")
        {
            let create = Node::scalar("true", ScalarKind::Boolean, origin.clone());
            let entry = Entry { key: origin.clone(), node: create };
            bind.shift_insert(0, "create_host_path".to_owned(), entry);
        }
    }
}

/// The default driver of addresses is what there is without one, and addresses are of the
/// fourth version unless the file says otherwise.
fn addresses(network: &mut Entries) {
    if network.get("enable_ipv4").is_some_and(|enable| text(&enable.node) == "true") {
        network.shift_remove("enable_ipv4");
    }
    if let Some(Kind::Mapping(ipam)) = network.get_mut("ipam").map(|entry| &mut entry.node.kind) {
        if ipam.get("driver").is_some_and(|driver| matches!(text(&driver.node), "" | "default")) {
            ipam.shift_remove("driver");
        }
        if ipam.is_empty() {
            network.shift_remove("ipam");
        }
    }
}
