//! A container, network or volume of ours in the Docker API's words.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    Ipam, IpamConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType,
    MountVolumeOptions, NetworkCreateRequest, NetworkingConfig, PortBinding, PortMap, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};
use stack_file::model::{Healthcheck, MountSource, Port, Restart, Service};
use stack_file::source::Spanned;
use stack_plan::desired::{Joined, NetworkSpec, VolumeSpec};
use stack_plan::plan::NewContainer;

use crate::engine::EngineError;

/// The API from which on a health check has a start interval.
const START_INTERVAL: (u32, u32) = (1, 44);

pub(super) fn network(spec: &NetworkSpec) -> NetworkCreateRequest {
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

pub(super) fn volume(spec: &VolumeSpec) -> VolumeCreateRequest {
    let volume = &spec.volume;
    VolumeCreateRequest {
        name: Some(volume.name.clone()),
        driver: volume.driver.as_ref().map(|driver| driver.value.clone()),
        driver_opts: some(plain(&volume.driver_opts)),
        labels: some(hashed(&spec.labels)),
        ..VolumeCreateRequest::default()
    }
}

pub(super) fn endpoint(joined: &Joined, container_name: Option<&str>) -> EndpointSettings {
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

pub(super) fn container(new: &NewContainer, api: (u32, u32)) -> Result<ContainerCreateBody, EngineError> {
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

fn host(new: &NewContainer, mode: Option<String>, bindings: PortMap) -> Result<HostConfig, EngineError> {
    let service = &*new.spec.service;
    let (binds, mounts) = mounts(new)?;
    Ok(HostConfig {
        network_mode: mode,
        port_bindings: (!bindings.is_empty()).then_some(bindings),
        binds: (!binds.is_empty()).then_some(binds),
        mounts: (!mounts.is_empty()).then_some(mounts),
        tmpfs: some(
            service
                .tmpfs
                .iter()
                .map(|mount| match mount.split_once(':') {
                    Some((path, options)) => (path.to_owned(), options.to_owned()),
                    None => (mount.value.clone(), String::new()),
                })
                .collect(),
        ),
        restart_policy: service.restart.as_ref().map(|restart| restart_policy(restart.value)),
        init: flag(&service.init),
        readonly_rootfs: flag(&service.read_only),
        privileged: flag(&service.privileged),
        cap_add: texts(&service.cap_add),
        cap_drop: texts(&service.cap_drop),
        security_opt: texts(&service.security_opt),
        group_add: texts(&service.group_add),
        extra_hosts: texts(&service.extra_hosts),
        dns: texts(&service.dns),
        dns_options: texts(&service.dns_opt),
        dns_search: texts(&service.dns_search),
        sysctls: some(plain(&service.sysctls)),
        annotations: some(plain(&service.annotations)),
        ulimits: some_list(service.ulimits.iter().map(|(name, limit)| ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(limit.soft),
            hard: Some(limit.hard),
        })),
        shm_size: size(&service.shm_size)?,
        memory: size(&service.mem_limit)?,
        memory_reservation: size(&service.mem_reservation)?,
        // The Docker API counts processors in billionths.
        nano_cpus: service.cpus.as_ref().map(|cpus| (cpus.value * 1e9).round() as i64),
        pids_limit: service.pids_limit.as_ref().map(|limit| limit.value),
        log_config: service.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: logging.driver.clone(),
            config: some(logging.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
        }),
        ..HostConfig::default()
    })
}

fn network_mode(mode: &str) -> Result<String, EngineError> {
    if mode.starts_with("service:") {
        // The file's check refuses it before; a plan made by other means must not be run wrongly.
        return Err(EngineError::Unsupported(format!("network_mode {mode} is not supported")));
    }
    Ok(mode.to_owned())
}

fn ports(service: &Service) -> (Vec<String>, PortMap) {
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

/// Binds that make a missing path are only known to the older text form; everything else is a mount.
fn mounts(new: &NewContainer) -> Result<(Vec<String>, Vec<Mount>), EngineError> {
    let mut binds = Vec::new();
    let mut mounts = Vec::new();
    for mount in &new.spec.service.volumes {
        let target = Some(mount.target.clone());
        let read_only = mount.read_only.then_some(true);
        match &mount.source {
            MountSource::Bind { path, create: true, propagation, selinux } => {
                let options: Vec<&str> = [Some(if mount.read_only { "ro" } else { "rw" })]
                    .into_iter()
                    .chain([propagation.as_deref(), selinux.as_deref()])
                    .flatten()
                    .collect();
                binds.push(format!("{}:{}:{}", path.display(), mount.target, options.join(",")));
            }
            MountSource::Bind { path, create: false, propagation, selinux } => {
                if selinux.is_some() {
                    return Err(EngineError::Unsupported(
                        "bind.selinux together with bind.create_host_path: false is not supported by the engine"
                            .to_owned(),
                    ));
                }
                let propagation = propagation.as_deref().map(propagation_mode).transpose()?;
                mounts.push(Mount {
                    typ: Some(MountType::BIND),
                    source: Some(path.display().to_string()),
                    target,
                    read_only,
                    bind_options: propagation.map(|mode| MountBindOptions {
                        propagation: Some(mode),
                        ..MountBindOptions::default()
                    }),
                    ..Mount::default()
                });
            }
            MountSource::Volume { key, nocopy } => mounts.push(Mount {
                typ: Some(MountType::VOLUME),
                source: Some(new.spec.volume_names.get(key).unwrap_or(key).clone()),
                target,
                read_only,
                volume_options: nocopy
                    .then(|| MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
                ..Mount::default()
            }),
            MountSource::Anonymous => {}
            MountSource::Tmpfs { size, mode } => mounts.push(Mount {
                typ: Some(MountType::TMPFS),
                target,
                read_only,
                tmpfs_options: Some(MountTmpfsOptions {
                    size_bytes: size.map(signed).transpose()?,
                    mode: mode.map(i64::from),
                    ..MountTmpfsOptions::default()
                }),
                ..Mount::default()
            }),
        }
    }
    for (target, name) in &new.keep {
        mounts.push(Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            ..Mount::default()
        });
    }
    Ok((binds, mounts))
}

fn propagation_mode(word: &str) -> Result<MountBindOptionsPropagationEnum, EngineError> {
    word.parse().map_err(|_| EngineError::Unsupported(format!("{word} is no mount propagation")))
}

pub(super) fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, count) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(count))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count }
}

fn health(check: &Healthcheck, api: (u32, u32)) -> Result<HealthConfig, EngineError> {
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

/// Whole seconds, rounded up: a grace period must not become shorter.
pub(super) fn whole_seconds<N: TryFrom<u64> + Bounded>(time: Duration) -> N {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    N::try_from(seconds).unwrap_or(N::HIGHEST)
}

/// A number type with a highest value.
pub(super) trait Bounded {
    const HIGHEST: Self;
}

impl Bounded for i64 {
    const HIGHEST: Self = Self::MAX;
}

impl Bounded for i32 {
    const HIGHEST: Self = Self::MAX;
}

fn signed(bytes: u64) -> Result<i64, EngineError> {
    i64::try_from(bytes)
        .map_err(|_| EngineError::Unsupported(format!("{bytes} bytes are more than the engine can count")))
}

fn size(bytes: &Option<Spanned<u64>>) -> Result<Option<i64>, EngineError> {
    bytes.as_ref().map(|bytes| signed(bytes.value)).transpose()
}

fn text(value: &Option<Spanned<String>>) -> Option<String> {
    value.as_ref().map(|value| value.value.clone())
}

fn texts(values: &[Spanned<String>]) -> Option<Vec<String>> {
    some_list(values.iter().map(|value| value.value.clone()))
}

fn list(values: &Option<Spanned<Vec<String>>>) -> Option<Vec<String>> {
    values.as_ref().map(|values| values.value.clone())
}

fn flag(value: &Option<Spanned<bool>>) -> Option<bool> {
    value.as_ref().map(|value| value.value)
}

fn some_list<T>(values: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let values: Vec<T> = values.collect();
    (!values.is_empty()).then_some(values)
}

fn some(map: HashMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then_some(map)
}

fn plain<'a>(map: impl IntoIterator<Item = (&'a String, &'a Spanned<String>)>) -> HashMap<String, String> {
    map.into_iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
}

fn hashed(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}
