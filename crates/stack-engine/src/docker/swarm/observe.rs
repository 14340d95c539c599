//! Looks at everything of one project on a swarm, all at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use bollard::errors::Error;
use bollard::models::{
    Config, EndpointPortConfig, EndpointPortConfigPublishModeEnum, LocalNodeState, Network, Node,
    NodeSpecAvailabilityEnum, NodeSpecRoleEnum, NodeState, Secret, ServiceSpec, ServiceSpecMode,
    ServiceUpdateStatusStateEnum, Task, TaskSpec, TaskState as ApiState,
};
use bollard::query_parameters::{
    ListConfigsOptionsBuilder, ListNetworksOptions, ListNodesOptions, ListSecretsOptions,
    ListTasksOptionsBuilder, ListVolumesOptionsBuilder,
};
use futures_util::future::join_all;
use stack_file::model::{DeployMode, FileKind};
use stack_plan::fields::Recorded;
use stack_plan::labels;
use stack_plan::swarm::{
    Availability, ObservedNode, ObservedObject, ObservedOverlay, ObservedService, ObservedTask,
    ObservedUpdate, SwarmImage, SwarmObserved, TaskState, UpdateState,
};
use time::OffsetDateTime;

use super::listed::Listed;
use super::settings::settings;
use super::{Membership, SwarmQuery};
use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::EngineError;

/// The scope of networks that span nodes.
const SWARM: &str = "swarm";

pub(super) async fn membership(engine: &DockerEngine) -> Result<Membership, EngineError> {
    let swarm = engine.docker.info().await.map_err(answered)?.swarm.unwrap_or_default();
    Ok(match swarm.local_node_state {
        Some(LocalNodeState::ACTIVE) if swarm.control_available == Some(true) => Membership::Manager,
        Some(LocalNodeState::ACTIVE) => {
            let managers = swarm.remote_managers.unwrap_or_default();
            Membership::Worker(managers.into_iter().filter_map(|manager| manager.addr).collect())
        }
        Some(LocalNodeState::LOCKED) => {
            Membership::Broken("the swarm is locked: unlock it with: docker swarm unlock".to_owned())
        }
        Some(LocalNodeState::ERROR | LocalNodeState::PENDING) => {
            Membership::Broken(swarm.error.unwrap_or_default())
        }
        _ => Membership::Outside,
    })
}

pub(super) async fn observe(engine: &DockerEngine, query: &SwarmQuery) -> Result<SwarmObserved, EngineError> {
    let docker = &engine.docker;
    let filters = HashMap::from([("label", vec![format!("{}={}", labels::NAMESPACE, query.project)])]);
    let services = super::listed::services(engine, &filters);
    let tasks = docker.list_tasks(Some(ListTasksOptionsBuilder::new().filters(&filters).build()));
    let volumes = docker.list_volumes(Some(ListVolumesOptionsBuilder::new().filters(&filters).build()));
    let others = async {
        tokio::try_join!(
            tasks,
            volumes,
            docker.list_nodes(None::<ListNodesOptions>),
            docker.list_networks(None::<ListNetworksOptions>),
            configs(engine, query),
            docker.list_secrets(None::<ListSecretsOptions>),
            docker.info(),
        )
        .map_err(answered)
    };
    let (services, (tasks, volumes, nodes, networks, configs, secrets, info)) =
        tokio::try_join!(services, others)?;
    let names: HashMap<String, String> =
        (networks.iter()).filter_map(|network| Some((network.id.clone()?, network.name.clone()?))).collect();
    let images = images(engine, &query.images).await?;
    let ways = super::ship::ways(engine, &images).await?;
    let mut nodes: Vec<ObservedNode> = nodes.into_iter().filter_map(node).collect();
    nodes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let mut services: Vec<ObservedService> =
        services.into_iter().filter_map(|found| service(found, &tasks, &query.project, &names)).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    let mut networks: Vec<ObservedOverlay> =
        networks.into_iter().filter_map(|network| overlay(network, query)).collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let configs = configs.into_iter().filter_map(|found: Config| {
        let spec = found.spec?;
        object(FileKind::Config, found.id?, spec.name?, spec.labels.unwrap_or_default(), query)
    });
    let secrets = secrets.into_iter().filter_map(|found: Secret| {
        let spec = found.spec?;
        object(FileKind::Secret, found.id?, spec.name?, spec.labels.unwrap_or_default(), query)
    });
    let mut objects: Vec<ObservedObject> = configs.chain(secrets).collect();
    objects.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    let mut volumes: Vec<String> =
        volumes.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect();
    volumes.sort();
    Ok(SwarmObserved {
        api: engine.api(),
        at: OffsetDateTime::now_utc().unix_timestamp(),
        here: info.swarm.and_then(|swarm| swarm.node_id).unwrap_or_default(),
        without_ipvs: without_ipvs(engine),
        nodes,
        services,
        networks,
        objects,
        volumes,
        images,
        ways,
    })
}

/// Whether the kernel of this machine, where the engine runs on it, spreads no connections. A module
/// that could be loaded is as good as one that is.
fn without_ipvs(engine: &DockerEngine) -> Option<bool> {
    if engine.connection().is_remote() || !cfg!(target_os = "linux") {
        return None;
    }
    if Path::new("/proc/net/ip_vs").exists() || Path::new("/sys/module/ip_vs").exists() {
        return Some(false);
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let modules = Path::new("/lib/modules").join(release.trim());
    let built_in = std::fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
    let loadable = std::fs::read_to_string(modules.join("modules.dep")).unwrap_or_default();
    Some(!(built_in.contains("/ip_vs.ko") || loadable.contains("/ip_vs.ko")))
}

async fn images(
    engine: &DockerEngine,
    references: &[String],
) -> Result<BTreeMap<String, SwarmImage>, EngineError> {
    let answers = join_all(references.iter().map(|name| engine.docker.inspect_image(name))).await;
    let mut images = BTreeMap::new();
    for (reference, answer) in references.iter().zip(answers) {
        match answer {
            Ok(image) => {
                let digests = image.repo_digests.unwrap_or_default();
                let found = SwarmImage {
                    id: image.id.unwrap_or_default(),
                    digest: digest_of(reference, &digests),
                    tagged: image
                        .metadata
                        .and_then(|metadata| metadata.last_tag_time)
                        .map(OffsetDateTime::unix_timestamp),
                };
                images.insert(reference.clone(), found);
            }
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(answered(error)),
        }
    }
    Ok(images)
}

/// The digest under which the registry of a reference has its image.
fn digest_of(reference: &str, digests: &[String]) -> Option<String> {
    let full = crate::image::digest::full(reference);
    let repository = repository(&full);
    digests.iter().find_map(|digest| {
        let (name, digest) = digest.split_once('@')?;
        (crate::image::digest::full(name).starts_with(&format!("{repository}:"))
            || repository == crate::image::digest::full(name))
        .then(|| digest.to_owned())
    })
}

/// A full reference without its tag and its digest.
fn repository(full: &str) -> &str {
    let name = full.split('@').next().unwrap_or(full);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

fn node(node: Node) -> Option<ObservedNode> {
    let description = node.description.unwrap_or_default();
    let spec = node.spec.unwrap_or_default();
    let status = node.status.unwrap_or_default();
    let resources = description.resources.unwrap_or_default();
    Some(ObservedNode {
        id: node.id?,
        name: description.hostname.unwrap_or_default(),
        address: status.addr.unwrap_or_default(),
        manager: spec.role == Some(NodeSpecRoleEnum::MANAGER),
        ready: status.state == Some(NodeState::READY),
        message: status.message.unwrap_or_default(),
        availability: match spec.availability {
            Some(NodeSpecAvailabilityEnum::DRAIN) => Availability::Drain,
            Some(NodeSpecAvailabilityEnum::PAUSE) => Availability::Pause,
            _ => Availability::Active,
        },
        engine: description.engine.and_then(|engine| engine.engine_version).unwrap_or_default(),
        labels: spec.labels.unwrap_or_default().into_iter().collect(),
        nano_cpus: resources.nano_cpus.unwrap_or_default(),
        memory: resources.memory_bytes.unwrap_or_default(),
    })
}

/// The configs of the project, and those that it names. The manager tells the content of each that is
/// listed, so that those of others are not asked for.
async fn configs(engine: &DockerEngine, query: &SwarmQuery) -> Result<Vec<Config>, Error> {
    let of = async |filter: &str, values: Vec<String>| {
        let filters = HashMap::from([(filter, values)]);
        engine.docker.list_configs(Some(ListConfigsOptionsBuilder::new().filters(&filters).build())).await
    };
    let own = of("label", vec![format!("{}={}", labels::NAMESPACE, query.project)]);
    if query.objects.is_empty() {
        return own.await;
    }
    let (mut found, named) = tokio::try_join!(own, of("name", query.objects.clone()))?;
    let known: BTreeSet<String> = found.iter().filter_map(|config| config.id.clone()).collect();
    found.extend(named.into_iter().filter(|config| config.id.as_ref().is_some_and(|id| !known.contains(id))));
    Ok(found)
}

/// A service with its tasks. `networks` has the names of networks by id.
pub(super) fn service(
    Listed { service: found, previous }: Listed,
    tasks: &[Task],
    project: &str,
    networks: &HashMap<String, String>,
) -> Option<ObservedService> {
    let spec = found.spec?;
    let made = spec.labels.as_ref().and_then(|labels| Recorded::read(labels.get(labels::MADE)?));
    let altered = made.map(|made| made.altered(&settings(&spec, networks))).unwrap_or_default();
    let mut uses = objects_of(&spec);
    // What a change is on its way from may come back.
    let open = found.update_status.as_ref().and_then(|update| update.state);
    let settled = [
        ServiceUpdateStatusStateEnum::COMPLETED,
        ServiceUpdateStatusStateEnum::ROLLBACK_COMPLETED,
        ServiceUpdateStatusStateEnum::EMPTY,
    ];
    if open.is_some_and(|state| !settled.contains(&state)) {
        uses.extend(previous.as_ref().map(objects_of).unwrap_or_default());
    }
    let name = spec.name?;
    let own = spec.labels.unwrap_or_default();
    let template = spec.task_template.unwrap_or_default();
    let id = found.id?;
    let (mode, replicas) = mode(spec.mode.as_ref());
    let image = template.container_spec.as_ref().and_then(|container| container.image.clone());
    let image = image.unwrap_or_default();
    let key = own.get(labels::KEY).cloned();
    let key = key.or_else(|| name.strip_prefix(&format!("{project}_")).map(str::to_owned));
    let status = found.service_status.unwrap_or_default();
    let iteration = found.job_status.and_then(|job| job.job_iteration).and_then(|version| version.index);
    let update = found.update_status.and_then(|update| {
        let state = match update.state? {
            ServiceUpdateStatusStateEnum::UPDATING => UpdateState::Updating,
            ServiceUpdateStatusStateEnum::PAUSED => UpdateState::Paused,
            ServiceUpdateStatusStateEnum::COMPLETED => UpdateState::Completed,
            ServiceUpdateStatusStateEnum::ROLLBACK_STARTED => UpdateState::RollbackStarted,
            ServiceUpdateStatusStateEnum::ROLLBACK_PAUSED => UpdateState::RollbackPaused,
            ServiceUpdateStatusStateEnum::ROLLBACK_COMPLETED => UpdateState::RollbackCompleted,
            ServiceUpdateStatusStateEnum::EMPTY => return None,
        };
        let began = update.started_at.map(OffsetDateTime::unix_timestamp_nanos).unwrap_or_default();
        let began = i64::try_from(began).unwrap_or_default();
        Some(ObservedUpdate { state, message: update.message.unwrap_or_default(), began })
    });
    let of_it = tasks.iter().filter(|task| task.service_id.as_ref() == Some(&id));
    let mut tasks: Vec<ObservedTask> = of_it.filter_map(|found| task(found, &template, iteration)).collect();
    tasks.sort_by(|a, b| (a.slot, &a.node, b.created, &a.id).cmp(&(b.slot, &b.node, a.created, &b.id)));
    let ports = found.endpoint.and_then(|endpoint| endpoint.ports).unwrap_or_default();
    Some(ObservedService {
        service: key.unwrap_or_else(|| name.clone()),
        version: found.version.and_then(|version| version.index).unwrap_or_default(),
        recorded: own.get(labels::SPEC).and_then(|text| Recorded::read(text)),
        reference: own.get(labels::STACK_IMAGE).cloned().unwrap_or_else(|| image.clone()),
        image,
        mode,
        replicas,
        force_update: template.force_update.unwrap_or_default(),
        update,
        altered,
        uses,
        checked: is_checked(&template),
        desired: status.desired_tasks.unwrap_or_default(),
        completed: status.completed_tasks.unwrap_or_default(),
        ports: ports.iter().map(port).collect(),
        tasks,
        name,
        id,
    })
}

/// The ids of the configs and secrets that the tasks of a service get.
fn objects_of(spec: &ServiceSpec) -> BTreeSet<String> {
    let container = spec.task_template.as_ref().and_then(|template| template.container_spec.as_ref());
    let configs = container.and_then(|container| container.configs.as_ref()).into_iter().flatten();
    let secrets = container.and_then(|container| container.secrets.as_ref()).into_iter().flatten();
    let configs = configs.filter_map(|config| config.config_id.clone());
    configs.chain(secrets.filter_map(|secret| secret.secret_id.clone())).collect()
}

/// Whether the tasks have a health check that the service says.
fn is_checked(template: &TaskSpec) -> bool {
    let Some(container) = &template.container_spec else { return false };
    let test = container.health_check.as_ref().and_then(|check| check.test.as_ref());
    test.and_then(|test| test.first()).is_some_and(|kind| kind != "NONE")
        || container.labels.as_ref().is_some_and(|labels| labels.contains_key(labels::HEALTHCHECK))
}

fn port(port: &EndpointPortConfig) -> String {
    let protocol = port.protocol.map(|protocol| protocol.to_string()).unwrap_or_else(|| "tcp".to_owned());
    let target = port.target_port.unwrap_or_default();
    match port.published_port {
        Some(published) if port.publish_mode == Some(EndpointPortConfigPublishModeEnum::HOST) => {
            format!("{published}->{target}/{protocol} on its node")
        }
        Some(published) => format!("*:{published}->{target}/{protocol}"),
        None => format!("{target}/{protocol}"),
    }
}

fn mode(mode: Option<&ServiceSpecMode>) -> (DeployMode, u64) {
    let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(1);
    match mode {
        Some(ServiceSpecMode { global: Some(_), .. }) => (DeployMode::Global, 0),
        Some(ServiceSpecMode { global_job: Some(_), .. }) => (DeployMode::GlobalJob, 0),
        Some(ServiceSpecMode { replicated_job: Some(job), .. }) => {
            (DeployMode::ReplicatedJob, count(job.total_completions))
        }
        Some(ServiceSpecMode { replicated: Some(replicated), .. }) => {
            (DeployMode::Replicated, count(replicated.replicas))
        }
        _ => (DeployMode::Replicated, 1),
    }
}

fn task(found: &Task, template: &TaskSpec, iteration: Option<u64>) -> Option<ObservedTask> {
    let status = found.status.clone().unwrap_or_default();
    let container = status.container_status.unwrap_or_default();
    let state = state(status.state?);
    let ended = state > TaskState::Running;
    // The places of a job are counted from 0, those of other services from 1.
    let first = u64::from(iteration.is_some());
    let this_run = iteration.is_none() || found.job_iteration.as_ref().and_then(|run| run.index) == iteration;
    Some(ObservedTask {
        id: found.id.clone()?,
        slot: found.slot.and_then(|slot| u64::try_from(slot).ok()).unwrap_or_default() + first,
        node: found.node_id.clone().unwrap_or_default(),
        state,
        wanted: self::state(found.desired_state?),
        error: status.err.unwrap_or_default(),
        exit_code: container.exit_code.filter(|_| ended && container.container_id.is_some()),
        container: container.container_id.filter(|id| !id.is_empty()),
        image: found.spec.as_ref()?.container_spec.as_ref()?.image.clone().unwrap_or_default(),
        current: this_run && found.spec.as_ref().is_some_and(|spec| is_same(spec, template)),
        created: found.created_at.map(OffsetDateTime::unix_timestamp).unwrap_or_default(),
        since: status.timestamp.map(OffsetDateTime::unix_timestamp).unwrap_or_default(),
    })
}

/// Whether a task has come to its end, whatever it was.
pub(super) fn is_over(task: &Task) -> bool {
    task.status
        .as_ref()
        .and_then(|status| status.state)
        .is_some_and(|found| state(found) > TaskState::Running)
}

/// Whether a task is what the service makes now. Where tasks may be is no reason to replace one.
fn is_same(task: &TaskSpec, template: &TaskSpec) -> bool {
    // A task does not say its runtime, and a service does. Of its health check there is a label.
    let without = |spec: &TaskSpec| {
        let mut spec = TaskSpec { placement: None, runtime: None, ..spec.clone() };
        if let Some(container) = &mut spec.container_spec {
            container.health_check = None;
        }
        spec
    };
    without(task) == without(template)
}

fn state(state: ApiState) -> TaskState {
    match state {
        ApiState::NEW => TaskState::New,
        ApiState::ALLOCATED => TaskState::Allocated,
        ApiState::PENDING => TaskState::Pending,
        ApiState::ASSIGNED => TaskState::Assigned,
        ApiState::ACCEPTED => TaskState::Accepted,
        ApiState::PREPARING => TaskState::Preparing,
        ApiState::READY => TaskState::Ready,
        ApiState::STARTING => TaskState::Starting,
        ApiState::RUNNING => TaskState::Running,
        ApiState::COMPLETE => TaskState::Complete,
        ApiState::SHUTDOWN => TaskState::Shutdown,
        ApiState::FAILED => TaskState::Failed,
        ApiState::REJECTED => TaskState::Rejected,
        ApiState::REMOVE => TaskState::Remove,
        ApiState::ORPHANED => TaskState::Orphaned,
    }
}

fn overlay(network: Network, query: &SwarmQuery) -> Option<ObservedOverlay> {
    let labels = network.labels.unwrap_or_default();
    let name = network.name?;
    let swarm = network.scope.as_deref() == Some(SWARM);
    let own = swarm && labels.get(labels::NAMESPACE) == Some(&query.project);
    if !own && !query.networks.contains(&name) {
        return None;
    }
    Some(ObservedOverlay {
        id: network.id?,
        own,
        swarm,
        recorded: labels.get(labels::SPEC).filter(|_| own).and_then(|text| Recorded::read(text)),
        name,
    })
}

fn object(
    kind: FileKind,
    id: String,
    name: String,
    labels: HashMap<String, String>,
    query: &SwarmQuery,
) -> Option<ObservedObject> {
    let own = labels.get(labels::NAMESPACE) == Some(&query.project);
    if !own && !query.objects.contains(&name) {
        return None;
    }
    let key = labels
        .get(labels::KEY)
        .cloned()
        .or_else(|| Some(name.strip_prefix(&format!("{}_", query.project)).unwrap_or(&name).to_owned()));
    let digest = labels.get(labels::DIGEST).cloned().unwrap_or_default();
    Some(ObservedObject { kind, id, key: key.filter(|_| own), name, digest })
}
