//! The value of the file that a failure has to do with.

use stack_engine::engine::{EngineError, NotReady, Taken, TasksFailure};
use stack_engine::exit;
use stack_file::source::Origin;
use stack_file::tree::Node;
use stack_plan::address::Address;
use stack_plan::plan::{Action, HookEvent, Step};
use stack_plan::swarm::Trouble;

use crate::settings::Project;

/// The attributes that a failure has to do with, the likeliest first.
pub(super) fn attributes(step: &Step, error: &EngineError) -> &'static [&'static str] {
    const HEALTH: &[&str] = &["healthcheck.test", "healthcheck"];
    match (error, &step.action) {
        (EngineError::NotReady(NotReady::OutOfMemory { .. }), _) => {
            &["mem_limit", "deploy.resources.limits.memory"]
        }
        (EngineError::NotReady(NotReady::Unhealthy { .. } | NotReady::TimedOut { .. }), _) => HEALTH,
        (EngineError::NotReady(NotReady::Exited { code } | NotReady::Loops { code, .. }), _)
            if exit::meaning(*code).is_some_and(|_| matches!(code, 126 | 127)) =>
        {
            &["command", "entrypoint"]
        }
        (EngineError::Tasks(why), _) => of_tasks(why),
        (EngineError::NoImage { .. }, _) => &["image"],
        (EngineError::Taken { what: Taken::Name(_), .. }, _) => &["container_name"],
        (EngineError::Taken { what: Taken::Subnet { .. }, .. }, _) => &["ipam.config", "ipam"],
        (EngineError::Taken { what: Taken::Address(_), .. }, _) => &["networks"],
        (_, Action::Run { event: HookEvent::PostStart, .. }) => &["post_start"],
        (_, Action::Run { event: HookEvent::PreStop, .. }) => &["pre_stop"],
        _ => &[],
    }
}

/// The same for the tasks of a swarm's service.
pub(super) fn of_tasks(why: &TasksFailure) -> &'static [&'static str] {
    if why.unhealthy {
        return &["healthcheck.test", "healthcheck"];
    }
    if why.error.contains("No such image") {
        return &["image"];
    }
    match (&why.trouble, why.code) {
        (Trouble::NoNode { .. }, _) => {
            &["deploy.placement.constraints", "deploy.placement", "deploy.resources.reservations"]
        }
        (_, Some(126 | 127)) => &["command", "entrypoint"],
        _ => &[],
    }
}

/// The value of the file that has to do with a failure: that of the attribute, else the key of
/// the resource.
pub(super) fn place(
    project: &Project,
    step: &Step,
    error: &EngineError,
    attributes: &[&str],
) -> Option<Origin> {
    let (section, key) = match &step.address {
        Address::Container(service, _) | Address::Service(service) => ("services", service.as_str()),
        Address::Network(key) => ("networks", key.as_str()),
        Address::Volume(key) => ("volumes", key.as_str()),
        Address::Model(key) => ("models", key.as_str()),
        Address::Config(key) => ("configs", key.as_str()),
        Address::Secret(key) => ("secrets", key.as_str()),
        Address::Image(_) => {
            let mut images = project.desired.images.iter();
            let image = images.find(|image| image.address == step.address);
            return image.map(|image| match (&image.build, &step.action) {
                (Some(build), Action::Build(_)) => build.context.origin.clone(),
                _ => image.origin.clone(),
            });
        }
    };
    if let (EngineError::PortInUse { port, .. }, Some(spec)) = (error, project.desired.service(key)) {
        let mut ports = spec.service.ports.iter();
        let published = ports.find(|published| published.published.as_deref() == Some(port));
        if let Some(published) = published {
            return Some(published.origin.clone());
        }
    }
    let entry = project.loaded.stack.tree.get(section)?.as_mapping()?.get(key)?;
    let found = attributes.iter().find_map(|path| at(&entry.node, path));
    Some(found.unwrap_or_else(|| entry.key.clone()))
}

/// Where the value at a path stands, as `deploy.resources`.
pub(crate) fn at(node: &Node, path: &str) -> Option<Origin> {
    let node = path.split('.').try_fold(node, |node, key| node.get(key))?;
    (!node.is_null()).then(|| node.origin.clone())
}
