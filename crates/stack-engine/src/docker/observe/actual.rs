//! What containers are set to now: `docker update` and other programs leave their labels as they were.

use std::collections::{BTreeMap, BTreeSet};

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, HostConfig, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::InspectContainerOptions;
use futures_util::future::{join, join_all};
use stack_plan::fields::digest;
use stack_plan::observed::{Actual, ObservedContainer};

use crate::docker::{answered, is_not_found};
use crate::engine::EngineError;

/// Looks at all of these containers and their images, at once. One that is gone meanwhile is left
/// as it was seen.
pub(super) async fn look(docker: &Docker, containers: &mut [ObservedContainer]) -> Result<(), EngineError> {
    let looks =
        containers.iter().map(|found| docker.inspect_container(&found.id, None::<InspectContainerOptions>));
    let ids: BTreeSet<&str> = containers.iter().map(|found| found.image_id.as_str()).collect();
    let images = ids.iter().map(|id| docker.inspect_image(id));
    let (looks, images) = join(join_all(looks), join_all(images)).await;
    let mut of_images = BTreeMap::new();
    for (id, found) in ids.into_iter().zip(images) {
        match found {
            Ok(image) => {
                let variables = image.config.and_then(|config| config.env).unwrap_or_default();
                of_images.insert(id.to_owned(), digests(&variables));
            }
            // It was removed by force, and what runs from it goes on.
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(answered(error)),
        }
    }
    for (container, found) in containers.iter_mut().zip(looks) {
        match found {
            Ok(found) => {
                let of_image = of_images.get(&container.image_id).cloned();
                container.actual = Some(actual(found, of_image));
            }
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(answered(error)),
        }
    }
    Ok(())
}

fn actual(found: ContainerInspectResponse, of_image: Option<BTreeMap<String, String>>) -> Actual {
    let variables = found.config.and_then(|config| config.env).unwrap_or_default();
    let limits = found.host_config.map(|host| limits(&host)).unwrap_or_default();
    Actual { environment: digests(&variables), of_image, limits }
}

/// Digests of the values of variables, by name.
fn digests(variables: &[String]) -> BTreeMap<String, String> {
    let variables = variables.iter().map(|variable| {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        (name.to_owned(), digest(value))
    });
    variables.collect()
}

fn limits(host: &HostConfig) -> BTreeMap<&'static str, String> {
    let numbers = [
        ("mem_limit", host.memory),
        ("mem_reservation", host.memory_reservation),
        ("cpus", host.nano_cpus),
        ("cpu_shares", host.cpu_shares),
        ("cpu_period", host.cpu_period),
        ("cpu_quota", host.cpu_quota),
        ("pids_limit", host.pids_limit),
        ("blkio_config.weight", host.blkio_weight.map(i64::from)),
    ];
    let mut limits = BTreeMap::new();
    for (name, value) in numbers {
        if let Some(value) = value.filter(|value| *value > 0) {
            limits.insert(name, value.to_string());
        }
    }
    if let Some(cpuset) = host.cpuset_cpus.as_ref().filter(|cpuset| !cpuset.is_empty()) {
        limits.insert("cpuset", cpuset.clone());
    }
    if let Some(word) = host.restart_policy.as_ref().and_then(restart) {
        limits.insert("restart", word);
    }
    limits
}

/// The words of a restart policy; `None` when it is not to be restarted.
fn restart(policy: &RestartPolicy) -> Option<String> {
    match policy.name? {
        RestartPolicyNameEnum::ALWAYS => Some("always".to_owned()),
        RestartPolicyNameEnum::UNLESS_STOPPED => Some("unless-stopped".to_owned()),
        RestartPolicyNameEnum::ON_FAILURE => Some(match policy.maximum_retry_count.unwrap_or(0) {
            0 => "on-failure".to_owned(),
            count => format!("on-failure:{count}"),
        }),
        RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY => None,
    }
}
