//! The container of a service that a command is for.

use std::process::ExitCode;

use stack_engine::docker::DockerEngine;
use stack_file::load::project_name_of;
use stack_plan::address::Address;
use stack_plan::observed::ObservedContainer;

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::{render, settings};

/// The project name. A stack file is only read where nothing else has the name.
pub(crate) fn project(global: &Global) -> anyhow::Result<String> {
    if global.files.is_empty()
        && let Some(name) = settings::with_request(global, project_name_of)?
    {
        settings::note_destination(global)?;
        return Ok(name);
    }
    Ok(settings::unplanned_or_name(global)?.1)
}

/// One container of a service: that of the number `index`, else the first there is, one of `run`
/// where there is no other. `all` takes one that does not run, too.
pub(crate) async fn one(
    global: &Global,
    engine: &DockerEngine,
    project: &str,
    service: &str,
    index: Option<u32>,
    all: bool,
) -> anyhow::Result<ObservedContainer> {
    let members = engine.members(project, service, all).await?;
    let found = members.into_iter().find(|member| match index {
        Some(index) => !member.one_off && member.number == index,
        None => true,
    });
    match found {
        Some(found) => Ok(found),
        None => Err(absent(global, project, service, index, all)),
    }
}

/// Why there is no such container: a service that the file does not have is told as such.
pub(crate) fn absent(
    global: &Global,
    project: &str,
    service: &str,
    index: Option<u32>,
    all: bool,
) -> anyhow::Error {
    if let Ok((Some(read), _)) = settings::read_or_name(global)
        && !read.desired.disabled.iter().any(|name| name == service)
        && let Err(unknown) = read.check_services(std::slice::from_ref(&service.to_owned()))
    {
        return unknown;
    }
    let what = match index {
        Some(index) => format!("{service}/{index}"),
        None => service.to_owned(),
    };
    let state = if all { "has no container" } else { "is not running" };
    anyhow::Error::new(
        Fault::new(Kind::Engine, format!("{what} {state} in the project {project}"))
            .hint(format!("see what there is with: stackctl -p {project} ps -a")),
    )
}

/// The container's name for people.
pub(crate) fn address(container: &ObservedContainer) -> Address {
    Address::Container(container.service.clone(), container.number)
}

/// Says what would be done, in a dry run.
pub(crate) fn rehearse(what: &str) -> anyhow::Result<ExitCode> {
    render::line(&format!("would {what}\nNothing was done: this was a dry run"))?;
    Ok(ExitCode::SUCCESS)
}
