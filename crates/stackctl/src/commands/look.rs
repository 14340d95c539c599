//! What the commands that look have in common: which project is meant, and which of its services.

use std::collections::{BTreeMap, BTreeSet};

use stack_engine::docker::DockerEngine;
use stack_engine::look::Listed;
use stack_file::model::Stack;

use crate::args::Global;
use crate::closest::closest;
use crate::error::{Fault, Kind};
use crate::settings::{self, Unplanned};

/// The project that is looked at.
pub(super) struct Subject {
    /// The stack, if its file can be found.
    stack: Option<Stack>,
    /// The project's name.
    pub(super) name: String,
}

impl Subject {
    /// The project of the command line. Its file need not be there if its name is.
    pub(super) fn read(global: &Global) -> anyhow::Result<Self> {
        Ok(Self::of(settings::unplanned_or_name(global)?))
    }

    /// A project that was read already, with its file where there is one.
    pub(super) fn of((read, name): (Option<Unplanned>, String)) -> Self {
        Self { stack: read.map(|read| read.loaded.stack), name }
    }

    /// Whether there is a file.
    pub(super) fn has_file(&self) -> bool {
        self.stack.is_some()
    }

    /// Whether the file has this service; `false` without a file.
    pub(super) fn declares(&self, service: &str) -> bool {
        self.stack.as_ref().is_some_and(|stack| {
            stack.services.contains_key(service) || stack.disabled.iter().any(|name| name == service)
        })
    }

    /// The containers of these services, or of all; those of other services may be among them.
    /// Refuses names that neither the file nor the engine has.
    pub(super) async fn containers(
        &self,
        engine: &DockerEngine,
        services: &[String],
        all: bool,
        size: bool,
    ) -> anyhow::Result<Vec<Listed>> {
        if let [service] = services {
            let listed = engine.list_service(&self.name, service, all, size).await?;
            if !listed.is_empty() || self.declares(service) {
                return Ok(listed);
            }
        }
        let listed = engine.list(Some(&self.name), all, size).await?;
        self.check(services, &listed)?;
        Ok(listed)
    }

    /// Refuses names of services that neither the file has nor any container.
    fn check(&self, names: &[String], containers: &[Listed]) -> anyhow::Result<()> {
        let declared = self
            .stack
            .iter()
            .flat_map(|stack| stack.services.keys().chain(&stack.disabled))
            .map(String::as_str);
        let known: BTreeSet<&str> =
            declared.chain(containers.iter().map(|container| container.service.as_str())).collect();
        // Of a project that is not there nothing can be said.
        let Some(name) =
            names.iter().find(|name| !known.contains(name.as_str())).filter(|_| !known.is_empty())
        else {
            return Ok(());
        };
        let hint = match closest(name, known.iter().copied()) {
            Some(close) => format!("did you mean {close}?"),
            None => format!("there are: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        Err(Fault::new(Kind::Usage, format!("there is no service {name}")).hint(hint).into())
    }
}

/// Whether a container is one of these services; of no names every one is.
pub(super) fn is_of(container: &Listed, services: &[String]) -> bool {
    services.is_empty() || services.contains(&container.service)
}

/// The conditions of `--filter KEY=VALUE`, by key.
pub(super) fn filters(given: &[String], known: &[&str]) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for filter in given {
        let Some((key, value)) = filter.split_once('=') else {
            let hint = format!("write --filter {}=…", known.first().unwrap_or(&"KEY"));
            return Err(Fault::new(Kind::Usage, format!("--filter {filter} has no value")).hint(hint).into());
        };
        if !known.contains(&key) {
            let hint = format!("there are: {}", known.join(", "));
            return Err(Fault::new(Kind::Usage, format!("there is no filter {key}")).hint(hint).into());
        }
        filters.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    Ok(filters)
}
