//! Does one thing.

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions, RenameContainerOptionsBuilder,
    StartContainerOptions,
};
use bytes::Bytes;
use stack_plan::desired::ImageSpec;
use stack_plan::plan::{Action, Condition, NewContainer};

use crate::docker::translate::Making;
use crate::docker::{
    DockerEngine, answered, copy, explain, health, hook, is_not_found, stop, swarm, translate,
};
use crate::engine::{EngineError, Failure, Outcome, Work};
use crate::event::Progress;
use crate::image;
use crate::image::build::{BuildError, BuildProgress};
use crate::provider::{self, Programs};

pub(super) async fn perform(engine: &DockerEngine, work: Work<'_>) -> Result<Outcome, Failure> {
    let docker = &engine.docker;
    let made = |id: String| Ok(Outcome::made(id));
    match work.action {
        Action::CreateNetwork(spec) => {
            return match docker.create_network(translate::network(spec)).await {
                Ok(answer) => made(answer.id),
                Err(error) => Err(explain::network(docker, &spec.network, answered(error)).await.into()),
            };
        }
        Action::CreateVolume(spec) => {
            let answer = docker.create_volume(translate::volume(spec)).await.map_err(answered)?;
            return made(answer.name);
        }
        Action::CreateContainer(new) => return made(create(engine, new, &work).await?),
        Action::Start(target) => {
            let id = work.ledger.resolve(target)?;
            if let Err(error) = docker.start_container(&id, None::<StartContainerOptions>).await {
                return Err(explain::start(docker, &id, answered(error)).await);
            }
        }
        Action::Stop { target, grace } => {
            let id = work.ledger.resolve(target)?;
            gone_is_fine(stop::stop(docker, &id, *grace, work.report).await)?;
            be_listed(docker, &id).await;
        }
        Action::Kill { target, signal } => {
            let id = work.ledger.resolve(target)?;
            let options = KillContainerOptionsBuilder::new().signal(signal).build();
            match docker.kill_container(&id, Some(options)).await {
                // It ended by itself before the signal came.
                Err(error) if is_not_running(&error) => {}
                other => gone_is_fine(other)?,
            }
            be_listed(docker, &id).await;
        }
        Action::Pause(target) => match docker.pause_container(&work.ledger.resolve(target)?).await {
            // What has ended meanwhile does nothing any more.
            Err(error) if is_not_running(&error) => {}
            other => other.map_err(answered)?,
        },
        Action::Unpause(target) => {
            docker.unpause_container(&work.ledger.resolve(target)?).await.map_err(answered)?;
        }
        Action::RemoveContainer { target, volumes } => {
            let id = work.ledger.resolve(target)?;
            let options = RemoveContainerOptionsBuilder::new().v(*volumes).build();
            gone_is_fine(docker.remove_container(&id, Some(options)).await)?;
        }
        Action::RemoveNetwork(id) => {
            if let Err(error) = gone_is_fine(docker.remove_network(id).await) {
                return Err(explain::users(docker, error, &[403, 409], ("network", id)).await.into());
            }
        }
        Action::RemoveVolume(name) => {
            if let Err(error) = gone_is_fine(docker.remove_volume(name, None::<RemoveVolumeOptions>).await) {
                return Err(explain::users(docker, error, &[409], ("volume", name)).await.into());
            }
        }
        Action::RemoveImage(reference) => {
            let removed = docker.remove_image(reference, None::<RemoveImageOptions>, None).await.map(|_| ());
            if let Err(error) = gone_is_fine(removed) {
                return Err(explain::users(docker, error, &[409], ("ancestor", reference)).await.into());
            }
        }
        Action::Rename { target, to } => {
            let id = work.ledger.resolve(target)?;
            let options = RenameContainerOptionsBuilder::new().name(to).build();
            if let Err(error) = docker.rename_container(&id, options).await {
                return Err(explain::name(docker, to, answered(error)).await.into());
            }
        }
        Action::Connect { target, network } => {
            let id = work.ledger.resolve(target)?;
            let request = NetworkConnectRequest {
                container: id,
                endpoint_config: Some(translate::endpoint(network, None, engine.api())),
            };
            docker.connect_network(&network.name, request).await.map_err(answered)?;
        }
        Action::Disconnect { target, network } => {
            let id = work.ledger.resolve(target)?;
            let request = NetworkDisconnectRequest { container: id, force: None };
            gone_is_fine(docker.disconnect_network(network, request).await)?;
        }
        Action::Upload { target, directory, files } => {
            let id = work.ledger.resolve(target)?;
            copy::upload(engine, &id, directory, files).await?;
        }
        Action::Run { target, event, hook } => {
            let id = work.ledger.resolve(target)?;
            hook::run(engine, &id, *event, hook, work.report).await?;
        }
        Action::Provide { spec, command } => {
            let programs = engine.programs.get_or_init(Programs::default);
            let provided = provider::ask(spec, *command, programs, work.report).await?;
            return Ok(Outcome { provided, ..Outcome::default() });
        }
        Action::ProvideModel(spec) => {
            let programs = engine.programs.get_or_init(Programs::default);
            let provided = provider::model(spec, programs, work.report).await?;
            return Ok(Outcome { provided, ..Outcome::default() });
        }
        Action::Pull(spec) => pull(engine, spec, work.report).await?,
        Action::Push(spec) => {
            for reference in &spec.references {
                image::push::push(engine.connection(), reference, work.report).await?;
            }
        }
        Action::Build(spec) => build(engine, spec, work.report).await?,
        Action::CreateService(_)
        | Action::Ship { .. }
        | Action::UpdateService { .. }
        | Action::RestartService(_)
        | Action::RemoveService(_)
        | Action::CreateObject(_)
        | Action::RemoveObject { .. } => return swarm::perform(engine, work).await,
        Action::Delay(time) => tokio::time::sleep(*time).await,
        Action::Await { target, condition: Condition::Ended, .. } => {
            let id = work.ledger.resolve(target)?;
            let exit_code = Some(health::end(docker, &id).await?);
            return Ok(Outcome { exit_code, ..Outcome::default() });
        }
        Action::Await {
            target,
            condition: condition @ (Condition::Converged | Condition::TasksCompleted | Condition::NoTasks),
            ..
        } => {
            let id = work.ledger.resolve(target)?;
            swarm::wait(engine, &id, *condition, work.deadline, work.report).await?;
        }
        Action::Await { target, condition, .. } => {
            let id = work.ledger.resolve(target)?;
            health::wait(engine, &id, *condition, work.deadline, work.report).await?;
        }
    }
    Ok(Outcome::default())
}

async fn create(engine: &DockerEngine, new: &NewContainer, work: &Work<'_>) -> Result<String, EngineError> {
    let lenders = work.ledger.lenders(new)?;
    let making = Making { new, lenders: &lenders, api: engine.api() };
    let body = translate::container(&making)?;
    let mut options = CreateContainerOptionsBuilder::new().name(&new.name);
    if let Some(platform) = &new.spec.service.platform {
        options = options.platform(platform);
    }
    let docker = match making.mac_address() {
        Some(address) => {
            let text = with_mac_address(&body, &address)
                .map_err(|error| EngineError::Unsupported(error.to_string()))?;
            engine.connection().sending(text)
        }
        None => engine.docker.clone(),
    };
    match docker.create_container(Some(options.build()), body).await {
        Ok(answer) => {
            for warning in answer.warnings {
                (work.report)(Progress::Warning(warning));
            }
            Ok(answer.id)
        }
        Err(error) if is_not_found(&error) && error.to_string().contains("No such image") => {
            Err(EngineError::NoImage { reference: new.spec.image.clone() })
        }
        Err(error) => Err(explain::name(&engine.docker, &new.name, answered(error)).await),
    }
}

/// A container with a MAC address of its own, as engines knew it before networks had one each.
fn with_mac_address(body: &ContainerCreateBody, address: &str) -> Result<Bytes, serde_json::Error> {
    let mut body = serde_json::to_value(body)?;
    body["MacAddress"] = address.into();
    serde_json::to_vec(&body).map(Bytes::from)
}

async fn pull(engine: &DockerEngine, spec: &ImageSpec, report: &dyn Fn(Progress)) -> Result<(), EngineError> {
    for reference in &spec.references {
        let platform = spec.platform.as_deref();
        image::pull::pull(&engine.docker, reference, platform, report).await?;
    }
    Ok(())
}

async fn build(
    engine: &DockerEngine,
    spec: &ImageSpec,
    report: &dyn Fn(Progress),
) -> Result<(), EngineError> {
    let Some(wanted) = &spec.build else {
        return Err(EngineError::Unsupported(format!(
            "nothing says how to build {}",
            spec.references.join(", ")
        )));
    };
    let request = image::request::BuildRequest::of(wanted, spec);
    let tell = |progress| match progress {
        BuildProgress::Warning(text) => report(Progress::Warning(text)),
        other => report(Progress::Build(other)),
    };
    match image::build::build(engine.connection(), request, tell).await {
        Err(BuildError::Lost(why)) => Err(EngineError::Lost(why)),
        other => Ok(other?),
    }
}

/// Waits until the lists of the engine have the end of a container, too: whoever asks next goes by
/// them. The answer to a stop comes a moment earlier; that to the question for the one container
/// waits for it.
async fn be_listed(docker: &Docker, id: &str) {
    drop(docker.inspect_container(id, None::<InspectContainerOptions>).await);
}

/// What is to go and is not there any more has gone.
fn gone_is_fine(result: Result<(), Error>) -> Result<(), EngineError> {
    match result {
        Err(error) if is_not_found(&error) => Ok(()),
        other => other.map_err(answered),
    }
}

/// Whether the engine says that the container does not run.
fn is_not_running(error: &Error) -> bool {
    match error {
        Error::DockerResponseServerError { status_code: 409, message } => message.contains("is not running"),
        _ => false,
    }
}
