//! A container of `run`: made from a service's settings, and from what the command line
//! puts in their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use stack_file::model::{Mount, MountSource, Port};
use stack_file::source::Spanned;

use crate::address::Address;
use crate::desired::{Desired, ServiceSpec};
use crate::labels;

/// What the command line of `run` puts in the place of a service's own settings.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The name of the container; `None` is `PROJECT-SERVICE-run-` and the first twelve digits of the slug.
    pub name: Option<String>,
    /// What tells this container from all others, 64 hexadecimal digits.
    pub slug: String,
    /// The command; empty leaves the service's, or none where there is another entry point.
    pub command: Vec<String>,
    /// The entry point; an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Variables on top of the service's.
    pub environment: IndexMap<String, String>,
    /// Labels on top of the service's.
    pub labels: BTreeMap<String, String>,
    /// The user.
    pub user: Option<String>,
    /// The working directory inside the container.
    pub working_dir: Option<String>,
    /// Capabilities added; the service drops none of them.
    pub cap_add: Vec<String>,
    /// Capabilities dropped; the service adds none of them.
    pub cap_drop: Vec<String>,
    /// Mounts besides the service's; one at the same place is put in its place.
    pub mounts: Vec<Mount>,
    /// What is published.
    pub ports: Published,
    /// Whether the container is found on its networks by the names of the service, too.
    pub use_aliases: bool,
    /// Whether a terminal is allocated.
    pub tty: bool,
    /// Whether standard input is open.
    pub stdin_open: bool,
    /// Whether the engine removes the container as soon as it has ended.
    pub auto_remove: bool,
}

/// The ports of a container of `run` that are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// These; often none, for those of the service are taken by its own containers.
    These(Vec<Port>),
    /// Those of the service.
    OfTheService,
}

impl Default for Published {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// What `run` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The service.
    pub service: String,
    /// What is put in the place of its own settings.
    pub changes: Changes,
}

impl Run {
    /// The container to be made; `None` when there is no such service.
    #[must_use]
    pub fn container(&self, desired: &Desired) -> Option<OneOff> {
        Some(OneOff::of(desired, desired.service(&self.service)?, &self.changes))
    }
}

/// A container of `run` to be made.
#[derive(Clone, Debug)]
pub struct OneOff {
    /// Its settings.
    pub spec: ServiceSpec,
    /// Its name.
    pub name: String,
    /// Whether the engine removes it as soon as it has ended.
    pub auto_remove: bool,
}

impl OneOff {
    /// The container that `run` makes of a service.
    pub(crate) fn of(desired: &Desired, service: &ServiceSpec, changes: &Changes) -> Self {
        let mut spec = service.clone();
        change(&mut spec, changes, desired);
        let slug: String = changes.slug.chars().take(12).collect();
        let name =
            changes.name.clone().unwrap_or_else(|| format!("{}-{}-run-{slug}", desired.project, spec.name()));
        spec.labels.extend(changes.labels.clone());
        // What says whose container it is stands above what a person sets.
        for (key, value) in &service.labels {
            if key.starts_with("com.docker.compose.") || key == labels::SPEC {
                spec.labels.insert(key.clone(), value.clone());
            }
        }
        spec.labels.insert(labels::ONE_OFF.to_owned(), "True".to_owned());
        spec.labels.insert(labels::SLUG.to_owned(), changes.slug.clone());
        Self { spec, name, auto_remove: changes.auto_remove }
    }

    /// Its name within the project.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Container(self.spec.name().to_owned(), 0)
    }

    /// Whether somebody at this end can say something to it.
    #[must_use]
    pub fn is_talked_to(&self) -> bool {
        self.spec.service.stdin_open.as_ref().is_some_and(|open| open.value)
    }
}

fn change(spec: &mut ServiceSpec, changes: &Changes, desired: &Desired) {
    let mut service = (*spec.service).clone();
    let origin = service.name.origin.clone();
    let at = |text: &str| Spanned::new(text.to_owned(), origin.clone());
    // Somebody waits for its end.
    service.restart = None;
    service.container_name = None;
    service.tty = Some(Spanned::new(changes.tty, origin.clone()));
    service.stdin_open = Some(Spanned::new(changes.stdin_open, origin.clone()));
    if let Some(entrypoint) = &changes.entrypoint {
        service.entrypoint = Some(Spanned::new(entrypoint.clone(), origin.clone()));
        service.command = Some(Spanned::new(Vec::new(), origin.clone()));
    }
    if !changes.command.is_empty() {
        service.command = Some(Spanned::new(changes.command.clone(), origin.clone()));
    }
    for (name, value) in &changes.environment {
        service.environment.insert(name.clone(), Spanned::new(Some(value.clone()), origin.clone()));
    }
    if let Some(user) = &changes.user {
        service.user = Some(at(user));
    }
    if let Some(directory) = &changes.working_dir {
        service.working_dir = Some(at(directory));
    }
    service.cap_drop.retain(|dropped| !changes.cap_add.contains(&dropped.value));
    service.cap_add.extend(changes.cap_add.iter().map(|added| at(added)));
    service.cap_add.retain(|added| !changes.cap_drop.contains(&added.value));
    service.cap_drop.extend(changes.cap_drop.iter().map(|dropped| at(dropped)));
    if let Published::These(ports) = &changes.ports {
        service.ports = ports.iter().map(|port| Spanned::new(port.clone(), origin.clone())).collect();
    }
    let replaced = |target: &str| changes.mounts.iter().any(|mount| mount.target == target);
    service.volumes.retain(|mount| !replaced(&mount.target));
    service.tmpfs.retain(|mount| !replaced(mount.split(':').next().unwrap_or_default()));
    for mount in &changes.mounts {
        if let MountSource::Volume { key, .. } = &mount.source
            && let Some(volume) = desired.volumes.iter().find(|spec| *spec.volume.key == *key)
        {
            spec.volume_names.insert(key.clone(), volume.volume.name.clone());
        }
        service.volumes.push(Spanned::new(mount.clone(), origin.clone()));
    }
    if !changes.use_aliases {
        spec.networks.iter_mut().for_each(|joined| joined.aliases.clear());
    }
    spec.service = Arc::new(service);
}
