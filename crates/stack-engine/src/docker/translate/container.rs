//! A container.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, NetworkingConfig, PortBinding, PortMap,
};
use stack_file::model::{Healthcheck, MountSource, Port, Service};
use stack_plan::api::Api;
use stack_plan::plan::NewContainer;

use super::host::host;
use super::network::endpoint;
use super::values::{flag, hashed, list, some_list, text, whole_seconds};
use crate::engine::EngineError;

/// The API from which on a health check has a start interval.
const START_INTERVAL: Api = Api(1, 44);

/// A container that is made, and what is known when its turn has come.
pub(in crate::docker) struct Making<'a> {
    /// The container.
    pub(in crate::docker) new: &'a NewContainer,
    /// The ids of the containers that lend to it, by service.
    pub(in crate::docker) lenders: &'a BTreeMap<String, String>,
    /// The API that the engine is spoken to with.
    pub(in crate::docker) api: Api,
}

impl Making<'_> {
    /// The MAC address of the container as a whole: an older engine knows no other.
    pub(in crate::docker) fn mac_address(&self) -> Option<String> {
        if self.api >= Api::SEVERAL_ENDPOINTS {
            return None;
        }
        match self.new.spec.networks.first() {
            Some(first) => first.mac_address.clone(),
            None => self.alone().map(|(_, address)| address),
        }
    }

    /// The network and the MAC address of a container that has one without joining networks of the file.
    fn alone(&self) -> Option<(String, String)> {
        let service = &self.new.spec.service;
        let mode = service.network_mode.as_ref()?;
        let own = !matches!(mode.as_str(), "host" | "none" | "disabled") && !mode.contains(':');
        let address = service.mac_address.as_ref().filter(|_| own)?;
        Some((mode.value.clone(), address.value.clone()))
    }

    /// A namespace as the engine is to be told: the container itself in place of its service.
    pub(super) fn namespace(&self, what: &str, mode: &str) -> Result<String, EngineError> {
        match mode.strip_prefix("service:") {
            Some(service) => Ok(format!("container:{}", self.lender(what, service)?)),
            None => Ok(mode.to_owned()),
        }
    }

    /// The containers whose mounts it has too, each with its access mode.
    pub(super) fn volumes_from(&self) -> Result<Vec<String>, EngineError> {
        let all = self.new.spec.service.volumes_from.iter();
        all.map(|other| {
            if let Some(container) = other.strip_prefix("container:") {
                return Ok(container.to_owned());
            }
            let (service, access) = other.split_once(':').unwrap_or((other, ""));
            let id = self.lender("volumes_from", service)?;
            Ok(if access.is_empty() { id.clone() } else { format!("{id}:{access}") })
        })
        .collect()
    }

    fn lender(&self, what: &str, service: &str) -> Result<&String, EngineError> {
        self.lenders.get(service).ok_or_else(|| {
            EngineError::Unsupported(format!(
                "{what} names the service {service}, which has no container; start it with: stackctl up {service}"
            ))
        })
    }

    fn endpoints(&self) -> HashMap<String, EndpointSettings> {
        let new = self.new;
        let joined = new.networks.iter().map(|joined| {
            let endpoint = endpoint(joined, Some(&new.known_as), self.api);
            (joined.name.clone(), endpoint)
        });
        let mut endpoints: HashMap<_, _> = joined.collect();
        if endpoints.is_empty()
            && self.api >= Api::SEVERAL_ENDPOINTS
            && let Some((network, address)) = self.alone()
        {
            let endpoint = EndpointSettings { mac_address: Some(address), ..EndpointSettings::default() };
            endpoints.insert(network, endpoint);
        }
        endpoints
    }
}

pub(in crate::docker) fn container(making: &Making<'_>) -> Result<ContainerCreateBody, EngineError> {
    let new = making.new;
    let spec = &new.spec;
    let service = &*spec.service;
    let (ports, bindings) = ports(service);
    let mode = match &service.network_mode {
        Some(mode) => Some(making.namespace("network_mode", mode)?),
        None => spec.networks.first().map(|joined| joined.name.clone()),
    };
    let endpoints = making.endpoints();
    Ok(ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: list(&service.command),
        entrypoint: list(&service.entrypoint),
        env: some_list(service.environment.iter().map(|(name, value)| match &value.value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        })),
        exposed_ports: (!ports.is_empty()).then_some(ports),
        healthcheck: service.healthcheck.as_ref().map(|check| health(check, making.api)),
        hostname: text(&service.hostname),
        domainname: text(&service.domainname),
        labels: Some(hashed(&new.labels_with(making.lenders))),
        network_disabled: (mode.as_deref() == Some("disabled")).then_some(true),
        open_stdin: flag(&service.stdin_open),
        stdin_once: new.stdin_once.then_some(true),
        attach_stdin: new.stdin_once.then_some(true),
        tty: flag(&service.tty),
        stop_signal: text(&service.stop_signal),
        stop_timeout: service.stop_grace_period.as_ref().map(|grace| whole_seconds(grace.value)),
        user: text(&service.user),
        working_dir: text(&service.working_dir),
        volumes: some_list(
            (service.volumes.iter())
                .filter(|mount| mount.source == MountSource::Anonymous && !mount.has_options())
                .filter(|mount| !new.keep.iter().any(|(target, _)| *target == mount.target))
                .map(|mount| mount.target.clone()),
        ),
        host_config: Some(host(making, mode, bindings)?),
        networking_config: (!endpoints.is_empty())
            .then_some(NetworkingConfig { endpoints_config: Some(endpoints) }),
        ..ContainerCreateBody::default()
    })
}

fn ports(service: &Service) -> (Vec<String>, PortMap) {
    let mut exposed: Vec<String> = Vec::new();
    let mut bindings: PortMap = HashMap::new();
    for Port { target, published, host_ip, protocol, .. } in service.ports.iter().map(|port| &port.value) {
        let inside = format!("{target}/{protocol}");
        if !exposed.contains(&inside) {
            exposed.push(inside.clone());
        }
        let binding = PortBinding { host_ip: host_ip.clone(), host_port: published.clone() };
        bindings.entry(inside).or_default().get_or_insert_default().push(binding);
    }
    for port in &service.expose {
        let inside = if port.contains('/') { port.value.clone() } else { format!("{}/tcp", port.value) };
        if !exposed.contains(&inside) {
            exposed.push(inside);
        }
    }
    (exposed, bindings)
}

/// What the engine is too old for is left out here: the plan has said so.
pub(in crate::docker) fn health(check: &Healthcheck, api: Api) -> HealthConfig {
    if check.disable {
        return HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() };
    }
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    HealthConfig {
        test: (!check.test.is_empty()).then(|| check.test.clone()),
        interval: check.interval.map(nanoseconds),
        timeout: check.timeout.map(nanoseconds),
        retries: check.retries.map(i64::from),
        start_period: check.start_period.map(nanoseconds),
        start_interval: check.start_interval.filter(|_| api >= START_INTERVAL).map(nanoseconds),
    }
}
