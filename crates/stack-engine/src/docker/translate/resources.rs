//! What a container may use of the machine it runs on.

use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, ResourcesBlkioWeightDevice, ResourcesUlimits, ThrottleDevice,
};
use stack_file::model::{self, Blkio, DeviceRate, Service};

use super::values::{flag, number, pairs, signed, size, some, some_list, text, texts};
use crate::engine::EngineError;

/// A host configuration with the resources alone.
pub(super) fn resources(service: &Service) -> Result<HostConfig, EngineError> {
    let blkio = service.blkio.as_ref().map(|blkio| &blkio.value);
    let rates = |of: fn(&Blkio) -> &[DeviceRate]| throttled(blkio.map(of).unwrap_or_default());
    let (by_name, mapped): (Vec<_>, Vec<_>) = service.devices.iter().partition(|device| device.is_cdi());
    Ok(HostConfig {
        blkio_weight: blkio.and_then(|blkio| blkio.weight),
        blkio_weight_device: some_list(blkio.into_iter().flat_map(|blkio| &blkio.weight_device).map(
            |device| ResourcesBlkioWeightDevice {
                path: Some(device.path.clone()),
                weight: Some(device.weight.into()),
            },
        )),
        blkio_device_read_bps: rates(|blkio| &blkio.device_read_bps)?,
        blkio_device_read_iops: rates(|blkio| &blkio.device_read_iops)?,
        blkio_device_write_bps: rates(|blkio| &blkio.device_write_bps)?,
        blkio_device_write_iops: rates(|blkio| &blkio.device_write_iops)?,
        cgroup_parent: text(&service.cgroup_parent),
        cpu_count: number(&service.cpu_count),
        // The Docker API counts hundredths of a percent.
        cpu_percent: service.cpu_percent.as_ref().map(|share| (share.value * 100.0).round() as i64),
        cpu_period: number(&service.cpu_period),
        cpu_quota: number(&service.cpu_quota),
        cpu_realtime_period: number(&service.cpu_rt_period),
        cpu_realtime_runtime: number(&service.cpu_rt_runtime),
        cpu_shares: number(&service.cpu_shares),
        cpuset_cpus: text(&service.cpuset),
        // The Docker API counts processors in billionths.
        nano_cpus: service.cpus.as_ref().map(|cpus| (cpus.value * 1e9).round() as i64),
        device_cgroup_rules: texts(&service.device_cgroup_rules),
        devices: some_list(mapped.into_iter().map(|device| DeviceMapping {
            path_on_host: Some(device.source.clone()),
            path_in_container: Some(device.target.clone()),
            cgroup_permissions: Some(device.permissions.clone()),
        })),
        device_requests: some_list(
            named(by_name.into_iter().map(|device| device.source.clone()).collect())
                .into_iter()
                .chain(service.device_requests.iter().map(|request| requested(request))),
        ),
        memory: size(&service.mem_limit)?,
        memory_reservation: size(&service.mem_reservation)?,
        memory_swap: number(&service.memswap_limit),
        memory_swappiness: number(&service.mem_swappiness),
        oom_kill_disable: flag(&service.oom_kill_disable),
        oom_score_adj: number(&service.oom_score_adj),
        pids_limit: number(&service.pids_limit),
        ulimits: some_list(service.ulimits.iter().map(|(name, limit)| ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(limit.soft),
            hard: Some(limit.hard),
        })),
        ..HostConfig::default()
    })
}

fn throttled(rates: &[DeviceRate]) -> Result<Option<Vec<ThrottleDevice>>, EngineError> {
    let devices = rates.iter().map(|device| {
        Ok(ThrottleDevice { path: Some(device.path.clone()), rate: Some(signed(device.rate)?) })
    });
    let devices: Vec<_> = devices.collect::<Result<_, EngineError>>()?;
    Ok((!devices.is_empty()).then_some(devices))
}

/// The request for devices by their CDI names.
fn named(names: Vec<String>) -> Option<DeviceRequest> {
    (!names.is_empty()).then(|| DeviceRequest {
        driver: Some("cdi".to_owned()),
        device_ids: Some(names),
        ..DeviceRequest::default()
    })
}

fn requested(request: &model::DeviceRequest) -> DeviceRequest {
    DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: some_list(request.device_ids.iter().cloned()),
        capabilities: Some(vec![request.capabilities.clone()]),
        options: some(pairs(&request.options)),
    }
}
