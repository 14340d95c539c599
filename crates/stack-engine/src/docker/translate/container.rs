//! A container.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HealthConfig, NetworkingConfig, PortBinding, PortMap};
use stack_file::model::{Healthcheck, MountSource, Port, Service};
use stack_plan::plan::NewContainer;

use super::host::host;
use super::network::endpoint;
use super::values::{flag, hashed, list, some_list, text, whole_seconds};
use crate::engine::EngineError;

/// The API from which on a health check has a start interval.
const START_INTERVAL: (u32, u32) = (1, 44);

pub(in crate::docker) fn container(
    new: &NewContainer,
    api: (u32, u32),
) -> Result<ContainerCreateBody, EngineError> {
    let spec = &new.spec;
    let service = &*spec.service;
    let (ports, bindings) = ports(service);
    let mode = match &service.network_mode {
        Some(mode) => Some(network_mode(mode)?),
        None => spec.networks.first().map(|joined| joined.name.clone()),
    };
    let networking = spec.networks.first().map(|joined| NetworkingConfig {
        endpoints_config: Some(HashMap::from([(joined.name.clone(), endpoint(joined, Some(&new.known_as)))])),
    });
    Ok(ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: list(&service.command),
        entrypoint: list(&service.entrypoint),
        env: some_list(service.environment.iter().map(|(name, value)| match &value.value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        })),
        exposed_ports: (!ports.is_empty()).then_some(ports),
        healthcheck: service.healthcheck.as_ref().map(|check| health(check, api)).transpose()?,
        hostname: text(&service.hostname),
        domainname: text(&service.domainname),
        labels: Some(hashed(&new.labels)),
        open_stdin: flag(&service.stdin_open),
        tty: flag(&service.tty),
        stop_signal: text(&service.stop_signal),
        stop_timeout: service.stop_grace_period.as_ref().map(|grace| whole_seconds(grace.value)),
        user: text(&service.user),
        working_dir: text(&service.working_dir),
        volumes: some_list(
            service
                .volumes
                .iter()
                .filter(|mount| mount.source == MountSource::Anonymous)
                .filter(|mount| !new.keep.iter().any(|(target, _)| *target == mount.target))
                .map(|mount| mount.target.clone()),
        ),
        host_config: Some(host(new, mode, bindings)?),
        networking_config: networking,
        ..ContainerCreateBody::default()
    })
}

pub(super) fn network_mode(mode: &str) -> Result<String, EngineError> {
    if mode.starts_with("service:") {
        // The file's check refuses it before; a plan made by other means must not be run wrongly.
        return Err(EngineError::Unsupported(format!("network_mode {mode} is not supported")));
    }
    Ok(mode.to_owned())
}

pub(super) fn ports(service: &Service) -> (Vec<String>, PortMap) {
    let mut exposed: Vec<String> = Vec::new();
    let mut bindings: PortMap = HashMap::new();
    for Port { target, published, host_ip, protocol } in service.ports.iter().map(|port| &port.value) {
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

pub(super) fn health(check: &Healthcheck, api: (u32, u32)) -> Result<HealthConfig, EngineError> {
    if check.disable {
        return Ok(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() });
    }
    if check.start_interval.is_some() && api < START_INTERVAL {
        return Err(EngineError::Unsupported(format!(
            "healthcheck.start_interval needs API {}.{}, and this engine has {}.{}",
            START_INTERVAL.0, START_INTERVAL.1, api.0, api.1
        )));
    }
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    Ok(HealthConfig {
        test: (!check.test.is_empty()).then(|| check.test.clone()),
        interval: check.interval.map(nanoseconds),
        timeout: check.timeout.map(nanoseconds),
        retries: check.retries.map(i64::from),
        start_period: check.start_period.map(nanoseconds),
        start_interval: check.start_interval.map(nanoseconds),
    })
}
