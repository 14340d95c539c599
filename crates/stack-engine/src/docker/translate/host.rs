//! What a container has of the machine it runs on.

use bollard::models::{
    HostConfig, HostConfigCgroupnsModeEnum, HostConfigIsolationEnum, HostConfigLogConfig, PortMap,
    RestartPolicy, RestartPolicyNameEnum,
};
use stack_file::model::{Restart, Service};

use super::container::Making;
use super::mounts::mounts;
use super::resources::resources;
use super::security::security;
use super::values::{flag, plain, size, some, some_list, text, texts};
use crate::engine::EngineError;

pub(super) fn host(
    making: &Making<'_>,
    mode: Option<String>,
    bindings: PortMap,
) -> Result<HostConfig, EngineError> {
    let service = &*making.new.spec.service;
    let (binds, mounts) = mounts(making)?;
    let security = security(making.new)?;
    let borrowed =
        |what: &str, mode: Option<String>| mode.map(|mode| making.namespace(what, &mode)).transpose();
    Ok(HostConfig {
        links: some_list(making.new.links.iter().filter(|_| service.networks.is_empty()).cloned()),
        network_mode: mode,
        ipc_mode: borrowed("ipc", text(&service.ipc))?,
        pid_mode: borrowed("pid", text(&service.pid))?,
        uts_mode: text(&service.uts),
        userns_mode: text(&service.userns_mode),
        cgroupns_mode: cgroup_namespace(service)?,
        isolation: isolation(service)?,
        runtime: text(&service.runtime),
        storage_opt: some(plain(&service.storage_opt)),
        volumes_from: some_list(making.volumes_from()?.into_iter()),
        port_bindings: (!bindings.is_empty()).then_some(bindings),
        binds: some_list(binds.into_iter()),
        mounts: some_list(mounts.into_iter()),
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
        auto_remove: making.new.auto_remove.then_some(true),
        restart_policy: service.restart.as_ref().map(|restart| restart_policy(restart.value)),
        init: flag(&service.init),
        readonly_rootfs: flag(&service.read_only),
        privileged: flag(&service.privileged),
        cap_add: texts(&service.cap_add),
        cap_drop: texts(&service.cap_drop),
        security_opt: some_list(security.options.into_iter()),
        masked_paths: security.open_paths.then(Vec::new),
        readonly_paths: security.open_paths.then(Vec::new),
        group_add: texts(&service.group_add),
        extra_hosts: texts(&service.extra_hosts),
        dns: texts(&service.dns),
        dns_options: texts(&service.dns_opt),
        dns_search: texts(&service.dns_search),
        sysctls: some(plain(&service.sysctls)),
        annotations: some(plain(&service.annotations)),
        shm_size: size(&service.shm_size)?,
        log_config: service.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: logging.driver.clone(),
            config: some(logging.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
        }),
        ..resources(service)?
    })
}

fn cgroup_namespace(service: &Service) -> Result<Option<HostConfigCgroupnsModeEnum>, EngineError> {
    let read = |mode: &str| {
        mode.parse().map_err(|_| EngineError::Unsupported(format!("cgroup is host or private, not {mode}")))
    };
    service.cgroup.as_ref().map(|mode| read(mode)).transpose()
}

fn isolation(service: &Service) -> Result<Option<HostConfigIsolationEnum>, EngineError> {
    let read = |mode: &str| {
        let wrong = || format!("isolation is default, process or hyperv, not {mode}");
        mode.parse().map_err(|_| EngineError::Unsupported(wrong()))
    };
    service.isolation.as_ref().map(|mode| read(mode)).transpose()
}

fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, count) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(count))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count }
}
