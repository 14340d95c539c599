//! Says more about a refusal than the engine does: who has what was asked for, and who uses it.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder, ListNetworksOptions,
};
use stack_file::model::Network;
use stack_plan::labels::{PROJECT, SERVICE};

use crate::docker::evidence::evidence_of;
use crate::engine::{EngineError, Failure, Taken};

/// Says who uses what cannot be removed, where that is why: `user` is a filter of the list of
/// containers, and its value.
pub(super) async fn users(
    docker: &Docker,
    error: EngineError,
    statuses: &[u16],
    user: (&str, &str),
) -> EngineError {
    match &error {
        EngineError::Refused { status, .. } if statuses.contains(status) => {}
        _ => return error,
    }
    let (filter, value) = user;
    let filters = HashMap::from([(filter, vec![value])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let Ok(users) = docker.list_containers(Some(options)).await else { return error };
    let by: Vec<String> = users
        .into_iter()
        .filter_map(|container| container.names?.into_iter().next())
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect();
    // Without a user it is not that: a predefined network may not be removed either.
    if by.is_empty() { error } else { EngineError::InUse { by } }
}

/// Says who holds the port that a container could not get, and adds what is known of the container.
pub(super) async fn start(docker: &Docker, id: &str, error: EngineError) -> Failure {
    let EngineError::Refused { message, .. } = &error else {
        return error.into();
    };
    if let Some(port) = port_in_use(message) {
        let holder = holder(docker, &port).await;
        return EngineError::PortInUse { port, holder }.into();
    }
    let error = address(docker, id, error).await;
    Failure { error, evidence: evidence_of(docker, id).await }
}

/// The host port in the engine's words for a port that is taken.
fn port_in_use(message: &str) -> Option<String> {
    if !message.contains("port is already allocated") && !message.contains("address already in use") {
        return None;
    }
    // `Bind for 0.0.0.0:6379 failed` or `listen tcp4 0.0.0.0:80: bind: address already in use`.
    let after = message.split_once("Bind for ").or_else(|| message.split_once("listen "))?.1;
    let address = after.split_whitespace().find(|word| word.contains(':'))?;
    let port = address.trim_end_matches(':').rsplit(':').next()?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.to_owned()).filter(|port| !port.is_empty())
}

/// The container that publishes a host port.
async fn holder(docker: &Docker, port: &str) -> Option<String> {
    let port: u16 = port.parse().ok()?;
    let all = docker.list_containers(Some(ListContainersOptionsBuilder::new().build())).await.ok()?;
    all.into_iter()
        .find(|container| {
            container.ports.iter().flatten().any(|published| published.public_port == Some(port))
        })
        .and_then(|container| container.names?.into_iter().next())
        .map(|name| name.trim_start_matches('/').to_owned())
}

/// Says who has the name that a container could not get.
pub(super) async fn name(docker: &Docker, name: &str, error: EngineError) -> EngineError {
    let message = match &error {
        EngineError::Refused { status: 409, message } if message.contains("already in use") => {
            message.clone()
        }
        _ => return error,
    };
    let by = match docker.inspect_container(name, None::<InspectContainerOptions>).await {
        Ok(look) => Some(described(&look)),
        Err(_) => None,
    };
    EngineError::Taken { what: Taken::Name(name.to_owned()), by, message }
}

/// A container by what a person knows of it.
fn described(look: &ContainerInspectResponse) -> String {
    let labels = look.config.as_ref().and_then(|config| config.labels.as_ref());
    let label = |name: &str| labels.and_then(|labels| labels.get(name)).filter(|value| !value.is_empty());
    let id: String = look.id.as_deref().unwrap_or_default().chars().take(12).collect();
    let state = look.state.as_ref().and_then(|state| state.status).map(|state| state.to_string());
    let state = state.unwrap_or_default();
    match (label(PROJECT), label(SERVICE)) {
        (Some(project), Some(service)) => {
            format!("the container {id} ({state}) of the service {service} in the project {project}")
        }
        _ => format!("the container {id} ({state}), which is of no project"),
    }
}

/// Says which network has the addresses that a new one could not get.
pub(super) async fn network(docker: &Docker, wanted: &Network, error: EngineError) -> EngineError {
    let message = match &error {
        EngineError::Refused { message, .. } if message.contains("ool overlaps with other one") => {
            message.clone()
        }
        _ => return error,
    };
    let subnets: Vec<String> = wanted.ipam.iter().filter_map(|pool| pool.subnet.clone()).collect();
    let there = docker.list_networks(None::<ListNetworksOptions>).await.unwrap_or_default();
    for subnet in &subnets {
        for network in &there {
            let pools = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
            for other in pools.filter_map(|pool| pool.subnet.as_deref()) {
                if let (Some(one), Some(two)) = (Range::of(subnet), Range::of(other))
                    && one.overlaps(two)
                {
                    let theirs = Some(other.to_owned());
                    let what = Taken::Subnet { wanted: subnet.clone(), theirs };
                    return EngineError::Taken { what, by: network.name.clone(), message };
                }
            }
        }
    }
    EngineError::Taken { what: Taken::Subnet { wanted: subnets.join(", "), theirs: None }, by: None, message }
}

/// A range of addresses: the first, the bits of the network, and the bits of an address.
#[derive(Clone, Copy)]
struct Range {
    first: u128,
    fixed: u32,
    bits: u32,
}

impl Range {
    fn of(subnet: &str) -> Option<Self> {
        let (address, fixed) = subnet.split_once('/')?;
        let fixed = fixed.parse().ok()?;
        match address.parse().ok()? {
            IpAddr::V4(address) => Some(Self { first: u128::from(u32::from(address)), fixed, bits: 32 }),
            IpAddr::V6(address) => Some(Self { first: u128::from(address), fixed, bits: 128 }),
        }
    }

    fn overlaps(self, other: Self) -> bool {
        let free = self.bits.saturating_sub(self.fixed.min(other.fixed));
        let shift = |range: Self| range.first.checked_shr(free).unwrap_or_default();
        self.bits == other.bits && shift(self) == shift(other)
    }
}

/// Says who has the address in a network that a container could not get.
async fn address(docker: &Docker, id: &str, error: EngineError) -> EngineError {
    let message = match &error {
        EngineError::Refused { message, .. } if message.ends_with("Address already in use") => {
            message.clone()
        }
        _ => return error,
    };
    let Ok(look) = docker.inspect_container(id, None::<InspectContainerOptions>).await else { return error };
    let wanted = look.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    for (network, endpoint) in wanted {
        let Some(address) =
            endpoint.ipam_config.and_then(|ipam| ipam.ipv4_address).filter(|ip| !ip.is_empty())
        else {
            continue;
        };
        let Ok(network) = docker.inspect_network(&network, None::<InspectNetworkOptions>).await else {
            continue;
        };
        let members = network.containers.unwrap_or_default();
        let holder = members.into_values().find(|member| {
            let theirs = member.ipv4_address.as_deref().and_then(|theirs| theirs.split('/').next());
            theirs == Some(&address)
        });
        if let Some(name) = holder.and_then(|holder| holder.name) {
            return EngineError::Taken { what: Taken::Address(address), by: Some(name), message };
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_engines_words() {
        for (message, port) in [
            (
                "driver failed programming external connectivity on endpoint a-1 (01ab): Bind for 0.0.0.0:6379 failed: port is already allocated",
                Some("6379"),
            ),
            (
                "driver failed programming external connectivity on endpoint a-1 (01ab): Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
                Some("80"),
            ),
            ("failed to bind host port 0.0.0.0:80/tcp: something else", None),
            ("no such file", None),
        ] {
            assert_eq!(port_in_use(message).as_deref(), port, "{message}");
        }
    }
    #[test]
    fn ranges_overlap_when_one_holds_the_other() {
        let overlap = |one, two| Some(Range::of(one)?.overlaps(Range::of(two)?));
        assert_eq!(overlap("10.99.0.0/24", "10.99.0.128/25"), Some(true));
        assert_eq!(overlap("10.99.0.0/16", "10.99.7.0/24"), Some(true));
        assert_eq!(overlap("10.99.0.0/24", "10.99.1.0/24"), Some(false));
        assert_eq!(overlap("0.0.0.0/0", "10.99.1.0/24"), Some(true));
        assert_eq!(overlap("fd00::/8", "10.99.1.0/24"), Some(false));
        assert_eq!(overlap("fd00::/8", "fd00:1::/64"), Some(true));
        assert!(Range::of("nonsense").is_none());
    }
}
