//! What a container has of the machine it runs on.

use bollard::models::{
    HostConfig, HostConfigLogConfig, PortMap, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use stack_file::model::Restart;
use stack_plan::plan::NewContainer;

use super::mounts::mounts;
use super::values::{flag, plain, size, some, some_list, texts};
use crate::engine::EngineError;

pub(super) fn host(
    new: &NewContainer,
    mode: Option<String>,
    bindings: PortMap,
) -> Result<HostConfig, EngineError> {
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

fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, count) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(count))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count }
}
