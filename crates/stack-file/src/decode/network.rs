//! Networks of the canonical tree, and how services join them.

use super::row_of;
use super::values::{flag, is_true, items, number, pairs, string, value};
use crate::canonical::text;
use crate::effective::effective;
use crate::model::{Attachment, IpamPool, Network};
use crate::source::Spanned;
use crate::tree::{Entry, Node};

/// Reads a completed network.
#[must_use]
pub(crate) fn network(key: &str, entry: &Entry) -> Network {
    let node = &entry.node;
    let pools = node.get("ipam").map(|ipam| {
        items(ipam, "config")
            .map(|pool| IpamPool {
                subnet: value(pool, "subnet"),
                gateway: value(pool, "gateway"),
                ip_range: value(pool, "ip_range"),
            })
            .collect()
    });
    Network {
        key: Spanned::new(key.to_owned(), entry.key.clone()),
        tree: effective(node, row_of("networks")),
        name: value(node, "name").unwrap_or_else(|| key.to_owned()),
        external: is_true(node, "external"),
        driver: string(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        internal: is_true(node, "internal"),
        attachable: is_true(node, "attachable"),
        enable_ipv6: flag(node, "enable_ipv6"),
        labels: pairs(node, "labels"),
        ipam: pools.unwrap_or_default(),
    }
}

pub(super) fn attachment(node: &Node) -> Attachment {
    Attachment {
        aliases: items(node, "aliases").map(|alias| text(alias).to_owned()).collect(),
        ipv4_address: value(node, "ipv4_address"),
        ipv6_address: value(node, "ipv6_address"),
        priority: number(node, "priority").unwrap_or_default(),
    }
}
