//! Images, networks, configs and secrets: what services need to be there.

use std::collections::BTreeSet;
use std::sync::Arc;

use stack_file::model::PullPolicy;

use super::Planner;
use super::desired::{ObjectSpec, address_of};
use crate::containers::BuildPolicy;
use crate::desired::{ImageSpec, NetworkSpec};
use crate::plan::{Action, Cause, Change, Obstacle, StepId};

/// The most that a swarm keeps of a config and of a secret, bytes.
const LARGEST_CONFIG: usize = 1_000 * 1_024;
const LARGEST_SECRET: usize = 500 * 1_024;
/// The longest name of a config or secret.
const LONGEST_NAME: usize = 64;

impl Planner<'_> {
    /// Pulls and builds what the node that is asked does not have.
    pub(super) fn images(&mut self) {
        for image in &self.desired.images {
            if !image.services.iter().any(|service| self.selected.contains(service.as_str())) {
                continue;
            }
            let Some((build, cause)) = self.image_step(image) else {
                self.push(image, None);
                continue;
            };
            let spec = Arc::new(image.clone());
            let (action, group) = match build {
                true => (Action::Build(spec), Change::Build),
                false => (Action::Pull(spec), Change::Pull),
            };
            let bases: Vec<StepId> =
                image.bases().filter_map(|name| self.images.get(name).copied()).collect();
            let step = self.draft.add(&image.address, action, group, &cause, bases);
            self.images.extend(image.references.iter().map(|name| (name.as_str(), step)));
            if build {
                self.push(image, Some(step));
            }
        }
    }

    /// Whether the image is built (`true`) or pulled (`false`), and why; `None` for neither.
    fn image_step(&self, image: &ImageSpec) -> Option<(bool, Cause)> {
        let known = |name: &String| self.observed.images.get(name);
        let missing = image.references.iter().any(|name| known(name).is_none());
        let pull = self.policy.pull.unwrap_or(image.policy);
        if image.build.is_some() && self.policy.build != BuildPolicy::Never {
            if self.policy.build == BuildPolicy::Always || pull == PullPolicy::Build {
                return Some((true, if missing { Cause::Missing } else { Cause::Asked }));
            }
            return missing.then_some((true, Cause::Missing));
        }
        let old = match pull {
            PullPolicy::Refresh(after) => {
                let after = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
                let tagged = image.references.iter().filter_map(|name| known(name)?.tagged).min();
                tagged.is_none_or(|tagged| tagged.saturating_add(after) < self.observed.at)
            }
            _ => false,
        };
        let may_pull = image.named && !matches!(pull, PullPolicy::Never | PullPolicy::Build);
        match (may_pull, missing) {
            (true, true) => Some((false, Cause::Missing)),
            (true, false) if pull == PullPolicy::Always => Some((false, Cause::Asked)),
            (true, false) if old => Some((false, Cause::Drifted("older than it may be"))),
            _ => None,
        }
    }

    /// Makes the networks that services of the selection join. A swarm cannot change one.
    pub(super) fn networks(&mut self) {
        for spec in &self.desired.networks {
            let network = &spec.network;
            let used = self.desired.services.iter().any(|service| {
                self.selected.contains(service.key())
                    && service.networks.iter().any(|joined| joined.name == network.name)
            });
            if !used {
                continue;
            }
            let there = self.observed.networks.iter().find(|there| there.name == network.name);
            match there {
                // Every node has these, and no manager knows them.
                None if network.external && matches!(network.name.as_str(), "host" | "bridge" | "none") => {}
                None if network.external => self.network_in_the_way(
                    spec,
                    format!("the external network {} is not there", network.name),
                    format!("make it with: docker network create -d overlay {}", network.name),
                ),
                None => {
                    let action = Action::CreateNetwork(Arc::new(spec.clone()));
                    let step = self.draft.add(&spec.address, action, Change::Create, &Cause::Missing, []);
                    let undo = vec![Action::RemoveNetwork(network.name.clone())];
                    self.draft.undo(step, undo);
                    self.ground.insert(network.name.clone(), step);
                }
                Some(there)
                    if !there.swarm && !matches!(network.name.as_str(), "host" | "bridge" | "none") =>
                {
                    self.network_in_the_way(
                        spec,
                        format!("the network {} is one of a single engine", network.name),
                        format!(
                            "give the network another `name`, or remove it with: docker network rm {}",
                            network.name
                        ),
                    );
                }
                Some(there) => {
                    let recorded = there.recorded.as_ref().filter(|_| there.own);
                    let changes = recorded
                        .map(|recorded| spec.fields.difference(recorded, &network.key.origin))
                        .unwrap_or_default();
                    match changes.first() {
                        None => self.plan.unchanged.push(spec.address.clone()),
                        Some(change) => {
                            let origin = change.origin.clone();
                            self.in_the_way(Obstacle {
                                address: spec.address.clone(),
                                what: format!(
                                    "the network {} was made otherwise, and a swarm cannot change one: {change}",
                                    network.name
                                ),
                                next: "take the stack down first: stackctl down".to_owned(),
                                origin,
                            });
                        }
                    }
                }
            }
        }
    }

    fn network_in_the_way(&mut self, spec: &NetworkSpec, what: String, next: String) {
        let (address, origin) = (spec.address.clone(), spec.network.key.origin.clone());
        self.in_the_way(Obstacle { address, what, next, origin });
    }

    /// Makes the configs and secrets that services of the selection use.
    pub(super) fn objects(&mut self) {
        for spec in &self.desired.objects {
            let used = self.desired.services.iter().any(|service| {
                self.selected.contains(service.key())
                    && service.files.iter().any(|file| file.kind == spec.kind && file.object == spec.name)
            });
            if !used {
                continue;
            }
            let mut objects = self.observed.objects.iter();
            let there = objects.find(|there| there.kind == spec.kind && there.name == spec.name);
            let word = spec.kind.word();
            match (there, &spec.content) {
                (Some(there), Some(_)) if spec.named && there.digest != spec.digest => self
                    .object_in_the_way(
                        spec,
                        format!(
                            "the {word} {} has another content, and a swarm cannot change one",
                            spec.name
                        ),
                        "leave out `name`: stackctl makes one with a digest of the content".to_owned(),
                    ),
                (Some(_), _) => self.plan.unchanged.push(spec.address()),
                (None, None) => self.object_in_the_way(
                    spec,
                    format!("the external {word} {} is not there", spec.name),
                    format!("make it with: docker {word} create {} FILE", spec.name),
                ),
                (None, Some(Err(why))) => self.object_in_the_way(
                    spec,
                    format!("the {word} {} cannot be given to a swarm: {why}", spec.key),
                    "name a file that can be read".to_owned(),
                ),
                (None, Some(Ok(_))) if spec.name.chars().count() > LONGEST_NAME => self.object_in_the_way(
                    spec,
                    format!(
                        "the {word} would be called {}, and a swarm takes {LONGEST_NAME} characters",
                        spec.name
                    ),
                    "give it a shorter key, or a `name`".to_owned(),
                ),
                (None, Some(Ok(content))) => {
                    let largest = if word == "config" { LARGEST_CONFIG } else { LARGEST_SECRET };
                    let size = content.bytes().len();
                    if size == 0 || size > largest {
                        let what = match size {
                            0 => format!("the {word} {} is empty, and a swarm keeps no such", spec.key),
                            size => format!(
                                "the {word} {} has {size} bytes, and a swarm keeps no more than {largest}",
                                spec.key
                            ),
                        };
                        self.object_in_the_way(
                            spec,
                            what,
                            "put it into the image, or on a volume".to_owned(),
                        );
                        continue;
                    }
                    let others = self.observed.objects.iter();
                    let mut others = others
                        .filter(|there| there.kind == spec.kind && there.key.as_ref() == Some(&spec.key));
                    let cause = match others.next() {
                        Some(_) => Cause::ContentChanged,
                        None => Cause::Missing,
                    };
                    let action = Action::CreateObject(Arc::new(spec.clone()));
                    let step = self.draft.add(&spec.address(), action, Change::Create, &cause, []);
                    self.ground.insert(spec.name.clone(), step);
                }
            }
        }
    }

    fn object_in_the_way(&mut self, spec: &ObjectSpec, what: String, next: String) {
        let (address, origin) = (spec.address(), spec.origin.clone());
        self.in_the_way(Obstacle { address, what, next, origin });
    }

    /// Removes configs and secrets that no service uses any more: those of which that is so already at
    /// once, the others when all services are as they are to be, because until then the swarm may need
    /// them to put back what was there before. Where nobody waits for that, they are left to the next run.
    pub(super) fn remove_objects(&mut self) {
        let whole = self.policy.services.is_empty();
        let awaited = whole && (self.policy.wait || self.draft.next() == StepId(1));
        let used: BTreeSet<&str> =
            self.observed.services.iter().flat_map(|there| &there.uses).map(String::as_str).collect();
        let wanted: BTreeSet<_> =
            self.desired.objects.iter().map(|spec| (spec.kind, spec.name.as_str())).collect();
        // What services use that the file does not have stays with them.
        let left = self.kept_orphans();
        for there in &self.observed.objects {
            let Some(key) = &there.key else { continue };
            let declared =
                self.desired.objects.iter().any(|spec| spec.kind == there.kind && spec.key == *key);
            if wanted.contains(&(there.kind, there.name.as_str())) || (left && !declared) {
                continue;
            }
            let unused = !used.contains(there.id.as_str()) && (whole || declared);
            if !unused && !awaited {
                continue;
            }
            let cause = if declared { Cause::Surplus } else { Cause::Orphaned };
            let action = Action::RemoveObject { kind: there.kind, id: there.id.clone() };
            let address = address_of(there.kind, key);
            let after: Vec<StepId> = if unused { Vec::new() } else { self.settled.clone() };
            self.draft.add(&address, action, Change::Remove, &cause, after);
        }
    }
}
