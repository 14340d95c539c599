//! Services that other programs make.

use super::Planner;
use super::waits::Before;
use crate::desired::ServiceSpec;
use crate::fields::{FieldChange, Shown};
use crate::plan::{Action, Cause, Change, ProviderCommand, StepId};

impl<'a> Planner<'a> {
    /// Asks the program of a service, once; `None` when it need not be asked, because the
    /// service has none, is not asked for, or the program has said already what it has to say.
    pub(super) fn provide(&mut self, spec: &'a ServiceSpec) -> Option<StepId> {
        let provider = spec.provider.as_ref()?;
        if self.policy.provided || !self.selected.contains(spec.name()) {
            return None;
        }
        if let Some(step) = self.provided.get(spec.name()) {
            return Some(*step);
        }
        let Before { after, any } = self.dependencies(spec);
        let action = Action::Provide { spec: provider.clone(), command: ProviderCommand::Up };
        let step = self.draft.add(&provider.address, action, Change::Provide, &Cause::Asked, after);
        self.draft.after_any(step, &any);
        self.provided.insert(spec.name(), step);
        Some(step)
    }

    /// Asks for the AI models of services that are asked for.
    pub(super) fn models(&mut self) {
        let desired = self.desired;
        for spec in &desired.models {
            let uses = |other: &&ServiceSpec| other.service.models.contains_key(&*spec.model.key);
            let asked = |other: &ServiceSpec| self.selected.contains(other.name()) || self.runs(other.name());
            if desired.services.iter().filter(uses).any(asked) {
                let action = Action::ProvideModel(spec.clone());
                let step = self.draft.add(&spec.address, action, Change::Provide, &Cause::Asked, []);
                self.model_steps.insert(&spec.model.key, step);
            }
        }
    }

    /// Asks the programs that no container waits for.
    pub(super) fn provide_all(&mut self) {
        for spec in &self.desired.services {
            self.provide(spec);
        }
    }

    /// Leaves out variables that a container has from a program that has not been asked yet:
    /// whether they differ is known only then.
    pub(super) fn without_open_variables(
        &self,
        spec: &ServiceSpec,
        changes: Vec<FieldChange>,
    ) -> Vec<FieldChange> {
        let open_model = |key: &String| self.desired.models.iter().any(|model| *model.model.key == *key);
        let open = spec.service.models.keys().any(open_model);
        if self.policy.provided && !open {
            return changes;
        }
        let depends = open
            || spec
                .service
                .depends_on
                .keys()
                .any(|name| self.services.get(name.as_str()).is_some_and(|other| other.provider.is_some()));
        let is_open =
            |change: &FieldChange| change.now == Shown::Nothing && change.field.starts_with("environment.");
        changes.into_iter().filter(|change| !(depends && is_open(change))).collect()
    }

    /// Says of which containers it is known only later whether they stay.
    pub(super) fn warn_of_providers(&mut self) {
        let mut told = Vec::new();
        for (name, fates) in &self.fates {
            let Some(spec) = self.services.get(name) else { continue };
            let asked =
                spec.service.depends_on.keys().find(|other| self.provided.contains_key(other.as_str()));
            let (Some(provider), true) = (asked, fates.iter().any(|(_, fate)| !fate.fresh)) else { continue };
            told.push(format!("whether {name} is replaced is known after service:{provider} is provided"));
        }
        told.sort();
        self.warnings.extend(told);
    }
}
