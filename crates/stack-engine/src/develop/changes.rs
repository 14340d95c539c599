//! What is different from before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
}

/// What stood at a path before, and what stands there now; `None` is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub was: Option<Kind>,
    /// Now.
    pub now: Option<Kind>,
}

/// Changes by path, each path once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<PathBuf, Change>);

impl Changes {
    /// Adds a change that came after those that are there.
    pub fn add(&mut self, path: PathBuf, change: Change) {
        let was = self.0.get(&path).map_or(change.was, |earlier| earlier.was);
        if was.is_none() && change.now.is_none() {
            // It came and went.
            self.0.remove(&path);
        } else {
            self.0.insert(path, Change { was, now: change.now });
        }
    }

    /// Adds changes that came after those that are there.
    pub fn append(&mut self, later: Self) {
        later.0.into_iter().for_each(|(path, change)| self.add(path, change));
    }

    /// Whether nothing is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Change)> {
        self.0.iter().map(|(path, change)| (path.as_path(), *change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_changes_the_first_and_the_last_count() {
        let (file, directory) = (Some(Kind::File), Some(Kind::Directory));
        let mut changes = Changes::default();
        let mut add = |path: &str, was, now| changes.add(PathBuf::from(path), Change { was, now });
        add("kept", file, file);
        add("swapped", file, None);
        add("swapped", None, directory);
        add("brief", None, file);
        add("brief", file, None);
        let all: Vec<_> =
            changes.iter().map(|(path, change)| (path.to_str().expect("text"), change)).collect();
        assert_eq!(
            all,
            [("kept", Change { was: file, now: file }), ("swapped", Change { was: file, now: directory })]
        );
    }
}
