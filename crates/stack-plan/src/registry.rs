//! What `pull` fetches from registries, and what `push` takes there.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_file::model::PullPolicy;
use stack_file::source::Origin;

use crate::address::Address;
use crate::desired::{Desired, ImageSpec, ServiceSpec};
use crate::observed::Observed;
use crate::plan::{Action, Cause, Change, Draft, Plan};

/// What the command line asks of `pull`.
#[derive(Clone, Debug, Default)]
pub struct PullRequest {
    /// Only these services; empty is all.
    pub services: Vec<String>,
    /// Also what the named services need.
    pub dependencies: bool,
    /// Leaves out the services that can be built.
    pub ignore_buildable: bool,
    /// Overrides every service's `pull_policy`.
    pub policy: Option<PullPolicy>,
}

/// Says what has to be pulled, each image once. A service without a `pull_policy` is pulled
/// although its image is there: that is what was asked for.
#[must_use]
pub fn pull(desired: &Desired, observed: &Observed, request: &PullRequest) -> Plan {
    let mut images = Images::default();
    let mut kept = Images::default();
    for spec in desired.selection(&request.services, request.dependencies) {
        let service = &spec.service;
        let Some(image) = &service.image else { continue };
        if service.provider.is_some() || (request.ignore_buildable && service.build.is_some()) {
            continue;
        }
        let stated = service.pull_policy.as_ref().map(|policy| policy.value);
        let policy = request.policy.or(stated).unwrap_or(PullPolicy::Always);
        let wanted = match policy {
            PullPolicy::Never | PullPolicy::Build => continue,
            PullPolicy::Always => true,
            // The Compose Specification has it so: `latest` may always be another one by now.
            PullPolicy::Missing => {
                is_latest(&image.value) || !observed.images.contains_key(image.value.as_str())
            }
            PullPolicy::Refresh(after) => {
                let after = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
                let tagged = observed.images.get(image.value.as_str()).and_then(|found| found.tagged);
                tagged.is_none_or(|tagged| tagged.saturating_add(after) < observed.at)
            }
        };
        let list = if wanted { &mut images } else { &mut kept };
        list.add(spec, &image.value, policy, &image.origin);
    }
    let mut draft = Draft::default();
    for image in images.0.into_values() {
        let there = observed.images.contains_key(image.references[0].as_str());
        let cause = if there { Cause::Asked } else { Cause::Missing };
        let address = image.address.clone();
        draft.add(&address, Action::Pull(Arc::new(image)), Change::Pull, &cause, []);
    }
    let steps = draft.finish();
    let mut unchanged: Vec<Address> = kept.0.into_values().map(|image| image.address).collect();
    unchanged.retain(|address| steps.iter().all(|step| step.address != *address));
    unchanged.dedup();
    Plan { project: desired.project.clone(), steps, unchanged, ..Plan::default() }
}

/// What the command line asks of `push`.
#[derive(Clone, Debug, Default)]
pub struct PushRequest {
    /// Only these services; empty is all.
    pub services: Vec<String>,
    /// Also what the named services need.
    pub dependencies: bool,
}

/// Says what has to be pushed: the images that are built here and have a name, under each of
/// their names once.
#[must_use]
pub fn push(desired: &Desired, request: &PushRequest) -> Plan {
    let mut images = Images::default();
    let mut warnings = Vec::new();
    for spec in desired.selection(&request.services, request.dependencies) {
        let Some(build) = &spec.service.build else { continue };
        let Some(image) = &spec.service.image else {
            warnings.push(format!("{} is not pushed: no `image` names a place for it", spec.name()));
            continue;
        };
        for name in std::iter::once(image).chain(&build.value.tags) {
            images.add(spec, &name.value, PullPolicy::Never, &name.origin);
        }
    }
    let mut draft = Draft::default();
    for image in images.0.into_values() {
        let address = image.address.clone();
        draft.add(&address, Action::Push(Arc::new(image)), Change::Push, &Cause::Asked, []);
    }
    Plan { project: desired.project.clone(), steps: draft.finish(), warnings, ..Plan::default() }
}

/// Images by reference and platform, in that order.
#[derive(Default)]
struct Images(BTreeMap<(String, Option<String>), ImageSpec>);

impl Images {
    fn add(&mut self, spec: &ServiceSpec, reference: &str, policy: PullPolicy, origin: &Origin) {
        let platform = spec.service.platform.as_ref().map(|platform| platform.value.clone());
        let image = self.0.entry((reference.to_owned(), platform.clone())).or_insert_with(|| ImageSpec {
            address: Address::Image(reference.to_owned()),
            references: vec![reference.to_owned()],
            build: None,
            definition: String::new(),
            named: true,
            platform,
            policy,
            services: Vec::new(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            origin: origin.clone(),
        });
        image.services.push(spec.name().to_owned());
    }
}

/// Whether the reference is to the tag `latest`, written or not.
fn is_latest(reference: &str) -> bool {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    !last.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}
