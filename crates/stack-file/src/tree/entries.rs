//! The entries of a mapping.

use std::ops::{Deref, DerefMut};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::{IntoIter, Iter, IterMut};

use super::Entry;

type Map = IndexMap<String, Entry, RandomState>;

/// Keys and values of a mapping, in the order of the file: an [`IndexMap`] of its own place
/// in memory. A tree has many more single values than mappings, and a node is as large as
/// the largest of what it may hold.
#[derive(Clone, Debug, Default)]
pub struct Entries(Box<Map>);

impl Entries {
    /// No entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No entries yet, and room for so many.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        Self(Box::new(Map::with_capacity_and_hasher(entries, RandomState::default())))
    }
}

impl Deref for Entries {
    type Target = Map;

    fn deref(&self) -> &Map {
        &self.0
    }
}

impl DerefMut for Entries {
    fn deref_mut(&mut self) -> &mut Map {
        &mut self.0
    }
}

impl IntoIterator for Entries {
    type Item = (String, Entry);
    type IntoIter = IntoIter<String, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        (*self.0).into_iter()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = (&'a String, &'a Entry);
    type IntoIter = Iter<'a, String, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a mut Entries {
    type Item = (&'a String, &'a mut Entry);
    type IntoIter = IterMut<'a, String, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

impl FromIterator<(String, Entry)> for Entries {
    fn from_iter<I: IntoIterator<Item = (String, Entry)>>(entries: I) -> Self {
        Self(Box::new(Map::from_iter(entries)))
    }
}

impl<const N: usize> From<[(String, Entry); N]> for Entries {
    fn from(entries: [(String, Entry); N]) -> Self {
        entries.into_iter().collect()
    }
}
