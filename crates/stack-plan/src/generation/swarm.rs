//! Generations of a stack on a swarm: services in place of containers.

use std::collections::BTreeMap;

use stack_file::load::Loaded;
use stack_file::source::Sources;

use super::difference::Asked;
use super::drift::{Drift, Found, settings, text};
use super::{Generation, KeptFields, KeptImage, KeptService, KeptValue, Occasion, Unlike, kept};
use crate::desired::Desired;
use crate::fields::Shown;
use crate::swarm::{ObservedService, SwarmDesired, SwarmObserved, SwarmService, UpdateState};

/// What stands in the place of a setting where a service as a whole is meant.
const SERVICE: &str = "service";

impl Generation {
    /// What the project has come to on a swarm: the services that are as the files say.
    #[must_use]
    pub fn of_swarm(
        number: u32,
        occasion: Occasion,
        loaded: &Loaded,
        (desired, swarm): (&Desired, &SwarmDesired),
        observed: &SwarmObserved,
    ) -> Self {
        let mut generation = Self { number, ..Self::about(occasion, loaded, desired) };
        for spec in &swarm.services {
            let there = observed.service(spec.key()).filter(|there| is_reached(spec, there));
            let Some(there) = there else {
                generation.others.insert(spec.key().to_owned());
                continue;
            };
            let image = image(there, observed);
            generation.services.insert(spec.key().to_owned(), service(spec, Some(image), &loaded.sources));
        }
        generation
    }

    /// What the files ask of a swarm, as if a run had brought the project there.
    #[must_use]
    pub fn asked_of_swarm(loaded: &Loaded, desired: &Desired, swarm: &SwarmDesired) -> Self {
        let services = swarm.services.iter();
        let services = services.map(|spec| (spec.key().to_owned(), service(spec, None, &loaded.sources)));
        Self { services: services.collect(), ..Self::about(Occasion::default(), loaded, desired) }
    }

    /// The settings of which its files come to something else on a swarm now, as [`Self::unlike`] has it.
    #[must_use]
    pub fn unlike_on_swarm(&self, loaded: &Loaded, desired: &Desired, swarm: &SwarmDesired) -> Vec<Unlike> {
        let services = swarm.services.iter().map(|spec| Asked {
            name: spec.key(),
            fields: &spec.fields,
            place: spec.origin(),
            given: false,
        });
        self.unlike_asked(loaded, desired, services)
    }

    /// What is not as this generation left it on the swarm, in the order of the resources. What a
    /// person did is told; where tasks are, and how they do, is the swarm's own matter.
    #[must_use]
    pub fn drift_on_swarm(&self, observed: &SwarmObserved) -> Vec<Drift> {
        let mut found = Found::default();
        for (name, service) in &self.services {
            match observed.service(name) {
                Some(there) => drift_of(name, service, there, &mut found),
                None => found.tell(name, SERVICE, text("there"), Shown::Nothing),
            }
        }
        for there in &observed.services {
            let name = &there.service;
            if !self.services.contains_key(name) && !self.others.contains(name) {
                found.tell(name, SERVICE, Shown::Nothing, text("there"));
            }
        }
        for (key, fields) in &self.networks {
            let Some(KeptValue::Text(name)) = fields.get("name") else { continue };
            let resource = format!("network:{key}");
            match observed.networks.iter().find(|there| there.name == *name) {
                None => found.tell(&resource, "network", text("there"), Shown::Nothing),
                Some(there) => {
                    if let Some(recorded) = there.recorded.as_ref().filter(|_| there.own) {
                        settings(&resource, fields, recorded, &mut found);
                    }
                }
            }
        }
        found.0
    }

    /// The names of its networks.
    #[must_use]
    pub fn network_names(&self) -> Vec<String> {
        let names = self.networks.values().filter_map(|fields| match fields.get("name") {
            Some(KeptValue::Text(name)) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }
}

fn drift_of(name: &str, service: &KeptService, there: &ObservedService, found: &mut Found) {
    match &there.recorded {
        Some(recorded) => settings(name, &service.fields, recorded, found),
        None => found.tell(name, SERVICE, text("made by stackctl"), text("made by another program")),
    }
    for altered in there.altered.iter().filter(|altered| altered.field != "deploy.replicas") {
        found.tell(name, &altered.field, altered.made.clone(), altered.now.clone());
    }
    if !there.mode.is_global() && there.replicas != u64::from(service.scale) {
        let (was, now) = (service.scale.to_string(), there.replicas.to_string());
        found.tell(name, "deploy.replicas", text(was), text(now));
    }
    match there.update.as_ref().map(|update| update.state) {
        Some(UpdateState::Paused) => found.tell(name, "update", text("completed"), text("paused")),
        Some(UpdateState::RollbackPaused) => {
            found.tell(name, "update", text("completed"), text("rollback paused"));
        }
        _ => {}
    }
}

/// Whether a service is as the files say.
fn is_reached(spec: &SwarmService, there: &ObservedService) -> bool {
    let recorded = there.recorded.as_ref();
    recorded.is_some_and(|recorded| spec.fields.difference(recorded, spec.origin()).is_empty())
        && there.mode == spec.mode
        && there.replicas == spec.replicas
        && there.altered.is_empty()
}

/// The very image of the tasks: under the digest that a registry has, or by id.
fn image(there: &ObservedService, observed: &SwarmObserved) -> KeptImage {
    let known = observed.images.get(&there.reference).map(|image| image.id.clone());
    let (id, digests) = match there.image.contains('@') {
        true => (known.unwrap_or_default(), vec![there.image.clone()]),
        false if there.image.starts_with("sha256:") => (there.image.clone(), Vec::new()),
        false => (known.unwrap_or_default(), Vec::new()),
    };
    KeptImage { reference: there.reference.clone(), id, digests }
}

fn service(spec: &SwarmService, image: Option<KeptImage>, sources: &Sources) -> KeptService {
    let fields: KeptFields = kept(&spec.fields, sources);
    let tasks = if spec.mode.is_global() { 1 } else { spec.replicas };
    let scale = u32::try_from(tasks).unwrap_or(u32::MAX);
    KeptService { scale, job: spec.mode.is_job(), image, fields, limits: BTreeMap::new() }
}
