//! What `run` does: bring up what the service needs, and a container beside the service's own.

use std::sync::Arc;

use super::Planner;
use super::replicas::{Course, Slot};
use super::waits::Before;
use crate::one_off::OneOff;
use crate::plan::{Action, Cause, Change, Target};

impl<'a> Planner<'a> {
    /// Leaves the service's own containers as they are.
    pub(super) fn begin_one_off(&mut self, one_off: &'a OneOff) {
        self.selected.remove(one_off.spec.name());
        self.one_off = Some(one_off);
    }

    /// Whether a container of this service is made by `run`.
    pub(super) fn runs(&self, service: &str) -> bool {
        self.one_off.is_some_and(|one_off| one_off.spec.name() == service)
    }

    /// Makes the container when all that it needs is there, and starts it. These are the last
    /// steps of the plan, so that they can be left to one who listens to the container before it
    /// says its first word.
    pub(super) fn make_one_off(&mut self) {
        let Some(one_off) = self.one_off else { return };
        let slot = Slot {
            address: one_off.address(),
            number: 0,
            spec: Arc::new(one_off.spec.clone()),
            service: &one_off.spec,
            old: None,
            temporary: false,
            job: true,
            course: Course::Create(Cause::Asked),
        };
        let Before { after, any } = match self.desired.service(one_off.spec.name()) {
            Some(service) if !self.policy.no_deps => self.dependencies(service),
            _ => Before::default(),
        };
        let (group, cause) = (Change::Create, Cause::Asked);
        let made = self.make(&slot, one_off.name.clone(), group, &cause, after);
        self.draft.after_any(made.created, &any);
        let target = Target::Made(made.created);
        self.draft
            .undo(made.created, vec![Action::RemoveContainer { target: target.clone(), volumes: true }]);
        let start = Action::Start(target.clone());
        let started = self.draft.add(&slot.address, start, group, &cause, [made.joined]);
        self.post_start(&slot, &target, started, group, &cause);
    }
}
