//! The ports of the host: who asks for them, and who has them already.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use stack_file::model::Port;
use stack_file::source::Origin;

use crate::address::Address;
use crate::desired::{Desired, ServiceSpec};
use crate::plan::{Action, Plan, Target};

/// A port of the host that somebody has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldPort {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// The address of the host; empty, `0.0.0.0` and `::` are every one.
    pub host_ip: String,
    /// Who has it.
    pub holder: Holder,
}

/// Who has a port of the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A container, whoever made it.
    Container {
        /// The engine's id.
        id: String,
        /// The name.
        name: String,
        /// The project that it belongs to.
        project: Option<String>,
    },
    /// A program of the engine's host.
    Process {
        /// Its process id, where it can be seen.
        pid: Option<u32>,
        /// Its name, where it can be seen.
        program: Option<String>,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { name, project: Some(project), .. } => {
                write!(f, "the container {name} of the project {project}")
            }
            Self::Container { name, .. } => write!(f, "the container {name}"),
            Self::Process { pid: Some(pid), program: Some(program) } => {
                write!(f, "{program}, process {pid} of this host")
            }
            Self::Process { pid: Some(pid), .. } => write!(f, "process {pid} of this host"),
            Self::Process { .. } => f.write_str("a process of this host that belongs to somebody else"),
        }
    }
}

/// A port that a container is to get and somebody else has.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The container.
    pub address: Address,
    /// The port as the file asks for it: `8080/tcp`, `127.0.0.1:8000-8003/tcp`.
    pub port: String,
    /// Where the file asks for it.
    pub origin: Origin,
    /// Who has it; of a range, who has its first port.
    pub holder: Holder,
}

/// The containers that a plan starts and that ask for a port of the host, with their services.
fn asking<'a>(plan: &'a Plan, desired: &'a Desired) -> Vec<(&'a Address, &'a ServiceSpec)> {
    let mut asking = Vec::new();
    for step in &plan.steps {
        let Action::Start(target) = &step.action else { continue };
        let made = match target {
            Target::Made(maker) => plan.step(*maker).and_then(|maker| match &maker.action {
                Action::CreateContainer(new) => Some(&*new.spec),
                _ => None,
            }),
            Target::Known(_) => step.address.service().and_then(|service| desired.service(service)),
        };
        // On the network of the host, or of another container, nothing is published.
        let published = |spec: &&ServiceSpec| {
            let mode = spec.service.network_mode.as_ref();
            mode.is_none_or(|mode| matches!(mode.value.as_str(), "bridge" | "default"))
                && spec.service.ports.iter().any(|port| wanted(port).is_some())
        };
        asking.extend(made.filter(published).map(|spec| (&step.address, spec)));
    }
    asking
}

/// The fixed ports of the host that the plan's containers ask for: protocol and number.
#[must_use]
pub fn asked(plan: &Plan, desired: &Desired) -> BTreeSet<(String, u16)> {
    (asking(plan, desired).iter())
        .flat_map(|(_, spec)| &spec.service.ports)
        .filter_map(|port| Some((port, wanted(port)?)))
        .flat_map(|(port, range)| range.map(|number| (port.protocol.clone(), number)))
        .collect()
}

/// The ports that the plan's containers are to get and that somebody has who keeps them.
///
/// Whom the plan itself stops has nothing any more when they are asked for. Of a range it is
/// enough that as many ports are free as containers ask for it.
#[must_use]
pub fn conflicts(plan: &Plan, desired: &Desired, held: &[HeldPort]) -> Vec<Conflict> {
    let stopped: BTreeSet<&str> = (plan.steps.iter())
        .filter_map(|step| match &step.action {
            Action::Stop { target: Target::Known(id), .. }
            | Action::RemoveContainer { target: Target::Known(id), .. } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let mut kept: BTreeMap<(&str, u16), Vec<&HeldPort>> = BTreeMap::new();
    for held in held {
        let goes = matches!(&held.holder, Holder::Container { id, .. } if stopped.contains(id.as_str()));
        if !goes {
            kept.entry((&held.protocol, held.port)).or_default().push(held);
        }
    }
    let mut conflicts = Vec::new();
    let mut given: BTreeSet<(&str, &str, u16)> = BTreeSet::new();
    for (address, spec) in asking(plan, desired) {
        for port in &spec.service.ports {
            let Some(range) = wanted(port) else { continue };
            let host_ip = port.host_ip.as_deref().unwrap_or_default();
            let protocol = port.protocol.as_str();
            let holder = |number: u16| {
                let holders = kept.get(&(protocol, number)).into_iter().flatten();
                holders.copied().find(|held| is_in_the_way(host_ip, held))
            };
            let free = range
                .clone()
                .find(|number| holder(*number).is_none() && !given.contains(&(host_ip, protocol, *number)));
            match (free, holder(*range.start())) {
                (Some(number), _) if range.start() != range.end() => {
                    given.insert((host_ip, protocol, number));
                }
                (None, Some(held)) => conflicts.push(Conflict {
                    address: address.clone(),
                    port: written(port),
                    origin: port.origin.clone(),
                    holder: held.holder.clone(),
                }),
                _ => {}
            }
        }
    }
    conflicts
}

/// The fixed ports of the host that are asked for; `None` where the engine chooses.
pub(crate) fn wanted(port: &Port) -> Option<RangeInclusive<u16>> {
    let published = port.published.as_ref()?;
    let (first, last) = published.split_once('-').unwrap_or((published, published));
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    // Port 0 lets the engine choose.
    (first > 0 && first <= last).then_some(first..=last)
}

/// Whether two listeners at these addresses of the host are in each other's way.
#[must_use]
pub fn meet(one: &str, other: &str) -> bool {
    is_every(one) || is_every(other) || one == other
}

fn is_every(address: &str) -> bool {
    matches!(address, "" | "0.0.0.0" | "::" | "[::]")
}

/// Whether somebody's port keeps another from being published.
fn is_in_the_way(host_ip: &str, held: &HeldPort) -> bool {
    let is_process = matches!(held.holder, Holder::Process { .. });
    // A program that listens at `::` may have left IPv4 alone: nothing tells from outside, and
    // the engine finds out.
    let only_four = is_process && held.host_ip == "::" && host_ip.contains('.');
    let apart = is_process && host_ip.contains(':') && held.host_ip.contains('.');
    meet(host_ip, &held.host_ip) && !only_four && !apart
}

/// A port as the file asks for it.
fn written(port: &Port) -> String {
    let host = port.host_ip.as_ref().map(|ip| format!("{ip}:")).unwrap_or_default();
    format!("{host}{}/{}", port.published.as_deref().unwrap_or_default(), port.protocol)
}
