//! `kill`, `pause`, `unpause` and `wait`.

use std::collections::HashMap;

use super::members::Members;
use super::{Scope, Sheet, address_of};
use crate::desired::Desired;
use crate::observed::{ContainerState, Observed, ObservedContainer};
use crate::plan::{Action, Cause, Change, Condition, Plan, StepId, Target};

/// What the command line asks of `kill`.
#[derive(Clone, Debug, Default)]
pub struct Kill {
    /// Only these services; empty is all.
    pub services: Vec<String>,
    /// The signal, as the engine knows it.
    pub signal: String,
    /// Also containers of services that the file does not have.
    pub orphans: bool,
}

/// Says what `kill` has to do: every container that runs gets the signal, all at once, those
/// of `run` included.
#[must_use]
pub fn kill(project: &str, desired: Option<&Desired>, observed: &Observed, policy: &Kill) -> Plan {
    let scope = Scope { desired, services: &policy.services, one_off: true, orphans: policy.orphans };
    let mut sheet = Sheet::default();
    for container in observed.containers.iter().filter(|found| scope.has(found) && found.state.is_up()) {
        let target = Target::Known(container.id.clone());
        let action = Action::Kill { target, signal: policy.signal.clone() };
        sheet.draft.add(&address_of(container), action, Change::Kill, &Cause::Asked, []);
    }
    sheet.finish(project)
}

/// Says what `pause` has to do: what runs is frozen, dependents first.
#[must_use]
pub fn pause(project: &str, desired: Option<&Desired>, observed: &Observed, services: &[String]) -> Plan {
    let members = Members::of(desired, observed);
    let mut above: HashMap<&str, Vec<StepId>> = HashMap::new();
    let mut sheet = Sheet::default();
    let scope = Scope { desired, services, one_off: false, orphans: false };
    for name in members.order().iter().rev() {
        let mut steps = above.get(name).cloned().unwrap_or_default();
        let mut own = Vec::new();
        for container in members.containers(name).iter().filter(|container| scope.has(container)) {
            match container.state {
                ContainerState::Running | ContainerState::Restarting => {
                    let action = Action::Pause(Target::Known(container.id.clone()));
                    let after = steps.clone();
                    own.push(sheet.draft.add(
                        &address_of(container),
                        action,
                        Change::Pause,
                        &Cause::Asked,
                        after,
                    ));
                }
                ContainerState::Paused => sheet.unchanged.push(address_of(container)),
                _ => {}
            }
        }
        // What is above a service that is not frozen itself is above what that one needs, too.
        steps.extend(own);
        for need in members.needs(name) {
            above.entry(need.service).or_default().extend(&steps);
        }
    }
    sheet.finish(project)
}

/// Says what `unpause` has to do: what is frozen goes on, dependencies first.
#[must_use]
pub fn unpause(project: &str, desired: Option<&Desired>, observed: &Observed, services: &[String]) -> Plan {
    let members = Members::of(desired, observed);
    let mut below: HashMap<&str, Vec<StepId>> = HashMap::new();
    let mut sheet = Sheet::default();
    let scope = Scope { desired, services, one_off: false, orphans: false };
    for name in members.order() {
        let needs = members.needs(name).iter();
        let mut steps: Vec<StepId> =
            needs.filter_map(|need| below.get(need.service)).flatten().copied().collect();
        let after = steps.clone();
        for container in members.containers(name).iter().filter(|container| scope.has(container)) {
            if container.state == ContainerState::Paused {
                let action = Action::Unpause(Target::Known(container.id.clone()));
                let address = address_of(container);
                steps.push(sheet.draft.add(&address, action, Change::Unpause, &Cause::Asked, after.clone()));
            }
        }
        below.insert(name, steps);
    }
    sheet.finish(project)
}

/// Says what `wait` has to wait for: the end of every container of the services that runs.
#[must_use]
pub fn wait(project: &str, desired: Option<&Desired>, observed: &Observed, services: &[String]) -> Plan {
    let scope = Scope { desired, services, one_off: true, orphans: true };
    let runs = |container: &&ObservedContainer| scope.has(container) && container.state.is_up();
    let mut sheet = Sheet::default();
    for container in observed.containers.iter().filter(runs) {
        let target = Target::Known(container.id.clone());
        let action = Action::Await { target, condition: Condition::Ended, required: true };
        sheet.draft.add(&address_of(container), action, Change::Await, &Cause::Asked, []);
    }
    sheet.finish(project)
}
