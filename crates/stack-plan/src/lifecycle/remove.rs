//! `rm`.

use std::collections::HashMap;
use std::time::Duration;

use super::members::Members;
use super::{Scope, Sheet, address_of};
use crate::desired::{Desired, ServiceSpec};
use crate::hooks::pre_stop;
use crate::observed::{Observed, ObservedContainer};
use crate::plan::{Action, Cause, Change, Plan, StepId, Target};
use crate::teardown::passed_on_volumes;

/// What the command line asks of `rm`.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// Only these services; empty is all.
    pub services: Vec<String>,
    /// Stops what runs, and removes it too.
    pub stop: bool,
    /// Overrides every stop grace period.
    pub grace: Option<Duration>,
    /// Removes the containers' anonymous volumes, too.
    pub volumes: bool,
}

/// Says what `rm` has to do: containers that do not run are removed, dependents first.
#[must_use]
pub fn remove(project: &str, desired: Option<&Desired>, observed: &Observed, policy: &Removal) -> Plan {
    let scope = Scope { desired, services: &policy.services, one_off: false, orphans: false };
    let members = Members::of(desired, observed);
    let mut sheet = Sheet::default();
    // The steps after which all containers of a service and of its dependents are gone.
    let mut above: HashMap<&str, Vec<StepId>> = HashMap::new();
    let mut removed: Vec<(&ObservedContainer, StepId)> = Vec::new();
    for name in members.order().iter().rev() {
        let own = desired.and_then(|desired| desired.service(name));
        let grace = policy.grace.or_else(|| own.and_then(ServiceSpec::grace));
        let before = above.get(name).cloned().unwrap_or_default();
        let mut steps = before.clone();
        for container in members.containers(name).iter().filter(|container| scope.has(container)) {
            let address = address_of(container);
            let target = Target::Known(container.id.clone());
            let mut after = before.clone();
            if container.state.is_up() {
                if !policy.stop {
                    sheet.unchanged.push(address);
                    continue;
                }
                for run in pre_stop(own, container) {
                    after = vec![sheet.draft.add(&address, run, Change::Remove, &Cause::Asked, after)];
                }
                let stop = Action::Stop { target: target.clone(), grace };
                after = vec![sheet.draft.add(&address, stop, Change::Remove, &Cause::Asked, after)];
            }
            let remove = Action::RemoveContainer { target, volumes: policy.volumes };
            let step = sheet.draft.add(&address, remove, Change::Remove, &Cause::Asked, after);
            removed.push((container, step));
            steps.push(step);
        }
        for need in members.needs(name) {
            above.entry(need.service).or_default().extend(&steps);
        }
    }
    if policy.volumes {
        let goes = |other: &&ObservedContainer| removed.iter().any(|(gone, _)| gone.id == other.id);
        let kept: Vec<_> = observed.containers.iter().filter(|other| !goes(other)).collect();
        passed_on_volumes(&mut sheet.draft, &removed, &kept);
    }
    sheet.finish(project)
}
