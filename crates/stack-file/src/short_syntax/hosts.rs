//! Lines for `/etc/hosts`.

use super::Fault;
use crate::tree::{Entries, Kind, Node, Scalar, ScalarKind};

/// `name:address` for every address of every name.
pub(super) fn of_mapping(entries: Entries) -> Vec<Node> {
    let mut lines = Vec::new();
    for (name, entry) in entries {
        match entry.node.kind {
            // What is no text stays what it is, and is told where texts are read.
            Kind::Scalar(address) if address.kind == ScalarKind::String => {
                lines.push(Node::string(host(&name, &address.text), entry.node.origin));
            }
            Kind::Sequence(addresses) => lines.extend(addresses.into_iter().map(|address| {
                match address.as_scalar().filter(is_text).map(|scalar| host(&name, &scalar.text)) {
                    Some(line) => Node::string(line, address.origin),
                    None => address,
                }
            })),
            kind => lines.push(Node { kind, origin: entry.node.origin }),
        }
    }
    lines
}

/// Lines of a list, `=` or `:` between name and address, several addresses by comma.
pub(super) fn of_list(items: Vec<Node>) -> Result<Vec<Node>, Fault> {
    let mut lines = Vec::with_capacity(items.len());
    for item in items {
        let Some(scalar) = item.as_scalar() else {
            lines.push(item);
            continue;
        };
        let (name, addresses) =
            scalar.text.split_once('=').or_else(|| scalar.text.split_once(':')).ok_or_else(|| {
                Fault::new(
                    format!("`{}` is no line for /etc/hosts", scalar.text),
                    "write `name:address`, as in `db:10.0.0.5`",
                )
                .at(&item.origin)
            })?;
        lines.extend(
            addresses.split(',').map(|address| Node::string(host(name, address), item.origin.clone())),
        );
    }
    Ok(lines)
}

fn is_text(scalar: &&Scalar) -> bool {
    scalar.kind == ScalarKind::String
}

fn host(name: &str, address: &str) -> String {
    let address = address.trim();
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    format!("{}:{bare}", name.trim())
}
