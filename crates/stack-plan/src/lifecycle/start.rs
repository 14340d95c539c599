//! `start` and `restart`.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use stack_file::model::{DependencyCondition, UpdateConfig};

use super::members::{Members, Need};
use super::{Scope, Sheet, address_of};
use crate::address::Address;
use crate::desired::{Desired, ServiceSpec};
use crate::hooks::{Started, copies, post_start, pre_stop};
use crate::observed::{ContainerState, Health, Observed, ObservedContainer};
use crate::plan::{Action, Cause, Change, Condition, Plan, StepId, Target};

/// What the command line asks of `start`.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Only these services and what they need; empty is all.
    pub services: Vec<String>,
    /// Waits until every container is ready.
    pub wait: bool,
}

/// What the command line asks of `restart`.
#[derive(Clone, Debug, Default)]
pub struct Restart {
    /// Only these services; empty is all.
    pub services: Vec<String>,
    /// Leaves out the services that are to be restarted with the named ones.
    pub no_deps: bool,
    /// Overrides every stop grace period.
    pub grace: Option<Duration>,
    /// One container at a time, each when the one before it is good again.
    pub rolling: bool,
}

/// Says what `start` has to do: what does not run is started, dependencies first, each when
/// all that it needs has reached its condition. A frozen container goes on. A job that has
/// done its work is started only where it is named.
#[must_use]
pub fn start(project: &str, desired: Option<&Desired>, observed: &Observed, policy: &Start) -> Plan {
    let scope = Scope { desired, services: &[], one_off: false, orphans: false };
    let members = Members::of(desired, observed);
    let meant = meant(desired, &members, &policy.services, members.with_needs(&policy.services));
    let mut starter = Starter::new(&members, &policy.services);
    for name in members.order() {
        let own = desired.and_then(|desired| desired.service(name));
        for container in members.containers(name).iter().filter(|container| scope.has(container)) {
            if !meant.contains(name) {
                starter.keep(container);
            } else {
                starter.start(container, members.needs(name), own, observed.remote);
            }
        }
    }
    if policy.wait {
        starter.wait_for_all(&meant);
    }
    starter.sheet.finish(project)
}

/// Says what `restart` has to do: dependencies first, and with them what is to be restarted
/// when they are.
#[must_use]
pub fn restart(project: &str, desired: Option<&Desired>, observed: &Observed, policy: &Restart) -> Plan {
    let scope = Scope { desired, services: &[], one_off: false, orphans: false };
    let members = Members::of(desired, observed);
    let named = if policy.no_deps {
        policy.services.iter().map(String::as_str).collect()
    } else {
        members.with_followers(&policy.services)
    };
    let meant = meant(desired, &members, &policy.services, named);
    let mut starter = Starter::new(&members, &policy.services);
    starter.rolling = policy.rolling;
    for name in members.order() {
        let own = desired.and_then(|desired| desired.service(name));
        let grace = policy.grace.or_else(|| own.and_then(ServiceSpec::grace));
        for container in members.containers(name).iter().filter(|container| scope.has(container)) {
            if !meant.contains(name) {
                starter.keep(container);
                continue;
            }
            // Only what is restarted with it is worth waiting for.
            let needs: Vec<Need<'_>> = (members.needs(name).iter())
                .filter(|need| need.restart && meant.contains(need.service))
                .cloned()
                .collect();
            starter.restart(container, &needs, own, grace);
        }
    }
    starter.sheet.finish(project)
}

/// The services that are meant: those of the command line, else those that the file enables,
/// else all.
fn meant<'a>(
    desired: Option<&Desired>,
    members: &Members<'a>,
    services: &[String],
    named: BTreeSet<&'a str>,
) -> BTreeSet<&'a str> {
    if !services.is_empty() {
        return named;
    }
    let enabled = |name: &&str| desired.is_none_or(|desired| desired.service(name).is_some());
    members.order().iter().copied().filter(enabled).collect()
}

/// What will stand under an address.
struct Fate<'a> {
    container: &'a ObservedContainer,
    /// The step that starts it; `None` when it stays as it is.
    started: Option<StepId>,
}

impl Fate<'_> {
    /// Whether it is known to have reached the condition.
    fn has_reached(&self, condition: Condition) -> bool {
        let (state, health) = (self.container.state, self.container.health);
        let running = state == ContainerState::Running;
        self.started.is_none()
            && match condition {
                Condition::Completed => state == ContainerState::Exited(0),
                Condition::Healthy => running && health == Health::Healthy,
                Condition::Ready | Condition::Steady { .. } => {
                    running && matches!(health, Health::None | Health::Healthy)
                        || state == ContainerState::Exited(0)
                }
                Condition::Ended => matches!(state, ContainerState::Exited(_)),
                // These are states of a swarm's services.
                Condition::Converged | Condition::TasksCompleted | Condition::NoTasks => false,
            }
    }
}

struct Starter<'a> {
    sheet: Sheet,
    jobs: BTreeSet<&'a str>,
    named: BTreeSet<&'a str>,
    fates: HashMap<&'a str, Vec<Fate<'a>>>,
    awaits: HashMap<(Address, Condition, bool), StepId>,
    /// Whether only one container at a time is away.
    rolling: bool,
    /// The step after which the last one that was away is good again.
    good: Option<StepId>,
    /// The first container of each service that is restarted.
    restarted: HashMap<&'a str, Address>,
}

impl<'a> Starter<'a> {
    fn new(members: &Members<'a>, services: &'a [String]) -> Self {
        Self {
            sheet: Sheet::default(),
            jobs: members.jobs(),
            named: services.iter().map(String::as_str).collect(),
            fates: HashMap::new(),
            awaits: HashMap::new(),
            rolling: false,
            good: None,
            restarted: HashMap::new(),
        }
    }

    fn fate(&mut self, container: &'a ObservedContainer, started: Option<StepId>) {
        self.fates.entry(&container.service).or_default().push(Fate { container, started });
    }

    fn keep(&mut self, container: &'a ObservedContainer) {
        self.fate(container, None);
    }

    /// Whether the container has done its work and nobody asks for it again.
    fn is_done(&self, container: &ObservedContainer) -> bool {
        let service = container.service.as_str();
        container.state == ContainerState::Exited(0)
            && self.jobs.contains(service)
            && !self.named.contains(service)
    }

    fn start(
        &mut self,
        container: &'a ObservedContainer,
        needs: &[Need<'a>],
        own: Option<&ServiceSpec>,
        remote: bool,
    ) {
        let running = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
        if running || self.is_done(container) {
            self.sheet.unchanged.push(address_of(container));
            return self.keep(container);
        }
        let target = Target::Known(container.id.clone());
        let (mut after, any) = self.dependencies(needs);
        after.extend(self.lent(container));
        let cause = Cause::Drifted(container.state.word());
        let address = address_of(container);
        let first = self.sheet.draft.next();
        if container.state == ContainerState::Paused {
            let step =
                self.sheet.draft.add(&address, Action::Unpause(target), Change::Unpause, &cause, after);
            self.sheet.draft.after_any(first, &any);
            return self.fate(container, Some(step));
        }
        // What was made and never started may have been left without its files.
        if container.state == ContainerState::Created
            && let Some(own) = own
        {
            for (directory, files) in copies(&address, own, remote, &mut Vec::new()) {
                let upload = Action::Upload { target: target.clone(), directory, files };
                after = vec![self.sheet.draft.add(&address, upload, Change::Start, &cause, after)];
            }
        }
        let action = Action::Start(target.clone());
        let started = self.sheet.draft.add(&address, action, Change::Start, &cause, after);
        self.sheet.draft.after_any(first, &any);
        let last = self.hooks(container, own, started, Change::Start, &cause, None);
        self.fate(container, Some(last));
    }

    /// Runs the hooks of a container that a step has started, and returns the last step.
    fn hooks(
        &mut self,
        container: &ObservedContainer,
        own: Option<&ServiceSpec>,
        step: StepId,
        group: Change,
        cause: &Cause,
        grace: Option<Duration>,
    ) -> StepId {
        let Some(own) = own else { return step };
        let target = Target::Known(container.id.clone());
        let grace = grace.or_else(|| own.grace());
        let address = address_of(container);
        let started = Started { address: &address, target: &target, step, group, cause, grace };
        post_start(&mut self.sheet.draft, own, &started)
    }

    fn restart(
        &mut self,
        container: &'a ObservedContainer,
        needs: &[Need<'a>],
        own: Option<&ServiceSpec>,
        grace: Option<Duration>,
    ) {
        let address = address_of(container);
        if self.is_done(container) {
            self.sheet.unchanged.push(address);
            return self.keep(container);
        }
        let service = container.service.as_str();
        let leader = needs.iter().find_map(|need| self.restarted.get(need.service));
        let cause = match leader {
            Some(leader) if !self.named.contains(service) && !self.named.is_empty() => {
                Cause::DependencyReplaced(leader.clone())
            }
            _ => Cause::Asked,
        };
        let (mut after, any) = self.dependencies(needs);
        after.extend(self.lent(container));
        // When one is not good again, no further one goes away.
        after.extend(self.good);
        let target = Target::Known(container.id.clone());
        let first = self.sheet.draft.next();
        let mut change = Change::Start;
        if container.state.is_up() {
            change = Change::Restart;
            for run in pre_stop(own, container) {
                after = vec![self.sheet.draft.add(&address, run, change, &cause, after)];
            }
            let stop = Action::Stop { target: target.clone(), grace };
            after = vec![self.sheet.draft.add(&address, stop, change, &cause, after)];
        }
        let started = self.sheet.draft.add(&address, Action::Start(target), change, &cause, after);
        self.sheet.draft.after_any(first, &any);
        let mut last = self.hooks(container, own, started, change, &cause, grace);
        if self.rolling && !self.jobs.contains(service) {
            let monitor = own.and_then(|own| own.service.update.as_ref()?.monitor);
            let action = Action::Await {
                target: Target::Known(container.id.clone()),
                condition: Condition::Steady {
                    monitor: monitor.unwrap_or(UpdateConfig::MONITOR),
                    checked: monitor.is_some(),
                },
                required: true,
            };
            last = self.sheet.draft.add(&address, action, change, &cause, [last]);
            self.good = Some(last);
        }
        self.restarted.entry(service).or_insert(address);
        self.fate(container, Some(last));
    }

    /// The steps that start the containers that lend this one their namespaces or mounts:
    /// without them it cannot start, whatever the file says of waiting.
    fn lent(&self, container: &ObservedContainer) -> Vec<StepId> {
        let is_lender = |fate: &&Fate<'_>| container.lenders.values().any(|id| *id == fate.container.id);
        self.fates.values().flatten().filter(is_lender).filter_map(|fate| fate.started).collect()
    }

    /// The steps that must be done before a container starts, and those that must have ended.
    fn dependencies(&mut self, needs: &[Need<'a>]) -> (Vec<StepId>, Vec<StepId>) {
        let (mut after, mut any) = (Vec::new(), Vec::new());
        for need in needs {
            let condition = match need.condition {
                DependencyCondition::Started => None,
                DependencyCondition::Healthy => Some(Condition::Healthy),
                DependencyCondition::CompletedSuccessfully => Some(Condition::Completed),
            };
            let steps = self.reached(need.service, condition, need.required);
            if need.required { &mut after } else { &mut any }.extend(steps);
        }
        (after, any)
    }

    /// The steps after which every container of the service has reached the condition.
    fn reached(&mut self, service: &str, condition: Option<Condition>, required: bool) -> Vec<StepId> {
        let mut steps = Vec::new();
        for fate in self.fates.get(service).into_iter().flatten() {
            match condition.filter(|condition| !fate.has_reached(*condition)) {
                Some(condition) => {
                    steps.push(wait(&mut self.sheet, &mut self.awaits, fate, condition, required));
                }
                None => steps.extend(fate.started),
            }
        }
        steps
    }

    fn wait_for_all(&mut self, meant: &BTreeSet<&str>) {
        let mut services: Vec<_> = self.fates.iter().collect();
        services.sort_by_key(|(name, _)| **name);
        for (name, fates) in services.into_iter().filter(|(name, _)| meant.contains(**name)) {
            let condition = if self.jobs.contains(name) { Condition::Completed } else { Condition::Ready };
            for fate in fates.iter().filter(|fate| !fate.has_reached(condition)) {
                let healthy = (address_of(fate.container), Condition::Healthy, true);
                if !self.awaits.contains_key(&healthy) {
                    wait(&mut self.sheet, &mut self.awaits, fate, condition, true);
                }
            }
        }
    }
}

fn wait(
    sheet: &mut Sheet,
    awaits: &mut HashMap<(Address, Condition, bool), StepId>,
    fate: &Fate<'_>,
    condition: Condition,
    required: bool,
) -> StepId {
    let address = address_of(fate.container);
    *awaits.entry((address.clone(), condition, required)).or_insert_with(|| {
        let target = Target::Known(fate.container.id.clone());
        let group = fate.started.and_then(|id| sheet.draft.group(id)).unwrap_or(Change::Await);
        let action = Action::Await { target, condition, required };
        sheet.draft.add(&address, action, group, &Cause::Awaited, fate.started)
    })
}
