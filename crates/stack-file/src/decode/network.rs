//! Networks of the canonical tree, and how services join them.

use super::row_of;
use super::values::{flag, is_true, items, number, pairs, parsed, plain_pairs, string, texts, value};
use crate::destination::Backend;
use crate::effective::effective;
use crate::model::{Attachment, IpamPool, Network};
use crate::source::Spanned;
use crate::tree::{Entry, Node};

/// Reads a completed network.
#[must_use]
pub(crate) fn network(key: &str, entry: &Entry) -> Network {
    let node = &entry.node;
    let ipam = node.get("ipam");
    let pools = ipam.map(|ipam| {
        items(ipam, "config")
            .map(|pool| IpamPool {
                subnet: value(pool, "subnet"),
                gateway: value(pool, "gateway"),
                ip_range: value(pool, "ip_range"),
                aux_addresses: plain_pairs(pool, "aux_addresses"),
            })
            .collect()
    });
    Network {
        key: Spanned::new(key.to_owned(), entry.key.clone()),
        tree: effective(node, row_of("networks"), Backend::Docker),
        name: value(node, "name").unwrap_or_else(|| key.to_owned()),
        external: is_true(node, "external"),
        driver: string(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        internal: is_true(node, "internal"),
        attachable: is_true(node, "attachable"),
        enable_ipv4: flag(node, "enable_ipv4"),
        enable_ipv6: flag(node, "enable_ipv6"),
        labels: pairs(node, "labels"),
        ipam: pools.unwrap_or_default(),
        ipam_driver: ipam
            .and_then(|ipam| value(ipam, "driver"))
            .filter(|driver| !matches!(driver.as_str(), "" | "default")),
        ipam_options: ipam.map(|ipam| plain_pairs(ipam, "options")).unwrap_or_default(),
    }
}

pub(super) fn attachment(node: &Node) -> Attachment {
    Attachment {
        aliases: texts(node, "aliases"),
        ipv4_address: value(node, "ipv4_address"),
        ipv6_address: value(node, "ipv6_address"),
        priority: number(node, "priority").unwrap_or_default(),
        driver_opts: plain_pairs(node, "driver_opts"),
        gw_priority: parsed(node.get("gw_priority")),
        interface_name: string(node, "interface_name"),
        link_local_ips: texts(node, "link_local_ips"),
        mac_address: string(node, "mac_address"),
    }
}
