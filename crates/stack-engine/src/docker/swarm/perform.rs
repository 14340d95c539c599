//! Does one thing on a swarm.

use std::collections::HashMap;

use bollard::models::ServiceSpec;
use bollard::query_parameters::{ListNetworksOptions, UpdateServiceOptionsBuilder};
use stack_file::model::MountSource;
use stack_plan::labels;
use stack_plan::plan::Action;
use stack_plan::swarm::SwarmService;

use super::{listed, objects, service, settings, ship};
use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::{EngineError, Failure, Outcome, Work};
use crate::event::Progress;
use crate::image::credentials;

/// Does what is one of a swarm's own actions.
pub(in crate::docker) async fn perform(engine: &DockerEngine, work: Work<'_>) -> Result<Outcome, Failure> {
    let docker = &engine.docker;
    match work.action {
        Action::CreateService(spec) => {
            make_binds(engine, spec)?;
            let files = objects::files(docker, spec).await?;
            let mut body = service::service(spec, files, 0, engine.api())?;
            settings::keep(&mut body, &HashMap::new());
            let made = docker.create_service(body, login(spec).await).await.map_err(answered)?;
            warn(&work, made.warnings);
            return Ok(Outcome::made(made.id.unwrap_or_default()));
        }
        Action::UpdateService { id, version, force_update, spec } => {
            make_binds(engine, spec)?;
            let files = objects::files(docker, spec).await?;
            let mut body = service::service(spec, files, *force_update, engine.api())?;
            let networks = adopt(engine, id, &mut body).await?;
            settings::keep(&mut body, &networks);
            update(engine, id, *version, body, login(spec).await, &work).await?;
        }
        Action::RestartService(id) => {
            let (version, mut body) = present(engine, id).await?;
            let template = body.task_template.get_or_insert_default();
            template.force_update = Some(template.force_update.unwrap_or_default() + 1);
            update(engine, id, version, body, None, &work).await?;
        }
        Action::RemoveService(id) => match docker.delete_service(id).await {
            Err(error) if is_not_found(&error) => {}
            other => other.map_err(answered)?,
        },
        Action::Ship { reference, image, node, name } => {
            ship::ship(engine, (reference, image), (node, name), work.report).await?;
        }
        Action::CreateObject(spec) => return Ok(Outcome::made(objects::create(docker, spec).await?)),
        Action::RemoveObject { kind, id } => objects::remove(docker, *kind, id).await?,
        other => {
            return Err(
                EngineError::Unsupported(format!("{} is nothing that a swarm does", other.word())).into()
            );
        }
    }
    Ok(Outcome::default())
}

/// What a service is now.
async fn present(engine: &DockerEngine, id: &str) -> Result<(u64, ServiceSpec), EngineError> {
    let found = listed::service(engine, id).await?;
    let version = found.version.and_then(|version| version.index).unwrap_or_default();
    Ok((version, found.spec.unwrap_or_default()))
}

/// What another program has made is taken over as it is where its tasks would be the same: the manager
/// replaces a task whose settings are written in another way, though they mean the same. The names of
/// networks that it calls by their ids are returned.
async fn adopt(
    engine: &DockerEngine,
    id: &str,
    body: &mut ServiceSpec,
) -> Result<HashMap<String, String>, EngineError> {
    let (_, there) = present(engine, id).await?;
    let ours = there.labels.is_some_and(|labels| labels.contains_key(labels::SPEC));
    let (Some(wanted), Some(there), false) = (&mut body.task_template, there.task_template, ours) else {
        return Ok(HashMap::new());
    };
    let networks = engine.docker.list_networks(None::<ListNetworksOptions>).await.map_err(answered)?;
    let names: HashMap<String, String> =
        networks.into_iter().filter_map(|network| Some((network.id?, network.name?))).collect();
    if settings::is_same(wanted, &there, &names) {
        let force_update = wanted.force_update;
        *wanted = there;
        wanted.force_update = force_update.or(wanted.force_update);
    }
    Ok(names)
}

async fn update(
    engine: &DockerEngine,
    id: &str,
    version: u64,
    body: ServiceSpec,
    login: Option<bollard::auth::DockerCredentials>,
    work: &Work<'_>,
) -> Result<(), EngineError> {
    let version = i32::try_from(version)
        .map_err(|_| EngineError::Unsupported(format!("{version} is no version of a service")))?;
    let mut options = UpdateServiceOptionsBuilder::new().version(version);
    if login.is_none() {
        // Without credentials of our own those stay that the swarm has.
        options = options.registry_auth_from("spec");
    }
    match engine.docker.update_service(id, body, options.build(), login).await {
        Ok(answer) => {
            warn(work, answer.warnings);
            Ok(())
        }
        Err(error) => Err(match answered(error) {
            EngineError::Refused { message, .. } if message.contains("update out of sequence") => {
                EngineError::ChangedMeanwhile
            }
            other => other,
        }),
    }
}

fn warn(work: &Work<'_>, warnings: Option<Vec<String>>) {
    for warning in warnings.into_iter().flatten() {
        (work.report)(Progress::Warning(warning));
    }
}

/// What the nodes say to the registry of the image.
async fn login(spec: &SwarmService) -> Option<bollard::auth::DockerCredentials> {
    // An image that is named by its id is on the nodes.
    if spec.image.starts_with("sha256:") {
        return None;
    }
    credentials::of(credentials::registry(&spec.reference)).await
}

/// A swarm makes no missing path of a bind. Where the engine runs on this machine, that is done here;
/// on other nodes the task says that it is missing.
fn make_binds(engine: &DockerEngine, spec: &SwarmService) -> Result<(), EngineError> {
    if engine.connection().is_remote() {
        return Ok(());
    }
    for mount in &spec.service.volumes {
        let MountSource::Bind { path, create: true, .. } = &mount.source else { continue };
        if !path.exists() {
            std::fs::create_dir_all(path).map_err(|error| {
                EngineError::Unsupported(format!("{} cannot be made: {error}", path.display()))
            })?;
        }
    }
    Ok(())
}
