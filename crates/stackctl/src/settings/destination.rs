//! Where a stack goes: what its file says, what the command line says, and that both agree.

use stack_engine::docker::DockerEngine;
use stack_engine::docker::connect::{self, Where};
use stack_engine::docker::swarm::Membership;
use stack_file::destination::Backend;
use stack_file::load::Loaded;

use crate::args::Global;
use crate::error::{Fault, Kind};

/// The variable that says what runs stacks whose files do not say it.
const VARIABLE: &str = "STACKCTL_ENGINE";

/// Where a stack file says that it belongs, each with its place in the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    engine: Option<(Backend, String)>,
    context: Option<(String, String)>,
}

/// Keeps in mind where a stack says that it belongs.
pub(super) fn note(global: &Global, loaded: &Loaded) {
    let said = &loaded.stack.destination;
    let place = |origin| loaded.sources.place(origin).to_string();
    *global.said.borrow_mut() = Said {
        engine: said.engine.as_ref().map(|engine| (engine.value, place(&engine.origin))),
        context: said.context.as_ref().map(|context| (context.value.clone(), place(&context.origin))),
    };
}

/// What runs the stack that was read last.
pub(crate) fn backend(global: &Global) -> anyhow::Result<Backend> {
    match (&global.said.borrow().engine, global.engine) {
        (Some((said, place)), Some(asked)) if *said != asked => Err(Fault::new(
            Kind::Refused,
            format!("the stack belongs to {} ({place}), and --engine says {}", said.word(), asked.word()),
        )
        .hint("leave out --engine, or change the file")
        .into()),
        (Some((said, _)), _) => Ok(*said),
        (None, Some(asked)) => Ok(asked),
        (None, None) => of_environment(),
    }
}

/// What the environment says of a stack that nobody else says anything of.
fn of_environment() -> anyhow::Result<Backend> {
    let said = std::env::var(VARIABLE).unwrap_or_default();
    if said.is_empty() {
        return Ok(Backend::default());
    }
    Backend::of(&said).ok_or_else(|| {
        Fault::new(Kind::Usage, format!("{VARIABLE} is {said}, which is no engine that runs stacks"))
            .hint("there are docker and swarm")
            .into()
    })
}

/// Where the engine of the stack that was read last is to be found.
fn place(global: &Global, variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Where> {
    let said = global.said.borrow();
    let Some((context, place)) = &said.context else {
        return Ok(Where { host: global.host.clone(), context: global.context.clone() });
    };
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let other = match (&global.host, &global.context) {
        (Some(host), _) => Some(format!("--host says {host}")),
        (None, Some(asked)) if asked != context => Some(format!("--context says {asked}")),
        (None, Some(_)) => None,
        (None, None) => set("DOCKER_HOST").map(|host| format!("DOCKER_HOST says {host}")).or_else(|| {
            set("DOCKER_CONTEXT")
                .filter(|asked| asked != context)
                .map(|asked| format!("DOCKER_CONTEXT says {asked}"))
        }),
    };
    match other {
        None => Ok(Where { host: None, context: Some(context.clone()) }),
        Some(other) => Err(Fault::new(
            Kind::Refused,
            format!("the stack belongs to the docker context {context} ({place}), and {other}"),
        )
        .hint("leave that out, or change the file")
        .into()),
    }
}

/// Finds the engine and connects to it, whether it runs the stack itself or is one of a swarm.
pub(crate) async fn any_engine(global: &Global, probe: bool) -> anyhow::Result<DockerEngine> {
    let lookup = super::variables(global);
    let connection = connect::connect(&place(global, &lookup)?, &lookup).await?;
    Ok(DockerEngine::new(connection, probe))
}

/// Finds the engine for a command that works on containers of one engine.
pub(crate) async fn engine(global: &Global, probe: bool) -> anyhow::Result<DockerEngine> {
    if backend(global)? == Backend::Swarm {
        return Err(Fault::new(
            Kind::Refused,
            "the stack is one of a swarm, and this command works on the containers of one engine",
        )
        .hint("on a swarm there are up, plan, down, ps, logs, why, exec, scale, restart, rollout, history, status, rollback and nodes")
        .into());
    }
    any_engine(global, probe).await
}

/// Finds the engine or, for a stack of a swarm, a manager, and says which of both it is.
pub(crate) async fn either(global: &Global) -> anyhow::Result<(DockerEngine, Backend)> {
    let backend = backend(global)?;
    let engine = match backend {
        Backend::Docker => any_engine(global, false).await?,
        Backend::Swarm => manager(global).await?,
    };
    Ok((engine, backend))
}

/// Finds the manager of a swarm.
pub(crate) async fn manager(global: &Global) -> anyhow::Result<DockerEngine> {
    let engine = any_engine(global, false).await?;
    let address = &engine.connection().address;
    let (what, next) = match engine.membership().await? {
        Membership::Manager => return Ok(engine),
        Membership::Worker(managers) => (
            format!("the engine at {address} is a worker of its swarm, and only managers know of services"),
            match managers.is_empty() {
                true => "name a manager with --host or --context".to_owned(),
                false => format!("name a manager with --host or --context: {}", managers.join(", ")),
            },
        ),
        Membership::Outside => (
            format!("the engine at {address} is in no swarm"),
            "make one with: docker swarm init; or name a manager with --host or --context".to_owned(),
        ),
        Membership::Broken(why) => (
            format!("the engine at {address} cannot work in its swarm: {why}"),
            "see: docker info".to_owned(),
        ),
    };
    Err(Fault::new(Kind::Refused, what).hint(next).into())
}
