//! Networks to be there, and how containers join them.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_file::model::{Network, Stack};

use super::{plain, written};
use crate::address::Address;
use crate::fields::Fields;
use crate::labels;

/// A network to be there.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Its name within the project.
    pub address: Address,
    /// The settings.
    pub network: Arc<Network>,
    /// The settings, flat.
    pub fields: Fields,
    /// All labels that it gets.
    pub labels: BTreeMap<String, String>,
}

/// A network that a container joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The key in the file.
    pub key: String,
    /// The engine's name.
    pub name: String,
    /// Names under which the container is found there, besides its own.
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// Link-local addresses.
    pub link_local_ips: Vec<String>,
    /// A fixed MAC address.
    pub mac_address: Option<String>,
    /// The network with the highest is the way out.
    pub gw_priority: Option<i64>,
    /// Options of the driver, the name of the interface among them.
    pub driver_opts: BTreeMap<String, String>,
    /// Other containers under names of this one's choice, as `CONTAINER:ALIAS`.
    pub links: Vec<String>,
}

pub(super) fn network_spec(stack: &Stack, network: &Network) -> NetworkSpec {
    let mut fields = Fields::of(&network.tree, &["name", "external"]);
    fields.insert("name", &network.name, &network.key.origin);
    let mut all = plain(&network.labels);
    all.extend(labels::of_network(
        &stack.name,
        network,
        written(stack, "networks", &network.key, &network.tree),
        &fields,
    ));
    NetworkSpec {
        address: Address::Network(network.key.value.clone()),
        network: Arc::new(network.clone()),
        fields,
        labels: all,
    }
}
