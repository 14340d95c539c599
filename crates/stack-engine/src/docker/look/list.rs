//! Lists of containers, volumes and images.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::Docker;
use bollard::models::{ContainerSummary, MountPoint};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder};
use futures_util::future::join_all;
use stack_plan::labels;

use crate::docker::generations::is_mark;
use crate::docker::observe::{health, ports, state};
use crate::docker::{answered, is_not_found};
use crate::engine::EngineError;
use crate::look::{ImageFacts, Listed, ListedMount, ListedVolume};

pub(super) async fn containers(
    docker: &Docker,
    project: Option<&str>,
    service: Option<&str>,
    all: bool,
    size: bool,
) -> Result<Vec<Listed>, EngineError> {
    let of_project = match project {
        Some(project) => format!("{}={project}", labels::PROJECT),
        None => labels::PROJECT.to_owned(),
    };
    // docker compose does not count a container without the hash as one of a project.
    let mut wanted = vec![of_project, labels::CONFIG_HASH.to_owned()];
    wanted.extend(service.map(|service| format!("{}={service}", labels::SERVICE)));
    let filters = HashMap::from([("label", wanted)]);
    let options = ListContainersOptionsBuilder::new().all(all).size(size).filters(&filters).build();
    let listed = docker.list_containers(Some(options)).await.map_err(answered)?;
    let mut containers: Vec<Listed> = listed.into_iter().filter_map(|found| container(found, size)).collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(containers)
}

fn container(found: ContainerSummary, size: bool) -> Option<Listed> {
    let labels = found.labels.unwrap_or_default();
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let status = found.status.unwrap_or_default();
    let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let mut networks: Vec<String> = networks.into_keys().collect();
    networks.sort();
    let bytes = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
    Some(Listed {
        id: found.id?,
        name: found.names?.first()?.trim_start_matches('/').to_owned(),
        project: label(labels::PROJECT),
        service: label(labels::SERVICE),
        number: label(labels::NUMBER).parse().unwrap_or(0),
        one_off: label(labels::ONE_OFF) == "True",
        state: state(found.state?, &status),
        health: health(&status),
        status,
        image: found.image.unwrap_or_default(),
        image_id: found.image_id.unwrap_or_default(),
        command: found.command.unwrap_or_default(),
        created: found.created.unwrap_or_default(),
        mounts: found.mounts.unwrap_or_default().into_iter().filter_map(mount).collect(),
        networks,
        ports: ports(found.ports.unwrap_or_default()),
        size: size.then(|| (bytes(found.size_rw), bytes(found.size_root_fs))),
        labels: labels.into_iter().collect(),
    })
}

fn mount(mount: MountPoint) -> Option<ListedMount> {
    let name = mount.name.filter(|name| !name.is_empty()).or(mount.source)?;
    Some(ListedMount { name, driver: mount.driver.filter(|driver| !driver.is_empty()) })
}

pub(super) async fn volumes(docker: &Docker, project: &str) -> Result<Vec<ListedVolume>, EngineError> {
    let filters = HashMap::from([("label", vec![format!("{}={project}", labels::PROJECT)])]);
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let listed = docker.list_volumes(Some(options)).await.map_err(answered)?;
    let mut volumes: Vec<_> = listed
        .volumes
        .unwrap_or_default()
        .into_iter()
        .map(|volume| ListedVolume {
            name: volume.name,
            driver: volume.driver,
            scope: volume.scope.map(|scope| scope.to_string()).unwrap_or_default(),
            mountpoint: volume.mountpoint,
            labels: volume.labels.into_iter().collect(),
        })
        .collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(volumes)
}

pub(super) async fn images(
    docker: &Docker,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, ImageFacts>, EngineError> {
    let mut images = BTreeMap::new();
    let answers = join_all(ids.iter().map(|id| docker.inspect_image(id))).await;
    for (id, answer) in ids.iter().zip(answers) {
        let found = match answer {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => continue,
            Err(error) => return Err(answered(error)),
        };
        let parts = [found.os, found.architecture, found.variant];
        let platform: Vec<_> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let facts = ImageFacts {
            id: found.id.unwrap_or_else(|| id.clone()),
            // What keeps it for a generation is no name that anybody gave it.
            tags: found.repo_tags.unwrap_or_default().into_iter().filter(|tag| !is_mark(tag)).collect(),
            digests: found.repo_digests.unwrap_or_default(),
            platform: platform.join("/"),
            size: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            // Year 1 is the engine's word for never.
            last_tagged: found.metadata.and_then(|data| data.last_tag_time).filter(|at| at.year() > 1),
            created: found.created,
        };
        images.insert(id.clone(), facts);
    }
    Ok(images)
}
