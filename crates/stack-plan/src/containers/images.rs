//! Images: which are pulled or built.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use stack_file::model::PullPolicy;

use super::{BuildPolicy, Planner, address_of};
use crate::desired::ImageSpec;
use crate::plan::{Action, Cause, Change, StepId};

impl Planner<'_> {
    pub(super) fn images(&mut self) {
        let desired = self.desired;
        let mut makers: HashMap<&str, StepId> = HashMap::new();
        for image in &desired.images {
            let among = |services: &BTreeSet<&str>| {
                image.services.iter().any(|service| services.contains(service.as_str()))
            };
            let asked = among(&self.selected) || image.services.iter().any(|service| self.runs(service));
            if !asked && !among(&self.returning) {
                continue;
            }
            // A service that is not asked for, but comes back, gets no newer image for it.
            let Some((build, cause)) =
                self.image_step(image).filter(|(_, why)| asked || *why == Cause::Missing)
            else {
                continue;
            };
            let spec = Arc::new(image.clone());
            let (action, group, done) = match build {
                true => (Action::Build(spec), Change::Build, "built"),
                false => (Action::Pull(spec), Change::Pull, "pulled"),
            };
            // Images come after those that their builds use.
            let bases: Vec<StepId> = image.bases().filter_map(|name| makers.get(name).copied()).collect();
            let step = self.draft.add(&image.address, action, group, &cause, bases);
            makers.extend(image.references.iter().map(|name| (name.as_str(), step)));
            for service in &image.services {
                self.image_steps.entry(service).or_default().push(step);
                if self.runs(service) {
                    continue;
                }
                for container in self.containers.get(service.as_str()).into_iter().flatten() {
                    self.warnings.push(format!(
                        "whether {} is replaced is known after {} is {done}",
                        address_of(container),
                        image.address
                    ));
                }
            }
        }
    }

    /// Whether the image was pulled longer ago than its policy allows. One of unknown age is old.
    fn is_old(&self, image: &ImageSpec, policy: PullPolicy) -> bool {
        let PullPolicy::Refresh(after) = policy else { return false };
        let after = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
        let tagged = image.references.iter().filter_map(|name| self.observed.images.get(name)?.tagged).min();
        tagged.is_none_or(|tagged| tagged.saturating_add(after) < self.observed.at)
    }

    /// Whether the image is built (`true`) or pulled (`false`), and why; `None` for neither.
    fn image_step(&self, image: &ImageSpec) -> Option<(bool, Cause)> {
        let missing = image.references.iter().any(|name| !self.observed.images.contains_key(name));
        let pull = self.policy.pull.unwrap_or(image.policy);
        if image.build.is_some() && self.policy.build != BuildPolicy::Never {
            if self.policy.build == BuildPolicy::Always || pull == PullPolicy::Build {
                return Some((true, if missing { Cause::Missing } else { Cause::Asked }));
            }
            return missing.then_some((true, Cause::Missing));
        }
        let may_pull = image.named && !matches!(pull, PullPolicy::Never | PullPolicy::Build);
        match (may_pull, missing) {
            (true, true) => Some((false, Cause::Missing)),
            (true, false) if pull == PullPolicy::Always => Some((false, Cause::Asked)),
            (true, false) if self.is_old(image, pull) => {
                Some((false, Cause::Drifted("older than it may be")))
            }
            _ => None,
        }
    }
}
