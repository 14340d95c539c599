//! The labels by which a project's resources are found again: docker compose's
//! own, so that its ecosystem sees our stacks, and one of ours.

use std::collections::BTreeMap;
use std::path::Path;

use stack_file::model::{DependencyCondition, Network, Service, Volume};
use stack_file::tree::Node;

use crate::config_hash;
use crate::desired::condition_word;
use crate::fields::Fields;
use crate::observed::ObservedDependency;

/// The project that owns a resource.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service of a container or built image.
pub const SERVICE: &str = "com.docker.compose.service";
/// The number of a container within its service, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// `True` for a container of `run`, else `False`.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// What tells one container of `run` from another: 64 hexadecimal digits.
pub const SLUG: &str = "com.docker.compose.slug";
/// docker compose's hash of the settings: by it docker compose sees what is up to date,
/// and it ignores containers without it.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// The id of the image that a container was made from.
pub const IMAGE: &str = "com.docker.compose.image";
/// What a container depends on: `service:condition:restart`, joined by commas.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// The stack files, absolute, joined by commas.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// The container that a new one takes the place of, while it does.
pub const REPLACE: &str = "com.docker.compose.replace";
/// The key of a network in the file.
pub const NETWORK: &str = "com.docker.compose.network";
/// The key of a volume in the file.
pub const VOLUME: &str = "com.docker.compose.volume";
/// The settings that a resource was made with, see [`crate::fields::Recorded`].
pub const SPEC: &str = "stackctl.spec";

/// The containers that lend namespaces or mounts to a container: `SERVICE=ID`, joined by commas.
pub const LENDERS: &str = "stackctl.lenders";

/// What the label [`DEPENDS_ON`] says: `service:condition:restart`, joined by commas.
#[must_use]
pub fn dependencies(text: &str) -> Vec<ObservedDependency> {
    text.split(',')
        .filter_map(|entry| {
            let mut parts = entry.split(':');
            let service = parts.next().filter(|name| !name.is_empty())?.to_owned();
            let condition = match parts.next() {
                Some("service_healthy") => DependencyCondition::Healthy,
                Some("service_completed_successfully") => DependencyCondition::CompletedSuccessfully,
                _ => DependencyCondition::Started,
            };
            Some(ObservedDependency { service, condition, restart: parts.next() == Some("true") })
        })
        .collect()
}

/// The stack that a resource of a swarm belongs to, as `docker stack` has it.
pub const NAMESPACE: &str = "com.docker.stack.namespace";
/// The image of a swarm's service as the file names it, as `docker stack` has it.
pub const STACK_IMAGE: &str = "com.docker.stack.image";
/// The key of a swarm's service, config or secret in the file.
pub const KEY: &str = "stackctl.key";
/// A digest of the health check of a swarm's tasks: what the Docker API tells of a task has none.
pub const HEALTHCHECK: &str = "stackctl.healthcheck";
/// The settings of a swarm's service as its manager tells them, of the moment when it was made or changed.
pub const MADE: &str = "stackctl.made";
/// A digest of what is in a swarm's config or secret.
pub const DIGEST: &str = "stackctl.digest";

const VERSION: &str = "com.docker.compose.version";
/// The project directory, absolute.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const ENVIRONMENT_FILE: &str = "com.docker.compose.project.environment_file";

fn set<const N: usize>(labels: [(&str, String); N]) -> BTreeMap<String, String> {
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

pub(crate) fn of_project(
    project: &str,
    directory: &Path,
    files: &str,
    env_files: &str,
) -> BTreeMap<String, String> {
    let mut labels = set([
        (PROJECT, project.to_owned()),
        (VERSION, version()),
        (WORKING_DIR, directory.to_string_lossy().into_owned()),
        (CONFIG_FILES, files.to_owned()),
        (ONE_OFF, "False".to_owned()),
    ]);
    if !env_files.is_empty() {
        labels.insert(ENVIRONMENT_FILE.to_owned(), env_files.to_owned());
    }
    labels
}

pub(crate) fn of_service(service: &Service, written: &Node, fields: &Fields) -> BTreeMap<String, String> {
    let depends_on = service
        .depends_on
        .iter()
        .map(|(name, wanted)| format!("{name}:{}:{}", condition_word(wanted.condition), wanted.restart))
        .collect::<Vec<_>>()
        .join(",");
    set([
        (SERVICE, service.name.value.clone()),
        (DEPENDS_ON, depends_on),
        (CONFIG_HASH, config_hash::of_service(written)),
        (SPEC, fields.record().write()),
    ])
}

/// The value of [`LENDERS`].
#[must_use]
pub fn write_lenders(lenders: &BTreeMap<String, String>) -> String {
    lenders.iter().map(|(service, id)| format!("{service}={id}")).collect::<Vec<_>>().join(",")
}

/// Reads the value of [`LENDERS`]: service to id.
#[must_use]
pub fn read_lenders(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(service, id)| (service.to_owned(), id.to_owned())).collect()
}

/// The labels of a volume that the nodes of a swarm make.
#[must_use]
pub fn of_swarm_volume(project: &str, key: &str) -> BTreeMap<String, String> {
    set([(NAMESPACE, project.to_owned()), (PROJECT, project.to_owned()), (VOLUME, key.to_owned())])
}

pub(crate) fn of_network(
    project: &str,
    network: &Network,
    written: &Node,
    fields: &Fields,
) -> BTreeMap<String, String> {
    set([
        (PROJECT, project.to_owned()),
        (VERSION, version()),
        (NETWORK, network.key.value.clone()),
        (CONFIG_HASH, config_hash::of_network(written)),
        (SPEC, fields.record().write()),
    ])
}

pub(crate) fn of_volume(
    project: &str,
    volume: &Volume,
    written: &Node,
    fields: &Fields,
) -> BTreeMap<String, String> {
    set([
        (PROJECT, project.to_owned()),
        (VERSION, version()),
        (VOLUME, volume.key.value.clone()),
        (CONFIG_HASH, config_hash::of_volume(written)),
        (SPEC, fields.record().write()),
    ])
}

pub(crate) fn of_image(project: &str, service: &str) -> BTreeMap<String, String> {
    set([(PROJECT, project.to_owned()), (SERVICE, service.to_owned()), (VERSION, version())])
}
