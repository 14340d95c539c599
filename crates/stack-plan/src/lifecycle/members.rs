//! The services of the file and those of which there are containers, and what depends on what.

use std::collections::{BTreeMap, BTreeSet};

use stack_file::model::DependencyCondition;

use crate::desired::Desired;
use crate::observed::{Observed, ObservedContainer};

/// What one service needs of another.
#[derive(Clone, Debug)]
pub(super) struct Need<'a> {
    pub(super) service: &'a str,
    pub(super) condition: DependencyCondition,
    pub(super) restart: bool,
    pub(super) required: bool,
}

/// A service.
#[derive(Default)]
struct Member<'a> {
    /// Its containers in the order of their numbers, without those of `run`.
    containers: Vec<&'a ObservedContainer>,
    needs: Vec<Need<'a>>,
}

/// The services by name.
pub(super) struct Members<'a> {
    services: BTreeMap<&'a str, Member<'a>>,
    /// Each after all that it needs; where they go in a circle, the first by name comes first.
    order: Vec<&'a str>,
}

impl<'a> Members<'a> {
    /// What there is, with the file's word on what depends on what, else that of the labels.
    pub(super) fn of(desired: Option<&'a Desired>, observed: &'a Observed) -> Self {
        let mut services: BTreeMap<&str, Member<'_>> = BTreeMap::new();
        for container in observed.containers.iter().filter(|container| !container.one_off) {
            let member = services.entry(&container.service).or_default();
            member.containers.push(container);
        }
        // One that has no container may still lead from one to another.
        for spec in desired.iter().flat_map(|desired| &desired.services) {
            services.entry(spec.name()).or_default();
        }
        for (name, member) in &mut services {
            member.containers.sort_by_key(|container| (container.number, &container.name));
            member.needs = match desired.and_then(|desired| desired.service(name)) {
                Some(spec) => (spec.service.depends_on.iter())
                    .map(|(service, wanted)| Need {
                        service,
                        condition: wanted.condition,
                        restart: wanted.restart,
                        required: wanted.required,
                    })
                    .collect(),
                None => (member.containers.iter().flat_map(|container| &container.depends_on))
                    .map(|needed| Need {
                        service: &needed.service,
                        condition: needed.condition,
                        restart: needed.restart,
                        required: true,
                    })
                    .collect(),
            };
            let mut seen = BTreeSet::from([*name]);
            member.needs.retain(|need| seen.insert(need.service));
        }
        let mut members = Self { services, order: Vec::new() };
        let mut seen = BTreeSet::new();
        for name in members.services.keys().copied().collect::<Vec<_>>() {
            members.visit(name, &mut seen);
        }
        members
    }

    fn visit(&mut self, name: &'a str, seen: &mut BTreeSet<&'a str>) {
        if !seen.insert(name) {
            return;
        }
        let needs: Vec<_> = self.needs(name).iter().map(|need| need.service).collect();
        for need in needs.into_iter().filter(|need| self.services.contains_key(need)).collect::<Vec<_>>() {
            self.visit(need, seen);
        }
        self.order.push(name);
    }

    /// The services, each after all that it needs.
    pub(super) fn order(&self) -> &[&'a str] {
        &self.order
    }

    /// The containers of a service.
    pub(super) fn containers(&self, service: &str) -> &[&'a ObservedContainer] {
        self.services.get(service).map_or(&[], |member| &member.containers)
    }

    /// What a service needs.
    pub(super) fn needs(&self, service: &str) -> &[Need<'a>] {
        self.services.get(service).map_or(&[], |member| &member.needs)
    }

    /// Services that some other one waits for until they have ended well.
    pub(super) fn jobs(&self) -> BTreeSet<&'a str> {
        (self.services.values().flat_map(|member| &member.needs))
            .filter(|need| need.condition == DependencyCondition::CompletedSuccessfully)
            .map(|need| need.service)
            .collect()
    }

    /// The named services and all that they need, directly or not.
    pub(super) fn with_needs(&self, names: &'a [String]) -> BTreeSet<&'a str> {
        self.spread(names, |members, service| {
            members.needs(service).iter().map(|need| need.service).collect()
        })
    }

    /// The named services and all that a restart of them restarts, directly or not.
    pub(super) fn with_followers(&self, names: &'a [String]) -> BTreeSet<&'a str> {
        self.spread(names, |members, service| {
            let follows = |name: &&str| {
                let mut needs = members.needs(name).iter();
                needs.any(|need| need.restart && need.service == service)
            };
            members.order.iter().copied().filter(follows).collect()
        })
    }

    fn spread(
        &self,
        names: &'a [String],
        further: impl Fn(&Self, &str) -> Vec<&'a str>,
    ) -> BTreeSet<&'a str> {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = names.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if reached.insert(name) {
                next.extend(further(self, name));
            }
        }
        reached
    }
}
