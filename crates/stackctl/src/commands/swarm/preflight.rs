//! What is looked at on the nodes before anything is done: whether the paths that tasks bind are there,
//! and whether the ports of nodes that they ask for are free.

use std::collections::BTreeSet;

use stack_engine::docker::DockerEngine;
use stack_engine::engine::Engine;
use stack_file::model::{MountSource, PortMode};
use stack_plan::plan::{Action, Obstacle, Plan};
use stack_plan::ports::Holder;
use stack_plan::swarm::{ObservedNode, SwarmObserved, SwarmService, misfit};

use super::{Cluster, ways};

/// Adds to a plan what is in its way on the nodes. `touch` says whether a container may be made on another
/// node, and removed at once, to see whether a path is there.
pub(super) async fn check(
    cluster: &Cluster<'_>,
    plan: &mut Plan,
    observed: &SwarmObserved,
    touch: bool,
) -> anyhow::Result<()> {
    let made: Vec<_> = (plan.steps.iter())
        .filter_map(|step| match &step.action {
            Action::CreateService(spec) | Action::UpdateService { spec, .. } => Some(spec.clone()),
            _ => None,
        })
        .filter(|spec| binds(spec).next().is_some() || ports(spec).next().is_some())
        .collect();
    if made.is_empty() {
        return Ok(());
    }
    let others = observed.nodes.iter().any(|node| node.id != observed.here && node.takes_tasks());
    if others && !cluster.engine.knows_nodes() {
        let (ways, told) = ways::connect(cluster.global, Some(cluster.project), observed).await;
        plan.warnings.extend(told);
        cluster.engine.know_nodes(ways);
    }
    for spec in &made {
        let nodes: Vec<&ObservedNode> =
            observed.nodes.iter().filter(|node| misfit(spec, node).is_none()).collect();
        let look = Look { cluster, observed, spec, nodes };
        look.at_paths(plan, touch).await?;
        look.at_ports(plan).await?;
    }
    Ok(())
}

/// The paths of the node that a task sees: path, place in the file, and whether it is made where it is missing.
fn binds(spec: &SwarmService) -> impl Iterator<Item = (String, &stack_file::source::Origin, bool)> {
    spec.service.volumes.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind { path, create, .. } => Some((path.display().to_string(), &mount.origin, *create)),
        _ => None,
    })
}

/// The ports of the node that a task takes: protocol, number, and place in the file.
fn ports(spec: &SwarmService) -> impl Iterator<Item = (String, u16, &stack_file::source::Origin)> {
    let ports = spec.service.ports.iter().filter(|port| port.mode == PortMode::Host);
    ports.filter_map(|port| {
        let number = port.published.as_ref()?.parse().ok()?;
        Some((port.protocol.clone(), number, &port.origin))
    })
}

/// A service that is made or changed, and the nodes where its tasks may land.
struct Look<'a> {
    cluster: &'a Cluster<'a>,
    observed: &'a SwarmObserved,
    spec: &'a SwarmService,
    nodes: Vec<&'a ObservedNode>,
}

impl Look<'_> {
    /// The engine of a node, if it can be reached.
    fn engine(&self, node: &ObservedNode) -> Option<&DockerEngine> {
        if node.id == self.observed.here {
            return Some(self.cluster.engine);
        }
        self.cluster.engine.of_node(&node.id)
    }

    async fn at_paths(&self, plan: &mut Plan, touch: bool) -> anyhow::Result<()> {
        for (path, origin, create) in binds(self.spec) {
            let (mut without, mut unknown) = (Vec::new(), Vec::new());
            for node in &self.nodes {
                let here = node.id == self.observed.here && !self.cluster.engine.connection().is_remote();
                let has = match self.engine(node) {
                    // What is missing on this machine is made there.
                    Some(_) if here => Some(create || std::path::Path::new(&path).exists()),
                    Some(engine) if touch => engine.has_path(&path).await.unwrap_or_default(),
                    _ => None,
                };
                match has {
                    Some(true) => {}
                    Some(false) => without.push(self.observed.call(node)),
                    None => unknown.push(self.observed.call(node)),
                }
            }
            let key = self.spec.key();
            if !without.is_empty() {
                plan.obstacles.push(Obstacle {
                    address: self.spec.address(),
                    what: format!(
                        "{key} binds {path}, which is not there on {}, where its tasks may land",
                        without.join(", ")
                    ),
                    next: "make it there; or use a config or a volume; or keep the service where it is with \
                           deploy.placement.constraints"
                        .to_owned(),
                    origin: origin.clone(),
                });
            }
            if !unknown.is_empty() && touch {
                plan.warnings.push(format!(
                    "{}: {key} binds {path}, and whether {} {} it is not known: the engine cannot be asked",
                    self.cluster.project.place(origin),
                    unknown.join(", "),
                    if unknown.len() == 1 { "has" } else { "have" }
                ));
            }
        }
        Ok(())
    }

    async fn at_ports(&self, plan: &mut Plan) -> anyhow::Result<()> {
        let asked: BTreeSet<(String, u16)> =
            ports(self.spec).map(|(protocol, number, _)| (protocol, number)).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let mut held = Vec::new();
        for node in &self.nodes {
            let Some(engine) = self.engine(node) else { continue };
            for port in engine.held_ports(&asked).await? {
                held.push((*node, port));
            }
        }
        let own = format!("{}.", self.spec.name);
        for (protocol, number, origin) in ports(self.spec) {
            let mine =
                |holder: &Holder| matches!(holder, Holder::Container { name, .. } if name.starts_with(&own));
            let there: Vec<_> = (held.iter())
                .filter(|(_, port)| port.protocol == protocol && port.port == number && !mine(&port.holder))
                .collect();
            // The swarm gives no task to a node where another of its tasks has the port. Of all others it
            // knows nothing, and a task would fail there.
            let foreign: Vec<_> = there.iter().copied().filter(|(_, port)| !is_task(&port.holder)).collect();
            let taken: BTreeSet<&str> = there.iter().map(|(node, _)| node.id.as_str()).collect();
            let told = match (foreign.is_empty(), taken.len() == self.nodes.len()) {
                (false, _) => foreign,
                (true, true) => there,
                (true, false) => continue,
            };
            let Some((_, first)) = told.first() else { continue };
            let by: BTreeSet<String> = (told.iter())
                .map(|(node, port)| format!("{} on {}", port.holder, self.observed.call(node)))
                .collect();
            plan.obstacles.push(Obstacle {
                address: self.spec.address(),
                what: format!(
                    "the port {number}/{protocol} of {} is held by {}",
                    self.spec.key(),
                    by.into_iter().collect::<Vec<_>>().join(", ")
                ),
                next: remedy(&first.holder),
                origin: origin.clone(),
            });
        }
        Ok(())
    }
}

/// Whether a container is one of a task: its name ends in the task's id.
fn is_task(holder: &Holder) -> bool {
    const ID: usize = 25;
    match holder {
        Holder::Container { name, .. } => name.rsplit_once('.').is_some_and(|(_, id)| id.len() == ID),
        Holder::Process { .. } => false,
    }
}

fn remedy(holder: &Holder) -> String {
    let stop = match holder {
        task if is_task(task) => "take the other service down".to_owned(),
        Holder::Container { name, .. } => format!("stop it there with: docker stop {name}"),
        Holder::Process { pid: Some(pid), .. } => format!("end it there with: kill {pid}"),
        Holder::Process { pid: None, .. } => "stop the program that listens there".to_owned(),
    };
    format!(
        "{stop}; or publish another port, or keep the service off that node with deploy.placement.constraints"
    )
}
