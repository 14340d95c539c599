//! Looks at everything of one project: three list calls and the images, all at once.

mod actual;
mod images;

use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{
    ContainerSummary, ContainerSummaryStateEnum, Network, PortSummary, PortSummaryTypeEnum, Volume,
};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions};
use futures_util::future::try_join;
use stack_plan::fields::Recorded;
use stack_plan::labels;
use stack_plan::observed::{
    ContainerState, Health, Observed, ObservedContainer, ObservedMount, ObservedNetwork, ObservedPort,
    ObservedVolume,
};

use time::OffsetDateTime;

use crate::docker::answered;
use crate::engine::{EngineError, Query};

pub(super) async fn observe(docker: &Docker, query: &Query) -> Result<Observed, EngineError> {
    let filters = HashMap::from([("label", vec![format!("{}={}", labels::PROJECT, query.project)])]);
    let containers =
        docker.list_containers(Some(ListContainersOptionsBuilder::new().all(true).filters(&filters).build()));
    // Networks and volumes are listed whole: one of the same name that others own matters too.
    let networks = docker.list_networks(None::<ListNetworksOptions>);
    let volumes = docker.list_volumes(None::<ListVolumesOptions>);
    let lists = async { tokio::try_join!(containers, networks, volumes).map_err(answered) };
    let ((containers, networks, volumes), images) =
        try_join(lists, images::look_up(docker, &query.images, &query.aging)).await?;

    let mut containers: Vec<_> = containers.into_iter().filter_map(container).collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    if containers.len() <= query.actual {
        actual::look(docker, &mut containers).await?;
    }
    let mut networks: Vec<_> =
        networks.into_iter().filter_map(|network| observed_network(network, query)).collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let mut volumes: Vec<_> = volumes
        .volumes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|volume| observed_volume(volume, query))
        .collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    let at = OffsetDateTime::now_utc().unix_timestamp();
    Ok(Observed { at, containers, networks, volumes, images, ..Observed::default() })
}

pub(super) fn container(summary: ContainerSummary) -> Option<ObservedContainer> {
    let labels = summary.labels.unwrap_or_default();
    // docker compose does not count a container without this label as one of the project.
    labels.get(labels::CONFIG_HASH)?;
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let status = summary.status.unwrap_or_default();
    let state = state(summary.state?, &status);
    let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let mounts = summary.mounts.unwrap_or_default();
    let ports = ports(summary.ports.unwrap_or_default());
    Some(ObservedContainer {
        id: summary.id?,
        name: summary.names?.first()?.trim_start_matches('/').to_owned(),
        service: label(labels::SERVICE),
        number: label(labels::NUMBER).parse().unwrap_or(0),
        one_off: label(labels::ONE_OFF) == "True",
        state,
        health: health(&status),
        image_id: summary.image_id.unwrap_or_default(),
        image: summary.image.unwrap_or_default(),
        recorded: labels.get(labels::SPEC).and_then(|text| Recorded::read(text)),
        lenders: labels::read_lenders(&label(labels::LENDERS)),
        config_hash: label(labels::CONFIG_HASH),
        replaced_another: labels.contains_key(labels::REPLACE),
        depends_on: labels::dependencies(&label(labels::DEPENDS_ON)),
        networks: networks
            .into_iter()
            .map(|(name, endpoint)| (name, endpoint.network_id.unwrap_or_default()))
            .collect(),
        volumes: mounts
            .into_iter()
            .filter(|mount| mount.typ == Some("volume".to_owned()))
            .filter_map(|mount| Some(ObservedMount { name: mount.name?, target: mount.destination? }))
            .collect(),
        config_files: label(labels::CONFIG_FILES),
        command: summary.command.unwrap_or_default(),
        created: summary.created.unwrap_or_default(),
        status,
        ports,
        actual: None,
    })
}

/// What a container is doing, with the exit code that only its status tells.
pub(super) fn state(state: ContainerSummaryStateEnum, status: &str) -> ContainerState {
    match state {
        ContainerSummaryStateEnum::CREATED => ContainerState::Created,
        ContainerSummaryStateEnum::RUNNING => ContainerState::Running,
        ContainerSummaryStateEnum::PAUSED => ContainerState::Paused,
        ContainerSummaryStateEnum::RESTARTING => ContainerState::Restarting,
        ContainerSummaryStateEnum::REMOVING => ContainerState::Removing,
        ContainerSummaryStateEnum::EXITED => ContainerState::Exited(exit_code(status)),
        _ => ContainerState::Dead,
    }
}

/// The ports of a container, in order.
pub(super) fn ports(found: Vec<PortSummary>) -> Vec<ObservedPort> {
    let mut ports: Vec<_> = found
        .into_iter()
        .map(|port| ObservedPort {
            target: port.private_port,
            published: port.public_port,
            host_ip: port.ip.unwrap_or_default(),
            protocol: match port.typ {
                Some(PortSummaryTypeEnum::UDP) => "udp",
                Some(PortSummaryTypeEnum::SCTP) => "sctp",
                _ => "tcp",
            }
            .to_owned(),
        })
        .collect();
    ports.sort_by(|a, b| {
        (a.target, &a.host_ip, a.published, &a.protocol).cmp(&(
            b.target,
            &b.host_ip,
            b.published,
            &b.protocol,
        ))
    });
    ports
}

/// The exit code in `Exited (137) 3 minutes ago`.
fn exit_code(status: &str) -> i64 {
    let inside = status.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.and_then(|(code, _)| code.parse().ok()).unwrap_or(-1)
}

/// The health in `Up 3 minutes (healthy)`, which saves an inspect for each container.
pub(super) fn health(status: &str) -> Health {
    if status.ends_with("(healthy)") {
        Health::Healthy
    } else if status.ends_with("(unhealthy)") {
        Health::Unhealthy
    } else if status.ends_with("(health: starting)") {
        Health::Starting
    } else {
        Health::None
    }
}

fn observed_network(network: Network, query: &Query) -> Option<ObservedNetwork> {
    let labels = network.labels.unwrap_or_default();
    let name = network.name?;
    let own = labels.get(labels::PROJECT) == Some(&query.project);
    if !own && !query.networks.contains(&name) {
        return None;
    }
    Some(ObservedNetwork {
        id: network.id?,
        name,
        key: labels.get(labels::NETWORK).filter(|_| own).cloned(),
        config_hash: labels.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
        recorded: labels.get(labels::SPEC).filter(|_| own).and_then(|text| Recorded::read(text)),
    })
}

fn observed_volume(volume: Volume, query: &Query) -> Option<ObservedVolume> {
    let own = volume.labels.get(labels::PROJECT) == Some(&query.project);
    if !own && !query.volumes.contains(&volume.name) {
        return None;
    }
    Some(ObservedVolume {
        key: volume.labels.get(labels::VOLUME).filter(|_| own).cloned(),
        config_hash: volume.labels.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
        recorded: volume.labels.get(labels::SPEC).filter(|_| own).and_then(|text| Recorded::read(text)),
        name: volume.name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_text_tells_exit_code_and_health() {
        assert_eq!(exit_code("Exited (137) 3 minutes ago"), 137);
        assert_eq!(exit_code("Exited"), -1);
        assert_eq!(health("Up 3 minutes (healthy)"), Health::Healthy);
        assert_eq!(health("Up 2 seconds (health: starting)"), Health::Starting);
        assert_eq!(health("Up 2 seconds (unhealthy)"), Health::Unhealthy);
        assert_eq!(health("Up 2 seconds"), Health::None);
        assert_eq!(health("Up 2 seconds (Paused)"), Health::None);
    }
}
