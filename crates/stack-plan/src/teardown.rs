//! The planner of `down` and `stop`: it goes by what is there, not by the file.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::address::Address;
use crate::containers::is_up;
use crate::desired::Desired;
use crate::observed::{Observed, ObservedContainer};
use crate::plan::{Action, Cause, Change, Draft, Plan, StepId, Target};

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
    let mut draft = Draft::default();
    let mut plan = Plan { project: project.to_owned(), ..Plan::default() };
    let mut kept = Vec::new();
    let mut containers: Vec<&ObservedContainer> = Vec::new();
    for container in &observed.containers {
        if !policy.services.is_empty() {
            if policy.services.contains(&container.service) {
                containers.push(container);
            }
            continue;
        }
        let foreign = desired.is_some_and(|desired| {
            desired.service(&container.service).is_none() && container.config_files != desired.config_files
        });
        let busy = container.one_off && is_up(container.state);
        if (foreign || busy) && !policy.remove_orphans {
            kept.push(container);
        } else {
            containers.push(container);
        }
    }
    let mut dependents: HashMap<&str, Vec<&str>> = HashMap::new();
    for container in &containers {
        for name in container.depends_on.iter().filter(|name| **name != container.service) {
            let entry = dependents.entry(name).or_default();
            if !entry.contains(&container.service.as_str()) {
                entry.push(&container.service);
            }
        }
    }

    let mut last: HashMap<&str, Vec<StepId>> = HashMap::new();
    let mut all = Vec::new();
    for container in dependents_first(&containers) {
        let address = Address::Container(container.service.clone(), container.number);
        let group = if policy.stop_only { Change::Stop } else { Change::Remove };
        let target = Target::Known(container.id.clone());
        let above = dependents.get(container.service.as_str()).into_iter().flatten();
        let mut after: Vec<StepId> = above.filter_map(|name| last.get(name)).flatten().copied().collect();
        if is_up(container.state) {
            let own =
                desired.and_then(|desired| desired.service(&container.service)).and_then(|spec| spec.grace());
            let stop = Action::Stop { target: target.clone(), grace: policy.grace.or(own) };
            after = vec![draft.add(&address, stop, group, &Cause::Asked, after)];
        } else if policy.stop_only {
            plan.unchanged.push(address);
            continue;
        }
        if !policy.stop_only {
            let remove = Action::RemoveContainer { target, volumes: policy.volumes };
            after = vec![draft.add(&address, remove, group, &Cause::Asked, after)];
        }
        all.extend(after.iter().copied());
        last.entry(&container.service).or_default().extend(after);
    }

    if !policy.stop_only && policy.services.is_empty() {
        if kept.is_empty() {
            for network in observed.networks.iter() {
                let Some(key) = &network.key else { continue };
                let remove = Action::RemoveNetwork(network.id.clone());
                let address = Address::Network(key.clone());
                draft.add(&address, remove, Change::Remove, &Cause::Asked, all.iter().copied());
            }
        } else {
            let names: Vec<_> = kept.iter().map(|container| container.name.as_str()).collect();
            plan.warnings.push(format!(
                "{} and the networks stay: they belong to other files or to `run`; remove them with: stackctl down --remove-orphans",
                names.join(", ")
            ));
        }
        if policy.volumes {
            for volume in observed.volumes.iter() {
                let Some(key) = &volume.key else { continue };
                let remove = Action::RemoveVolume(volume.name.clone());
                let address = Address::Volume(key.clone());
                let step = draft.add(&address, remove, Change::Remove, &Cause::Asked, all.iter().copied());
                draft.loses_data(step);
            }
        }
        if let (Some(desired), true) = (desired, policy.images != RemoveImages::None) {
            for image in &desired.images {
                if policy.images == RemoveImages::Local && image.named {
                    continue;
                }
                for reference in image.references.iter().filter(|name| observed.images.contains_key(*name)) {
                    let remove = Action::RemoveImage(reference.clone());
                    let address = Address::Image(reference.clone());
                    draft.add(&address, remove, Change::Remove, &Cause::Asked, all.iter().copied());
                }
            }
        }
    }
    plan.steps = draft.finish();
    plan
}

/// The containers so that each comes after all that depend on it, as the labels tell.
fn dependents_first<'a>(containers: &[&'a ObservedContainer]) -> Vec<&'a ObservedContainer> {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in containers {
        let entry = needs.entry(&container.service).or_default();
        entry.extend(container.depends_on.iter().map(String::as_str));
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
