//! Containers that lend namespaces and mounts to others: `network_mode: service:NAME` and
//! its like, `volumes_from`, and links. A borrower names the very container that lends, so
//! it is made after that one, and made anew when that one is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stack_file::model::Service;

use super::Planner;
use super::replicas::{Course, Slot};
use crate::address::Address;
use crate::desired::ServiceSpec;
use crate::observed::ObservedContainer;
use crate::plan::{Cause, StepId, Target};

/// What becomes of the container of a service that lends, the one with the lowest number.
pub(super) struct Lending<'a> {
    address: Address,
    /// The id of the container that stays; `None` for a new one.
    id: Option<&'a str>,
    /// Whether it is started again, so that its namespaces are new ones.
    started: bool,
}

/// What becomes of the lenders so far, by service.
pub(super) type Lendings<'a> = HashMap<&'a str, Lending<'a>>;

impl<'a> Lending<'a> {
    /// What becomes of the container in this place, were it to lend.
    pub(super) fn of(slot: &Slot<'a>) -> Self {
        let old = slot.old.map(|old| old.id.as_str());
        let (id, started) = match slot.course {
            Course::Create(_) | Course::Replace(_) => (None, true),
            Course::Start(..) => (old, true),
            Course::Keep => (old, false),
        };
        Self { address: slot.address.clone(), id, started }
    }
}

impl<'a> Planner<'a> {
    /// Why a container cannot stay, because one that lends to it is not the same any more.
    pub(super) fn other_lender(
        &self,
        service: &ServiceSpec,
        container: &ObservedContainer,
        lendings: &Lendings<'_>,
    ) -> Option<Cause> {
        service.lenders.iter().find_map(|lender| {
            let name = lender.service.as_str();
            let borrowed = container.lenders.get(name).map(String::as_str);
            let (address, id) = match lendings.get(name) {
                Some(lending) => (lending.address.clone(), lending.id),
                // A service that is not asked for stays as it is.
                None => {
                    let first = self.first_container(name)?;
                    (Address::Container(name.to_owned(), first.number), Some(first.id.as_str()))
                }
            };
            // docker compose keeps the ids in its hash alone, which was looked at before.
            let other = id != borrowed && container.recorded.is_some();
            (id.is_none() || other).then_some(Cause::DependencyReplaced(address))
        })
    }

    /// The ids of the containers that lend to those of a service and stay, by service.
    pub(super) fn lending_ids(
        &self,
        service: &ServiceSpec,
        lendings: &Lendings<'_>,
    ) -> BTreeMap<String, String> {
        let known = service.lenders.iter().filter_map(|lender| {
            let name = lender.service.as_str();
            let id = match lendings.get(name) {
                Some(lending) => lending.id?,
                None => self.first_container(name)?.id.as_str(),
            };
            Some((lender.service.clone(), id.to_owned()))
        });
        known.collect()
    }

    /// The lender of a namespace that is started again: what runs has lost the namespace then.
    pub(super) fn started_lender<'l>(
        &self,
        service: &ServiceSpec,
        lendings: &'l Lendings<'_>,
    ) -> Option<&'l Address> {
        (service.lenders.iter().filter(|lender| lender.namespace))
            .filter_map(|lender| lendings.get(lender.service.as_str()))
            .find(|lending| lending.started)
            .map(|lending| &lending.address)
    }

    /// The containers that lend to those of a service when the plan is carried out.
    pub(super) fn lenders(&self, service: &ServiceSpec) -> BTreeMap<String, Target> {
        let mut lenders = BTreeMap::new();
        for lender in &service.lenders {
            let name = lender.service.as_str();
            let fate = self.fates.get(name).and_then(|fates| fates.first());
            let target = match fate {
                Some((_, fate)) => Some(fate.target.clone()),
                None => self
                    .early_lenders
                    .get(name)
                    .cloned()
                    .or_else(|| self.first_container(name).map(|first| Target::Known(first.id.clone()))),
            };
            if let Some(target) = target {
                lenders.insert(lender.service.clone(), target);
            }
        }
        lenders
    }

    /// The steps after which what lends to the containers of a service, or is linked to them, is there.
    pub(super) fn lenders_made(&self, service: &ServiceSpec) -> Vec<StepId> {
        let mut steps: Vec<StepId> = (self.lenders(service).into_values())
            .filter_map(|target| match target {
                Target::Made(created) => Some(created),
                Target::Known(_) => None,
            })
            .collect();
        // Outside of networks of its own an engine looks up links when the container is made.
        if service.networks.is_empty() {
            let linked = service.service.links.iter().filter_map(|link| link.split(':').next());
            let fates = linked.filter_map(|name| self.fates.get(name)).flatten();
            steps.extend(fates.filter_map(|(_, fate)| fate.started));
        }
        steps
    }

    /// The links of a container, as `CONTAINER:ALIAS`: every container of a linked service
    /// under the alias, and under the names that it would have without a file.
    pub(super) fn links(&self, service: &Service) -> Vec<String> {
        let mut links = Vec::new();
        for link in &service.links {
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            let Some(linked) = self.services.get(name) else { continue };
            let project = &self.desired.project;
            let numbers: Vec<u32> = match self.fates.get(name) {
                Some(fates) => fates.iter().filter_map(|(address, _)| number_of(address)).collect(),
                None => self.by_number(name).into_keys().filter(|number| *number > 0).collect(),
            };
            for number in numbers {
                let container = linked.container_name(project, number);
                links.push(format!("{container}:{alias}"));
                links.push(format!("{container}:{name}-{number}"));
                links.push(format!("{container}:{project}-{name}-{number}"));
            }
        }
        for link in &service.external_links {
            let (container, alias) = link.split_once(':').unwrap_or((link, link));
            links.push(format!("{container}:{alias}"));
        }
        links
    }

    /// The volumes that containers of a service have from other containers.
    pub(super) fn borrowed_volumes(&self, service: &Service) -> BTreeSet<&'a str> {
        let lenders = service.volume_lenders().filter_map(|name| self.first_container(name));
        lenders.flat_map(|lender| lender.volumes.iter().map(|mount| mount.name.as_str())).collect()
    }

    /// The container of a service with the lowest number.
    fn first_container(&self, service: &str) -> Option<&'a ObservedContainer> {
        let numbered = self.by_number(service).into_iter().filter(|(number, _)| *number > 0);
        numbered.flat_map(|(_, containers)| containers).find(|container| !self.is_temporary(container))
    }
}

fn number_of(address: &Address) -> Option<u32> {
    match address {
        Address::Container(_, number) => Some(*number),
        _ => None,
    }
}
