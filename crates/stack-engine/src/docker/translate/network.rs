//! A network, and how a container joins it.

use bollard::models::{EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkCreateRequest};
use stack_plan::desired::{Joined, NetworkSpec};

use super::values::{hashed, plain, some};

pub(in crate::docker) fn network(spec: &NetworkSpec) -> NetworkCreateRequest {
    let network = &spec.network;
    let pools: Vec<_> = network
        .ipam
        .iter()
        .map(|pool| IpamConfig {
            subnet: pool.subnet.clone(),
            gateway: pool.gateway.clone(),
            ip_range: pool.ip_range.clone(),
            ..IpamConfig::default()
        })
        .collect();
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: network.driver.as_ref().map(|driver| driver.value.clone()),
        internal: network.internal.then_some(true),
        attachable: network.attachable.then_some(true),
        enable_ipv6: network.enable_ipv6.as_ref().map(|enable| enable.value),
        options: some(plain(&network.driver_opts)),
        ipam: (!pools.is_empty()).then(|| Ipam { config: Some(pools), ..Ipam::default() }),
        labels: some(hashed(&spec.labels)),
        ..NetworkCreateRequest::default()
    }
}

pub(in crate::docker) fn endpoint(joined: &Joined, container_name: Option<&str>) -> EndpointSettings {
    let mut aliases: Vec<String> = container_name.map(str::to_owned).into_iter().collect();
    aliases.extend(joined.aliases.iter().cloned());
    let fixed = joined.ipv4_address.is_some() || joined.ipv6_address.is_some();
    EndpointSettings {
        aliases: Some(aliases),
        ipam_config: fixed.then(|| EndpointIpamConfig {
            ipv4_address: joined.ipv4_address.clone(),
            ipv6_address: joined.ipv6_address.clone(),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}
