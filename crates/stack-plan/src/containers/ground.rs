//! Networks and volumes: what containers stand on.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use stack_file::source::Origin;

use super::Planner;
use crate::address::Address;
use crate::fields::{Fields, Recorded};
use crate::labels;
use crate::observed::{ObservedContainer, ObservedNetwork};
use crate::plan::{Action, Cause, Change, Obstacle, StepId};

/// What is there under the name of a network or volume.
struct Standing<'a> {
    /// Whether the project owns it.
    own: bool,
    recorded: Option<&'a Recorded>,
    /// docker compose's hash of the settings it was made with.
    config_hash: &'a str,
}

/// What becomes of a container that loses what it stands on.
enum Prospect {
    /// A container takes its place when the ground is made.
    ComesBack,
    /// It is removed in any case, for this cause.
    Goes(Cause),
    /// Nothing takes its place, though nobody has asked for its end.
    Falls,
}

impl<'a> Planner<'a> {
    pub(super) fn ground(&mut self) {
        let selected = self.selected.clone();
        self.volumes(&selected);
        self.networks(&selected);
        // Services that are not asked for, but come back because something goes from under
        // them, get what they miss; what has changed under them alone is left for their own turn.
        let observed = self.observed;
        self.returning = (observed.containers.iter())
            .filter(|container| self.cleared.contains_key(container.id.as_str()))
            .map(|container| container.service.as_str())
            .filter(|service| !selected.contains(service))
            .collect();
        let returning = self.returning.clone();
        if !returning.is_empty() {
            self.volumes(&returning);
            self.networks(&returning);
        }
    }

    fn volumes(&mut self, services: &BTreeSet<&str>) {
        let desired = self.desired;
        let used: HashSet<&str> = (desired.services.iter())
            .filter(|service| services.contains(service.name()))
            .chain(self.one_off.map(|one_off| &one_off.spec))
            .flat_map(|service| service.volume_names.values().map(String::as_str))
            .collect();
        for spec in &desired.volumes {
            let name = spec.volume.name.as_str();
            let found = self.observed.volumes.iter().find(|volume| volume.name == name);
            if self.is_settled(found.is_some() || self.made_volumes.contains_key(name)) {
                continue;
            }
            if spec.volume.external {
                if found.is_none() && used.contains(name) {
                    self.missing_external(&spec.address, "volume", name, &spec.volume.key.origin);
                }
                continue;
            }
            // Without a selection every declared volume is made, used or not.
            if !(used.contains(name) || self.policy.services.is_empty()) {
                continue;
            }
            let standing = found.map(|volume| Standing {
                own: volume.key.is_some(),
                recorded: volume.recorded.as_ref(),
                config_hash: &volume.config_hash,
            });
            let origin = &spec.volume.key.origin;
            let Some(cause) =
                self.why_made(&spec.address, name, (&spec.fields, &spec.labels), origin, standing)
            else {
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

    /// Whether a network or volume is left as it is: for services that come back, only what
    /// is missing is made.
    fn is_settled(&self, there: bool) -> bool {
        there && !self.returning.is_empty()
    }

    fn networks(&mut self, services: &BTreeSet<&str>) {
        let desired = self.desired;
        let used: HashSet<&str> = (desired.services.iter())
            .filter(|service| services.contains(service.name()))
            .chain(self.one_off.map(|one_off| &one_off.spec))
            .flat_map(|service| service.networks.iter().map(|joined| joined.name.as_str()))
            .collect();
        for spec in &desired.networks {
            let name = spec.network.name.as_str();
            if !used.contains(name) {
                continue;
            }
            let found = self.network(name);
            if self.is_settled(found.is_some() || self.made_networks.contains_key(name)) {
                continue;
            }
            if spec.network.external {
                if found.is_none() {
                    self.missing_external(&spec.address, "network", name, &spec.network.key.origin);
                }
                continue;
            }
            let standing = found.map(|network| Standing {
                own: network.key.is_some(),
                recorded: network.recorded.as_ref(),
                config_hash: &network.config_hash,
            });
            let origin = &spec.network.key.origin;
            let Some(cause) =
                self.why_made(&spec.address, name, (&spec.fields, &spec.labels), origin, standing)
            else {
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

    fn missing_external(&mut self, address: &Address, kind: &str, name: &str, origin: &Origin) {
        let obstacle = Obstacle {
            address: address.clone(),
            what: format!("{address} is external, and the engine has no {kind} {name}"),
            next: format!("make it with: docker {kind} create {name}"),
            origin: origin.clone(),
        };
        // What is asked for and what comes back may both need it.
        if !self.obstacles.contains(&obstacle) {
            self.obstacles.push(obstacle);
        }
    }

    /// Why a network or volume is made, or made anew; `None` when it stays as it is.
    fn why_made(
        &mut self,
        address: &Address,
        name: &str,
        (fields, wanted): (&Fields, &BTreeMap<String, String>),
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
        } else if standing.own {
            // docker compose made it: its hash of the settings is ours, too.
            let same = wanted.get(labels::CONFIG_HASH).is_some_and(|hash| hash == standing.config_hash);
            if !(same || standing.config_hash.is_empty()) {
                return Some(Cause::Unrecorded);
            }
        } else {
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
        let cause = Cause::DependencyReplaced(resource.clone());
        let mut steps = Vec::new();
        let mut back = Vec::new();
        for container in &observed.containers {
            if !container.volumes.iter().any(|mount| mount.name == name) {
                continue;
            }
            match self.prospect(container) {
                Prospect::ComesBack => back.push(container),
                Prospect::Goes(why) => steps.push(self.retire(container, Change::Remove, &why, [])),
                Prospect::Falls => {
                    self.warnings.push(format!(
                        "{} is removed, because it uses {resource}, which is made anew",
                        container.name
                    ));
                    steps.push(self.retire(container, Change::Remove, &cause, []));
                }
            }
        }
        let mut others: BTreeMap<&str, Vec<StepId>> = BTreeMap::new();
        for container in back {
            let service = container.service.as_str();
            let others = others.entry(service).or_insert_with(|| self.clear_others(service));
            self.cleared.entry(&container.id).or_insert_with(|| resource.clone());
            let removed = self.retire(container, Change::Replace, &cause, []);
            // After a crash between the two, one of the others would stay in the place of this one.
            self.draft.also_after(removed, others);
            steps.push(removed);
        }
        steps
    }

    /// The steps after which the containers of a service are gone that have none of its places
    /// and do not stay.
    fn clear_others(&mut self, service: &str) -> Vec<StepId> {
        let mut steps = Vec::new();
        for container in self.containers.get(service).cloned().unwrap_or_default() {
            match self.prospect(container) {
                Prospect::Goes(why) => steps.push(self.retire(container, Change::Remove, &why, [])),
                Prospect::Falls => steps.extend(self.gone.get(container.id.as_str())),
                Prospect::ComesBack => {}
            }
        }
        steps
    }

    /// Stops the containers that are attached to the network: it can be removed then, and they
    /// are there until others take their places.
    fn clear_network(&mut self, network: &ObservedNetwork, resource: &Address) -> Vec<StepId> {
        let observed = self.observed;
        let mut steps = Vec::new();
        // Until its first start a container is on a network by name alone.
        let attached = |container: &&ObservedContainer| {
            let mut joined = container.networks.iter();
            joined.any(|(name, id)| *id == network.id || id.is_empty() && *name == network.name)
        };
        for container in observed.containers.iter().filter(attached) {
            let prospect = self.prospect(container);
            if matches!(prospect, Prospect::ComesBack) {
                self.cleared.entry(&container.id).or_insert_with(|| resource.clone());
            }
            if let Prospect::Goes(why) = prospect {
                steps.push(self.retire(container, Change::Remove, &why, []));
            } else if let Some(removed) = self.gone.get(container.id.as_str()) {
                steps.push(*removed);
            } else if let Some(stopped) = self.stopped.get(container.id.as_str()) {
                steps.push(*stopped);
            } else if container.state.is_up() {
                let mut group = Change::Replace;
                if matches!(prospect, Prospect::Falls) {
                    group = Change::Stop;
                    self.warnings.push(format!(
                        "{} is stopped, because it uses {resource}, which is made anew",
                        container.name
                    ));
                }
                let cause = Cause::DependencyReplaced(resource.clone());
                steps.push(self.stop(container, group, &cause, Vec::new()));
            }
        }
        steps
    }

    /// What becomes of a container under which a network or volume is made anew.
    fn prospect(&self, container: &ObservedContainer) -> Prospect {
        let service = container.service.as_str();
        if container.one_off {
            Prospect::Falls
        } else if self.has_place(container) {
            Prospect::ComesBack
        } else if self.selected.contains(service) {
            Prospect::Goes(self.why_without_place(container))
        } else if self.policy.remove_orphans && !self.is_known(service) {
            Prospect::Goes(Cause::Orphaned)
        } else {
            Prospect::Falls
        }
    }
}
