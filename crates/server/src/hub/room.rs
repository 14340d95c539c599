//! One room as this instance sees it: who is in it, and up to which event they
//! were told. Everything here is synchronous; the hub does the waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::kinds::Kind;
use crate::presence::Shown;
use crate::session::outbox::{Frame, Outbox};
use crate::store::{Event, Position, Snapshot};

/// Events held back until the gap before them is filled.
const MOST_HELD: usize = 1024;
const MOST_HELD_BYTES: usize = 4 * 1024 * 1024;

/// A room with local members.
#[derive(Default)]
pub(crate) struct Room {
    /// Set once the hub has let go of it; whoever still holds it looks again.
    pub(crate) closed: bool,
    /// Whether the store tells us of its events.
    pub(crate) subscribed: bool,
    /// A fill is under way.
    pub(crate) filling: bool,
    /// The fill under way has to look once more.
    pub(crate) again: bool,
    /// What the room becomes again if the store forgets it.
    pub(crate) kind: Kind,
    position: Option<Position>,
    members: HashMap<u64, Member>,
    held: VecDeque<Held>,
    held_bytes: usize,
    overflowed: bool,
    /// Events whose turn has come, and which the members were not told yet:
    /// those that come together are told together.
    fresh: Vec<(u64, Frame)>,
    told: u64,
}

struct Held {
    epoch: String,
    offset: u64,
    frame: Frame,
}

struct Member {
    outbox: Arc<Outbox>,
    state: MemberState,
    /// How it is shown to the others; without it, it neither is nor sees them.
    shown: Option<Shown>,
    /// Changes of the members, with their revisions, while it is joining.
    changes: Vec<(u64, Frame)>,
    /// The revision of the members that its reply told.
    rev: u64,
}

enum MemberState {
    /// Its snapshot is being read; events are kept until it is there.
    Joining { since: Vec<(u64, Frame)>, stale: bool },
    /// It was told everything up to this offset.
    Joined { offset: u64 },
}

/// What came of an event, or of a member's snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing is left to do.
    Settled,
    /// A gap has to be filled from the store.
    Fill,
}

/// Whether a member could take its snapshot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It has joined.
    Joined(Next),
    /// The room moved on meanwhile: the snapshot has to be read again.
    ReadAgain,
    /// The room does not know the snapshot's epoch yet: fill, then read again.
    RoomBehind,
    /// It is no member any more.
    Gone,
}

impl Room {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.position.clone()
    }

    /// How many events are held back now.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Adds a member that is about to read its snapshot.
    pub(crate) fn enter(&mut self, conn: u64, outbox: &Arc<Outbox>, shown: Option<Shown>) {
        self.tell();
        let state = MemberState::Joining { since: Vec::new(), stale: false };
        let member = Member { outbox: Arc::clone(outbox), state, shown, changes: Vec::new(), rev: 0 };
        self.members.insert(conn, member);
    }

    /// Takes a member out; tells whether it was one, and the name under which it was shown.
    pub(crate) fn leave(&mut self, conn: u64) -> Option<Option<Shown>> {
        self.tell();
        self.members.remove(&conn).map(|member| member.shown)
    }

    /// Shows a member differently; false if it is not shown at all.
    pub(crate) fn show(&mut self, conn: u64, shown: Shown) -> bool {
        match self.members.get_mut(&conn).and_then(|member| member.shown.as_mut()) {
            Some(present) => {
                *present = shown;
                true
            }
            None => false,
        }
    }

    /// The members of this instance that are shown to others.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Shown> {
        self.members.values().filter_map(|member| member.shown.as_ref())
    }

    /// All members.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }

    /// Passes on a change of the members.
    pub(crate) fn member(&mut self, rev: u64, frame: &Frame) -> u64 {
        self.tell();
        let mut told = 0;
        for member in self.members.values_mut().filter(|member| member.shown.is_some()) {
            match member.state {
                MemberState::Joining { .. } => member.changes.push((rev, frame.clone())),
                MemberState::Joined { .. } if rev <= member.rev => {}
                MemberState::Joined { .. } => {
                    member.outbox.push(frame.clone());
                    told += 1;
                }
            }
        }
        told
    }

    /// Gives a member its snapshot, and what happened since it was read; the
    /// reply knows the members up to the revision `rev`.
    pub(crate) fn admit(
        &mut self,
        conn: u64,
        snapshot: &Snapshot,
        rev: u64,
        reply: impl FnOnce() -> Frame,
    ) -> Admission {
        self.tell();
        let position = self.position.get_or_insert_with(|| snapshot.position.clone()).clone();
        let Some(member) = self.members.get_mut(&conn) else { return Admission::Gone };
        let MemberState::Joining { since, stale } = &mut member.state else { return Admission::Gone };
        if std::mem::take(stale) {
            since.clear();
            return Admission::ReadAgain;
        }
        if position.epoch != snapshot.position.epoch {
            return Admission::RoomBehind;
        }
        let mut offset = snapshot.position.offset;
        let missed: Vec<(u64, Frame)> =
            std::mem::take(since).into_iter().filter(|(at, _)| *at > offset).collect();
        // Whatever the room delivered after the snapshot was kept for this
        // member, or else the snapshot is older than its entry.
        if position.offset > offset && missed.len() as u64 != position.offset - offset {
            return Admission::ReadAgain;
        }
        member.outbox.push(reply());
        for (at, frame) in missed {
            member.outbox.push(frame);
            offset = at;
        }
        for (at, frame) in std::mem::take(&mut member.changes) {
            if at > rev {
                member.outbox.push(frame);
            }
        }
        member.rev = rev;
        member.state = MemberState::Joined { offset };
        let next = self.release();
        self.tell();
        Admission::Joined(next)
    }

    /// Passes on what is kept nowhere.
    pub(crate) fn cast(&mut self, frame: &Frame) -> u64 {
        self.tell();
        let mut told = 0;
        for member in self.members.values() {
            if matches!(member.state, MemberState::Joined { .. }) {
                member.outbox.push(frame.clone());
                told += 1;
            }
        }
        told
    }

    /// How many frames were given to members since this was last asked.
    pub(crate) fn take_told(&mut self) -> u64 {
        std::mem::take(&mut self.told)
    }

    /// Takes an event of the feed; [`Room::tell`] passes it on.
    pub(crate) fn take(&mut self, epoch: String, event: Event) -> Next {
        let frame = Frame::from(event.payload);
        match &self.position {
            Some(position) if position.epoch == epoch && event.offset <= position.offset => {
                return Next::Settled;
            }
            Some(position) if position.epoch == epoch && event.offset == position.offset + 1 => {
                self.deliver(event.offset, frame);
                return self.release();
            }
            _ => {}
        }
        self.held_bytes += frame.as_str().len();
        if self.held.len() >= MOST_HELD || self.held_bytes > MOST_HELD_BYTES {
            // The store still has them; the fill looks for more until it has all.
            self.held.clear();
            self.held_bytes = 0;
            self.overflowed = true;
        } else {
            self.held.push_back(Held { epoch, offset: event.offset, frame });
        }
        if self.position.is_some() { Next::Fill } else { Next::Settled }
    }

    /// Takes what the store has after this room's position. The first
    /// `held_before` held events arrived before the store was read.
    pub(crate) fn fill(
        &mut self,
        snapshot: Snapshot,
        held_before: usize,
        reset: impl Fn(&str, &Snapshot) -> Frame,
    ) -> Next {
        self.tell();
        let Some(position) = self.position.clone() else { return Next::Settled };
        let overflowed = std::mem::take(&mut self.overflowed);
        let top = snapshot.position.offset;
        let in_parts = if snapshot.recovered {
            let some = !snapshot.events.is_empty();
            for Event { offset, payload } in snapshot.events {
                if self.position.as_ref().is_some_and(|position| offset == position.offset + 1) {
                    self.deliver(offset, Frame::from(payload));
                }
            }
            some
        } else if snapshot.position.epoch == position.epoch && snapshot.position.offset <= position.offset {
            // The feed was faster than this answer.
            false
        } else {
            let reason = if snapshot.position.epoch == position.epoch { "trimmed" } else { "epoch" };
            self.reset(&snapshot, &reset(reason, &snapshot));
            false
        };
        // Had they been newer than the snapshot, it would have told their epoch.
        let epoch = &snapshot.position.epoch;
        let mut index = 0;
        self.held.retain(|held| {
            index += 1;
            index > held_before || held.epoch == *epoch
        });
        let next = self.release();
        self.tell();
        let more = in_parts && self.position.as_ref().is_some_and(|position| position.offset < top);
        if more || overflowed { Next::Fill } else { next }
    }

    fn reset(&mut self, snapshot: &Snapshot, frame: &Frame) {
        self.position = Some(snapshot.position.clone());
        for member in self.members.values_mut() {
            // The store may have forgotten the members, too, and count from one again.
            member.rev = 0;
            match &mut member.state {
                MemberState::Joining { since, stale } => {
                    since.clear();
                    *stale = true;
                }
                MemberState::Joined { offset } => {
                    *offset = snapshot.position.offset;
                    member.outbox.push(frame.clone());
                }
            }
        }
    }

    /// Delivers held events that follow on without a gap.
    fn release(&mut self) -> Next {
        loop {
            let Some(Position { epoch, offset }) = self.position.clone() else { return Next::Settled };
            self.held.retain(|held| held.epoch != epoch || held.offset > offset);
            let following =
                self.held.iter().position(|held| held.epoch == epoch && held.offset == offset + 1);
            match following.and_then(|index| self.held.remove(index)) {
                Some(held) => self.deliver(held.offset, held.frame),
                None => break,
            }
        }
        self.held_bytes = self.held.iter().map(|held| held.frame.as_str().len()).sum();
        if self.held.is_empty() && !self.overflowed { Next::Settled } else { Next::Fill }
    }

    fn deliver(&mut self, offset: u64, frame: Frame) {
        if let Some(position) = &mut self.position {
            position.offset = offset;
        }
        self.fresh.push((offset, frame));
    }

    /// Whether there is something that the members were not told yet.
    pub(crate) fn has_news(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Tells the members what they were not told yet; how many there are, if there was anything.
    pub(crate) fn tell(&mut self) -> usize {
        let fresh = std::mem::take(&mut self.fresh);
        let Some((last, _)) = fresh.last() else { return 0 };
        let last = *last;
        for member in self.members.values_mut() {
            match &mut member.state {
                MemberState::Joining { since, stale } => {
                    if since.len() + fresh.len() > MOST_HELD {
                        since.clear();
                        *stale = true;
                    }
                    since.extend(fresh.iter().cloned());
                }
                // A member may have joined with a newer snapshot than the room knows.
                MemberState::Joined { offset: told } => {
                    let before = *told;
                    let news = fresh.iter().filter(|(offset, _)| *offset > before);
                    self.told += news.clone().count() as u64;
                    member.outbox.push_all(news.map(|(_, frame)| frame.clone()));
                    *told = before.max(last);
                }
            }
        }
        self.members.len()
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
