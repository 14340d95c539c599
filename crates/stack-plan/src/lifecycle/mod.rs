//! The planners of the commands that work on the containers that are there: `start`,
//! `restart`, `kill`, `pause`, `unpause`, `rm` and `wait`. They go by the labels; where a
//! file is at hand, it says what depends on what.

mod members;
mod remove;
mod signal;
mod start;

pub use remove::{Removal, remove};
pub use signal::{Kill, kill, pause, unpause, wait};
pub use start::{Restart, Start, restart, start};

use crate::address::Address;
use crate::desired::Desired;
use crate::observed::ObservedContainer;
use crate::plan::{Draft, Plan};

/// Which containers of a project a command is about.
#[derive(Clone, Copy)]
struct Scope<'a> {
    desired: Option<&'a Desired>,
    /// Only these services; empty is all.
    services: &'a [String],
    /// Whether containers of `run` are meant, too.
    one_off: bool,
    /// Whether containers of services that the file does not have are meant, too.
    orphans: bool,
}

impl Scope<'_> {
    /// Whether the container is meant.
    fn has(&self, container: &ObservedContainer) -> bool {
        let known = self.desired.is_none_or(|desired| {
            desired.service(&container.service).is_some() || desired.disabled.contains(&container.service)
        });
        let named = self.services.is_empty() || self.services.contains(&container.service);
        named && (self.one_off || !container.one_off) && (self.orphans || known)
    }
}

/// A plan so far: what is done, and what is left as it is.
#[derive(Default)]
struct Sheet {
    draft: Draft,
    unchanged: Vec<Address>,
}

impl Sheet {
    fn finish(self, project: &str) -> Plan {
        Plan {
            project: project.to_owned(),
            steps: self.draft.finish(),
            unchanged: self.unchanged,
            ..Plan::default()
        }
    }
}

/// The name of a container within the project.
fn address_of(container: &ObservedContainer) -> Address {
    Address::Container(container.service.clone(), container.number)
}
