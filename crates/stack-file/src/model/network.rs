//! Networks, and how containers join them.

use indexmap::IndexMap;

use crate::source::Spanned;
use crate::tree::Node;

/// A network of the stack.
#[derive(Clone, Debug)]
pub struct Network {
    /// The key under `networks`, or `default`.
    pub key: Spanned<String>,
    /// The network in canonical form.
    pub tree: Node,
    /// The engine's name for it: `PROJECT_KEY` unless given.
    pub name: String,
    /// Whether somebody else owns it: it must be there, and is never made or removed.
    pub external: bool,
    /// The driver; `None` is the engine's default, `bridge`.
    pub driver: Option<Spanned<String>>,
    /// Options of the driver.
    pub driver_opts: IndexMap<String, Spanned<String>>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Whether containers from outside the stack may join.
    pub attachable: bool,
    /// Whether it has IPv4; `None` is yes.
    pub enable_ipv4: Option<Spanned<bool>>,
    /// Whether it has IPv6.
    pub enable_ipv6: Option<Spanned<bool>>,
    /// Labels.
    pub labels: IndexMap<String, Spanned<String>>,
    /// Address ranges.
    pub ipam: Vec<IpamPool>,
    /// The driver of addresses; `None` is the engine's own.
    pub ipam_driver: Option<String>,
    /// Options of the driver of addresses.
    pub ipam_options: IndexMap<String, String>,
}

/// An address range of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpamPool {
    /// Subnet in CIDR form.
    pub subnet: Option<String>,
    /// Gateway address.
    pub gateway: Option<String>,
    /// Range for containers in CIDR form.
    pub ip_range: Option<String>,
    /// Addresses of other machines, which no container gets, by name.
    pub aux_addresses: IndexMap<String, String>,
}

/// How a container joins a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Names under which the container is found there, besides the service's.
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// The highest is joined first.
    pub priority: i64,
    /// Options of the driver for this container.
    pub driver_opts: IndexMap<String, String>,
    /// The network with the highest is the way out (engines from API 1.48 on).
    pub gw_priority: Option<Spanned<i64>>,
    /// The name of the interface in the container (engines from API 1.49 on).
    pub interface_name: Option<Spanned<String>>,
    /// Link-local addresses.
    pub link_local_ips: Vec<String>,
    /// A fixed MAC address.
    pub mac_address: Option<Spanned<String>>,
}
