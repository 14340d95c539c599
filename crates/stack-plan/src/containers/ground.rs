//! Networks and volumes: what containers stand on.

use std::collections::HashSet;
use std::sync::Arc;

use stack_file::source::Origin;

use super::Planner;
use crate::address::Address;
use crate::fields::{Fields, Recorded};
use crate::observed::{ObservedContainer, ObservedNetwork};
use crate::plan::{Action, Cause, Change, StepId};

/// What is there under the name of a network or volume.
struct Standing<'a> {
    /// Whether the project owns it.
    own: bool,
    recorded: Option<&'a Recorded>,
}

impl<'a> Planner<'a> {
    pub(super) fn ground(&mut self) {
        self.volumes();
        self.networks();
    }

    fn volumes(&mut self) {
        let desired = self.desired;
        let used: HashSet<&str> = (desired.services.iter())
            .filter(|service| self.selected.contains(service.name()))
            .flat_map(|service| service.volume_names.values().map(String::as_str))
            .collect();
        for spec in &desired.volumes {
            let name = spec.volume.name.as_str();
            let found = self.observed.volumes.iter().find(|volume| volume.name == name);
            if spec.volume.external {
                if found.is_none() && used.contains(name) {
                    self.missing_external(&spec.address, "volume", name);
                }
                continue;
            }
            // Without a selection every declared volume is made, used or not.
            if !(used.contains(name) || self.policy.services.is_empty()) {
                continue;
            }
            let standing = found
                .map(|volume| Standing { own: volume.key.is_some(), recorded: volume.recorded.as_ref() });
            let origin = &spec.volume.key.origin;
            let Some(cause) = self.why_made(&spec.address, name, &spec.fields, origin, standing) else {
                continue;
            };
            let mut after = Vec::new();
            let mut group = Change::Create;
            if found.is_some() {
                group = Change::Replace;
                let cleared = self.clear_volume(name, &spec.address);
                let remove = Action::RemoveVolume(name.to_owned());
                let removed = self.draft.add(&spec.address, remove, group, &cause, cleared);
                self.draft.loses_data(removed);
                after.push(removed);
            }
            let create = Action::CreateVolume(Arc::new(spec.clone()));
            let step = self.draft.add(&spec.address, create, group, &cause, after);
            self.made_volumes.insert(name, step);
        }
    }

    fn networks(&mut self) {
        let desired = self.desired;
        let used: HashSet<&str> = (desired.services.iter())
            .filter(|service| self.selected.contains(service.name()))
            .flat_map(|service| service.networks.iter().map(|joined| joined.name.as_str()))
            .collect();
        for spec in &desired.networks {
            let name = spec.network.name.as_str();
            if !used.contains(name) {
                continue;
            }
            let found = self.network(name);
            if spec.network.external {
                if found.is_none() {
                    self.missing_external(&spec.address, "network", name);
                }
                continue;
            }
            let standing = found
                .map(|network| Standing { own: network.key.is_some(), recorded: network.recorded.as_ref() });
            let origin = &spec.network.key.origin;
            let Some(cause) = self.why_made(&spec.address, name, &spec.fields, origin, standing) else {
                continue;
            };
            let mut after = Vec::new();
            let mut group = Change::Create;
            if let Some(network) = found {
                group = Change::Replace;
                let cleared = self.clear_network(network, &spec.address);
                let remove = Action::RemoveNetwork(network.id.clone());
                after.push(self.draft.add(&spec.address, remove, group, &cause, cleared));
            }
            let create = Action::CreateNetwork(Arc::new(spec.clone()));
            let step = self.draft.add(&spec.address, create, group, &cause, after);
            self.made_networks.insert(name, step);
        }
    }

    /// The network of this name; the project's own first, for an engine allows several of one name.
    pub(super) fn network(&self, name: &str) -> Option<&'a ObservedNetwork> {
        let mut found = None;
        for network in self.observed.networks.iter().filter(|network| network.name == name) {
            if network.key.is_some() {
                return Some(network);
            }
            found = found.or(Some(network));
        }
        found
    }

    fn missing_external(&mut self, address: &Address, kind: &str, name: &str) {
        self.warnings.push(format!(
            "{address} is external, and there is no {kind} {name}; make it with: docker {kind} create {name}"
        ));
    }

    /// Why a network or volume is made, or made anew; `None` when it stays as it is.
    fn why_made(
        &mut self,
        address: &Address,
        name: &str,
        fields: &Fields,
        origin: &Origin,
        standing: Option<Standing<'_>>,
    ) -> Option<Cause> {
        let Some(standing) = standing else {
            return Some(Cause::Missing);
        };
        if let Some(recorded) = standing.recorded {
            let changes = fields.difference(recorded, origin);
            if !changes.is_empty() {
                return Some(Cause::Changed(changes));
            }
        } else if !standing.own {
            let kind = if matches!(address, Address::Volume(_)) { "volume" } else { "network" };
            self.warnings.push(format!(
                "{address} uses the {kind} {name}, which another project or a person has made"
            ));
        }
        self.unchanged.push(address.clone());
        None
    }

    /// Removes every container of the project that has the volume, whether it runs or not.
    fn clear_volume(&mut self, name: &str, resource: &Address) -> Vec<StepId> {
        let observed = self.observed;
        let mut steps = Vec::new();
        for container in &observed.containers {
            if container.volumes.iter().any(|mount| mount.name == name) {
                let mut group = Change::Replace;
                if self.comes_back(container) {
                    self.cleared.entry(&container.id).or_insert_with(|| resource.clone());
                } else {
                    group = Change::Remove;
                    self.warnings.push(format!(
                        "{} is removed, because it uses {resource}, which is made anew",
                        container.name
                    ));
                }
                let cause = Cause::DependencyReplaced(resource.clone());
                steps.push(self.retire(container, group, &cause, []));
            }
        }
        steps
    }

    /// Stops the containers that are attached to the network: it can be removed then, and they
    /// are there until others take their places.
    fn clear_network(&mut self, network: &ObservedNetwork, resource: &Address) -> Vec<StepId> {
        let observed = self.observed;
        let mut steps = Vec::new();
        let attached =
            |container: &&ObservedContainer| container.networks.values().any(|id| *id == network.id);
        for container in observed.containers.iter().filter(attached) {
            let comes_back = self.comes_back(container);
            if comes_back {
                self.cleared.entry(&container.id).or_insert_with(|| resource.clone());
            }
            if let Some(removed) = self.gone.get(container.id.as_str()) {
                steps.push(*removed);
            } else if let Some(stopped) = self.stopped.get(container.id.as_str()) {
                steps.push(*stopped);
            } else if container.state.is_up() {
                if !comes_back {
                    self.warnings.push(format!(
                        "{} is stopped, because it uses {resource}, which is made anew",
                        container.name
                    ));
                }
                let cause = Cause::DependencyReplaced(resource.clone());
                let group = if comes_back { Change::Replace } else { Change::Stop };
                steps.push(self.stop(container, group, &cause, Vec::new()));
            }
        }
        steps
    }

    /// Whether the container belongs to a service that the file has and enables.
    fn comes_back(&self, container: &ObservedContainer) -> bool {
        !container.one_off && self.services.contains_key(container.service.as_str())
    }
}
