//! The planner for one engine: what `up` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use stack_file::model::{DependencyCondition, PullPolicy, Restart};

use crate::address::Address;
use crate::desired::{Desired, ImageSpec, ServiceSpec};
use crate::labels;
use crate::observed::{ContainerState, Health, Observed, ObservedContainer};
use crate::plan::{Action, Cause, Change, Condition, Draft, NewContainer, Plan, StepId, Target};

/// What the command line asks of `up`, beside the file.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Only these services and what they need; empty is all.
    pub services: Vec<String>,
    /// Leaves out what the named services need.
    pub no_deps: bool,
    /// When a container is replaced.
    pub recreate: Recreate,
    /// When an image is built.
    pub build: BuildPolicy,
    /// Overrides every service's `pull_policy`.
    pub pull: Option<PullPolicy>,
    /// Makes containers without starting them.
    pub no_start: bool,
    /// Waits until every container is ready.
    pub wait: bool,
    /// Removes containers of services that the file does not have.
    pub remove_orphans: bool,
    /// Overrides every stop grace period.
    pub grace: Option<Duration>,
    /// Makes new anonymous volumes instead of keeping those of the container replaced.
    pub renew_anonymous_volumes: bool,
}

/// When a container is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recreate {
    /// When its settings or its image differ.
    #[default]
    Changed,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// When an image is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuildPolicy {
    /// When it is not there.
    #[default]
    Missing,
    /// Always; the layer cache is used.
    Always,
    /// Never.
    Never,
}

/// Says what `up` has to do.
///
/// It cannot fail and does not wait: the same input gives the same plan.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, policy: &Policy) -> Plan {
    let mut planner = Planner::new(desired, observed, policy);
    planner.images();
    planner.leftovers();
    planner.orphans();
    planner.volumes_and_networks();
    for spec in desired.selection(&policy.services, !policy.no_deps) {
        planner.service(spec);
    }
    if policy.wait && !policy.no_start {
        planner.wait_for_all();
    }
    planner.finish()
}

/// Says what has to be pulled or built, as `up` would do, for `build` and `pull`.
#[must_use]
pub fn plan_images(desired: &Desired, observed: &Observed, policy: &Policy) -> Plan {
    let mut planner = Planner::new(desired, observed, policy);
    planner.images();
    planner.finish()
}

/// What will stand under a container's address when the plan is done.
struct Fate {
    target: Target,
    /// The last step that brings it up; `None` when it is up already.
    started: Option<StepId>,
    /// Whether it is new or restarted, so that what is known of its health is void.
    fresh: bool,
    state: ContainerState,
    health: Health,
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    policy: &'a Policy,
    draft: Draft,
    unchanged: Vec<Address>,
    warnings: Vec<String>,
    /// The step that makes the image, by service.
    image_steps: HashMap<&'a str, StepId>,
    /// The step that makes a network or volume, by its name on the engine.
    made: HashMap<String, (StepId, Address)>,
    /// Containers already removed because a network or volume under them is made anew: the step, and for what.
    cleared: HashMap<&'a str, (StepId, Address)>,
    /// Removals of containers that may hold host ports.
    freed: Vec<StepId>,
    fates: HashMap<&'a str, Vec<(Address, Fate)>>,
    /// Services of which at least one container is replaced or restarted.
    replaced: HashMap<&'a str, Address>,
    awaits: HashMap<(Address, Condition, bool), StepId>,
}

impl<'a> Planner<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed, policy: &'a Policy) -> Self {
        Self {
            desired,
            observed,
            policy,
            draft: Draft::default(),
            unchanged: Vec::new(),
            warnings: Vec::new(),
            image_steps: HashMap::new(),
            made: HashMap::new(),
            cleared: HashMap::new(),
            freed: Vec::new(),
            fates: HashMap::new(),
            replaced: HashMap::new(),
            awaits: HashMap::new(),
        }
    }

    fn finish(self) -> Plan {
        Plan {
            project: self.desired.project.clone(),
            steps: self.draft.finish(),
            unchanged: self.unchanged,
            warnings: self.warnings,
        }
    }

    fn selected(&self) -> BTreeSet<&'a str> {
        let selection = self.desired.selection(&self.policy.services, !self.policy.no_deps);
        selection.into_iter().map(ServiceSpec::name).collect()
    }

    fn images(&mut self) {
        let selected = self.selected();
        for image in &self.desired.images {
            if !image.services.iter().any(|service| selected.contains(service.as_str())) {
                continue;
            }
            let Some((build, cause)) = self.image_step(image) else {
                continue;
            };
            let spec = Arc::new(image.clone());
            let (action, group) = match build {
                true => (Action::Build(spec), Change::Build),
                false => (Action::Pull(spec), Change::Pull),
            };
            let step = self.draft.add(&image.address, action, group, &cause, []);
            for service in &image.services {
                self.image_steps.insert(service, step);
            }
            if cause != Cause::Missing {
                let done = if build { "built" } else { "pulled" };
                for container in &self.observed.containers {
                    if image.services.contains(&container.service) && !container.one_off {
                        self.warnings.push(format!(
                            "whether {} is replaced is known after {} is {done}",
                            Address::Container(container.service.clone(), container.number),
                            image.address
                        ));
                    }
                }
            }
        }
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
            _ => None,
        }
    }

    /// Finishes or undoes what an interrupted replacement has left.
    fn leftovers(&mut self) {
        for container in self.observed.containers.iter().filter(|container| is_temporary(container)) {
            let address = Address::Container(container.service.clone(), container.number);
            let old = self.observed.containers.iter().any(|other| {
                !is_temporary(other)
                    && !other.one_off
                    && other.service == container.service
                    && other.number == container.number
            });
            let wanted = self.desired.service(&container.service).is_some_and(|spec| {
                container.number >= 1
                    && container.number <= spec.scale
                    && self.difference(spec, container, &Recreate::Changed).is_none()
            });
            let target = Target::Known(container.id.clone());
            if !old && wanted {
                continue; // `service` renames and starts it.
            }
            let remove = Action::RemoveContainer { target, volumes: false };
            let removed = self.draft.add(&address, remove, Change::Remove, &Cause::Interrupted, []);
            self.freed.push(removed);
        }
    }

    fn orphans(&mut self) {
        let mut kept = BTreeSet::new();
        for container in &self.observed.containers {
            let known = self.desired.service(&container.service).is_some()
                || self.desired.disabled.contains(&container.service);
            if known || container.one_off || is_temporary(container) {
                continue;
            }
            if !self.policy.remove_orphans {
                // The same project name with other files is another stack, not an orphan of this one.
                if container.config_files == self.desired.config_files {
                    kept.insert(container.service.as_str());
                }
                continue;
            }
            let address = Address::Container(container.service.clone(), container.number);
            let removed = self.retire(container, &address, Change::Remove, &Cause::Orphaned, []);
            self.freed.push(removed);
        }
        if !kept.is_empty() {
            let names: Vec<_> = kept.into_iter().collect();
            self.warnings.push(format!(
                "the file no longer has {}; remove what is left with: stackctl up --remove-orphans",
                names.join(", ")
            ));
        }
    }

    /// Stops a container if it runs, removes it, and returns the last step.
    fn retire(
        &mut self,
        container: &ObservedContainer,
        address: &Address,
        group: Change,
        cause: &Cause,
        after: impl IntoIterator<Item = StepId>,
    ) -> StepId {
        let target = Target::Known(container.id.clone());
        let mut after: Vec<StepId> = after.into_iter().collect();
        if is_up(container.state) {
            let stop = Action::Stop { target: target.clone(), grace: self.grace(&container.service) };
            let stopped = self.draft.add(address, stop, group, cause, after);
            self.draft.undo(stopped, vec![Action::Start(target.clone())]);
            after = vec![stopped];
        }
        self.draft.add(address, Action::RemoveContainer { target, volumes: false }, group, cause, after)
    }

    fn grace(&self, service: &str) -> Option<Duration> {
        self.policy.grace.or_else(|| self.desired.service(service).and_then(ServiceSpec::grace))
    }

    fn volumes_and_networks(&mut self) {
        let selection = self.desired.selection(&self.policy.services, !self.policy.no_deps);
        for spec in &self.desired.volumes {
            let name = &spec.volume.name;
            let used = selection.iter().any(|service| service.volume_names.values().any(|used| used == name));
            // Without a selection compose makes every declared volume, used or not.
            if spec.volume.external || !(used || self.policy.services.is_empty()) {
                continue;
            }
            let found = self.observed.volumes.iter().find(|volume| &volume.name == name);
            let cause = match found {
                None => Cause::Missing,
                Some(volume) => match &volume.recorded {
                    Some(recorded) => match spec.fields.difference(recorded, &spec.volume.key.origin) {
                        changes if changes.is_empty() => {
                            self.unchanged.push(spec.address.clone());
                            continue;
                        }
                        changes => Cause::Changed(changes),
                    },
                    None => {
                        if volume.key.is_none() {
                            self.warnings.push(format!(
                                "{} uses the volume {name}, which another project or a person has made",
                                spec.address
                            ));
                        }
                        self.unchanged.push(spec.address.clone());
                        continue;
                    }
                },
            };
            let mut after = Vec::new();
            let group = if found.is_some() { Change::Replace } else { Change::Create };
            if found.is_some() {
                let users =
                    |container: &ObservedContainer| container.volumes.iter().any(|mount| &mount.name == name);
                let cleared = self.clear(users, &spec.address);
                let remove = Action::RemoveVolume(name.clone());
                let removed = self.draft.add(&spec.address, remove, group, &cause, cleared);
                self.draft.loses_data(removed);
                after.push(removed);
            }
            let create = Action::CreateVolume(Arc::new(spec.clone()));
            let step = self.draft.add(&spec.address, create, group, &cause, after);
            self.made.insert(name.clone(), (step, spec.address.clone()));
        }
        for spec in &self.desired.networks {
            let name = &spec.network.name;
            let used =
                selection.iter().any(|service| service.networks.iter().any(|joined| &joined.name == name));
            if spec.network.external || !used {
                continue;
            }
            let found = self.observed.networks.iter().find(|network| &network.name == name);
            let cause = match found {
                None => Cause::Missing,
                Some(network) => match &network.recorded {
                    Some(recorded) => match spec.fields.difference(recorded, &spec.network.key.origin) {
                        changes if changes.is_empty() => {
                            self.unchanged.push(spec.address.clone());
                            continue;
                        }
                        changes => Cause::Changed(changes),
                    },
                    None => {
                        if network.key.is_none() {
                            self.warnings.push(format!(
                                "{} uses the network {name}, which another project or a person has made",
                                spec.address
                            ));
                        }
                        self.unchanged.push(spec.address.clone());
                        continue;
                    }
                },
            };
            let mut after = Vec::new();
            let group = if found.is_some() { Change::Replace } else { Change::Create };
            if let Some(network) = found {
                let users =
                    |container: &ObservedContainer| container.networks.values().any(|id| *id == network.id);
                let cleared = self.clear(users, &spec.address);
                let remove = Action::RemoveNetwork(network.id.clone());
                after.push(self.draft.add(&spec.address, remove, group, &cause, cleared));
            }
            let create = Action::CreateNetwork(Arc::new(spec.clone()));
            let step = self.draft.add(&spec.address, create, group, &cause, after);
            self.made.insert(name.clone(), (step, spec.address.clone()));
        }
    }

    /// Removes every container of the project that uses what is about to be made anew.
    fn clear(&mut self, uses: impl Fn(&ObservedContainer) -> bool, resource: &Address) -> Vec<StepId> {
        let observed = self.observed;
        let mut steps = Vec::new();
        for container in observed.containers.iter().filter(|container| uses(container)) {
            if let Some((step, _)) = self.cleared.get(container.id.as_str()) {
                steps.push(*step);
                continue;
            }
            let address = Address::Container(container.service.clone(), container.number);
            let cause = Cause::DependencyReplaced(resource.clone());
            let step = self.retire(container, &address, Change::Replace, &cause, []);
            self.cleared.insert(&container.id, (step, resource.clone()));
            steps.push(step);
        }
        steps
    }

    /// Why the container cannot stay as it is; `None` when it can.
    fn difference(
        &self,
        spec: &ServiceSpec,
        container: &ObservedContainer,
        recreate: &Recreate,
    ) -> Option<Cause> {
        match recreate {
            Recreate::Never => return None,
            Recreate::Always => return Some(Cause::Asked),
            Recreate::Changed => {}
        }
        let Some(recorded) = &container.recorded else {
            return Some(Cause::Unrecorded);
        };
        let changes = spec.fields.difference(recorded, &spec.service.name.origin);
        if !changes.is_empty() {
            return Some(Cause::Changed(changes));
        }
        match self.observed.images.get(&spec.image) {
            Some(image) if image.id != container.image_id => return Some(Cause::ImageMoved),
            _ => {}
        }
        let detached = is_up(container.state)
            && spec.networks.iter().any(|joined| {
                let now = self.observed.networks.iter().find(|network| network.name == joined.name);
                now.is_some_and(|network| container.networks.get(&joined.name) != Some(&network.id))
            });
        detached.then_some(Cause::Drifted("detached from a network"))
    }

    fn service(&mut self, spec: &'a ServiceSpec) {
        let observed = self.observed;
        let mut existing: BTreeMap<u32, &'a ObservedContainer> = BTreeMap::new();
        for container in &observed.containers {
            let mine = container.service == spec.name() && !container.one_off;
            if mine && (!is_temporary(container) || !existing.contains_key(&container.number)) {
                existing.insert(container.number, container);
            }
        }
        // A container keeps its number; the lowest stay when there are too many.
        let mut numbers: Vec<u32> = existing.keys().copied().take(spec.scale as usize).collect();
        numbers.extend(
            (1..).filter(|number| !existing.contains_key(number)).take(spec.scale as usize - numbers.len()),
        );
        numbers.sort_unstable();

        let surplus: Vec<_> = existing.iter().filter(|(number, _)| !numbers.contains(number)).collect();
        for (number, container) in surplus {
            if !self.cleared.contains_key(container.id.as_str()) {
                let address = Address::Container(spec.name().to_owned(), *number);
                let step = self.retire(container, &address, Change::Remove, &Cause::Surplus, []);
                self.freed.push(step);
            }
        }

        let ready = self.dependencies(spec);
        let shared = Arc::new(spec.clone());
        for number in numbers {
            let address = Address::Container(spec.name().to_owned(), number);
            let fate = match existing.get(&number) {
                None => self.create(&shared, &address, number, &Cause::Missing, None, &ready),
                Some(container) => self.keep_or_replace(spec, &shared, &address, container, &ready),
            };
            if fate.fresh && existing.contains_key(&number) {
                self.replaced.insert(spec.name(), address.clone());
            }
            self.fates.entry(spec.name()).or_default().push((address, fate));
        }
    }

    fn keep_or_replace(
        &mut self,
        spec: &'a ServiceSpec,
        shared: &Arc<ServiceSpec>,
        address: &Address,
        container: &'a ObservedContainer,
        ready: &dyn Fn(&mut Self) -> Vec<StepId>,
    ) -> Fate {
        let Address::Container(_, number) = *address else { unreachable!("a container's address") };
        if let Some((removed, resource)) = self.cleared.get(container.id.as_str()).cloned() {
            let cause = Cause::DependencyReplaced(resource);
            return self.create(shared, address, number, &cause, Some((container, removed)), ready);
        }
        let recreate = match self.policy.recreate {
            // A dependency is not recreated because its dependent is asked for.
            Recreate::Always if !self.is_asked(spec.name()) => Recreate::Changed,
            recreate => recreate,
        };
        if let Some(cause) = self.difference(spec, container, &recreate) {
            return self.replace(shared, address, number, &cause, container, ready);
        }
        let target = Target::Known(container.id.clone());
        let fate = |started, fresh| Fate {
            target: target.clone(),
            started,
            fresh,
            state: container.state,
            health: container.health,
        };

        let mut before = Vec::new();
        if is_temporary(container) {
            let to = spec.container_name(&self.desired.project, number);
            let rename = Action::Rename { target: target.clone(), to };
            before.push(self.draft.add(address, rename, Change::Replace, &Cause::Interrupted, []));
        }
        let restarting = spec.service.depends_on.iter().find_map(|(name, wanted)| {
            wanted.restart.then(|| self.replaced.get(name.as_str()).cloned()).flatten()
        });
        let finished = container.state == ContainerState::Exited(0) && !is_restarted(spec);
        let again = finished && self.policy.services.iter().any(|name| name == spec.name());
        let up = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
        let (group, cause) = match (up, restarting) {
            (true, None) => {
                if before.is_empty() {
                    self.unchanged.push(address.clone());
                }
                return fate(before.last().copied(), false);
            }
            (true, Some(dependency)) => (Change::Restart, Cause::DependencyReplaced(dependency)),
            (false, _) if finished && !again && before.is_empty() => {
                self.unchanged.push(address.clone());
                return fate(None, false);
            }
            (false, _) if again => (Change::Start, Cause::Asked),
            (false, _) => (Change::Start, Cause::Drifted(container.state.word())),
        };
        if self.policy.no_start {
            self.unchanged.push(address.clone());
            return fate(before.last().copied(), false);
        }
        // A frozen container is stopped first: starting it alone would be refused.
        if group == Change::Restart || container.state == ContainerState::Paused {
            let stop = Action::Stop { target: target.clone(), grace: self.grace(spec.name()) };
            before.push(self.draft.add(address, stop, group, &cause, before.clone()));
        }
        before.extend(ready(self));
        let started = self.draft.add(address, Action::Start(target.clone()), group, &cause, before);
        fate(Some(started), true)
    }

    fn is_asked(&self, service: &str) -> bool {
        self.policy.services.is_empty() || self.policy.services.iter().any(|name| name == service)
    }

    /// The steps that a new container of the service needs before it can be made.
    fn ground(&self, spec: &ServiceSpec) -> Vec<StepId> {
        let names = spec.networks.iter().map(|joined| &joined.name).chain(spec.volume_names.values());
        let made = names.filter_map(|name| self.made.get(name)).map(|(step, _)| *step);
        made.chain(self.image_steps.get(spec.name()).copied()).collect()
    }

    fn new_container(
        &self,
        spec: &Arc<ServiceSpec>,
        number: u32,
        name: String,
        old: Option<&ObservedContainer>,
    ) -> Box<NewContainer> {
        let mut all = spec.labels.clone();
        all.insert(labels::NUMBER.to_owned(), number.to_string());
        if let Some(image) = self.observed.images.get(&spec.image) {
            all.insert(labels::IMAGE.to_owned(), image.id.clone());
        }
        let mut keep = Vec::new();
        if let Some(old) = old {
            all.insert(labels::REPLACE.to_owned(), format!("{}-{number}", spec.name()));
            if !self.policy.renew_anonymous_volumes {
                let declared: BTreeSet<&str> = spec
                    .service
                    .volumes
                    .iter()
                    .filter(|mount| mount.source != stack_file::model::MountSource::Anonymous)
                    .map(|mount| mount.target.as_str())
                    .collect();
                keep = old
                    .volumes
                    .iter()
                    .filter(|mount| mount.is_anonymous() && !declared.contains(mount.target.as_str()))
                    .map(|mount| (mount.target.clone(), mount.name.clone()))
                    .collect();
            }
        }
        let known_as = spec.container_name(&self.desired.project, number);
        Box::new(NewContainer { name, known_as, number, spec: Arc::clone(spec), labels: all, keep })
    }

    /// Makes a container where none is, or none is any more (`old` and the step that removes it).
    fn create(
        &mut self,
        spec: &Arc<ServiceSpec>,
        address: &Address,
        number: u32,
        cause: &Cause,
        old: Option<(&ObservedContainer, StepId)>,
        ready: &dyn Fn(&mut Self) -> Vec<StepId>,
    ) -> Fate {
        let group = if old.is_some() { Change::Replace } else { Change::Create };
        let name = spec.container_name(&self.desired.project, number);
        let mut after = self.ground(spec);
        after.extend(old.map(|(_, removed)| removed));
        after.extend(self.freed.iter().copied());
        let container = self.new_container(spec, number, name, old.map(|(container, _)| container));
        let created = self.draft.add(address, Action::CreateContainer(container), group, cause, after);
        let joined = self.join(spec, address, created, group, cause);
        self.start(address, created, joined, group, cause, ready)
    }

    /// Makes a new container beside the old one, then puts it in the old one's place.
    fn replace(
        &mut self,
        spec: &Arc<ServiceSpec>,
        address: &Address,
        number: u32,
        cause: &Cause,
        old: &ObservedContainer,
        ready: &dyn Fn(&mut Self) -> Vec<StepId>,
    ) -> Fate {
        let group = Change::Replace;
        let name = spec.container_name(&self.desired.project, number);
        let temporary = temporary_name(&old.id, &name);
        let after = self.ground(spec);
        let container = self.new_container(spec, number, temporary, Some(old));
        let created = self.draft.add(address, Action::CreateContainer(container), group, cause, after);
        let made = Target::Made(created);
        self.draft.undo(created, vec![Action::RemoveContainer { target: made.clone(), volumes: false }]);
        let joined = self.join(spec, address, created, group, cause);
        let removed = self.retire(old, address, group, cause, [joined]);
        let rename = Action::Rename { target: made, to: name };
        let renamed = self.draft.add(address, rename, group, cause, [removed]);
        self.start(address, created, renamed, group, cause, ready)
    }

    /// Attaches a new container to all its networks but the first, which it is made with,
    /// and returns the last step.
    fn join(
        &mut self,
        spec: &ServiceSpec,
        address: &Address,
        created: StepId,
        group: Change,
        cause: &Cause,
    ) -> StepId {
        let mut last = created;
        for network in spec.networks.iter().skip(1) {
            let connect = Action::Connect { target: Target::Made(created), network: network.clone() };
            last = self.draft.add(address, connect, group, cause, [last]);
            // What takes back the container takes back its networks.
            self.draft
                .undo(last, vec![Action::RemoveContainer { target: Target::Made(created), volumes: false }]);
        }
        last
    }

    fn start(
        &mut self,
        address: &Address,
        created: StepId,
        last: StepId,
        group: Change,
        cause: &Cause,
        ready: &dyn Fn(&mut Self) -> Vec<StepId>,
    ) -> Fate {
        let target = Target::Made(created);
        let started = if self.policy.no_start {
            last
        } else {
            let mut after = ready(self);
            after.push(last);
            self.draft.add(address, Action::Start(target.clone()), group, cause, after)
        };
        Fate {
            target,
            started: Some(started),
            fresh: true,
            state: ContainerState::Created,
            health: Health::None,
        }
    }

    /// What a container of the service has to wait for before it starts. The waits
    /// are planned when they are first asked for: an unchanged container needs none.
    fn dependencies(&self, spec: &'a ServiceSpec) -> impl Fn(&mut Self) -> Vec<StepId> + use<'a> {
        move |planner: &mut Self| {
            let mut steps = Vec::new();
            for (name, wanted) in &spec.service.depends_on {
                let condition = match wanted.condition {
                    DependencyCondition::Started => None,
                    DependencyCondition::Healthy => Some(Condition::Healthy),
                    DependencyCondition::CompletedSuccessfully => Some(Condition::Completed),
                };
                steps.extend(planner.reached(name, condition, wanted.required));
            }
            steps
        }
    }

    /// The steps after which every container of `service` has reached the condition.
    fn reached(&mut self, service: &str, condition: Option<Condition>, required: bool) -> Vec<StepId> {
        let Some(fates) = self.fates.get(service) else {
            return Vec::new();
        };
        let fates: Vec<_> = fates
            .iter()
            .map(|(address, fate)| {
                let done = match condition {
                    None => true,
                    Some(Condition::Completed) => !fate.fresh && fate.state == ContainerState::Exited(0),
                    Some(_) => {
                        !fate.fresh && fate.health == Health::Healthy && fate.state == ContainerState::Running
                    }
                };
                (address.clone(), fate.target.clone(), fate.started, done)
            })
            .collect();
        let mut steps = Vec::new();
        for (address, target, started, done) in fates {
            match condition {
                Some(condition) if !done => {
                    steps.push(self.wait(&address, target, condition, required, started))
                }
                _ => steps.extend(started),
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
        let group = match after.and_then(|id| self.draft.group(id)) {
            Some(group) => group,
            None => Change::Await,
        };
        let action = Action::Await { target, condition, required };
        let step = self.draft.add(address, action, group, &Cause::Awaited, after);
        self.awaits.insert(key, step);
        step
    }

    /// Waits for every container that is not known to be ready, as `--wait` asks.
    fn wait_for_all(&mut self) {
        let completes: BTreeSet<&str> = self
            .desired
            .services
            .iter()
            .flat_map(|spec| &spec.service.depends_on)
            .filter(|(_, wanted)| wanted.condition == DependencyCondition::CompletedSuccessfully)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut open = Vec::new();
        for spec in &self.desired.services {
            for (address, fate) in self.fates.get(spec.name()).into_iter().flatten() {
                let condition =
                    if completes.contains(spec.name()) { Condition::Completed } else { Condition::Ready };
                let known = !fate.fresh
                    && match fate.state {
                        ContainerState::Running => matches!(fate.health, Health::None | Health::Healthy),
                        ContainerState::Exited(0) => !is_restarted(spec),
                        _ => false,
                    };
                let healthy = (address.clone(), Condition::Healthy, true);
                if !known && !self.awaits.contains_key(&healthy) {
                    open.push((address.clone(), fate.target.clone(), condition, fate.started));
                }
            }
        }
        for (address, target, condition, started) in open {
            self.wait(&address, target, condition, true, started);
        }
    }
}

/// Whether the engine starts the container again after it has ended well.
fn is_restarted(spec: &ServiceSpec) -> bool {
    spec.service
        .restart
        .as_ref()
        .is_some_and(|restart| matches!(restart.value, Restart::Always | Restart::UnlessStopped))
}

/// Whether the container has to be stopped before it can be removed.
pub(crate) fn is_up(state: ContainerState) -> bool {
    matches!(state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting)
}

/// The name of a container until it has taken the place of another: the same for the same
/// pair, so that an interrupted replacement meets its own leftover.
fn temporary_name(old: &str, name: &str) -> String {
    let digest = Sha256::digest(old);
    let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}_{name}")
}

/// Whether the container still has the name of a replacement that is not finished:
/// twelve hexadecimal digits and an underscore before the real one.
fn is_temporary(container: &ObservedContainer) -> bool {
    container.name.split_once('_').is_some_and(|(hex, _)| {
        hex.len() == 12 && hex.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
    })
}
