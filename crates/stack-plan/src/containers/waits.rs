//! What waits for what: `depends_on`, and `--wait`.

use std::collections::BTreeSet;

use stack_file::model::DependencyCondition;

use super::Planner;
use crate::address::Address;
use crate::desired::ServiceSpec;
use crate::observed::{ContainerState, Health, ObservedContainer};
use crate::plan::{Action, Cause, Change, Condition, StepId, Target};

/// What will stand under a container's address when the plan is done.
pub(super) struct Fate {
    pub(super) target: Target,
    /// The last step that brings it up; `None` when it is up already.
    pub(super) started: Option<StepId>,
    /// Whether it is new or started again, so that what is known of its health is void.
    pub(super) fresh: bool,
    pub(super) state: ContainerState,
    pub(super) health: Health,
}

impl Fate {
    /// A container that stays.
    pub(super) fn of(container: &ObservedContainer, started: Option<StepId>) -> Self {
        Self {
            target: Target::Known(container.id.clone()),
            started,
            fresh: false,
            state: container.state,
            health: container.health,
        }
    }

    /// Whether it is known to have reached the condition.
    fn has_reached(&self, condition: Condition) -> bool {
        let running = self.state == ContainerState::Running;
        !self.fresh
            && match condition {
                Condition::Completed => self.state == ContainerState::Exited(0),
                Condition::Ended => matches!(self.state, ContainerState::Exited(_)),
                // These are states of a swarm's services.
                Condition::Converged | Condition::TasksCompleted | Condition::NoTasks => false,
                Condition::Healthy => running && self.health == Health::Healthy,
                Condition::Ready | Condition::Steady { .. } => {
                    running && matches!(self.health, Health::None | Health::Healthy)
                        || self.state == ContainerState::Exited(0)
                }
            }
    }
}

/// The steps that come before a step.
#[derive(Default)]
pub(super) struct Before {
    /// Those that must be done.
    pub(super) after: Vec<StepId>,
    /// Those that must have ended, well or not.
    pub(super) any: Vec<StepId>,
}

impl<'a> Planner<'a> {
    /// What a container of the service has to wait for before it starts. The waits are
    /// planned when they are first asked for: an unchanged container needs none.
    pub(super) fn dependencies(&mut self, spec: &'a ServiceSpec) -> Before {
        let mut before = Before::default();
        let models = spec.service.models.keys().filter_map(|key| self.model_steps.get(key.as_str()));
        before.after.extend(models);
        for (name, wanted) in &spec.service.depends_on {
            if let Some(step) =
                self.services.get(name.as_str()).copied().and_then(|other| self.provide(other))
            {
                if wanted.required { &mut before.after } else { &mut before.any }.push(step);
                continue;
            }
            let condition = match wanted.condition {
                DependencyCondition::Started => None,
                DependencyCondition::Healthy => Some(Condition::Healthy),
                DependencyCondition::CompletedSuccessfully => Some(Condition::Completed),
            };
            let steps = self.reached(name, condition, wanted.required);
            if wanted.required { &mut before.after } else { &mut before.any }.extend(steps);
        }
        before
    }

    /// The steps after which every container of `service` has reached the condition.
    fn reached(&mut self, service: &str, condition: Option<Condition>, required: bool) -> Vec<StepId> {
        let Some(fates) = self.fates.get(service) else {
            return Vec::new();
        };
        let open: Vec<_> = fates
            .iter()
            .map(|(address, fate)| {
                let condition = condition.filter(|condition| !fate.has_reached(*condition));
                (address.clone(), fate.target.clone(), fate.started, condition)
            })
            .collect();
        let mut steps = Vec::new();
        for (address, target, started, condition) in open {
            match condition {
                Some(condition) => steps.push(self.wait(&address, target, condition, required, started)),
                None => steps.extend(started),
            }
        }
        steps
    }

    fn wait(
        &mut self,
        address: &Address,
        target: Target,
        condition: Condition,
        required: bool,
        after: Option<StepId>,
    ) -> StepId {
        let key = (address.clone(), condition, required);
        if let Some(step) = self.awaits.get(&key) {
            return *step;
        }
        let group = after.and_then(|id| self.draft.group(id)).unwrap_or(Change::Await);
        let action = Action::Await { target, condition, required };
        let step = self.draft.add(address, action, group, &Cause::Awaited, after);
        self.awaits.insert(key, step);
        step
    }

    /// Waits for every container that is not known to be ready, as `--wait` asks.
    pub(super) fn wait_for_all(&mut self) {
        let desired = self.desired;
        let completes: BTreeSet<&str> = (desired.services.iter())
            .flat_map(|spec| &spec.service.depends_on)
            .filter(|(_, wanted)| wanted.condition == DependencyCondition::CompletedSuccessfully)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut open = Vec::new();
        for spec in &desired.services {
            let completes = completes.contains(spec.name());
            let condition = if completes { Condition::Completed } else { Condition::Ready };
            for (address, fate) in self.fates.get(spec.name()).into_iter().flatten() {
                let healthy = (address.clone(), Condition::Healthy, true);
                if !fate.has_reached(condition) && !self.awaits.contains_key(&healthy) {
                    open.push((address.clone(), fate.target.clone(), condition, fate.started));
                }
            }
        }
        for (address, target, condition, started) in open {
            self.wait(&address, target, condition, true, started);
        }
    }
}
