//! The planner of `down` and `stop`: it goes by what is there, not by the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::address::Address;
use crate::desired::{Desired, ServiceSpec};
use crate::hooks::pre_stop;
use crate::observed::{Observed, ObservedContainer};
use crate::plan::{Action, Cause, Change, Draft, Plan, ProviderCommand, StepId, Target};

/// What the command line asks of `down`.
#[derive(Clone, Debug, Default)]
pub struct Teardown {
    /// Only these services; empty is all.
    pub services: Vec<String>,
    /// Overrides every stop grace period.
    pub grace: Option<Duration>,
    /// Stops only, and leaves everything in place.
    pub stop_only: bool,
    /// Removes named and anonymous volumes too.
    pub volumes: bool,
    /// Removes images too.
    pub images: RemoveImages,
    /// Removes containers of services that the file does not have, and those of `run`.
    pub remove_orphans: bool,
}

/// Which images `down` removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoveImages {
    /// None.
    #[default]
    None,
    /// Those without a name in the file, which only a build can make.
    Local,
    /// All that the services use.
    All,
}

/// Says what `down` or `stop` has to do. Without `desired` the labels alone tell what belongs to the project.
#[must_use]
pub fn teardown(project: &str, desired: Option<&Desired>, observed: &Observed, policy: &Teardown) -> Plan {
    let mut down = Down {
        desired,
        observed,
        policy,
        draft: Draft::default(),
        unchanged: Vec::new(),
        warnings: Vec::new(),
        removed: Vec::new(),
    };
    let (containers, kept) = down.choose();
    down.containers(&containers);
    if !policy.stop_only && policy.services.is_empty() {
        down.networks(&kept);
        if policy.volumes {
            down.volumes(&kept);
        }
        if policy.images != RemoveImages::None {
            down.images(&kept);
        }
    }
    Plan {
        project: project.to_owned(),
        steps: down.draft.finish(),
        unchanged: down.unchanged,
        warnings: down.warnings,
        ..Plan::default()
    }
}

struct Down<'a> {
    desired: Option<&'a Desired>,
    observed: &'a Observed,
    policy: &'a Teardown,
    draft: Draft,
    unchanged: Vec<Address>,
    warnings: Vec<String>,
    /// The containers that go, and the step after which each is gone.
    removed: Vec<(&'a ObservedContainer, StepId)>,
}

impl<'a> Down<'a> {
    /// The containers that are meant, and those of the project that stay.
    fn choose(&self) -> (Vec<&'a ObservedContainer>, Vec<&'a ObservedContainer>) {
        let observed = self.observed;
        observed.containers.iter().partition(|container| {
            let named = self.policy.services.is_empty() || self.policy.services.contains(&container.service);
            let foreign = self.policy.services.is_empty()
                && self.desired.is_some_and(|desired| {
                    desired.service(&container.service).is_none()
                        && container.config_files != desired.config_files
                });
            // Somebody works in a container of `run`: it is not one of the service's.
            let busy = container.one_off && (container.state.is_up() || self.policy.stop_only);
            named && (self.policy.remove_orphans || !(foreign || busy))
        })
    }

    /// Stops and removes containers, dependents first.
    fn containers(&mut self, containers: &[&'a ObservedContainer]) {
        let mut dependents: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for container in containers {
            let needed = container.depends_on.iter().map(|needed| needed.service.as_str());
            for name in needed.filter(|name| *name != container.service) {
                dependents.entry(name).or_default().insert(&container.service);
            }
        }
        let mut last: HashMap<&str, Vec<StepId>> = HashMap::new();
        for container in dependents_first(containers) {
            let address = Address::Container(container.service.clone(), container.number);
            let group = if self.policy.stop_only { Change::Stop } else { Change::Remove };
            let target = Target::Known(container.id.clone());
            let above = dependents.get(container.service.as_str()).into_iter().flatten();
            let mut after: Vec<StepId> = above.filter_map(|name| last.get(name)).flatten().copied().collect();
            if container.state.is_up() {
                let own = self.desired.and_then(|desired| desired.service(&container.service));
                let grace = self.policy.grace.or_else(|| own.and_then(ServiceSpec::grace));
                for run in pre_stop(own, container) {
                    after = vec![self.draft.add(&address, run, group, &Cause::Asked, after)];
                }
                let stop = Action::Stop { target: target.clone(), grace };
                after = vec![self.draft.add(&address, stop, group, &Cause::Asked, after)];
            } else if self.policy.stop_only {
                self.unchanged.push(address);
                continue;
            }
            if !self.policy.stop_only {
                let remove = Action::RemoveContainer { target, volumes: self.policy.volumes };
                let removed = self.draft.add(&address, remove, group, &Cause::Asked, after);
                self.removed.push((container, removed));
                after = vec![removed];
            }
            last.entry(&container.service).or_default().extend(after);
        }
        if !self.policy.stop_only {
            self.providers(&last);
        }
    }

    /// Takes down what other programs have made, after the containers that depend on it.
    fn providers(&mut self, last: &HashMap<&str, Vec<StepId>>) {
        let Some(desired) = self.desired else { return };
        let mut released: HashMap<&str, StepId> = HashMap::new();
        for spec in desired.services.iter().rev() {
            let named = self.policy.services.is_empty()
                || self.policy.services.iter().any(|name| name == spec.name());
            let Some(provider) = spec.provider.as_ref().filter(|_| named) else { continue };
            let dependents =
                desired.services.iter().filter(|other| other.service.depends_on.contains_key(spec.name()));
            let after: Vec<StepId> = dependents
                .flat_map(|other| {
                    let containers = last.get(other.name()).into_iter().flatten();
                    containers.chain(released.get(other.name())).copied()
                })
                .collect();
            let action = Action::Provide { spec: provider.clone(), command: ProviderCommand::Down };
            let step = self.draft.add(&provider.address, action, Change::Remove, &Cause::Asked, after);
            released.insert(spec.name(), step);
        }
    }

    /// The removals of all containers that use something.
    fn users(&self, uses: impl Fn(&ObservedContainer) -> bool) -> Vec<StepId> {
        self.removed.iter().filter(|(container, _)| uses(container)).map(|(_, step)| *step).collect()
    }

    fn networks(&mut self, kept: &[&ObservedContainer]) {
        let mut held = false;
        for network in &self.observed.networks {
            let Some(key) = &network.key else { continue };
            let uses = |container: &ObservedContainer| {
                container.networks.contains_key(&network.name)
                    || container.networks.values().any(|id| *id == network.id)
            };
            if kept.iter().any(|container| uses(container)) {
                held = true;
                continue;
            }
            let users = self.users(uses);
            let remove = Action::RemoveNetwork(network.id.clone());
            self.draft.add(&Address::Network(key.clone()), remove, Change::Remove, &Cause::Asked, users);
        }
        if !kept.is_empty() {
            let names: Vec<_> = kept.iter().map(|container| container.name.as_str()).collect();
            let plural = if names.len() == 1 { "stays: it belongs" } else { "stay: they belong" };
            let with = if held { ", with the networks in use," } else { "" };
            self.warnings.push(format!(
                "{}{with} {plural} to other files or to `run`; remove all with: stackctl down --remove-orphans",
                names.join(", ")
            ));
        }
    }

    fn volumes(&mut self, kept: &[&ObservedContainer]) {
        for volume in &self.observed.volumes {
            let Some(key) = &volume.key else { continue };
            let uses = |container: &ObservedContainer| {
                container.volumes.iter().any(|mount| mount.name == volume.name)
            };
            let address = Address::Volume(key.clone());
            if let Some(user) = kept.iter().find(|container| uses(container)) {
                self.warnings.push(format!("{address} stays: {} uses it", user.name));
                continue;
            }
            let users = self.users(uses);
            let remove = Action::RemoveVolume(volume.name.clone());
            let step = self.draft.add(&address, remove, Change::Remove, &Cause::Asked, users);
            self.draft.loses_data(step);
        }
        passed_on_volumes(&mut self.draft, &self.removed, kept);
    }

    fn images(&mut self, kept: &[&ObservedContainer]) {
        // The names of one image go one after another: the engine loses count otherwise.
        let mut last: HashMap<&str, StepId> = HashMap::new();
        for image in self.desired.iter().flat_map(|desired| &desired.images) {
            if self.policy.images == RemoveImages::Local && image.named {
                continue;
            }
            for reference in &image.references {
                let Some(found) = self.observed.images.get(reference) else { continue };
                let uses = |container: &ObservedContainer| container.image_id == found.id;
                if kept.iter().any(|container| uses(container)) {
                    continue;
                }
                let mut after = self.users(uses);
                after.extend(last.get(found.id.as_str()));
                let remove = Action::RemoveImage(reference.clone());
                let address = Address::Image(reference.clone());
                let removed = self.draft.add(&address, remove, Change::Remove, &Cause::Asked, after);
                last.insert(&found.id, removed);
            }
        }
    }
}

/// The containers so that each comes after all that depend on it, as the labels tell.
fn dependents_first<'a>(containers: &[&'a ObservedContainer]) -> Vec<&'a ObservedContainer> {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in containers {
        let entry = needs.entry(&container.service).or_default();
        entry.extend(container.depends_on.iter().map(|needed| needed.service.as_str()));
    }
    // The depth of a service is the length of the longest chain of dependents above it.
    // Labels may lie: a circle ends after as many rounds as there are services.
    let mut depth: BTreeMap<&str, usize> = needs.keys().map(|name| (*name, 0)).collect();
    for _ in 0..needs.len() {
        let mut moved = false;
        for (name, dependencies) in &needs {
            let below = depth[name] + 1;
            for dependency in dependencies {
                if let Some(known) = depth.get_mut(dependency)
                    && *known < below
                    && below <= needs.len()
                {
                    *known = below;
                    moved = true;
                }
            }
        }
        if !moved {
            break;
        }
    }
    let mut order = containers.to_vec();
    order.sort_by_key(|container| (depth[container.service.as_str()], std::cmp::Reverse(container.number)));
    order
}

/// Removes the anonymous volumes that were passed on to the containers removed, as far as
/// none of those that stay has them: the engine takes along only those that it made itself
/// for a container, and these for named ones.
pub(crate) fn passed_on_volumes(
    draft: &mut Draft,
    removed: &[(&ObservedContainer, StepId)],
    kept: &[&ObservedContainer],
) {
    let mut seen = BTreeSet::new();
    for (container, _) in removed.iter().filter(|(container, _)| container.replaced_another) {
        for mount in container.volumes.iter().filter(|mount| mount.is_anonymous()) {
            let uses =
                |other: &ObservedContainer| other.volumes.iter().any(|theirs| theirs.name == mount.name);
            if !seen.insert(mount.name.as_str()) || kept.iter().any(|other| uses(other)) {
                continue;
            }
            let users = removed.iter().filter(|(other, _)| uses(other)).map(|(_, step)| *step);
            let address = Address::Container(container.service.clone(), container.number);
            let remove = Action::RemoveVolume(mount.name.clone());
            draft.add(&address, remove, Change::Remove, &Cause::Asked, users);
        }
    }
}
