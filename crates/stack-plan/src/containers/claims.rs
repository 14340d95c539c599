//! What only one container can have at a time: a name, a port of the host, a fixed address.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stack_file::model::Port;

use super::Planner;
use super::replicas::{Course, Slot};
use crate::observed::ObservedContainer;
use crate::plan::StepId;
use crate::ports::{meet, wanted};

/// Who has to go before a place can be filled, by the index of the place.
#[derive(Default)]
pub(super) struct Claims<'a> {
    /// Containers whose name is wanted.
    names: HashMap<usize, Vec<&'a str>>,
    /// Containers whose port or address is wanted.
    ports: HashMap<usize, Vec<&'a str>>,
    /// Places whose old container has something that another place waits for: it goes first.
    pub(super) early: BTreeSet<usize>,
}

impl Claims<'_> {
    /// Whether nobody has to go before the place can have its name.
    pub(super) fn is_name_free(&self, index: usize) -> bool {
        self.names.get(&index).is_none_or(Vec::is_empty)
    }
}

/// A port of the host that a container holds.
struct Held<'a> {
    container: &'a ObservedContainer,
    host_ip: &'a str,
}

impl<'a> Planner<'a> {
    /// Finds what is passed on from container to container: every holder that goes away
    /// must be gone before the place that wants the same thing is filled.
    pub(super) fn claims(&self, slots: &[Slot<'a>]) -> Claims<'a> {
        let mut names: HashMap<&str, &ObservedContainer> = HashMap::new();
        let mut ports: BTreeMap<(&str, u16), Vec<Held<'_>>> = BTreeMap::new();
        let mut addresses: HashMap<&str, Vec<&ObservedContainer>> = HashMap::new();
        for container in &self.observed.containers {
            names.insert(&container.name, container);
            for port in &container.ports {
                if let Some(published) = port.published {
                    let held = Held { container, host_ip: &port.host_ip };
                    ports.entry((&port.protocol, published)).or_default().push(held);
                }
            }
            for address in container.recorded.iter().flat_map(|recorded| recorded.fixed_addresses()) {
                addresses.entry(address).or_default().push(container);
            }
        }
        let replaced: HashMap<&str, usize> = (slots.iter().enumerate())
            .filter(|(_, slot)| matches!(slot.course, Course::Replace(_)))
            .filter_map(|(index, slot)| Some((slot.old?.id.as_str(), index)))
            .collect();

        let mut claims = Claims::default();
        for (index, slot) in slots.iter().enumerate() {
            let own = slot.old.map(|old| old.id.as_str());
            let mut passed_on = |holder: &'a ObservedContainer| {
                let id = holder.id.as_str();
                if own == Some(id) {
                    return None;
                }
                if let Some(place) = replaced.get(id) {
                    claims.early.insert(*place);
                } else if !self.gone.contains_key(id) {
                    return None;
                }
                Some(id)
            };
            if matches!(slot.course, Course::Keep) && !slot.temporary {
                continue;
            }
            let name = slot.spec.container_name(&self.desired.project, slot.number);
            let holders = names.get(name.as_str()).copied().and_then(&mut passed_on);
            claims.names.entry(index).or_default().extend(holders);
            let mut held: Vec<&'a str> = Vec::new();
            for port in &slot.spec.service.ports {
                for holder in holders_of(port, &ports) {
                    // Replicas share a range, and each finds what it had.
                    if port.published.as_ref().is_some_and(|published| published.contains('-'))
                        && holder.service == slot.spec.name()
                    {
                        continue;
                    }
                    held.extend(passed_on(holder));
                }
            }
            for joined in &slot.spec.networks {
                for address in joined.ipv4_address.iter().chain(&joined.ipv6_address) {
                    let holders = addresses.get(address.as_str()).into_iter().flatten();
                    held.extend(holders.filter_map(|holder| passed_on(holder)));
                }
            }
            claims.ports.insert(index, held);
        }
        claims
    }

    /// The steps after which the name of a place is free.
    pub(super) fn name_freed(&self, claims: &Claims<'_>, index: usize) -> Vec<StepId> {
        self.freed(claims.names.get(&index))
    }

    /// The steps after which the ports and addresses of a place are free.
    pub(super) fn ports_freed(&self, claims: &Claims<'_>, index: usize) -> Vec<StepId> {
        self.freed(claims.ports.get(&index))
    }

    fn freed(&self, holders: Option<&Vec<&str>>) -> Vec<StepId> {
        holders.into_iter().flatten().filter_map(|id| self.gone.get(id).copied()).collect()
    }
}

/// The containers that hold a host port that `port` is to be published at.
fn holders_of<'a>(port: &Port, held: &BTreeMap<(&'a str, u16), Vec<Held<'a>>>) -> Vec<&'a ObservedContainer> {
    let Some(range) = wanted(port) else { return Vec::new() };
    let protocol = port.protocol.as_str();
    held.range((protocol, *range.start())..=(protocol, *range.end()))
        .flat_map(|(_, holders)| holders)
        .filter(|holder| meet(port.host_ip.as_deref().unwrap_or_default(), holder.host_ip))
        .map(|holder| holder.container)
        .collect()
}
