//! Replacing the running containers of a service one after the other, so that it goes on
//! serving: `deploy.update_config`, and what the command line asks for.
//!
//! The old container keeps its name, and is there, until the new one is good. Turns are given
//! in lanes: as many replicas are under way as the file allows, and each follows one of them.

use std::time::Duration;

use stack_file::model::{FailureAction, UpdateConfig, UpdateOrder};

use super::Planner;
use super::claims::Claims;
use super::replicas::{Course, Slot};
use super::steps::temporary_name;
use super::waits::{Before, Fate};
use crate::hooks::pre_stop;
use crate::observed::{ContainerState, Health, ObservedContainer};
use crate::plan::{Action, Cause, Change, Condition, HookEvent, StepId, Target};
use crate::ports::wanted;
use crate::rollout::{Replica, Rollout, WayBack};

/// How one service is replaced.
struct Pace {
    update: UpdateConfig,
    back: UpdateConfig,
    order: UpdateOrder,
    back_order: UpdateOrder,
    reason: Option<String>,
}

/// The end of a replacement that is still to be planned.
pub(super) struct Settling<'a> {
    rollout: usize,
    turn: usize,
    target: Target,
    old: &'a ObservedContainer,
    cause: Cause,
    /// The steps after which the name is free that the new one gets.
    freed: Vec<StepId>,
}

impl<'a> Planner<'a> {
    /// Replaces the container in a place while it serves, where the file or the command line
    /// asks for that and it can be; `None` where it is replaced at once, or not at all.
    pub(super) fn roll(&mut self, slots: &[Slot<'a>], index: usize, claims: &Claims<'a>) -> Option<Fate> {
        let slot = &slots[index];
        let (Course::Replace(cause), Some(old)) = (&slot.course, slot.old) else { return None };
        let service = &slot.service.service;
        let asked = self.policy.rolling && !slot.job || service.update.is_some() && !service.job;
        if !asked || self.policy.no_start || slot.temporary {
            return None;
        }
        let left = self.leftover(slot, old).filter(|_| self.can_start(old, cause));
        if old.state != ContainerState::Running && left.is_none() {
            return None;
        }
        if let Some(why) = self.at_once(slot, old, index, claims) {
            let warning = format!("{} is replaced at once, because {why}", slot.service.name());
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
            return None;
        }
        let pace = self.pace(slots, slot);
        Some(self.replace_serving(slot, old, left, cause, &pace, claims, index))
    }

    /// What an interrupted run has made to take the place of a container.
    fn leftover(&self, slot: &Slot<'a>, old: &ObservedContainer) -> Option<&'a ObservedContainer> {
        let name = slot.spec.container_name(&self.desired.project, slot.number);
        let temporary = temporary_name(&old.id, &name);
        self.observed.containers.iter().find(|container| container.name == temporary)
    }

    /// Whether a container that was stopped can serve again: its networks are still there, and
    /// what it had alone, a port or an address, is not for others now.
    fn can_start(&self, old: &ObservedContainer, cause: &Cause) -> bool {
        let gives_up = |field: &str| field.starts_with("ports[") || field.starts_with("networks.");
        let given_up = match cause {
            Cause::Changed(changes) => changes.iter().any(|change| gives_up(&change.field)),
            _ => false,
        };
        let mut joined = old.networks.iter();
        let there = |name: &str, id: &str| self.network(name).is_some_and(|network| network.id == id);
        !given_up && joined.all(|(name, id)| there(name, id))
    }

    /// Why a container cannot be replaced while it serves.
    fn at_once(
        &self,
        slot: &Slot<'a>,
        old: &ObservedContainer,
        index: usize,
        claims: &Claims<'a>,
    ) -> Option<String> {
        let id = old.id.as_str();
        let name = slot.service.name();
        if let Some(resource) = self.cleared.get(id) {
            return Some(format!("{resource} is made anew under it"));
        }
        if claims.early.contains(&index) || self.gone.contains_key(id) || self.stopped.contains_key(id) {
            return Some("another container gets its name, port or address".to_owned());
        }
        if let Some(lender) = slot.service.lenders.first() {
            return Some(format!("it borrows from {}", lender.service));
        }
        // It can only be started again while that one runs, which is not what the file asks for now.
        if let Some(lender) = old.lenders.keys().next() {
            return Some(format!("it borrowed from {lender}"));
        }
        let borrower =
            self.services.values().filter(|other| other.lenders.iter().any(|lender| lender.service == name));
        let borrower = borrower.map(|other| other.name()).min()?;
        Some(format!("{borrower} borrows from it"))
    }

    fn pace(&self, slots: &[Slot<'a>], slot: &Slot<'a>) -> Pace {
        let service = &slot.service.service;
        let all = |(order, failure_action): (UpdateOrder, FailureAction)| UpdateConfig {
            order,
            failure_action,
            ..UpdateConfig::default()
        };
        let update = match &service.update {
            Some(update) => update.value.clone(),
            None => all((UpdateOrder::StartFirst, FailureAction::Rollback)),
        };
        let back = match (&service.rollback, &service.update) {
            (Some(back), _) => back.value.clone(),
            (None, Some(_)) => UpdateConfig::default(),
            (None, None) => all((UpdateOrder::StartFirst, FailureAction::Pause)),
        };
        let first = update.order == UpdateOrder::StartFirst || back.order == UpdateOrder::StartFirst;
        let reason = if first { self.stop_first(slots, slot, &update) } else { None };
        let order = |wanted| if reason.is_some() { UpdateOrder::StopFirst } else { wanted };
        Pace { order: order(update.order), back_order: order(back.order), update, back, reason }
    }

    /// Why two containers of the service cannot run in one place at a time.
    fn stop_first(&self, slots: &[Slot<'a>], slot: &Slot<'a>, update: &UpdateConfig) -> Option<String> {
        let spec = slot.service;
        let service = &spec.service;
        if service.network_mode.as_ref().is_some_and(|mode| mode.value == "host") {
            return Some("it is on the network of the host".to_owned());
        }
        let replicas = slots.iter().filter(|other| other.service.name() == spec.name()).count() as u32;
        let spare = if update.parallelism == 0 { replicas } else { update.parallelism.min(replicas) };
        for port in &service.ports {
            let Some(range) = wanted(port) else { continue };
            let (first, last) = (*range.start(), *range.end());
            if first == last {
                return Some(format!("only one container at a time can have port {first} of the host"));
            }
            if u32::from(last - first) + 1 < replicas + spare {
                return Some(format!("the ports {first}-{last} of the host have none to spare"));
            }
        }
        let fixed = spec.networks.iter().find_map(|joined| {
            joined.ipv4_address.as_ref().or(joined.ipv6_address.as_ref()).or(joined.mac_address.as_ref())
        });
        if let Some(address) = fixed {
            return Some(format!("only one container at a time can have the address {address}"));
        }
        // Whoever wrote start-first in the file knows what the two do to their data.
        if service.update.is_some() {
            return None;
        }
        let old = slot.old?;
        let anonymous = old.volumes.iter().find(|mount| mount.is_anonymous());
        if let Some(mount) = anonymous.filter(|_| !self.policy.renew_anonymous_volumes) {
            return Some(format!("the volume at {} goes from one to the other", mount.target));
        }
        let shared = spec.volume_names.keys().next().filter(|_| replicas == 1)?;
        Some(format!("both would write to the volume {shared}"))
    }

    #[expect(clippy::too_many_arguments, reason = "one replica, and all that it waits for")]
    fn replace_serving(
        &mut self,
        slot: &Slot<'a>,
        old: &'a ObservedContainer,
        left: Option<&'a ObservedContainer>,
        cause: &Cause,
        pace: &Pace,
        claims: &Claims<'a>,
        index: usize,
    ) -> Fate {
        let group = Change::Replace;
        let address = &slot.address;
        let known = Target::Known(old.id.clone());
        let rollout = self.rollout(slot, pace);
        // The replica whose end this one follows, well or not.
        let turn = self.rollouts[rollout].replicas.len();
        let lane = match pace.update.parallelism {
            0 => None,
            lanes => turn.checked_sub(lanes as usize),
        };
        let previous: Vec<StepId> = lane
            .and_then(|earlier| self.rollouts[rollout].replicas[earlier].steps.last().copied())
            .into_iter()
            .collect();
        // What a run that was broken off had stopped serves again before it is replaced.
        let mut ready: Vec<StepId> = previous.clone();
        if old.state != ContainerState::Running {
            let removed = left.map(|left| self.retire(left, Change::Remove, &Cause::Interrupted, []));
            let start = Action::Start(known.clone());
            ready.push(self.draft.add(address, start, Change::Start, &Cause::Interrupted, removed));
        }
        let mut steps = Vec::new();
        if !previous.is_empty() && !pace.update.delay.is_zero() {
            let delay = self.draft.add(address, Action::Delay(pace.update.delay), group, cause, []);
            self.draft.after_any(delay, &ready);
            ready = vec![delay];
            steps.push(delay);
        }
        let from = self.draft.next();
        let made = self.make_beside(slot, &old.id, cause);
        self.draft.after_any(made.created, &ready);
        // The command line asks for one at a time, whatever service it is of: two that stand in
        // for each other are not away together, and after a bad one the others are left alone.
        let by_flag = slot.service.service.update.is_none();
        if let Some(last) = self.last_asked.filter(|_| by_flag && turn == 0) {
            self.draft.also_after(made.created, &[last]);
        }
        steps.extend(self.draft.since(from, address, group));
        let target = Target::Made(made.created);
        let Before { mut after, any } = self.dependencies(slot.service);
        after.push(made.joined);
        after.extend(self.ports_freed(claims, index));

        let from = self.draft.next();
        let end = match pace.order {
            UpdateOrder::StartFirst => {
                let good = self.start_good(slot, &target, cause, after, &any, &pace.update);
                self.stop_old(slot, old, cause, vec![good], &pace.back)
            }
            UpdateOrder::StopFirst => {
                let first = self.draft.next();
                let stopped = self.stop_old(slot, old, cause, after, &pace.back);
                self.draft.after_any(first, &any);
                self.start_good(slot, &target, cause, vec![stopped], &[], &pace.update)
            }
        };
        steps.extend(self.draft.since(from, address, group));
        if by_flag {
            self.last_asked = Some(end);
        }
        let back = self.way_back(slot, &target, &known, pace);
        let replica = Replica { address: address.clone(), steps, settling: Vec::new(), back };
        self.rollouts[rollout].replicas.push(replica);
        let freed = self.name_freed(claims, index);
        self.settle_later(Settling {
            rollout,
            turn,
            target: target.clone(),
            old,
            cause: cause.clone(),
            freed,
        });
        let checked = slot.service.service.healthcheck.as_ref().is_some_and(|check| !check.disable);
        Fate {
            target,
            started: Some(end),
            fresh: false,
            state: ContainerState::Running,
            health: if checked { Health::Healthy } else { Health::None },
        }
    }

    /// The rollout of the service, begun with its first replica.
    fn rollout(&mut self, slot: &Slot<'a>, pace: &Pace) -> usize {
        let name = slot.service.name();
        if let Some(known) = self.rollouts.iter().position(|rollout| rollout.service == name) {
            return known;
        }
        self.rollouts.push(Rollout {
            service: name.to_owned(),
            order: pace.order,
            reason: pace.reason.clone(),
            failure_action: pace.update.failure_action,
            max_failure_ratio: pace.update.max_failure_ratio,
            replicas: Vec::new(),
            back: WayBack {
                parallelism: pace.back.parallelism,
                delay: pace.back.delay,
                goes_on: pace.back.failure_action == FailureAction::Continue,
                max_failure_ratio: pace.back.max_failure_ratio,
            },
        });
        self.rollouts.len() - 1
    }

    /// Starts the new container, runs its hooks and waits until it is good.
    fn start_good(
        &mut self,
        slot: &Slot<'a>,
        target: &Target,
        cause: &Cause,
        after: Vec<StepId>,
        any: &[StepId],
        update: &UpdateConfig,
    ) -> StepId {
        let group = Change::Replace;
        let address = &slot.address;
        let started = self.draft.add(address, Action::Start(target.clone()), group, cause, after);
        self.draft.after_any(started, any);
        let grace = self.policy.grace.or_else(|| slot.service.grace());
        self.draft.undo(started, vec![Action::Stop { target: target.clone(), grace }]);
        let last = self.post_start(slot, target, started, group, cause);
        self.draft.add(address, steady(target, update), group, cause, [last])
    }

    /// Stops the old container after its hooks; taken back, it serves again.
    fn stop_old(
        &mut self,
        slot: &Slot<'a>,
        old: &'a ObservedContainer,
        cause: &Cause,
        mut after: Vec<StepId>,
        back: &UpdateConfig,
    ) -> StepId {
        let address = &slot.address;
        for run in pre_stop(Some(slot.service), old) {
            after = vec![self.draft.add(address, run, Change::Replace, cause, after)];
        }
        let target = Target::Known(old.id.clone());
        let grace = self.policy.grace.or_else(|| slot.service.grace());
        let stop = Action::Stop { target: target.clone(), grace };
        let stopped = self.draft.add(address, stop, Change::Replace, cause, after);
        let again = steady(&target, back);
        self.draft.undo(stopped, vec![Action::Start(target), again]);
        self.stopped.insert(&old.id, stopped);
        stopped
    }

    /// What puts the old container back when the new one serves.
    fn way_back(&self, slot: &Slot<'a>, new: &Target, old: &Target, pace: &Pace) -> Vec<Action> {
        let grace = self.policy.grace.or_else(|| slot.service.grace());
        let hooks = slot.service.hooks.pre_stop.iter().map(|hook| Action::Run {
            target: new.clone(),
            event: HookEvent::PreStop,
            hook: hook.clone(),
        });
        let stop = hooks.chain([Action::Stop { target: new.clone(), grace }]);
        let start = [Action::Start(old.clone()), steady(old, &pace.back)];
        let mut back: Vec<Action> = match pace.back_order {
            UpdateOrder::StartFirst => start.into_iter().chain(stop).collect(),
            UpdateOrder::StopFirst => stop.chain(start).collect(),
        };
        back.push(Action::RemoveContainer { target: new.clone(), volumes: false });
        back
    }

    /// Finishes what a run has begun that was broken off when the old container had stopped and
    /// the new one ran: it is looked at before the old one goes, and goes itself where it is not good.
    pub(super) fn finish_replacement(
        &mut self,
        slots: &[Slot<'a>],
        slot: &Slot<'a>,
        new: &'a ObservedContainer,
        old: &'a ObservedContainer,
        freed: Vec<StepId>,
    ) -> Fate {
        let pace = self.pace(slots, slot);
        let cause = Cause::Interrupted;
        let (target, known) = (Target::Known(new.id.clone()), Target::Known(old.id.clone()));
        let good = self.draft.add(&slot.address, steady(&target, &pace.update), Change::Replace, &cause, []);
        let back = self.way_back(slot, &target, &known, &pace);
        self.draft.undo(good, back.clone());
        let rollout = self.rollout(slot, &pace);
        let turn = self.rollouts[rollout].replicas.len();
        let replica =
            Replica { address: slot.address.clone(), steps: vec![good], settling: Vec::new(), back };
        self.rollouts[rollout].replicas.push(replica);
        self.settle_later(Settling { rollout, turn, target, old, cause, freed });
        Fate::of(new, Some(good))
    }

    /// What a run that was broken off had stopped to put the container in this place.
    pub(super) fn stopped_before(&self, slot: &Slot<'a>) -> Vec<&'a ObservedContainer> {
        let Some(new) = slot.old.filter(|_| slot.temporary) else { return Vec::new() };
        let others = self.containers.get(slot.service.name()).into_iter().flatten().copied();
        others
            .filter(|other| other.number == slot.number && !self.gone.contains_key(other.id.as_str()))
            .filter(|other| self.is_stopped_for(other, new))
            .collect()
    }

    /// Whether another place is to have the name of a container, which cannot wait for it then
    /// and cannot come back.
    pub(super) fn gives_its_name(
        &self,
        slots: &[Slot<'a>],
        slot: &Slot<'a>,
        old: &ObservedContainer,
    ) -> bool {
        let mut others = slots.iter().filter(|other| other.address != slot.address);
        others.any(|other| {
            let filled = !matches!(other.course, Course::Keep) || other.temporary;
            filled && other.spec.container_name(&self.desired.project, other.number) == old.name
        })
    }

    /// Whether a container was stopped so that another takes its place, which runs already.
    pub(super) fn is_stopped_for(&self, old: &ObservedContainer, new: &ObservedContainer) -> bool {
        let runs = new.state == ContainerState::Running && self.is_temporary(new);
        runs && old.id != new.id && !old.state.is_up() && !self.is_temporary(old)
    }

    /// Plans the end of one replica: at once, or when all of its service are good where all of
    /// them may have to go back.
    fn settle_later(&mut self, settling: Settling<'a>) {
        if self.rollouts[settling.rollout].failure_action == FailureAction::Rollback {
            self.settling.push(settling);
        } else {
            self.settle(&settling, &[]);
        }
    }

    /// Removes the old container and gives the new one its name.
    fn settle(&mut self, settling: &Settling<'a>, others: &[StepId]) {
        let replica = &self.rollouts[settling.rollout].replicas[settling.turn];
        let (end, address) = (replica.steps.last().copied(), replica.address.clone());
        let (old, cause) = (settling.old, &settling.cause);
        let remove = Action::RemoveContainer { target: Target::Known(old.id.clone()), volumes: false };
        let removed = self.draft.add(&address, remove, Change::Replace, cause, end);
        self.draft.after_any(removed, others);
        self.gone.insert(&old.id, removed);
        let service = self.services.get(old.service.as_str());
        let name = service.map(|spec| spec.container_name(&self.desired.project, old.number));
        let to = name.unwrap_or_else(|| old.name.clone());
        let rename = Action::Rename { target: settling.target.clone(), to };
        let after = settling.freed.iter().copied().chain([removed]);
        let renamed = self.draft.add(&address, rename, Change::Replace, cause, after);
        self.rollouts[settling.rollout].replicas[settling.turn].settling = vec![removed, renamed];
    }

    /// Ends the rollouts that can go back as a whole: nothing old is removed before all is good.
    pub(super) fn settle_all(&mut self) {
        for settling in std::mem::take(&mut self.settling) {
            let replicas = self.rollouts[settling.rollout].replicas.iter().enumerate();
            let others = replicas.filter(|(turn, _)| *turn != settling.turn);
            let ends: Vec<StepId> = others.filter_map(|(_, one)| one.steps.last().copied()).collect();
            self.settle(&settling, &ends);
        }
    }
}

/// Waits until a container is good.
fn steady(target: &Target, update: &UpdateConfig) -> Action {
    let monitor: Duration = update.monitor.unwrap_or(UpdateConfig::MONITOR);
    let condition = Condition::Steady { monitor, checked: update.monitor.is_some() };
    Action::Await { target: target.clone(), condition, required: true }
}
