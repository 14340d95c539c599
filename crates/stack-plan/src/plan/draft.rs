//! A plan that is being made.

use std::collections::BTreeSet;

use super::{Action, Cause, Change, Risk, Step, StepId};
use crate::address::Address;

/// Collects steps, each after those it waits for.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    steps: Vec<Step>,
}

impl Draft {
    /// Adds a step without undo or risk and returns its id.
    pub(crate) fn add(
        &mut self,
        address: &Address,
        action: Action,
        group: Change,
        cause: &Cause,
        after: impl IntoIterator<Item = StepId>,
    ) -> StepId {
        let id = self.next();
        let after: BTreeSet<StepId> = after.into_iter().collect();
        debug_assert!(after.iter().all(|earlier| *earlier < id));
        self.steps.push(Step {
            id,
            address: address.clone(),
            action,
            cause: cause.clone(),
            after: after.into_iter().collect(),
            after_any: Vec::new(),
            group,
            risk: Risk::None,
            undo: Vec::new(),
        });
        id
    }

    /// The id of the step that is added next.
    pub(crate) fn next(&self) -> StepId {
        StepId(self.steps.len() as u32 + 1)
    }

    /// The steps of one resource and one change from `first` on.
    pub(crate) fn since(&self, first: StepId, address: &Address, group: Change) -> Vec<StepId> {
        let steps = self.steps.iter().skip(first.0 as usize - 1);
        steps.filter(|step| step.address == *address && step.group == group).map(|step| step.id).collect()
    }

    /// Lets the step wait for the end of others, be it good or bad.
    pub(crate) fn after_any(&mut self, id: StepId, others: &[StepId]) {
        debug_assert!(others.iter().all(|earlier| *earlier < id));
        let step = &mut self.steps[id.0 as usize - 1];
        let all: BTreeSet<StepId> =
            others.iter().filter(|other| !step.after.contains(other)).copied().collect();
        step.after_any = all.into_iter().collect();
    }

    /// Lets the step wait for others too, as far as they come before it.
    pub(crate) fn also_after(&mut self, id: StepId, others: &[StepId]) {
        let after = &mut self.steps[id.0 as usize - 1].after;
        after.extend(others.iter().filter(|other| **other < id));
        after.sort_unstable();
        after.dedup();
    }

    /// Says what takes the step back.
    pub(crate) fn undo(&mut self, id: StepId, undo: Vec<Action>) {
        self.steps[id.0 as usize - 1].undo = undo;
    }

    /// Marks the step as losing data.
    pub(crate) fn loses_data(&mut self, id: StepId) {
        self.steps[id.0 as usize - 1].risk = Risk::LosesData;
    }

    /// The group of a step.
    pub(crate) fn group(&self, id: StepId) -> Option<Change> {
        self.steps.get((id.0 as usize).checked_sub(1)?).map(|step| step.group)
    }

    pub(crate) fn finish(self) -> Vec<Step> {
        self.steps
    }
}
