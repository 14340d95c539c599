//! Services whose tasks are replaced without another file: by equal ones, or by those of before.

use super::observed::SwarmObserved;
use crate::address::Address;
use crate::plan::{Action, Cause, Change, Condition, Draft, Plan, Target};

/// By which tasks those that are there are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anew {
    /// By equal ones.
    Restart,
    /// By those of before the last change of the service.
    Rollback,
}

/// Replaces the tasks of these services, or of all, and waits for the new ones.
#[must_use]
pub fn anew(project: &str, observed: &SwarmObserved, services: &[String], how: Anew) -> Plan {
    let mut draft = Draft::default();
    let mut plan = Plan { project: project.to_owned(), ..Plan::default() };
    for there in &observed.services {
        if !services.is_empty() && !services.contains(&there.service) {
            continue;
        }
        let address = Address::Service(there.service.clone());
        let (action, group) = match how {
            Anew::Restart => (Action::RestartService(there.id.clone()), Change::Restart),
            Anew::Rollback => (Action::RollbackService(there.id.clone()), Change::Rollback),
        };
        let begun = draft.add(&address, action, group, &Cause::Asked, []);
        let condition = match (how, there.mode.is_job()) {
            (Anew::Rollback, _) => Condition::RolledBack,
            (Anew::Restart, true) => Condition::TasksCompleted,
            (Anew::Restart, false) => Condition::Converged,
        };
        let target = Target::Known(there.id.clone());
        let wait = Action::Await { target, condition, required: true };
        draft.add(&address, wait, group, &Cause::Asked, [begun]);
    }
    plan.steps = draft.finish();
    plan
}
