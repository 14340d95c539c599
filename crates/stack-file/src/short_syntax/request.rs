//! What a container asks of its host by name: devices, processors, secrets and configs.

use super::{Fault, implied, mapping};
use crate::canonical::text;
use crate::source::Origin;
use crate::tree::{Kind, Node, Scalar, ScalarKind};

/// `SOURCE[:TARGET[:PERMISSIONS]]` as a long form.
pub(super) fn device(short: &str, origin: &Origin) -> Result<Node, Fault> {
    let parts: Vec<&str> = short.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => {
            return Err(Fault::new(
                format!("`{short}` has too many colons for a device"),
                "write SOURCE:TARGET:PERMISSIONS, or the long form for paths with colons",
            ));
        }
    };
    let at = |text: &str| Node::string(text, origin.clone());
    let target = if target.is_empty() { source } else { target };
    let entries = [("source", at(source)), ("target", at(target)), ("permissions", at(permissions))];
    Ok(Node { kind: mapping(entries), origin: origin.clone() })
}

/// `all`: one request for all of them.
pub(super) fn gpus(scalar: &Scalar, origin: &Origin) -> Result<Kind, Fault> {
    if scalar.text != "all" {
        return Err(Fault::new(
            format!("`gpus` cannot be `{}`", scalar.text),
            "write `all`, or a list: [{count: 1}]",
        ));
    }
    let count = Node::scalar("-1", ScalarKind::Integer, origin.clone());
    let request = Node { kind: mapping([("count", count)]), origin: origin.clone() };
    Ok(Kind::Sequence(vec![request]))
}

/// Refuses a mapping that lacks an attribute.
pub(crate) fn needs(node: &Node, what: &str, key: &str, example: &str) -> Result<(), Fault> {
    if node.get(key).is_some() {
        return Ok(());
    }
    let mut fault = Fault::new(format!("{what} needs `{key}`"), format!("add `{example}`"));
    fault.lacks = Some(key.to_owned());
    Err(fault)
}

/// Which device, and where.
pub(crate) fn check_device(node: &Node) -> Result<(), Fault> {
    needs(node, "a device", "source", "source: /dev/ttyUSB0")?;
    needs(node, "a device", "target", "target: /dev/ttyUSB0")
}

/// Either so many or certain ones; neither is all.
pub(crate) fn settle_request(node: &mut Node) -> Result<(), Fault> {
    let origin = node.origin.clone();
    let ids = node.get("device_ids").map(|ids| ids.origin.clone());
    match (node.get("count").is_some(), ids) {
        (true, Some(ids)) => {
            return Err(Fault::new(
                "a request for devices has either `count` or `device_ids`, not both",
                "keep one of the two",
            )
            .at(&ids));
        }
        (false, None) => {
            if let Kind::Mapping(entries) = &mut node.kind {
                implied(entries, "count", Node::scalar("-1", ScalarKind::Integer, origin));
            }
        }
        _ => {}
    }
    Ok(())
}

/// A mounted secret or config, with the directory in which it stands unless it says where.
pub(crate) fn settle_file(node: &mut Node, directory: Option<&str>) -> Result<(), Fault> {
    needs(node, "a mounted file", "source", "source: KEY")?;
    let Some(directory) = directory else { return Ok(()) };
    let target = node
        .get("source")
        .map(|source| Node::string(format!("{directory}/{}", text(source)), source.origin.clone()));
    if let (Kind::Mapping(entries), Some(target)) = (&mut node.kind, target)
        && !entries.contains_key("target")
    {
        implied(entries, "target", target);
    }
    Ok(())
}

/// What is watched, what follows, and where files go if they go anywhere.
pub(crate) fn check_watch(node: &Node) -> Result<(), Fault> {
    needs(node, "an item of `watch`", "path", "path: ./src")?;
    needs(node, "an item of `watch`", "action", "action: rebuild")?;
    match node.get("action").map(text) {
        Some("rebuild" | "restart") => Ok(()),
        _ => needs(node, "an item of `watch` that copies files", "target", "target: /srv/src"),
    }
}
