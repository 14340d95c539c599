//! The scripts, as each Redis process knows them.

use std::collections::HashMap;
use std::fmt::Write as _;

use fred::types::config::Server;
use fred::util::sha1_hash;

const COMMIT: &str = include_str!("../commit.lua");
const PRESENCE: &str = include_str!("../presence.lua");

/// Which script is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Commit,
    Presence,
}

/// The scripts of one Redis process. Its run id is a part of them: after a
/// restart or a failover they are unknown, and the new id has to be learnt.
#[derive(Clone, Debug, Default)]
pub(super) struct Scripts {
    pub(super) run_id: String,
    commit: String,
    presence: String,
}

/// A node of a cluster, or `None` where there is one Redis alone.
pub(super) type Node = Option<Server>;

/// What is loaded where.
pub(super) type Loaded = HashMap<Node, Scripts>;

impl Scripts {
    /// The scripts for the process with this run id, and their texts.
    pub(super) fn of(run_id: &str, cluster: bool) -> (Self, [String; 2]) {
        let publish = if cluster { "SPUBLISH" } else { "PUBLISH" };
        let texts = [COMMIT, PRESENCE].map(|script| {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = write!(text, "local RUN_ID = '{run_id}'\nlocal PUBLISH = '{publish}'\n{script}");
            text
        });
        let [commit, presence] = [0, 1].map(|index: usize| sha1_hash(&texts[index]));
        (Self { run_id: run_id.to_owned(), commit, presence }, texts)
    }

    /// The name under which Redis knows the script.
    pub(super) fn sha(&self, name: Name) -> &str {
        match name {
            Name::Commit => &self.commit,
            Name::Presence => &self.presence,
        }
    }
}

/// The run id in the answer to `INFO server`.
pub(super) fn run_id(info: &str) -> Option<&str> {
    info.lines()
        .find_map(|line| line.strip_prefix("run_id:"))
        .map(str::trim)
        .filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
