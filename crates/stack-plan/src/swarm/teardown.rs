//! The planner of `down` on a swarm: services, then the end of their tasks, then networks, then
//! configs and secrets.

use std::collections::BTreeSet;

use super::desired::{SwarmDesired, address_of};
use super::observed::SwarmObserved;
use crate::address::Address;
use crate::plan::{Action, Cause, Change, Condition, Draft, Plan, StepId, Target};

/// What the command line asks of `down`.
#[derive(Clone, Debug, Default)]
pub struct SwarmTeardown {
    /// Only these services; empty is all.
    pub services: Vec<String>,
    /// Removes the named volumes of the node that is asked, too.
    pub volumes: bool,
    /// Removes services that the file does not have.
    pub remove_orphans: bool,
}

/// Says what `down` has to do on a swarm. Without `desired` the labels alone tell what belongs to the project.
#[must_use]
pub fn teardown(
    project: &str,
    desired: Option<&SwarmDesired>,
    observed: &SwarmObserved,
    policy: &SwarmTeardown,
) -> Plan {
    let mut draft = Draft::default();
    let mut plan = Plan { project: project.to_owned(), ..Plan::default() };
    let named =
        |service: &str| policy.services.is_empty() || policy.services.iter().any(|name| name == service);
    let declared = |service: &str| {
        desired.is_none_or(|desired| {
            desired.service(service).is_some() || desired.disabled.iter().any(|name| name == service)
        })
    };
    let mut gone: Vec<StepId> = Vec::new();
    let mut kept = false;
    for there in &observed.services {
        if !named(&there.service) || !(declared(&there.service) || policy.remove_orphans) {
            if policy.services.is_empty() {
                plan.warnings.push(format!(
                    "{} stays: the file does not have it; remove it with --remove-orphans",
                    there.service
                ));
            }
            kept = true;
            continue;
        }
        let address = Address::Service(there.service.clone());
        let remove = Action::RemoveService(there.id.clone());
        let removed = draft.add(&address, remove, Change::Remove, &Cause::Asked, []);
        let target = Target::Known(there.id.clone());
        let wait = Action::Await { target, condition: Condition::NoTasks, required: true };
        gone.push(draft.add(&address, wait, Change::Remove, &Cause::Asked, [removed]));
    }
    if policy.services.is_empty() && !kept {
        let mut networks = Vec::new();
        for there in observed.networks.iter().filter(|there| there.own) {
            let key = there.name.strip_prefix(&format!("{project}_")).unwrap_or(&there.name);
            let address = Address::Network(key.to_owned());
            let remove = Action::RemoveNetwork(there.id.clone());
            networks.push(draft.add(&address, remove, Change::Remove, &Cause::Asked, gone.iter().copied()));
        }
        let before: BTreeSet<StepId> = gone.iter().chain(&networks).copied().collect();
        for there in &observed.objects {
            let Some(key) = &there.key else { continue };
            let action = Action::RemoveObject { kind: there.kind, id: there.id.clone() };
            let address = address_of(there.kind, key);
            draft.add(&address, action, Change::Remove, &Cause::Asked, before.iter().copied());
        }
        if policy.volumes {
            for name in &observed.volumes {
                let key = name.strip_prefix(&format!("{project}_")).unwrap_or(name);
                let address = Address::Volume(key.to_owned());
                let remove = Action::RemoveVolume(name.clone());
                draft.add(&address, remove, Change::Remove, &Cause::Asked, before.iter().copied());
            }
            let others: Vec<&str> = (observed.nodes.iter())
                .filter(|node| node.id != observed.here)
                .map(|node| node.name.as_str())
                .collect();
            if !others.is_empty() {
                plan.warnings.push(format!(
                    "volumes on {} stay: remove them there with: docker volume rm",
                    others.join(", ")
                ));
            }
        }
    }
    plan.steps = draft.finish();
    plan
}
