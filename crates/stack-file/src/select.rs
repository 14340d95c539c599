//! A part of a stack: some services, what they need, and what these use.

use std::collections::HashSet;

use crate::canonical::text;
use crate::tree::{Kind, Node};

/// Leaves the named services and everything they depend on in a canonical tree,
/// and of networks, volumes, configs, secrets and models those in use.
pub fn select(tree: &mut Node, names: &[String]) {
    let chosen = with_dependencies(tree, names);
    retain(tree, "services", &chosen);
    for (kind, used) in [
        ("networks", used(tree, |service| keys(service.get("networks")))),
        ("volumes", used(tree, |service| sources(service, "volumes", Some("volume")))),
        ("configs", used(tree, |service| sources(service, "configs", None))),
        (
            "secrets",
            used(tree, |service| {
                let mut all = sources(service, "secrets", None);
                if let Some(build) = service.get("build") {
                    all.extend(sources(build, "secrets", None));
                }
                all
            }),
        ),
        ("models", used(tree, |service| keys(service.get("models")))),
    ] {
        retain(tree, kind, &used);
    }
}

fn with_dependencies(tree: &Node, names: &[String]) -> HashSet<String> {
    let services = tree.get("services");
    let mut chosen: HashSet<String> = HashSet::new();
    let mut next: Vec<String> = names.to_vec();
    while let Some(name) = next.pop() {
        if let Some(service) = services.and_then(|services| services.get(&name))
            && chosen.insert(name)
        {
            next.extend(keys(service.get("depends_on")));
        }
    }
    chosen
}

fn used(tree: &Node, of: impl Fn(&Node) -> Vec<String>) -> HashSet<String> {
    let services = tree.get("services").and_then(Node::as_mapping).into_iter().flatten();
    services.flat_map(|(_, entry)| of(&entry.node)).collect()
}

fn keys(node: Option<&Node>) -> Vec<String> {
    node.and_then(Node::as_mapping).into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// The sources that a list of mounts, configs or secrets names.
fn sources(node: &Node, key: &str, kind: Option<&str>) -> Vec<String> {
    let items = node.get(key).and_then(Node::as_sequence).unwrap_or_default().iter();
    items
        .filter(|item| kind.is_none() || item.get("type").map(text) == kind)
        .filter_map(|item| item.get("source").map(|source| text(source).to_owned()))
        .collect()
}

fn retain(tree: &mut Node, kind: &str, wanted: &HashSet<String>) {
    let Kind::Mapping(top) = &mut tree.kind else { return };
    if let Some(Kind::Mapping(all)) = top.get_mut(kind).map(|entry| &mut entry.node.kind) {
        all.retain(|key, _| wanted.contains(key));
        if all.is_empty() && kind != "services" {
            top.shift_remove(kind);
        }
    }
}
