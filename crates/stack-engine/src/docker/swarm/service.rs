//! A service in the Docker API's words. Every list is sorted, so that the same service is the same text.

use std::time::Duration;

use bollard::models::{
    EndpointPortConfig, EndpointPortConfigProtocolEnum, EndpointPortConfigPublishModeEnum, EndpointSpec,
    EndpointSpecModeEnum, GenericResourcesInner, GenericResourcesInnerDiscreteResourceSpec, Limit, Mount,
    MountBindOptions, MountTmpfsOptions, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig,
    NetworkAttachmentConfig, ResourceObject, ResourcesUlimits, ServiceSpec, ServiceSpecMode,
    ServiceSpecModeReplicated, ServiceSpecModeReplicatedJob, TaskSpec, TaskSpecContainerSpec,
    TaskSpecContainerSpecDnsConfig, TaskSpecContainerSpecPrivileges, TaskSpecContainerSpecPrivilegesAppArmor,
    TaskSpecContainerSpecPrivilegesAppArmorModeEnum, TaskSpecContainerSpecPrivilegesCredentialSpec,
    TaskSpecContainerSpecPrivilegesSeccomp, TaskSpecContainerSpecPrivilegesSeccompModeEnum,
    TaskSpecLogDriver, TaskSpecPlacement, TaskSpecPlacementPreferences, TaskSpecPlacementSpread,
    TaskSpecResources, TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum,
};
use stack_file::model::{
    CredentialSpec, DeployMode, MountSource, PortMode, Restart, RestartCondition, Service,
};
use stack_file::quantity;
use stack_file::security::{self, LabelPart, SecurityOption};
use stack_file::source::Spanned;
use stack_plan::api::Api;
use stack_plan::swarm::{PRIVILEGES, SwarmService};

use super::objects::Files;
use super::update::{rollback_config, update_config};
use crate::docker::translate::{health, values};
use crate::engine::EngineError;

/// A service. `files` has the ids of its configs and secrets.
pub(super) fn service(
    spec: &SwarmService,
    files: Files,
    force_update: u64,
    api: Api,
) -> Result<ServiceSpec, EngineError> {
    let job = spec.mode.is_job();
    let service = &*spec.service;
    Ok(ServiceSpec {
        name: Some(spec.name.clone()),
        labels: Some(values::hashed(&spec.labels)),
        task_template: Some(TaskSpec {
            container_spec: Some(container(spec, files, api)?),
            resources: resources(service)?,
            restart_policy: restart_policy(spec),
            placement: placement(service),
            force_update: (force_update > 0).then_some(force_update),
            networks: values::some_list(spec.networks.iter().map(|joined| NetworkAttachmentConfig {
                target: Some(joined.name.clone()),
                aliases: Some(joined.aliases.clone()),
                driver_opts: values::some(values::hashed(&joined.driver_opts)),
            })),
            log_driver: service.logging.as_ref().map(|logging| TaskSpecLogDriver {
                name: logging.driver.clone(),
                options: values::some(values::pairs(&logging.options)),
            }),
            ..TaskSpec::default()
        }),
        mode: Some(mode(spec)),
        update_config: service.update.as_ref().filter(|_| !job).map(|config| update_config(config)),
        rollback_config: service.rollback.as_ref().filter(|_| !job).map(|config| rollback_config(config)),
        endpoint_spec: endpoint(service)?,
        ..ServiceSpec::default()
    })
}

/// How many tasks, or one on each node.
pub(super) fn mode(spec: &SwarmService) -> ServiceSpecMode {
    let replicas = i64::try_from(spec.replicas).unwrap_or(i64::MAX);
    let each = Some(std::collections::HashMap::new());
    match spec.mode {
        DeployMode::Replicated => ServiceSpecMode {
            replicated: Some(ServiceSpecModeReplicated { replicas: Some(replicas) }),
            ..ServiceSpecMode::default()
        },
        DeployMode::Global => ServiceSpecMode { global: each, ..ServiceSpecMode::default() },
        DeployMode::ReplicatedJob => ServiceSpecMode {
            replicated_job: Some(ServiceSpecModeReplicatedJob {
                max_concurrent: Some(replicas),
                total_completions: Some(replicas),
            }),
            ..ServiceSpecMode::default()
        },
        DeployMode::GlobalJob => ServiceSpecMode { global_job: each, ..ServiceSpecMode::default() },
    }
}

fn container(spec: &SwarmService, files: Files, api: Api) -> Result<TaskSpecContainerSpec, EngineError> {
    let service = &*spec.service;
    let mut env: Vec<String> = (service.environment.iter())
        .map(|(name, value)| match &value.value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        })
        .collect();
    env.sort();
    let mut ulimits: Vec<ResourcesUlimits> = (service.ulimits.iter())
        .map(|(name, limit)| ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(limit.soft),
            hard: Some(limit.hard),
        })
        .collect();
    ulimits.sort_by(|a, b| a.name.cmp(&b.name));
    let dns = !(service.dns.is_empty() && service.dns_search.is_empty() && service.dns_opt.is_empty());
    let isolation = service.isolation.as_ref().map(|mode| {
        mode.parse().map_err(|_| {
            EngineError::Unsupported(format!("isolation is default, process or hyperv, not {}", mode.value))
        })
    });
    Ok(TaskSpecContainerSpec {
        image: Some(spec.image.clone()),
        labels: Some(values::hashed(&spec.container_labels)),
        // What the Docker API calls a command here is the entry point of the file.
        command: values::list(&service.entrypoint),
        args: values::list(&service.command),
        hostname: values::text(&service.hostname),
        env: values::some_list(env.into_iter()),
        dir: values::text(&service.working_dir),
        user: values::text(&service.user),
        groups: sorted(&service.group_add),
        privileges: privileges(service, &files, api),
        tty: values::flag(&service.tty),
        open_stdin: values::flag(&service.stdin_open),
        read_only: values::flag(&service.read_only),
        mounts: values::some_list(mounts(spec)?.into_iter()),
        stop_signal: values::text(&service.stop_signal),
        stop_grace_period: service.stop_grace_period.as_ref().map(|grace| nanoseconds(grace.value)),
        health_check: service.healthcheck.as_ref().map(|check| health(check, api)),
        hosts: values::some_list(hosts(service).into_iter()),
        dns_config: dns.then(|| TaskSpecContainerSpecDnsConfig {
            nameservers: values::texts(&service.dns),
            search: values::texts(&service.dns_search),
            options: values::texts(&service.dns_opt),
        }),
        secrets: values::some_list(files.secrets.into_iter()),
        configs: values::some_list(files.configs.into_iter()),
        oom_score_adj: service.oom_score_adj.as_ref().map(|score| score.value),
        isolation: isolation.transpose()?,
        init: values::flag(&service.init),
        sysctls: values::some(values::plain(&service.sysctls)),
        capability_add: sorted(&service.cap_add),
        capability_drop: sorted(&service.cap_drop),
        ulimits: values::some_list(ulimits.into_iter()),
    })
}

fn sorted(given: &[Spanned<String>]) -> Option<Vec<String>> {
    let mut all: Vec<String> = given.iter().map(|value| value.value.clone()).collect();
    all.sort();
    all.dedup();
    values::some_list(all.into_iter())
}

/// Lines for `/etc/hosts`, the address first as in that file.
fn hosts(service: &Service) -> Vec<String> {
    let mut hosts: Vec<String> = (service.extra_hosts.iter())
        .map(|line| match line.split_once([':', '=']) {
            Some((name, address)) => {
                format!("{} {name}", address.trim_start_matches('[').trim_end_matches(']'))
            }
            None => line.value.clone(),
        })
        .collect();
    hosts.sort();
    hosts
}

/// Credentials and security options. A manager that is too old for an option is not told of it: the
/// plan has refused it, unless it may be left out.
fn privileges(service: &Service, files: &Files, api: Api) -> Option<TaskSpecContainerSpecPrivileges> {
    let mut privileges = TaskSpecContainerSpecPrivileges::default();
    if let Some(spec) = &service.credential_spec {
        let mut from = TaskSpecContainerSpecPrivilegesCredentialSpec::default();
        match &spec.value {
            CredentialSpec::Config(_) => from.config.clone_from(&files.credentials),
            CredentialSpec::File(file) => from.file = Some(file.clone()),
            CredentialSpec::Registry(key) => from.registry = Some(key.clone()),
        }
        privileges.credential_spec = Some(from);
    }
    for option in &service.security_opt {
        match security::option(&option.value) {
            Some(SecurityOption::Label { part, value }) => {
                let context = privileges.se_linux_context.get_or_insert_default();
                let value = Some(value.to_owned());
                match part {
                    LabelPart::Disable => context.disable = Some(true),
                    LabelPart::User => context.user = value,
                    LabelPart::Role => context.role = value,
                    LabelPart::Type => context.typ = value,
                    LabelPart::Level => context.level = value,
                }
            }
            _ if api < PRIVILEGES => {}
            Some(SecurityOption::NoNewPrivileges(on)) => privileges.no_new_privileges = Some(on),
            Some(SecurityOption::SeccompUnconfined) => {
                privileges.seccomp = Some(TaskSpecContainerSpecPrivilegesSeccomp {
                    mode: Some(TaskSpecContainerSpecPrivilegesSeccompModeEnum::UNCONFINED),
                    profile: None,
                });
            }
            Some(SecurityOption::AppArmorUnconfined) => {
                privileges.app_armor = Some(TaskSpecContainerSpecPrivilegesAppArmor {
                    mode: Some(TaskSpecContainerSpecPrivilegesAppArmorModeEnum::DISABLED),
                });
            }
            None => {}
        }
    }
    (privileges != TaskSpecContainerSpecPrivileges::default()).then_some(privileges)
}

fn mounts(spec: &SwarmService) -> Result<Vec<Mount>, EngineError> {
    let mut mounts = Vec::new();
    for mount in &spec.service.volumes {
        let plain = Mount {
            target: Some(mount.target.clone()),
            read_only: mount.read_only.then_some(true),
            ..Mount::default()
        };
        mounts.push(match &mount.source {
            MountSource::Bind { path, propagation, .. } => {
                let propagation = propagation.as_deref().map(|word| {
                    word.parse()
                        .map_err(|_| EngineError::Unsupported(format!("{word} is no mount propagation")))
                });
                let propagation = propagation.transpose()?;
                Mount {
                    typ: Some(MountType::BIND),
                    source: Some(path.display().to_string()),
                    bind_options: propagation.map(|propagation| MountBindOptions {
                        propagation: Some(propagation),
                        ..MountBindOptions::default()
                    }),
                    ..plain
                }
            }
            MountSource::Volume { key } => Mount {
                typ: Some(MountType::VOLUME),
                source: spec.volumes.get(key).map(|volume| volume.name.clone()).or(Some(key.clone())),
                volume_options: volume_options(spec, Some(key), mount),
                ..plain
            },
            MountSource::Anonymous => Mount {
                typ: Some(MountType::VOLUME),
                volume_options: volume_options(spec, None, mount),
                ..plain
            },
            MountSource::Tmpfs { size, mode } => {
                Mount { typ: Some(MountType::TMPFS), tmpfs_options: tmpfs_options(*size, *mode)?, ..plain }
            }
            MountSource::Image { reference, .. } => {
                return Err(EngineError::Unsupported(format!(
                    "a swarm mounts no images: copy the files of {reference} into the image that uses them"
                )));
            }
        });
    }
    for text in &spec.service.tmpfs {
        mounts.push(tmpfs(&text.value)?);
    }
    if let Some(size) = &spec.service.shm_size {
        mounts.push(Mount {
            typ: Some(MountType::TMPFS),
            target: Some("/dev/shm".to_owned()),
            tmpfs_options: tmpfs_options(Some(size.value), Some(0o1777))?,
            ..Mount::default()
        });
    }
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(mounts)
}

/// `PATH[:size=64m,mode=1777]`.
fn tmpfs(text: &str) -> Result<Mount, EngineError> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut size, mut mode) = (None, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let known = match option.split_once('=') {
            Some(("size", bytes)) => {
                size = quantity::bytes(bytes);
                size.is_some()
            }
            Some(("mode", bits)) => {
                mode = u32::from_str_radix(bits, 8).ok();
                mode.is_some()
            }
            _ => false,
        };
        if !known {
            return Err(EngineError::Unsupported(format!(
                "a tmpfs of a swarm has a size and a mode, and no `{option}`"
            )));
        }
    }
    Ok(Mount {
        typ: Some(MountType::TMPFS),
        target: Some(path.to_owned()),
        tmpfs_options: tmpfs_options(size, mode)?,
        ..Mount::default()
    })
}

fn tmpfs_options(size: Option<u64>, mode: Option<u32>) -> Result<Option<MountTmpfsOptions>, EngineError> {
    if size.is_none() && mode.is_none() {
        return Ok(None);
    }
    Ok(Some(MountTmpfsOptions {
        size_bytes: size.map(values::signed).transpose()?,
        mode: mode.map(i64::from),
        ..MountTmpfsOptions::default()
    }))
}

/// Each node makes the volume when a task comes that mounts it.
fn volume_options(
    spec: &SwarmService,
    key: Option<&str>,
    mount: &stack_file::model::Mount,
) -> Option<MountVolumeOptions> {
    let mut labels = values::pairs(&mount.volume.labels);
    let volume = key.and_then(|key| spec.volumes.get(key)).filter(|volume| !volume.external);
    let mut driver_config = None;
    if let (Some(volume), Some(key)) = (volume, key) {
        labels.extend(values::plain(&volume.labels));
        labels.extend(stack_plan::labels::of_swarm_volume(&spec.project, key));
        if volume.driver.is_some() || !volume.driver_opts.is_empty() {
            driver_config = Some(MountVolumeOptionsDriverConfig {
                name: volume.driver.as_ref().map(|driver| driver.value.clone()),
                options: values::some(values::plain(&volume.driver_opts)),
            });
        }
    }
    let options = MountVolumeOptions {
        no_copy: mount.volume.nocopy.then_some(true),
        labels: values::some(labels),
        driver_config,
        subpath: mount.volume.subpath.clone(),
    };
    (options != MountVolumeOptions::default()).then_some(options)
}

/// Processors as the Docker API counts them, in billionths.
fn nano_cpus(cpus: &Option<Spanned<f64>>) -> Option<i64> {
    cpus.as_ref().map(|cpus| (cpus.value * 1e9).round() as i64)
}

fn resources(service: &Service) -> Result<Option<TaskSpecResources>, EngineError> {
    let limits = Limit {
        nano_cpus: nano_cpus(&service.cpus),
        memory_bytes: values::size(&service.mem_limit)?,
        pids: service.pids_limit.as_ref().map(|pids| pids.value).filter(|pids| *pids > 0),
    };
    let generic = service.deploy.generic_resources.iter().map(|resource| GenericResourcesInner {
        discrete_resource_spec: Some(GenericResourcesInnerDiscreteResourceSpec {
            kind: Some(resource.kind.clone()),
            value: Some(resource.value.value),
        }),
        ..GenericResourcesInner::default()
    });
    let reservations = ResourceObject {
        nano_cpus: nano_cpus(&service.deploy.reserved_cpus),
        memory_bytes: values::size(&service.mem_reservation)?,
        generic_resources: values::some_list(generic),
    };
    let limits = (limits != Limit::default()).then_some(limits);
    let reservations = (reservations != ResourceObject::default()).then_some(reservations);
    let any = limits.is_some() || reservations.is_some();
    Ok(any.then(|| TaskSpecResources { limits, reservations, ..TaskSpecResources::default() }))
}

/// When tasks are started again. What runs to its end once is not, whatever its exit code.
fn restart_policy(spec: &SwarmService) -> Option<TaskSpecRestartPolicy> {
    let service = &*spec.service;
    let (mut condition, policy) = match (&service.deploy.restart_policy, &service.restart) {
        (Some(policy), _) => (policy.condition, Some(policy.value)),
        (None, Some(restart)) => match restart.value {
            Restart::No => (RestartCondition::None, None),
            Restart::Always | Restart::UnlessStopped => (RestartCondition::Any, None),
            Restart::OnFailure(_) => (RestartCondition::OnFailure, None),
        },
        // On one engine what says nothing is not started again, and a job is one there, too.
        (None, None) if spec.mode.is_job() => (RestartCondition::None, None),
        (None, None) => return None,
    };
    if spec.mode.is_job() && condition == RestartCondition::Any {
        condition = RestartCondition::OnFailure;
    }
    let attempts = match service.restart.as_ref().map(|restart| restart.value) {
        Some(Restart::OnFailure(times)) if policy.is_none() && times > 0 => Some(i64::from(times)),
        _ => policy.and_then(|policy| policy.max_attempts).and_then(|most| i64::try_from(most).ok()),
    };
    Some(TaskSpecRestartPolicy {
        condition: Some(match condition {
            RestartCondition::None => TaskSpecRestartPolicyConditionEnum::NONE,
            RestartCondition::OnFailure => TaskSpecRestartPolicyConditionEnum::ON_FAILURE,
            RestartCondition::Any => TaskSpecRestartPolicyConditionEnum::ANY,
        }),
        delay: policy.and_then(|policy| policy.delay).map(nanoseconds),
        max_attempts: attempts,
        window: policy.and_then(|policy| policy.window).map(nanoseconds),
    })
}

fn placement(service: &Service) -> Option<TaskSpecPlacement> {
    let deploy = &service.deploy;
    let placement = TaskSpecPlacement {
        constraints: sorted(&deploy.constraints),
        // Their order is what matters first.
        preferences: values::some_list(deploy.spread.iter().map(|spread| TaskSpecPlacementPreferences {
            spread: Some(TaskSpecPlacementSpread { spread_descriptor: Some(spread.value.clone()) }),
        })),
        max_replicas: deploy.max_replicas_per_node.as_ref().and_then(|most| i64::try_from(most.value).ok()),
        ..TaskSpecPlacement::default()
    };
    (placement != TaskSpecPlacement::default()).then_some(placement)
}

fn endpoint(service: &Service) -> Result<Option<EndpointSpec>, EngineError> {
    let mut ports = Vec::new();
    for port in &service.ports {
        let published = port.published.as_deref().map(|published| {
            published.parse::<i64>().map_err(|_| {
                EngineError::Unsupported(format!("a swarm does not choose within the ports {published}"))
            })
        });
        ports.push(EndpointPortConfig {
            protocol: Some(match port.protocol.as_str() {
                "udp" => EndpointPortConfigProtocolEnum::UDP,
                "sctp" => EndpointPortConfigProtocolEnum::SCTP,
                _ => EndpointPortConfigProtocolEnum::TCP,
            }),
            target_port: Some(i64::from(port.target)),
            published_port: published.transpose()?,
            publish_mode: Some(match port.mode {
                PortMode::Ingress => EndpointPortConfigPublishModeEnum::INGRESS,
                PortMode::Host => EndpointPortConfigPublishModeEnum::HOST,
            }),
            ..EndpointPortConfig::default()
        });
    }
    ports.sort_by_key(|port| (port.target_port, port.published_port, format!("{:?}", port.protocol)));
    let mode = service.deploy.endpoint_mode.as_ref().map(|mode| match mode.value.as_str() {
        "dnsrr" => EndpointSpecModeEnum::DNSRR,
        _ => EndpointSpecModeEnum::VIP,
    });
    let endpoint = EndpointSpec { mode, ports: values::some_list(ports.into_iter()) };
    Ok((endpoint != EndpointSpec::default()).then_some(endpoint))
}

/// A time as the Docker API counts it.
pub(super) fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
