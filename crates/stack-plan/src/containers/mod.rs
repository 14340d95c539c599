//! The planner for one engine: what `up` does.

mod claims;
mod files;
mod ground;
mod images;
mod lenders;
mod one_off;
mod providers;
mod replicas;
mod rolling;
mod steps;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use stack_file::model::PullPolicy;

use crate::address::Address;
use crate::api::Api;
use crate::desired::{Desired, ServiceSpec};
use crate::hooks::pre_stop;
use crate::observed::{Observed, ObservedContainer};
use crate::one_off::{OneOff, Run};
use crate::plan::{Action, Cause, Change, Condition, Draft, Obstacle, Plan, Step, StepId, Target};
use crate::rollout::Rollout;
use crate::shortfall::{self, Shortfall};

pub(crate) use self::replicas::jobs;

use self::replicas::Places;
use self::rolling::Settling;
use self::waits::Fate;

/// What the command line asks of `up`, beside the file.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Only these services and what they need; empty is all.
    pub services: Vec<String>,
    /// Leaves out what the named services need.
    pub no_deps: bool,
    /// When a container is replaced.
    pub recreate: Recreate,
    /// Replaces the containers that the named services need, whatever `recreate` says.
    pub recreate_dependencies: bool,
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
    /// Removes the containers of these services, if the file does not have them.
    pub retired: Vec<String>,
    /// Does not tell of containers of services that the file does not have.
    pub ignore_orphans: bool,
    /// Overrides every stop grace period.
    pub grace: Option<Duration>,
    /// Makes new anonymous volumes instead of keeping those of the container replaced.
    pub renew_anonymous_volumes: bool,
    /// Runs jobs again that have ended well.
    pub rerun: bool,
    /// Replaces running containers one after the other, the new one first where that can be,
    /// also of services of which the file says nothing about it.
    pub rolling: bool,
    /// The programs that make services have been asked already, and what they said stands in
    /// what is desired.
    pub provided: bool,
    /// Attributes that may be left out where the engine cannot honour them, by name.
    pub allowed: Vec<String>,
    /// Makes a container of `run` of the named service, in place of the service's own.
    pub run: Option<Arc<Run>>,
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
    let one_off = policy.run.as_ref().and_then(|run| run.container(desired));
    let mut planner = Planner::new(desired, observed, policy);
    if let Some(one_off) = &one_off {
        planner.begin_one_off(one_off);
    }
    planner.places();
    planner.ground();
    planner.images();
    planner.models();
    planner.orphans();
    planner.replicas();
    planner.provide_all();
    planner.warn_of_providers();
    planner.make_one_off();
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

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    policy: &'a Policy,
    /// The services of the file by name.
    services: HashMap<&'a str, &'a ServiceSpec>,
    /// The containers by service, without those of `run`.
    containers: HashMap<&'a str, Vec<&'a ObservedContainer>>,
    /// The places of each service, and who has them.
    places: HashMap<&'a str, Places<'a>>,
    /// The services that are asked for, and what they need.
    selected: BTreeSet<&'a str>,
    /// Services that are not asked for, and of which containers come back.
    returning: BTreeSet<&'a str>,
    /// The container of `run` that is made.
    one_off: Option<&'a OneOff>,
    draft: Draft,
    unchanged: Vec<Address>,
    warnings: Vec<String>,
    /// The steps that make its images, by service.
    image_steps: HashMap<&'a str, Vec<StepId>>,
    /// The steps that make networks, by name on the engine.
    made_networks: HashMap<&'a str, StepId>,
    /// The steps that make volumes, by name on the engine.
    made_volumes: HashMap<&'a str, StepId>,
    /// The network or volume that is made anew under a container of a service, by the container's id.
    cleared: HashMap<&'a str, Address>,
    /// The containers that lend to those that are made before their turn, by service.
    early_lenders: HashMap<&'a str, Target>,
    /// The step after which a container does not run any more, by its id.
    stopped: HashMap<&'a str, StepId>,
    /// The step after which a container is no more, by its id.
    gone: HashMap<&'a str, StepId>,
    /// What will stand under each address, by service.
    fates: HashMap<&'a str, Vec<(Address, Fate)>>,
    awaits: HashMap<(Address, Condition, bool), StepId>,
    /// The step that asks the program of a service, by service.
    provided: HashMap<&'a str, StepId>,
    obstacles: Vec<Obstacle>,
    /// The step that sees to an AI model, by key.
    model_steps: HashMap<&'a str, StepId>,
    rollouts: Vec<Rollout>,
    /// The end of the last replica that is replaced because the command line asks for it.
    last_asked: Option<StepId>,
    /// Replacements of which the end waits for that of others.
    settling: Vec<Settling<'a>>,
}

impl<'a> Planner<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed, policy: &'a Policy) -> Self {
        let mut containers: HashMap<&str, Vec<&ObservedContainer>> = HashMap::new();
        for container in observed.containers.iter().filter(|container| !container.one_off) {
            containers.entry(&container.service).or_default().push(container);
        }
        let selection = desired.selection(&policy.services, !policy.no_deps);
        Self {
            desired,
            observed,
            policy,
            services: desired.services.iter().map(|spec| (spec.name(), spec)).collect(),
            containers,
            places: HashMap::new(),
            selected: selection.into_iter().map(ServiceSpec::name).collect(),
            returning: BTreeSet::new(),
            one_off: None,
            draft: Draft::default(),
            unchanged: Vec::new(),
            warnings: Vec::new(),
            image_steps: HashMap::new(),
            made_networks: HashMap::new(),
            made_volumes: HashMap::new(),
            cleared: HashMap::new(),
            early_lenders: HashMap::new(),
            stopped: HashMap::new(),
            gone: HashMap::new(),
            fates: HashMap::new(),
            awaits: HashMap::new(),
            provided: HashMap::new(),
            obstacles: Vec::new(),
            model_steps: HashMap::new(),
            rollouts: Vec::new(),
            last_asked: None,
            settling: Vec::new(),
        }
    }

    fn finish(mut self) -> Plan {
        let steps = self.draft.finish();
        self.obstacles.extend(obstacles(&steps, self.observed.api));
        Plan {
            project: self.desired.project.clone(),
            shortfalls: shortfalls(&steps, self.observed.api),
            steps,
            unchanged: self.unchanged,
            warnings: self.warnings,
            rollouts: self.rollouts,
            obstacles: self.obstacles,
        }
    }

    /// Whether the command line names the service, or all of them by naming none.
    fn is_asked(&self, service: &str) -> bool {
        self.policy.services.is_empty() || self.policy.services.iter().any(|name| name == service)
    }

    /// Services that the file has, enabled or not.
    fn is_known(&self, service: &str) -> bool {
        self.services.contains_key(service) || self.desired.disabled.iter().any(|name| name == service)
    }

    fn orphans(&mut self) {
        let mut kept = BTreeSet::new();
        let observed = self.observed;
        for container in observed.containers.iter().filter(|container| !container.one_off) {
            if self.is_known(&container.service) {
                continue;
            }
            if self.policy.remove_orphans || self.policy.retired.contains(&container.service) {
                self.retire(container, Change::Remove, &Cause::Orphaned, []);
            } else if container.config_files == self.desired.config_files && !self.policy.ignore_orphans {
                // The same project name with other files is another stack, not an orphan of this one.
                kept.insert(container.service.as_str());
            }
        }
        if !kept.is_empty() && !self.policy.ignore_orphans {
            let names: Vec<_> = kept.into_iter().collect();
            self.warnings.push(format!(
                "the file no longer has {}; remove what is left with: stackctl up --remove-orphans",
                names.join(", ")
            ));
        }
    }

    /// Stops a container if it runs, removes it, and returns the last step. Once is enough:
    /// what goes already is not removed again.
    fn retire(
        &mut self,
        container: &'a ObservedContainer,
        group: Change,
        cause: &Cause,
        after: impl IntoIterator<Item = StepId>,
    ) -> StepId {
        if let Some(removed) = self.gone.get(container.id.as_str()) {
            return *removed;
        }
        let address = address_of(container);
        let target = Target::Known(container.id.clone());
        let mut after: Vec<StepId> = after.into_iter().collect();
        if let Some(stopped) = self.stopped.get(container.id.as_str()) {
            after.push(*stopped);
        } else if container.state.is_up() {
            after = vec![self.stop(container, group, cause, after)];
        }
        let remove = Action::RemoveContainer { target, volumes: false };
        let removed = self.draft.add(&address, remove, group, cause, after);
        self.gone.insert(&container.id, removed);
        removed
    }

    /// Stops a container; taken back, it is started again.
    fn stop(
        &mut self,
        container: &'a ObservedContainer,
        group: Change,
        cause: &Cause,
        after: Vec<StepId>,
    ) -> StepId {
        let target = Target::Known(container.id.clone());
        let address = address_of(container);
        let spec = self.services.get(container.service.as_str()).copied();
        let mut after = after;
        for run in pre_stop(spec, container) {
            after = vec![self.draft.add(&address, run, group, cause, after)];
        }
        let grace = self.policy.grace.or_else(|| spec.and_then(ServiceSpec::grace));
        let stop = Action::Stop { target: target.clone(), grace };
        let stopped = self.draft.add(&address, stop, group, cause, after);
        self.draft.undo(stopped, vec![Action::Start(target)]);
        self.stopped.insert(&container.id, stopped);
        stopped
    }

    /// The containers of the observed project by service and number, in a fixed order.
    fn by_number(&self, service: &str) -> BTreeMap<u32, Vec<&'a ObservedContainer>> {
        let mut numbers: BTreeMap<u32, Vec<&'a ObservedContainer>> = BTreeMap::new();
        for container in self.containers.get(service).into_iter().flatten() {
            numbers.entry(container.number).or_default().push(container);
        }
        numbers
    }
}

/// What all that is made goes without, each service and network once.
fn shortfalls(steps: &[Step], api: Api) -> Vec<Shortfall> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for step in steps {
        match &step.action {
            Action::CreateContainer(new) if seen.insert(new.spec.name()) => {
                found.extend(shortfall::of_service(&new.spec, api));
            }
            Action::CreateNetwork(spec) => found.extend(shortfall::of_network(spec, api)),
            _ => {}
        }
    }
    found
}

/// What the engine is too old for and cannot be left out, each service once.
fn obstacles(steps: &[Step], api: Api) -> Vec<Obstacle> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for step in steps {
        if let Action::CreateContainer(new) = &step.action
            && seen.insert(new.spec.name())
        {
            found.extend(shortfall::in_the_way_of(&new.spec, &step.address, api));
        }
    }
    found
}

/// The name of a container within the project.
fn address_of(container: &ObservedContainer) -> Address {
    Address::Container(container.service.clone(), container.number)
}
