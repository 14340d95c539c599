//! A network, and how a container joins it.

use bollard::models::{EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkCreateRequest};
use stack_plan::api::Api;
use stack_plan::desired::{Joined, NetworkSpec};

use super::values::{hashed, pairs, plain, some, some_list};

pub(in crate::docker) fn network(spec: &NetworkSpec) -> NetworkCreateRequest {
    let network = &spec.network;
    let pools: Vec<_> = network
        .ipam
        .iter()
        .map(|pool| IpamConfig {
            subnet: pool.subnet.clone(),
            gateway: pool.gateway.clone(),
            ip_range: pool.ip_range.clone(),
            auxiliary_addresses: some(pairs(&pool.aux_addresses)),
        })
        .collect();
    let with_addresses =
        !pools.is_empty() || network.ipam_driver.is_some() || !network.ipam_options.is_empty();
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: network.driver.as_ref().map(|driver| driver.value.clone()),
        internal: network.internal.then_some(true),
        attachable: network.attachable.then_some(true),
        enable_ipv4: network.enable_ipv4.as_ref().map(|enable| enable.value),
        enable_ipv6: network.enable_ipv6.as_ref().map(|enable| enable.value),
        options: some(plain(&network.driver_opts)),
        ipam: with_addresses.then(|| Ipam {
            driver: network.ipam_driver.clone(),
            config: some_list(pools.into_iter()),
            options: some(pairs(&network.ipam_options)),
        }),
        labels: some(hashed(&spec.labels)),
        ..NetworkCreateRequest::default()
    }
}

/// The API from which on one network of several can be made the way out.
const GATEWAY_PRIORITY: Api = Api(1, 48);

pub(in crate::docker) fn endpoint(
    joined: &Joined,
    container_name: Option<&str>,
    api: Api,
) -> EndpointSettings {
    let mut aliases: Vec<String> = container_name.map(str::to_owned).into_iter().collect();
    aliases.extend(joined.aliases.iter().cloned());
    let fixed =
        joined.ipv4_address.is_some() || joined.ipv6_address.is_some() || !joined.link_local_ips.is_empty();
    EndpointSettings {
        aliases: Some(aliases),
        ipam_config: fixed.then(|| EndpointIpamConfig {
            ipv4_address: joined.ipv4_address.clone(),
            ipv6_address: joined.ipv6_address.clone(),
            link_local_ips: some_list(joined.link_local_ips.iter().cloned()),
        }),
        links: some_list(joined.links.iter().cloned()),
        driver_opts: some(hashed(&joined.driver_opts)),
        mac_address: joined.mac_address.clone().filter(|_| api >= Api::SEVERAL_ENDPOINTS),
        gw_priority: joined.gw_priority.filter(|_| api >= GATEWAY_PRIORITY),
        ..EndpointSettings::default()
    }
}
