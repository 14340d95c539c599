//! The services of a stack, what they need of each other, and how they are now: as pictures.

mod dot;
mod mermaid;
mod svg;
mod viz;

use stack_engine::look::Listed;
use stack_file::model::DependencyCondition;
use stack_plan::desired::{Desired, ServiceSpec};
use stack_plan::observed::{ContainerState, Health};

pub(crate) use dot::dot;
pub(crate) use mermaid::mermaid;
pub(crate) use svg::svg;
pub(crate) use viz::{VizStyle, viz};

/// The services and what they need.
pub(crate) struct Graph {
    project: String,
    /// In the order of starting.
    nodes: Vec<Node>,
    /// From a service to one that it needs, by their places among the nodes.
    edges: Vec<Edge>,
}

/// A service.
struct Node {
    name: String,
    /// What else is said of it: image, ports, networks.
    facts: Vec<String>,
    /// How it is now; `None` when nobody asked.
    state: Option<State>,
}

struct Edge {
    from: usize,
    to: usize,
    /// What the other must have reached; empty when a start is enough.
    condition: &'static str,
    /// Whether it can do without.
    optional: bool,
}

/// How the containers of a service are.
#[derive(Debug, PartialEq, Eq)]
struct State {
    words: String,
    tone: Tone,
}

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tone {
    /// There is no container.
    Absent,
    /// All have ended, with exit code 0.
    Ended,
    /// All run, and none is unhealthy.
    Well,
    /// On the way, or fewer than there should be.
    Partly,
    /// One is not well.
    Failed,
}

impl Tone {
    const ALL: [Self; 5] = [Self::Absent, Self::Ended, Self::Well, Self::Partly, Self::Failed];

    fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Ended => "ended",
            Self::Well => "well",
            Self::Partly => "partly",
            Self::Failed => "failed",
        }
    }

    /// The colour of the box and that of its border.
    fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Absent => ("#ececf0", "#8a8a96"),
            Self::Ended => ("#dbe8fa", "#3b73b9"),
            Self::Well => ("#d9f2df", "#2f8a4c"),
            Self::Partly => ("#fff0c9", "#a87400"),
            Self::Failed => ("#fbdada", "#b92b2b"),
        }
    }
}

impl Graph {
    /// The stack, and its containers where the engine was asked for them.
    pub(crate) fn of(desired: &Desired, containers: Option<&[Listed]>) -> Self {
        let nodes = desired.services.iter().map(|spec| Node::of(spec, containers)).collect();
        let place = |name: &str| desired.services.iter().position(|spec| spec.name() == name);
        let mut edges = Vec::new();
        for (from, spec) in desired.services.iter().enumerate() {
            for (name, needed) in &spec.service.depends_on {
                let Some(to) = place(name) else { continue };
                let condition = match needed.value.condition {
                    DependencyCondition::Started => "",
                    DependencyCondition::Healthy => "healthy",
                    DependencyCondition::CompletedSuccessfully => "completed",
                };
                edges.push(Edge { from, to, condition, optional: !needed.value.required });
            }
        }
        Self { project: desired.project.clone(), nodes, edges }
    }
}

impl Node {
    fn of(spec: &ServiceSpec, containers: Option<&[Listed]>) -> Self {
        let service = &spec.service;
        let mut facts = Vec::new();
        if spec.provider.is_none() {
            facts.push(spec.image.clone());
        }
        for port in &service.ports {
            let host = port.host_ip.as_ref().map(|host| format!("{host}:")).unwrap_or_default();
            let published = port.published.as_deref().unwrap_or("any port");
            let protocol = if port.protocol == "tcp" { "" } else { &format!("/{}", port.protocol) };
            facts.push(format!("{host}{published} → {}{protocol}", port.target));
        }
        if !service.networks.is_empty() {
            let names: Vec<&str> = service.networks.keys().map(String::as_str).collect();
            facts.push(format!("on {}", names.join(", ")));
        }
        let state = containers.filter(|_| spec.provider.is_none()).map(|all| {
            let own: Vec<&Listed> =
                all.iter().filter(|found| found.service == spec.name() && !found.one_off).collect();
            State::of(&own, spec.scale)
        });
        Self { name: spec.name().to_owned(), facts, state }
    }
}

impl State {
    fn of(containers: &[&Listed], wanted: u32) -> Self {
        if containers.is_empty() {
            let words = if wanted == 0 { "none wanted" } else { "not created" };
            return Self { words: words.to_owned(), tone: Tone::Absent };
        }
        let mut groups: Vec<(String, Tone, usize)> = Vec::new();
        for container in containers {
            let (words, tone) = of_one(container);
            match groups.iter_mut().find(|(known, ..)| *known == words) {
                Some((_, _, count)) => *count += 1,
                None => groups.push((words, tone, 1)),
            }
        }
        let few = containers.len() < wanted as usize;
        let mut tone = groups.iter().map(|(_, tone, _)| *tone).max().unwrap_or(Tone::Absent);
        if few || (tone == Tone::Well && groups.iter().any(|(_, tone, _)| *tone < Tone::Well)) {
            tone = tone.max(Tone::Partly);
        }
        let alone = containers.len() == 1 && !few;
        let count = |(words, _, count): &(String, Tone, usize)| match alone {
            true => words.clone(),
            false => format!("{count} {words}"),
        };
        let mut words = groups.iter().map(count).collect::<Vec<_>>().join(", ");
        if few {
            words.push_str(&format!(" of {wanted}"));
        }
        Self { words, tone }
    }
}

fn of_one(container: &Listed) -> (String, Tone) {
    let word = container.state.word().to_owned();
    match (container.state, container.health) {
        (ContainerState::Running, Health::None) => (word, Tone::Well),
        (ContainerState::Running, health) => {
            let (health, tone) = match health {
                Health::Unhealthy => (health.word(), Tone::Failed),
                Health::Starting => ("not healthy yet", Tone::Partly),
                Health::Healthy | Health::None => (health.word(), Tone::Well),
            };
            (format!("{word}, {health}"), tone)
        }
        (ContainerState::Exited(0), _) => (format!("{word} with 0"), Tone::Ended),
        (ContainerState::Exited(code), _) => (format!("{word} with {code}"), Tone::Failed),
        (ContainerState::Dead | ContainerState::Restarting, _) => (word, Tone::Failed),
        (ContainerState::Created | ContainerState::Paused | ContainerState::Removing, _) => {
            (word, Tone::Partly)
        }
    }
}

#[cfg(test)]
mod tests;
