//! Which waits a service needs before others can go on.

use stack_file::model::DependencyCondition;

use super::Planner;
use super::desired::SwarmService;
use crate::plan::{Action, Cause, Change, Condition, StepId, Target};

impl Planner<'_> {
    /// The steps that a service comes after because of what it depends on: those that have to be done,
    /// and those that have to have ended. Whether one of them restarts it is told, too.
    pub(super) fn dependencies(&self, spec: &SwarmService) -> (Vec<StepId>, Vec<StepId>, Option<String>) {
        let (mut after, mut after_any, mut restarted) = (Vec::new(), Vec::new(), None);
        for (name, wanted) in &spec.service.depends_on {
            let Some(reached) = self.reached.get(name.as_str()) else { continue };
            let step = match wanted.condition {
                DependencyCondition::Started => reached.begun,
                _ => reached.settled.or(reached.begun),
            };
            if wanted.required {
                after.extend(step);
            } else {
                after_any.extend(step);
            }
            if wanted.restart && reached.replaced && restarted.is_none() {
                restarted = Some(name.clone());
            }
        }
        (after, after_any, restarted)
    }

    /// Whether something waits for the tasks of a service.
    pub(super) fn is_awaited(&self, spec: &SwarmService) -> bool {
        self.policy.wait
            || self.desired.services.iter().filter(|other| self.selected.contains(other.key())).any(|other| {
                let wanted = other.service.depends_on.get(spec.key());
                wanted.is_some_and(|wanted| wanted.condition != DependencyCondition::Started)
            })
    }

    /// Waits until the tasks of a service are as they are to be.
    pub(super) fn settle(
        &mut self,
        spec: &SwarmService,
        target: Target,
        group: Change,
        after: &[StepId],
    ) -> StepId {
        let condition = if spec.mode.is_job() { Condition::TasksCompleted } else { Condition::Converged };
        let action = Action::Await { target, condition, required: true };
        let step = self.draft.add(&spec.address(), action, group, &Cause::Awaited, after.iter().copied());
        self.settled.push(step);
        step
    }
}
