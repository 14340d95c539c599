//! The containers of a service: which stay, which are made, replaced or removed, and why.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use stack_file::model::{DependencyCondition, Restart};

use super::lenders::{Lending, Lendings};
use super::{Planner, Recreate, address_of};
use crate::address::Address;
use crate::desired::ServiceSpec;
use crate::drift;
use crate::observed::{ContainerState, Health, ObservedContainer};
use crate::plan::{Cause, Change};

/// The places of a service by number, each with the container that has it now.
pub(super) type Places<'a> = BTreeMap<u32, Option<&'a ObservedContainer>>;

/// The place of one container of a service.
pub(super) struct Slot<'a> {
    pub(super) address: Address,
    pub(super) number: u32,
    pub(super) spec: Arc<ServiceSpec>,
    /// The same, for as long as the plan is made.
    pub(super) service: &'a ServiceSpec,
    /// The container that has the place now.
    pub(super) old: Option<&'a ObservedContainer>,
    /// Whether the container still has the name of a replacement that is not finished.
    pub(super) temporary: bool,
    /// Whether it runs to an end, so that it does not serve.
    pub(super) job: bool,
    pub(super) course: Course,
}

/// What becomes of a place.
pub(super) enum Course {
    /// A container is made where none is, or none will be.
    Create(Cause),
    /// A container is made beside the one that is there, and then takes its place.
    Replace(Cause),
    /// The container is started, after a stop where it runs.
    Start(Change, Cause),
    /// The container stays as it is.
    Keep,
}

impl<'a> Planner<'a> {
    pub(super) fn replicas(&mut self) {
        let desired = self.desired;
        let jobs = jobs(&desired.services);
        let mut slots = Vec::new();
        // The services so far of which at least one container is replaced or restarted.
        let mut replaced = HashMap::new();
        let mut lendings = Lendings::new();
        for service in &desired.services {
            let mut places = self.places.remove(service.name()).unwrap_or_default();
            if self.selected.contains(service.name()) {
                self.remove_others(service, &places);
            } else {
                // Of a service that is not asked for, only what a network or volume takes down comes back.
                places.retain(|_, old| old.is_some_and(|old| self.cleared.contains_key(old.id.as_str())));
            }
            if places.is_empty() {
                continue;
            }
            let spec = Arc::new(service.clone());
            for (number, old) in places {
                let temporary = old.is_some_and(|container| self.is_temporary(container));
                let job = jobs.contains(service.name());
                let course = self.course(service, old, temporary, job, &replaced, &lendings);
                let address = Address::Container(service.name().to_owned(), number);
                let renewed = old.is_some()
                    && match course {
                        Course::Create(_) | Course::Replace(_) => true,
                        Course::Start(group, _) => group == Change::Restart,
                        Course::Keep => false,
                    };
                if renewed {
                    replaced.insert(service.name(), address.clone());
                }
                slots.push(Slot {
                    address,
                    number,
                    spec: Arc::clone(&spec),
                    service,
                    old,
                    temporary,
                    job,
                    course,
                });
                if let Some(slot) = slots.last() {
                    lendings.entry(service.name()).or_insert_with(|| Lending::of(slot));
                }
            }
        }
        self.carry_out(&slots);
    }

    /// Finds which places each service is to have, and which containers have them now.
    pub(super) fn places(&mut self) {
        let desired = self.desired;
        for service in &desired.services {
            let existing = self.occupants(service);
            let numbers = self.numbers(service, &existing).into_iter();
            let places = numbers.map(|number| (number, existing.get(&number).copied())).collect();
            self.places.insert(service.name(), places);
        }
    }

    /// Whether the container has one of the places of its service.
    pub(super) fn has_place(&self, container: &ObservedContainer) -> bool {
        let places = self.places.get(container.service.as_str());
        let occupant = places.and_then(|places| places.get(&container.number).copied().flatten());
        occupant.is_some_and(|occupant| occupant.id == container.id)
    }

    /// The container that has each number: where several claim one, the best of them.
    fn occupants(&self, service: &ServiceSpec) -> BTreeMap<u32, &'a ObservedContainer> {
        let mut occupants = BTreeMap::new();
        for (number, claimants) in self.by_number(service.name()) {
            // Numbers count from 1: without one it is no place of the service.
            if number == 0 {
                continue;
            }
            let name = service.container_name(&self.desired.project, number);
            let serves = claimants.iter().any(|other| !self.is_temporary(other) && other.state.is_up());
            let best = claimants.into_iter().min_by_key(|container| {
                let temporary = self.is_temporary(container);
                // What a run that was broken off had put in place of one that it had stopped.
                let took_over = temporary
                    && !serves
                    && container.state == ContainerState::Running
                    && container.health != Health::Unhealthy
                    && self.difference(service, container, Recreate::Changed, &Lendings::new()).is_none();
                (
                    !took_over,
                    temporary,
                    temporary
                        && self.difference(service, container, Recreate::Changed, &Lendings::new()).is_some(),
                    container.name != name,
                    !container.state.is_up(),
                )
            });
            if let Some(best) = best {
                occupants.insert(number, best);
            }
        }
        occupants
    }

    /// The numbers that the service is to have: a container keeps its own, and the lowest stay when there are too many.
    fn numbers(&self, service: &ServiceSpec, existing: &BTreeMap<u32, &ObservedContainer>) -> BTreeSet<u32> {
        let scale = service.scale as usize;
        let mut numbers: BTreeSet<u32> = existing.keys().copied().take(scale).collect();
        let mut free = (1..=u32::MAX).filter(|number| !existing.contains_key(number));
        while numbers.len() < scale
            && let Some(number) = free.next()
        {
            numbers.insert(number);
        }
        numbers
    }

    /// Removes the containers of the service that have none of its places.
    fn remove_others(&mut self, service: &ServiceSpec, places: &Places<'a>) {
        for (number, containers) in self.by_number(service.name()) {
            let occupant = places.get(&number).copied().flatten();
            for container in containers {
                if occupant.is_none_or(|occupant| occupant.id != container.id) {
                    // It goes when what has its place now has been looked at.
                    if occupant.is_some_and(|occupant| self.is_stopped_for(container, occupant)) {
                        continue;
                    }
                    let cause = self.why_without_place(container);
                    self.retire(container, Change::Remove, &cause, []);
                }
            }
        }
    }

    /// Why a container has none of the places of its service.
    pub(super) fn why_without_place(&self, container: &ObservedContainer) -> Cause {
        if self.is_temporary(container) { Cause::Interrupted } else { Cause::Surplus }
    }

    fn course(
        &self,
        service: &ServiceSpec,
        old: Option<&ObservedContainer>,
        temporary: bool,
        job: bool,
        replaced: &HashMap<&str, Address>,
        lendings: &Lendings<'_>,
    ) -> Course {
        let Some(container) = old else {
            return Course::Create(Cause::Missing);
        };
        if let Some(resource) = self.cleared.get(container.id.as_str()) {
            let cause = Cause::DependencyReplaced(resource.clone());
            let gone = self.gone.contains_key(container.id.as_str());
            return if gone { Course::Create(cause) } else { Course::Replace(cause) };
        }
        let recreate = match self.policy.recreate {
            _ if self.policy.recreate_dependencies && !self.is_asked(service.name()) => Recreate::Always,
            // A dependency is not recreated because its dependent is asked for.
            Recreate::Always if !self.is_asked(service.name()) => Recreate::Changed,
            recreate => recreate,
        };
        if let Some(cause) = self.difference(service, container, recreate, lendings) {
            return Course::Replace(cause);
        }
        if recreate != Recreate::Never
            && let Some(cause) = self.other_lender(service, container, lendings)
        {
            return Course::Replace(cause);
        }
        if self.policy.no_start {
            return Course::Keep;
        }
        if matches!(container.state, ContainerState::Running | ContainerState::Restarting) {
            let dependency = (service.service.depends_on.iter())
                .filter(|(_, wanted)| wanted.restart)
                .find_map(|(name, _)| replaced.get(name.as_str()))
                .or_else(|| self.started_lender(service, lendings));
            return dependency.map_or(Course::Keep, |address| {
                Course::Start(Change::Restart, Cause::DependencyReplaced(address.clone()))
            });
        }
        if job && container.state == ContainerState::Exited(0) && !temporary {
            let named = self.policy.services.iter().any(|name| name == service.name());
            return if named || self.policy.rerun {
                Course::Start(Change::Start, Cause::Asked)
            } else {
                Course::Keep
            };
        }
        Course::Start(Change::Start, Cause::Drifted(container.state.word()))
    }

    /// Why the container cannot stay as it is; `None` when it can.
    fn difference(
        &self,
        service: &ServiceSpec,
        container: &ObservedContainer,
        recreate: Recreate,
        lendings: &Lendings<'_>,
    ) -> Option<Cause> {
        // The engine starts neither of them again.
        if matches!(container.state, ContainerState::Dead | ContainerState::Removing) {
            return Some(Cause::Drifted(container.state.word()));
        }
        match recreate {
            Recreate::Never => return None,
            Recreate::Always => return Some(Cause::Asked),
            Recreate::Changed => {}
        }
        match &container.recorded {
            Some(recorded) => {
                let changes = service.fields.difference(recorded, &service.service.name.origin);
                let changes = self.without_open_variables(service, changes);
                if !changes.is_empty() {
                    return Some(Cause::Changed(changes));
                }
            }
            // docker compose made it: its hash of the settings is ours, too.
            None if service.config_hash(&self.lending_ids(service, lendings)) == container.config_hash => {}
            None => return Some(Cause::Unrecorded),
        }
        if let Some(image) = self.observed.images.get(&service.image)
            && image.id != container.image_id
        {
            return Some(Cause::ImageMoved);
        }
        let altered = drift::altered(service, container);
        if !altered.is_empty() {
            return Some(Cause::Altered(altered));
        }
        let detached = service.networks.iter().any(|joined| match container.networks.get(&joined.name) {
            None => true,
            // Until its first start the engine does not say to which network of that name it belongs.
            Some(id) if id.is_empty() => false,
            Some(id) => self.network(&joined.name).is_none_or(|network| network.id != *id),
        });
        detached.then_some(Cause::Drifted("detached from a network"))
    }

    /// Whether the container has the name of a replacement that is not finished:
    /// twelve hexadecimal digits and an underscore before the real one.
    pub(super) fn is_temporary(&self, container: &ObservedContainer) -> bool {
        let Some((hex, _)) = container.name.split_once('_') else {
            return false;
        };
        let meant = match self.services.get(container.service.as_str()) {
            Some(spec) => spec.container_name(&self.desired.project, container.number),
            None => String::new(),
        };
        hex.len() == 12
            && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && container.name != meant
    }

    /// Whether somebody gave the container another name, and its own is free.
    pub(super) fn is_renamed(&self, service: &ServiceSpec, container: &ObservedContainer) -> bool {
        let name = service.container_name(&self.desired.project, container.number);
        container.name != name
            && !self.is_temporary(container)
            && !self.observed.containers.iter().any(|other| other.name == name)
    }

    /// The networks that a container was attached to by hand. One that joins none of its own has
    /// the networks of a mode.
    pub(super) fn foreign_networks(
        &self,
        service: &ServiceSpec,
        container: &ObservedContainer,
    ) -> Vec<String> {
        if service.networks.is_empty() {
            return Vec::new();
        }
        let own = |name: &str| service.networks.iter().any(|joined| joined.name == name);
        container.networks.keys().filter(|name| !own(name)).cloned().collect()
    }

    pub(super) fn unchanged(&mut self, container: &ObservedContainer) {
        self.unchanged.push(address_of(container));
    }
}

/// The services that run to an end: one that ended well has done its work and is not
/// started again. Any other that ended was stopped by somebody.
pub(crate) fn jobs(services: &[ServiceSpec]) -> BTreeSet<&str> {
    let awaited = (services.iter())
        .flat_map(|spec| &spec.service.depends_on)
        .filter(|(_, wanted)| wanted.condition == DependencyCondition::CompletedSuccessfully)
        .map(|(name, _)| name.as_str());
    let once = (services.iter()).filter(|spec| runs_once(spec)).map(ServiceSpec::name);
    awaited.chain(once).collect()
}

/// Whether the file says that the container is not to be started again after it has ended well.
fn runs_once(spec: &ServiceSpec) -> bool {
    let ends = |restart| matches!(restart, Restart::No | Restart::OnFailure(_));
    spec.service.job || spec.service.restart.as_ref().is_some_and(|restart| ends(restart.value))
}
