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
    /// Whether it has IPv6.
    pub enable_ipv6: Option<Spanned<bool>>,
    /// Labels.
    pub labels: IndexMap<String, Spanned<String>>,
    /// Address ranges.
    pub ipam: Vec<IpamPool>,
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
}

/// How a container joins a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Names under which the container is found there, besides the service's.
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// The highest is joined first.
    pub priority: i64,
}
