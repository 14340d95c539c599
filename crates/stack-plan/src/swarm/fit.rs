//! What keeps nodes from taking the tasks of a service, as far as the managers tell.

use stack_file::model::{Port, PortMode};
use stack_file::source::{Origin, Spanned};

use super::desired::SwarmService;
use super::observed::{Availability, ObservedNode};

/// Why a node takes no tasks of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// The reason, to be said after the name of the node.
    pub why: String,
    /// Where the file asks for what the node does not have.
    pub origin: Option<Origin>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Away,
    NotActive,
    /// A constraint, with the label and the value that would do, where a label would.
    Constraint(Option<(String, String)>),
    Resources,
}

impl Misfit {
    /// What to do, so that the node of this name takes tasks.
    #[must_use]
    pub fn next(&self, node: &str) -> String {
        match &self.kind {
            Kind::Away => {
                format!("start the engine of {node}, or remove the node with: docker node rm --force {node}")
            }
            Kind::NotActive => {
                format!("let it take tasks again with: docker node update --availability active {node}")
            }
            Kind::Constraint(Some((label, value))) => {
                format!(
                    "add the label with: docker node update --label-add {label}={value} {node}; or change the constraint"
                )
            }
            Kind::Constraint(None) => "change the constraint, or add a node that fits".to_owned(),
            Kind::Resources => "reserve less, or add a node that has more".to_owned(),
        }
    }
}

/// Why a node takes no tasks of a service; `None` when nothing is known that keeps it from that.
#[must_use]
pub fn misfit(spec: &SwarmService, node: &ObservedNode) -> Option<Misfit> {
    let found = |why: &str, kind| Some(Misfit { why: why.to_owned(), origin: None, kind });
    if !node.ready {
        return found("does not answer", Kind::Away);
    }
    match node.availability {
        Availability::Active => {}
        Availability::Pause => return found("is paused", Kind::NotActive),
        Availability::Drain => return found("is drained", Kind::NotActive),
    }
    if let Some(constraint) = unmet(spec, node) {
        let (what, value) = parts(&constraint.value).map_or(("", ""), |(what, _, value)| (what, value));
        let equal = parts(&constraint.value).is_some_and(|(_, equal, _)| equal);
        let label = what.strip_prefix("node.labels.").filter(|_| equal);
        let own = match own(node, what).as_deref() {
            None | Some("") => "nothing".to_owned(),
            Some(own) => own.to_owned(),
        };
        return Some(Misfit {
            why: format!("does not meet `{}`: its {what} is {own}", constraint.value),
            origin: Some(constraint.origin.clone()),
            kind: Kind::Constraint(label.map(|label| (label.to_owned(), value.to_owned()))),
        });
    }
    let deploy = &spec.service.deploy;
    if let Some(cpus) = &deploy.reserved_cpus
        && node.nano_cpus > 0
        && cpus.value * 1e9 > node.nano_cpus as f64
    {
        let has = node.nano_cpus as f64 / 1e9;
        let why = format!("has {has} processors, and a task reserves {}", cpus.value);
        return Some(Misfit { why, origin: Some(cpus.origin.clone()), kind: Kind::Resources });
    }
    if let Some(memory) = &spec.service.mem_reservation
        && node.memory > 0
        && i128::from(memory.value) > i128::from(node.memory)
    {
        let why = format!(
            "has {} MiB of memory, and a task reserves {} MiB",
            node.memory >> 20,
            i128::from(memory.value) >> 20
        );
        return Some(Misfit { why, origin: Some(memory.origin.clone()), kind: Kind::Resources });
    }
    None
}

impl SwarmService {
    /// How many of its tasks a node can have at once; `None` when nothing bounds it.
    #[must_use]
    pub fn places_per_node(&self) -> Option<u64> {
        let fixed = |port: &Spanned<Port>| port.mode == PortMode::Host && port.published.is_some();
        if self.mode.is_global() {
            return None;
        }
        if self.service.ports.iter().any(fixed) {
            return Some(1);
        }
        self.service.deploy.max_replicas_per_node.as_ref().map(|most| most.value.max(1))
    }
}

/// The first constraint of a service that a node does not meet. One on what the managers do not tell
/// is taken as met.
pub(super) fn unmet<'a>(spec: &'a SwarmService, node: &ObservedNode) -> Option<&'a Spanned<String>> {
    spec.service.deploy.constraints.iter().find(|constraint| {
        let Some((what, equal, value)) = parts(&constraint.value) else { return false };
        own(node, what).is_some_and(|own| own.eq_ignore_ascii_case(value) != equal)
    })
}

/// What a constraint is about, whether it has to be equal, and to what.
fn parts(constraint: &str) -> Option<(&str, bool, &str)> {
    match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((what, value)), _) => Some((what.trim(), true, value.trim())),
        (None, Some((what, value))) => Some((what.trim(), false, value.trim())),
        (None, None) => None,
    }
}

/// What a node has of what a constraint is about; `None` when that is not known.
fn own(node: &ObservedNode, what: &str) -> Option<String> {
    Some(match what {
        "node.id" => node.id.clone(),
        "node.hostname" => node.name.clone(),
        "node.role" => if node.manager { "manager" } else { "worker" }.to_owned(),
        _ => node.labels.get(what.strip_prefix("node.labels.")?).cloned().unwrap_or_default(),
    })
}
