//! Services whose tasks are replaced by equal ones.

use super::observed::SwarmObserved;
use crate::address::Address;
use crate::plan::{Action, Cause, Change, Condition, Draft, Plan, Target};

/// Replaces the tasks of these services, or of all, and waits for the new ones.
#[must_use]
pub fn anew(project: &str, observed: &SwarmObserved, services: &[String]) -> Plan {
    let mut draft = Draft::default();
    let mut plan = Plan { project: project.to_owned(), ..Plan::default() };
    for there in &observed.services {
        if !services.is_empty() && !services.contains(&there.service) {
            continue;
        }
        let address = Address::Service(there.service.clone());
        let action = Action::RestartService(there.id.clone());
        let begun = draft.add(&address, action, Change::Restart, &Cause::Asked, []);
        let condition = if there.mode.is_job() { Condition::TasksCompleted } else { Condition::Converged };
        let target = Target::Known(there.id.clone());
        let wait = Action::Await { target, condition, required: true };
        draft.add(&address, wait, Change::Restart, &Cause::Asked, [begun]);
    }
    plan.steps = draft.finish();
    plan
}
