//! What is done while files of this machine change.

use std::path::PathBuf;

use super::Hook;
use crate::source::Spanned;

/// An item of `develop.watch`: a path, and what follows when something below it changes.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchRule {
    /// The file or directory, absolute.
    pub path: Spanned<PathBuf>,
    /// What follows.
    pub action: Spanned<WatchAction>,
    /// Where its files go in the container; there always where the action copies files.
    pub target: Option<String>,
    /// Only what matches one of these patterns, relative to the path; empty is everything.
    pub include: Vec<Spanned<String>>,
    /// What is left out: patterns relative to the path.
    pub ignore: Vec<Spanned<String>>,
    /// Whether the files are copied once when watching begins.
    pub initial_sync: bool,
    /// The command that `sync+exec` runs.
    pub exec: Option<Hook>,
}

/// What follows a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchAction {
    /// The image is built anew, and the containers are replaced where it is another one.
    Rebuild,
    /// The files are copied into the containers.
    Sync,
    /// The containers are restarted.
    Restart,
    /// The files are copied, then the containers are restarted.
    SyncRestart,
    /// The files are copied, then a command runs in the containers.
    SyncExec,
}

impl WatchAction {
    /// The action that the Compose Specification calls so.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::Rebuild, Self::Sync, Self::Restart, Self::SyncRestart, Self::SyncExec];
        all.into_iter().find(|action| action.word() == word)
    }

    /// The Compose Specification's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Sync => "sync",
            Self::Restart => "restart",
            Self::SyncRestart => "sync+restart",
            Self::SyncExec => "sync+exec",
        }
    }

    /// Whether it copies files.
    #[must_use]
    pub fn copies(self) -> bool {
        matches!(self, Self::Sync | Self::SyncRestart | Self::SyncExec)
    }
}
