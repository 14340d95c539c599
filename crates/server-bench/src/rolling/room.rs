//! What was written in a room, and what of it was heard.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// A room, and what its clients have told of it.
pub(super) struct Room {
    pub(super) name: String,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// The number of each write that was acknowledged.
    acknowledged: BTreeSet<u64>,
    /// Each write that anyone heard of: its number and its place.
    heard: HashMap<u64, (String, u64)>,
    /// Writes that have more than one place.
    twice: BTreeSet<u64>,
    /// The epoch of the last acknowledgement, and the last place there.
    last: Option<(String, u64)>,
}

/// How the writes of a room have ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Writes {
    pub(super) acknowledged: usize,
    /// Acknowledged, and heard by nobody.
    pub(super) lost: usize,
    /// In the room more than once.
    pub(super) twice: usize,
}

impl Room {
    pub(super) fn new(number: usize) -> Self {
        Self { name: format!("rolling-{number}"), told: Mutex::default() }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write was acknowledged.
    pub(super) fn acknowledge(&self, write: u64, epoch: &str, offset: u64) {
        let mut told = self.told();
        told.acknowledged.insert(write);
        match &mut told.last {
            Some((known, last)) if known == epoch => *last = offset.max(*last),
            last => *last = Some((epoch.to_owned(), offset)),
        }
    }

    /// Somebody has heard of a write.
    pub(super) fn hear(&self, write: u64, epoch: &str, offset: u64) {
        let mut told = self.told();
        match told.heard.get(&write) {
            Some((known, place)) if known == epoch && *place == offset => {}
            Some(_) => {
                told.twice.insert(write);
            }
            None => {
                told.heard.insert(write, (epoch.to_owned(), offset));
            }
        }
    }

    /// Whether who stands there has heard of every write that was acknowledged.
    pub(super) fn is_heard_at(&self, epoch: &str, offset: u64) -> bool {
        self.told().last.as_ref().is_none_or(|(known, last)| known == epoch && *last <= offset)
    }

    pub(super) fn writes(&self) -> Writes {
        let told = self.told();
        let lost = told.acknowledged.iter().filter(|write| !told.heard.contains_key(write)).count();
        Writes { acknowledged: told.acknowledged.len(), lost, twice: told.twice.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_and_not_heard_is_lost() {
        let room = Room::new(0);
        assert!(room.is_heard_at("e", 0));
        for (write, offset) in [(1, 1), (2, 2), (3, 3)] {
            room.acknowledge(write, "e", offset);
        }
        for (write, offset) in [(1, 1), (1, 1), (3, 3), (3, 4), (7, 5)] {
            room.hear(write, "e", offset);
        }
        assert_eq!(room.writes(), Writes { acknowledged: 3, lost: 1, twice: 1 });
        assert!(room.is_heard_at("e", 3) && !room.is_heard_at("e", 2) && !room.is_heard_at("f", 9));
    }
}
