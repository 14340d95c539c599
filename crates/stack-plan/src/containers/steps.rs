//! The steps that make, replace and start containers.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};
use stack_file::model::MountSource;

use super::claims::Claims;
use super::replicas::{Course, Slot};
use super::waits::{Before, Fate};
use super::{Planner, Recreate};
use crate::api::Api;
use crate::desired::Joined;
use crate::fields::Recorded;
use crate::labels;
use crate::observed::{ContainerState, Health, ObservedContainer};
use crate::one_off::OneOff;
use crate::plan::{Action, Cause, Change, NewContainer, StepId, Target};

/// A container that an earlier step makes.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) created: StepId,
    /// The step after which it is on all its networks and has all its files.
    pub(super) joined: StepId,
}

impl<'a> Planner<'a> {
    pub(super) fn carry_out(&mut self, slots: &[Slot<'a>]) {
        for slot in slots {
            for stopped in self.stopped_before(slot) {
                if !matches!(slot.course, Course::Keep) || self.gives_its_name(slots, slot, stopped) {
                    self.retire(stopped, Change::Remove, &Cause::Interrupted, []);
                }
            }
        }
        let claims = self.claims(slots);
        // What has a port or a name that another place waits for goes first, but never
        // before the container that takes its own place is made.
        let mut begun: HashMap<usize, Made> = HashMap::new();
        for &index in &claims.early {
            let slot = &slots[index];
            if let (Course::Replace(cause), Some(old)) = (&slot.course, slot.old) {
                let joined = self.begin(slots, index, &claims, &mut begun).map(|made| made.joined);
                self.retire(old, Change::Replace, cause, joined);
            }
        }
        for (index, slot) in slots.iter().enumerate() {
            if let Some(fate) = self.roll(slots, index, &claims) {
                self.fates.entry(slot.service.name()).or_default().push((slot.address.clone(), fate));
                continue;
            }
            let fate = match &slot.course {
                Course::Create(cause) => self.create(slot, cause, &claims, index, begun.get(&index)),
                Course::Replace(cause) => self.replace(slot, cause, &claims, index, begun.get(&index)),
                Course::Start(group, cause) => self.start_again(slot, *group, cause, &claims, index),
                Course::Keep => self.keep(slots, &claims, index),
            };
            if let Some(fate) = fate {
                self.fates.entry(slot.service.name()).or_default().push((slot.address.clone(), fate));
            }
        }
        self.settle_all();
    }

    /// Makes a new container before its turn, and first those that lend to it. `None` when that
    /// cannot be: a name that a lender gets is not free yet.
    fn begin(
        &mut self,
        slots: &[Slot<'a>],
        index: usize,
        claims: &Claims<'a>,
        begun: &mut HashMap<usize, Made>,
    ) -> Option<Made> {
        if let Some(made) = begun.get(&index) {
            return Some(*made);
        }
        let slot = &slots[index];
        for lender in &slot.service.lenders {
            let first = slots.iter().position(|other| other.service.name() == lender.service);
            let Some(first) = first else { continue };
            let target = match (&slots[first].course, slots[first].old) {
                (Course::Keep | Course::Start(..), Some(old)) => Target::Known(old.id.clone()),
                _ => Target::Made(self.begin(slots, first, claims, begun)?.created),
            };
            self.early_lenders.insert(slots[first].service.name(), target);
        }
        let made = match (&slot.course, slot.old) {
            (Course::Replace(cause), Some(old)) => self.make_beside(slot, &old.id, cause),
            (Course::Create(cause), None) if claims.is_name_free(index) => {
                let name = slot.spec.container_name(&self.desired.project, slot.number);
                self.make(slot, name, Change::Create, cause, [])
            }
            _ => return None,
        };
        begun.insert(index, made);
        Some(made)
    }

    fn keep(&mut self, slots: &[Slot<'a>], claims: &Claims<'a>, index: usize) -> Option<Fate> {
        let slot = &slots[index];
        if let (Some(new), Some(old)) = (slot.old, self.stopped_before(slot).first().copied()) {
            let freed = self.name_freed(claims, index);
            return Some(self.finish_replacement(slots, slot, new, old, freed));
        }
        let renamed = self.rename_back(slot, claims, index);
        let old = slot.old?;
        let mended = self.mend(slot, old, renamed);
        if mended.is_none() {
            self.unchanged(old);
        }
        Some(Fate::of(old, mended))
    }

    /// Takes back what was done by hand to a container that stays, without a restart.
    fn mend(
        &mut self,
        slot: &Slot<'a>,
        container: &'a ObservedContainer,
        after: Option<StepId>,
    ) -> Option<StepId> {
        if self.policy.recreate == Recreate::Never {
            return after;
        }
        let target = Target::Known(container.id.clone());
        let mut last = after;
        if self.is_renamed(slot.service, container) {
            let to = slot.spec.container_name(&self.desired.project, slot.number);
            let rename = Action::Rename { target: target.clone(), to };
            last =
                Some(self.draft.add(&slot.address, rename, Change::Mend, &Cause::Drifted("renamed"), last));
        }
        for network in self.foreign_networks(slot.service, container) {
            let disconnect = Action::Disconnect { target: target.clone(), network };
            let cause = Cause::Drifted("attached to another network");
            last = Some(self.draft.add(&slot.address, disconnect, Change::Mend, &cause, last));
        }
        last
    }

    /// Finishes an interrupted replacement whose old container is gone.
    fn rename_back(&mut self, slot: &Slot<'a>, claims: &Claims<'a>, index: usize) -> Option<StepId> {
        let old = slot.old.filter(|_| slot.temporary)?;
        let to = slot.spec.container_name(&self.desired.project, slot.number);
        let rename = Action::Rename { target: Target::Known(old.id.clone()), to };
        let free = self.name_freed(claims, index);
        Some(self.draft.add(&slot.address, rename, Change::Replace, &Cause::Interrupted, free))
    }

    /// Starts a container that is there; one that runs, or is frozen, is stopped before that.
    fn start_again(
        &mut self,
        slot: &Slot<'a>,
        group: Change,
        cause: &Cause,
        claims: &Claims<'a>,
        index: usize,
    ) -> Option<Fate> {
        let renamed = self.rename_back(slot, claims, index);
        let old = slot.old?;
        let mended = self.mend(slot, old, renamed);
        let Before { mut after, any } = self.dependencies(slot.service);
        after.extend(mended);
        after.extend(self.ports_freed(claims, index));
        let target = Target::Known(old.id.clone());
        let first = self.draft.next();
        if old.state.is_up() {
            after = vec![self.stop(old, group, cause, after)];
        } else if old.state == ContainerState::Created {
            // An interrupted run may have made it and put nothing in.
            after = self.upload(slot, &target, group, cause, after);
        }
        let started = self.draft.add(&slot.address, Action::Start(target.clone()), group, cause, after);
        self.draft.after_any(first, &any);
        let last = self.post_start(slot, &target, started, group, cause);
        Some(Fate { fresh: true, ..Fate::of(old, Some(last)) })
    }

    /// Makes a container where none is, or none is any more.
    fn create(
        &mut self,
        slot: &Slot<'a>,
        cause: &Cause,
        claims: &Claims<'a>,
        index: usize,
        begun: Option<&Made>,
    ) -> Option<Fate> {
        let group = if slot.old.is_some() { Change::Replace } else { Change::Create };
        let name = slot.spec.container_name(&self.desired.project, slot.number);
        let mut after = self.name_freed(claims, index);
        after.extend(slot.old.and_then(|old| self.gone.get(old.id.as_str()).copied()));
        let made = match begun {
            Some(made) => *made,
            None => self.make(slot, name, group, cause, after),
        };
        let before = if self.policy.no_start { Before::default() } else { self.dependencies(slot.service) };
        Some(self.start(slot, made.created, made.joined, before, group, cause, claims, index))
    }

    /// Puts a new container in the place of the old one: created beside it, and only when
    /// everything it needs is ready is the old one stopped and removed.
    fn replace(
        &mut self,
        slot: &Slot<'a>,
        cause: &Cause,
        claims: &Claims<'a>,
        index: usize,
        begun: Option<&Made>,
    ) -> Option<Fate> {
        let group = Change::Replace;
        let old = slot.old?;
        let made = match begun {
            Some(made) => *made,
            None => self.make_beside(slot, &old.id, cause),
        };
        let mut before =
            if self.policy.no_start { Before::default() } else { self.dependencies(slot.service) };
        let removed = match self.gone.get(old.id.as_str()) {
            Some(removed) => *removed,
            None => {
                let Before { mut after, any } = std::mem::take(&mut before);
                after.push(made.joined);
                let first = self.draft.next();
                let removed = self.retire(old, group, cause, after);
                self.draft.after_any(first, &any);
                removed
            }
        };
        let to = slot.spec.container_name(&self.desired.project, slot.number);
        let rename = Action::Rename { target: Target::Made(made.created), to };
        let mut after = self.name_freed(claims, index);
        after.push(removed);
        if made.created > removed {
            after.push(made.joined);
        }
        let renamed = self.draft.add(&slot.address, rename, group, cause, after);
        Some(self.start(slot, made.created, renamed, before, group, cause, claims, index))
    }

    /// Makes the container that will take the place of `old`, under another name until it does.
    pub(super) fn make_beside(&mut self, slot: &Slot<'a>, old: &str, cause: &Cause) -> Made {
        let name = slot.spec.container_name(&self.desired.project, slot.number);
        let temporary = temporary_name(old, &name);
        // An interrupted run may have left one of the same name, also of a service that is not asked for.
        let observed = self.observed;
        let left = observed.containers.iter().find(|container| container.name == temporary);
        let after = left.map(|left| self.retire(left, Change::Remove, &Cause::Interrupted, []));
        let made = self.make(slot, temporary, Change::Replace, cause, after);
        let target = Target::Made(made.created);
        self.draft.undo(made.created, vec![Action::RemoveContainer { target, volumes: false }]);
        made
    }

    /// Makes a container and attaches it to all its networks; an older engine makes it with the
    /// first alone.
    pub(super) fn make(
        &mut self,
        slot: &Slot<'a>,
        name: String,
        group: Change,
        cause: &Cause,
        after: impl IntoIterator<Item = StepId>,
    ) -> Made {
        let spec = slot.service;
        let further = if self.observed.api < Api::SEVERAL_ENDPOINTS { 1 } else { usize::MAX };
        let networks = spec.networks.iter().filter_map(|joined| self.made_networks.get(joined.name.as_str()));
        let volumes = spec.volume_names.values().filter_map(|name| self.made_volumes.get(name.as_str()));
        let images = self.image_steps.get(spec.name()).into_iter().flatten();
        let mut ground: Vec<StepId> = networks.chain(volumes).chain(images).copied().collect();
        ground.extend(after);
        ground.extend(self.lenders_made(spec));
        let new = self.new_container(slot, name, further);
        let links = new.links.clone();
        let create = Action::CreateContainer(new);
        let created = self.draft.add(&slot.address, create, group, cause, ground);
        let mut joined = created;
        for network in spec.networks.iter().skip(further) {
            let target = Target::Made(created);
            let network = Box::new(Joined { links: links.clone(), ..network.clone() });
            let connect = Action::Connect { target: target.clone(), network };
            joined = self.draft.add(&slot.address, connect, group, cause, [joined]);
            // What takes back the container takes back its networks.
            self.draft.undo(joined, vec![Action::RemoveContainer { target, volumes: false }]);
        }
        let uploaded = self.upload(slot, &Target::Made(created), group, cause, vec![joined]);
        Made { created, joined: uploaded.last().copied().unwrap_or(joined) }
    }

    /// A new container that is made on so many of its networks.
    fn new_container(&self, slot: &Slot<'a>, name: String, networks: usize) -> Box<NewContainer> {
        let spec = slot.service;
        let mut all = spec.labels.clone();
        let one_off = self.one_off.filter(|_| slot.number == 0);
        if one_off.is_none() {
            all.insert(labels::NUMBER.to_owned(), slot.number.to_string());
        }
        if let Some(image) = self.observed.images.get(&spec.image) {
            all.insert(labels::IMAGE.to_owned(), image.id.clone());
        }
        let mut keep = Vec::new();
        if let Some(old) = slot.old {
            all.insert(labels::REPLACE.to_owned(), format!("{}-{}", spec.name(), slot.number));
            if !self.policy.renew_anonymous_volumes {
                let mounts = spec.service.volumes.iter();
                let tmpfs =
                    spec.service.tmpfs.iter().map(|mount| mount.split(':').next().unwrap_or_default());
                let taken: BTreeSet<&str> = mounts
                    .filter(|mount| mount.source != MountSource::Anonymous)
                    .map(|mount| mount.target.as_str())
                    .chain(tmpfs)
                    .collect();
                let declared: BTreeSet<&str> =
                    spec.service.volumes.iter().map(|mount| mount.target.as_str()).collect();
                // The image's own are kept, those that the file has given up are not.
                let given_up: BTreeSet<&str> = (old.recorded.iter().flat_map(Recorded::mounted))
                    .filter(|target| !declared.contains(target))
                    .collect();
                let borrowed = self.borrowed_volumes(&spec.service);
                keep = (old.volumes.iter())
                    .filter(|mount| mount.is_anonymous())
                    .filter(|mount| !borrowed.contains(mount.name.as_str()))
                    .filter(|mount| !taken.contains(mount.target.as_str()))
                    .filter(|mount| !given_up.contains(mount.target.as_str()))
                    .map(|mount| (mount.target.clone(), mount.name.clone()))
                    .collect();
            }
        }
        let known_as = match one_off {
            Some(one_off) => one_off.name.clone(),
            None => spec.container_name(&self.desired.project, slot.number),
        };
        let links = self.links(&spec.service);
        let networks = (spec.networks.iter().take(networks))
            .map(|joined| Joined { links: links.clone(), ..joined.clone() })
            .collect();
        let lenders = self.lenders(spec);
        let number = slot.number;
        let spec = slot.spec.clone();
        let binds = self.binds(slot.service);
        Box::new(NewContainer {
            name,
            known_as,
            number,
            spec,
            labels: all,
            keep,
            networks,
            links,
            lenders,
            binds,
            stdin_once: one_off.is_some_and(OneOff::is_talked_to),
            auto_remove: one_off.is_some_and(|one_off| one_off.auto_remove),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one step, and all that it waits for")]
    fn start(
        &mut self,
        slot: &Slot<'a>,
        created: StepId,
        last: StepId,
        before: Before,
        group: Change,
        cause: &Cause,
        claims: &Claims<'a>,
        index: usize,
    ) -> Fate {
        let target = Target::Made(created);
        let mut started = last;
        if !self.policy.no_start {
            let Before { mut after, any } = before;
            after.push(last);
            after.extend(self.ports_freed(claims, index));
            started = self.draft.add(&slot.address, Action::Start(target.clone()), group, cause, after);
            self.draft.after_any(started, &any);
            started = self.post_start(slot, &target, started, group, cause);
        }
        let state = ContainerState::Created;
        Fate { target, started: Some(started), fresh: true, state, health: Health::None }
    }
}

/// The name of a container until it has taken the place of another: the same for the same
/// pair, so that an interrupted replacement meets its own leftover.
pub(super) fn temporary_name(old: &str, name: &str) -> String {
    let digest = Sha256::digest(old);
    let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}_{name}")
}
