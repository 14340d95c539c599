//! Who has a port of the host: containers by the engine's list, programs by `/proc`.

use std::collections::BTreeSet;

use bollard::models::PortSummaryTypeEnum;
use bollard::query_parameters::ListContainersOptions;
use stack_plan::labels;
use stack_plan::ports::{HeldPort, Holder};

use crate::docker::{DockerEngine, answered};
use crate::engine::EngineError;

#[cfg(target_os = "linux")]
mod listeners;

/// Those of `ports`, protocol and number, that somebody has.
pub(super) async fn held(
    engine: &DockerEngine,
    ports: &BTreeSet<(String, u16)>,
) -> Result<Vec<HeldPort>, EngineError> {
    // Whoever publishes a port runs: the list of what runs is enough, of whatever project.
    let containers = engine.docker.list_containers(None::<ListContainersOptions>).await.map_err(answered)?;
    let mut held = Vec::new();
    for container in containers {
        let id = container.id.unwrap_or_default();
        let name = container.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
        let project = container.labels.unwrap_or_default().remove(labels::PROJECT);
        for port in container.ports.unwrap_or_default() {
            let Some(published) = port.public_port else { continue };
            let protocol = match port.typ {
                Some(PortSummaryTypeEnum::UDP) => "udp",
                Some(PortSummaryTypeEnum::SCTP) => "sctp",
                _ => "tcp",
            };
            if !ports.contains(&(protocol.to_owned(), published)) {
                continue;
            }
            held.push(HeldPort {
                protocol: protocol.to_owned(),
                port: published,
                host_ip: port.ip.unwrap_or_default(),
                holder: Holder::Container {
                    id: id.clone(),
                    name: name.trim_start_matches('/').to_owned(),
                    project: project.clone(),
                },
            });
        }
    }
    #[cfg(target_os = "linux")]
    if let Some(socket) = engine.connection().address.strip_prefix("unix://") {
        let programs = listeners::of_the_host(socket, ports, &held).await;
        held.extend(programs);
    }
    Ok(held)
}
