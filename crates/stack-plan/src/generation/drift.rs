//! What is not as a generation left it: what was done by hand since.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::short;
use super::{Generation, KeptFields, KeptService, KeptValue};
use crate::drift::{Variable, variables};
use crate::fields::{Recorded, Shown};
use crate::observed::{ContainerState, Observed, ObservedContainer};

/// What stands between the parts of a name that says which container a container is.
const CONTAINER: &str = "container";

/// Something that is not as a generation left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The resource: `web/1`, `network:front`.
    pub resource: String,
    /// What about it: the path of a setting, `container`, `service`, `state`, `name`, `network` or `image id`.
    pub field: String,
    /// As the generation left it.
    pub was: Shown,
    /// As it is.
    pub now: Shown,
}

pub(super) fn text(value: impl Into<String>) -> Shown {
    Shown::Text(value.into())
}

impl Generation {
    /// What is not as this generation left it, in the order of the resources. What a person did is
    /// told, not what happens by itself: health is none of it, and the end of a job neither.
    #[must_use]
    pub fn drift(&self, observed: &Observed) -> Vec<Drift> {
        let mut found = Found::default();
        let mut containers: BTreeMap<&str, Vec<&ObservedContainer>> = BTreeMap::new();
        for container in observed.containers.iter().filter(|container| !container.one_off) {
            containers.entry(&container.service).or_default().push(container);
        }
        for (name, service) in &self.services {
            let mut mine = containers.remove(name.as_str()).unwrap_or_default();
            mine.sort_by_key(|container| container.number);
            self.service(name, service, &mine, &mut found);
        }
        for (name, others) in containers {
            // Other files of the same project are another stack.
            let own = others.iter().filter(|container| container.config_files == self.stack.config_files());
            for container in own.filter(|_| !self.others.contains(name)) {
                found.tell(&address(container), CONTAINER, Shown::Nothing, text("there"));
            }
        }
        self.ground(observed, &mut found);
        for (name, service) in &self.services {
            let Some(image) = &service.image else { continue };
            let tagged = observed.images.get(&image.reference).map(|found| found.id.as_str());
            if let Some(id) = tagged.filter(|id| *id != image.id) {
                found.tell(name, "image tag", text(short(&image.id)), text(short(id)));
            }
        }
        found.0
    }

    fn service(&self, name: &str, service: &KeptService, mine: &[&ObservedContainer], found: &mut Found) {
        let provided = service.image.is_none() && mine.is_empty();
        if provided {
            return;
        }
        let scale = service.scale as usize;
        let numbers: BTreeSet<u32> = mine.iter().map(|container| container.number).collect();
        let absent = (1..).filter(|number| !numbers.contains(number));
        for number in absent.take(scale.saturating_sub(mine.len())) {
            found.tell(&format!("{name}/{number}"), CONTAINER, text("there"), Shown::Nothing);
        }
        for container in mine.iter().skip(scale) {
            found.tell(&address(container), CONTAINER, Shown::Nothing, text("there"));
        }
        for container in mine.iter().take(scale) {
            self.container(name, service, container, found);
        }
    }

    fn container(&self, name: &str, service: &KeptService, container: &ObservedContainer, found: &mut Found) {
        let address = address(container);
        let ended = service.job && container.state == ContainerState::Exited(0);
        // One that was never started was made so.
        let untouched = matches!(
            container.state,
            ContainerState::Running | ContainerState::Restarting | ContainerState::Created
        );
        if !untouched && !ended {
            found.tell(&address, "state", text("running"), text(container.state.word()));
        }
        let wanted = self.container_name(name, service, container.number);
        if container.name != wanted {
            found.tell(&address, "name", text(wanted), text(container.name.clone()));
        }
        if let Some(image) = service.image.as_ref().filter(|image| image.id != container.image_id) {
            found.tell(&address, "image id", text(short(&image.id)), text(short(&container.image_id)));
        }
        match &container.recorded {
            Some(recorded) => settings(&address, &service.fields, recorded, found),
            None => {
                found.tell(&address, CONTAINER, text("made by stackctl"), text("made by another program"))
            }
        }
        if let Some(actual) = &container.actual {
            let changed = container.recorded.iter().flat_map(|recorded| variables(recorded, actual));
            for (field, variable) in changed {
                let (was, now) = match variable {
                    Variable::Changed => (Shown::Hidden, Shown::Hidden),
                    Variable::Gone => (Shown::Hidden, Shown::Nothing),
                    Variable::Added => (Shown::Nothing, Shown::Hidden),
                };
                found.tell(&address, &field, was, now);
            }
            let names: BTreeSet<&str> =
                service.limits.keys().map(String::as_str).chain(actual.limits.keys().copied()).collect();
            for name in names {
                let (was, now) = (service.limits.get(name), actual.limits.get(name));
                let same = match (was, now) {
                    (Some(was), Some(now)) => was.is(now),
                    (None, None) => true,
                    _ => false,
                };
                if !same {
                    let shown = was.map_or(Shown::Nothing, KeptValue::shown);
                    found.tell(&address, name, shown, now.map_or(Shown::Nothing, |now| text(now.clone())));
                }
            }
        }
        let joined: BTreeSet<&str> = service.fields.iter().filter_map(network_name).collect();
        if joined.is_empty() {
            return;
        }
        for network in joined.iter().filter(|network| !container.networks.contains_key(**network)) {
            found.tell(&address, "network", text(*network), Shown::Nothing);
        }
        for network in container.networks.keys().filter(|network| !joined.contains(network.as_str())) {
            found.tell(&address, "network", Shown::Nothing, text(network.clone()));
        }
    }

    /// Networks and volumes that are gone, or were made anew with other settings.
    fn ground(&self, observed: &Observed, found: &mut Found) {
        let networks = observed.networks.iter();
        let networks: BTreeMap<&str, Option<&Recorded>> =
            networks.map(|network| (network.name.as_str(), network.recorded.as_ref())).collect();
        let volumes = observed.volumes.iter();
        let volumes: BTreeMap<&str, Option<&Recorded>> =
            volumes.map(|volume| (volume.name.as_str(), volume.recorded.as_ref())).collect();
        for (kind, kept, there) in
            [("network", &self.networks, &networks), ("volume", &self.volumes, &volumes)]
        {
            for (key, fields) in kept {
                let Some(KeptValue::Text(name)) = fields.get("name") else { continue };
                let resource = format!("{kind}:{key}");
                match there.get(name.as_str()) {
                    None => found.tell(&resource, kind, text("there"), Shown::Nothing),
                    Some(Some(recorded)) => settings(&resource, fields, recorded, found),
                    Some(None) => {}
                }
            }
        }
    }

    fn container_name(&self, name: &str, service: &KeptService, number: u32) -> String {
        match service.fields.get("container_name") {
            Some(KeptValue::Text(own)) => own.clone(),
            _ => {
                let separator = self.stack.separator;
                format!("{}{separator}{name}{separator}{number}", self.project)
            }
        }
    }
}

/// The engine's name of a network, among the settings of a service.
fn network_name<'a>((path, value): (&'a String, &'a KeptValue)) -> Option<&'a str> {
    let key = path.strip_prefix("networks.")?.strip_suffix(".name")?;
    match value {
        KeptValue::Text(name) if !key.contains('.') => Some(name),
        _ => None,
    }
}

/// In which settings a record differs from what was kept. What providers have set is no drift.
pub(super) fn settings(address: &str, kept: &KeptFields, recorded: &Recorded, found: &mut Found) {
    let now: BTreeMap<&str, &str> = recorded.iter().collect();
    let paths: BTreeSet<&str> = kept.keys().map(String::as_str).chain(now.keys().copied()).collect();
    for path in paths {
        let (was, now) = (kept.get(path), now.get(path));
        let same = match (was, now) {
            (Some(was), Some(now)) => was.is(now),
            (None, _) => path.starts_with("environment."),
            _ => false,
        };
        if !same {
            let hidden = matches!(was, Some(KeptValue::Hidden { .. }));
            let now = now.map_or(Shown::Nothing, |now| crate::fields::shown(path, now));
            let now = if hidden && now != Shown::Nothing { Shown::Hidden } else { now };
            found.tell(address, path, was.map_or(Shown::Nothing, KeptValue::shown), now);
        }
    }
}

fn address(container: &ObservedContainer) -> String {
    format!("{}/{}", container.service, container.number)
}

#[derive(Default)]
pub(super) struct Found(pub(super) Vec<Drift>);

impl Found {
    pub(super) fn tell(&mut self, resource: &str, field: &str, was: Shown, now: Shown) {
        self.0.push(Drift { resource: resource.to_owned(), field: field.to_owned(), was, now });
    }
}
