//! What `use_api_socket` comes to: a mount, a variable and a config, as docker compose has
//! them, so that its hash of the service is ours.

use std::borrow::Cow;

use stack_file::model::Stack;
use stack_file::source::{Origin, Spanned};
use stack_file::tree::{Entries, Entry, Kind, Node};

use super::files::{CREDENTIALS, SOCKET, SOCKET_CONFIG};

/// The variable that names the directory of docker's settings.
const VARIABLE: &str = "DOCKER_CONFIG";

/// The stack with `use_api_socket` in other attributes' words.
pub(super) fn expand(stack: &Stack) -> Cow<'_, Stack> {
    if !stack.services.values().any(|service| service.use_api_socket) {
        return Cow::Borrowed(stack);
    }
    let mut stack = stack.clone();
    let Stack { services, tree, .. } = &mut stack;
    for (name, service) in services.iter_mut().filter(|(_, service)| service.use_api_socket) {
        let origin = written(tree, name).and_then(|own| Some(own.get("use_api_socket")?.node.origin.clone()));
        let origin = origin.unwrap_or_else(|| service.name.origin.clone());
        let given = service.environment.contains_key(VARIABLE);
        if let Some(written) = written(tree, name) {
            let mount = mapping(&[("type", "bind"), ("source", SOCKET), ("target", SOCKET)], &origin);
            add(written, "volumes", mount, &origin);
            let target = format!("{SOCKET_CONFIG}/config.json");
            add(
                written,
                "configs",
                mapping(&[("source", CREDENTIALS), ("target", &target)], &origin),
                &origin,
            );
            let environment = written
                .entry("environment".to_owned())
                .or_insert_with(|| entry(Kind::Mapping(Entries::new()), &origin));
            if let Kind::Mapping(all) = &mut environment.node.kind
                && !given
            {
                let node = Node::string(SOCKET_CONFIG, origin.clone());
                all.insert(VARIABLE.to_owned(), Entry { key: origin.clone(), node });
            }
        }
        if !given {
            let value = Spanned::new(Some(SOCKET_CONFIG.to_owned()), origin);
            service.environment.insert(VARIABLE.to_owned(), value);
        }
    }
    Cow::Owned(stack)
}

/// A service in the tree of the stack.
fn written<'a>(tree: &'a mut Node, service: &str) -> Option<&'a mut Entries> {
    let Kind::Mapping(top) = &mut tree.kind else { return None };
    let Kind::Mapping(services) = &mut top.get_mut("services")?.node.kind else { return None };
    match &mut services.get_mut(service)?.node.kind {
        Kind::Mapping(service) => Some(service),
        _ => None,
    }
}

fn add(service: &mut Entries, list: &str, item: Node, origin: &Origin) {
    let list = service.entry(list.to_owned()).or_insert_with(|| entry(Kind::Sequence(Vec::new()), origin));
    if let Kind::Sequence(items) = &mut list.node.kind {
        items.push(item);
    }
}

fn mapping(pairs: &[(&str, &str)], origin: &Origin) -> Node {
    let entries = pairs.iter().map(|(key, value)| {
        let node = Node::string(*value, origin.clone());
        ((*key).to_owned(), Entry { key: origin.clone(), node })
    });
    Node { kind: Kind::Mapping(entries.collect()), origin: origin.clone() }
}

fn entry(kind: Kind, origin: &Origin) -> Entry {
    Entry { key: origin.clone(), node: Node { kind, origin: origin.clone() } }
}
