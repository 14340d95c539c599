//! The task of a service that a command is for, and the engine of its node.

use stack_engine::docker::DockerEngine;
use stack_plan::swarm::{ObservedNode, ObservedService, ObservedTask, TaskState};

use super::{There, ways};
use crate::args::Global;
use crate::diagnose::harmless;
use crate::error::{Fault, Kind};
use crate::settings;

/// A container of a task, and the engine that has it.
pub(crate) struct Reached {
    pub(crate) engine: DockerEngine,
    pub(crate) container: String,
    /// The task, as people call it: `web.2`.
    pub(crate) address: String,
}

/// Finds the task of this number, else one on a node that can be reached, the lowest first, and connects
/// to the engine of its node.
pub(crate) async fn reach(global: &Global, service: &str, index: Option<u32>) -> anyhow::Result<Reached> {
    let subject = settings::read_or_name(global)?;
    let there = There::look(global, subject, std::slice::from_ref(&service.to_owned())).await?;
    let Some(found) = there.observed.service(service) else {
        return Err(Fault::new(Kind::Engine, format!("{service} is not on the swarm"))
            .hint("make it with: stackctl up")
            .into());
    };
    let mut running: Vec<Running<'_>> = running(&there, found);
    let number = |task: &ObservedTask| u32::try_from(task.slot).unwrap_or(u32::MAX);
    if let Some(index) = index {
        running.retain(|running| match found.mode.is_global() {
            true => running.place == index,
            false => number(running.task) == index,
        });
    }
    if running.is_empty() {
        return Err(absent(found, index).into());
    }
    // Nobody has to be asked for the way to the node that is spoken to.
    running.sort_by_key(|running| (running.node.id != there.observed.here, running.place));
    let mut in_the_way = Vec::new();
    for Running { task, node, .. } in running {
        let Some(container) = task.container.clone() else { continue };
        let address = match found.mode.is_global() {
            true => format!("{service} on {}", node.name),
            false => format!("{service}.{}", task.slot),
        };
        if node.id == there.observed.here {
            return Ok(Reached { engine: there.engine, container, address });
        }
        match ways::reach(global, there.project.as_ref(), node).await {
            Ok(Some(engine)) => return Ok(Reached { engine, container, address }),
            Ok(None) => {
                in_the_way.push((address, node, container, "no way is known to its engine".to_owned()))
            }
            Err(why) => in_the_way.push((address, node, container, harmless(&why))),
        }
    }
    let told: Vec<String> = in_the_way
        .iter()
        .map(|(address, node, _, why)| format!("{address} runs on {}: {why}", there.observed.call(node)))
        .collect();
    let fault = Fault::new(Kind::Refused, told.join("; "));
    Err(match in_the_way.first() {
        Some((_, node, container, _)) => fault.hint(format!(
            "say where the engine of the node is: x-stackctl: {{nodes: {{{}: \"ssh://…\"}}}}, or make a docker context of \
             that name; or, on that node: docker exec {}",
            there.observed.call(node),
            &container[..container.len().min(12)]
        )),
        None => fault,
    }
    .into())
}

struct Running<'a> {
    task: &'a ObservedTask,
    node: &'a ObservedNode,
    /// Its number among the running tasks, from 1.
    place: u32,
}

/// The tasks that have a container which runs, by number, or by node where each has one.
fn running<'a>(there: &'a There, service: &'a ObservedService) -> Vec<Running<'a>> {
    let up = |task: &&ObservedTask| {
        matches!(task.state, TaskState::Running | TaskState::Starting) && task.container.is_some()
    };
    let node = |task: &ObservedTask| there.observed.nodes.iter().find(|node| node.id == task.node);
    let mut tasks: Vec<(&ObservedTask, &ObservedNode)> =
        service.tasks.iter().filter(up).filter_map(|task| Some((task, node(task)?))).collect();
    // The node of a task that is lost answers nobody.
    tasks.retain(|(_, node)| node.ready);
    tasks
        .sort_by_key(|(task, node)| (task.slot, &node.name, task.wanted > TaskState::Running, -task.created));
    tasks.into_iter().zip(1..).map(|((task, node), place)| Running { task, node, place }).collect()
}

/// Why there is no such task.
fn absent(service: &ObservedService, index: Option<u32>) -> Fault {
    let name = &service.service;
    let what = index.map_or_else(|| name.clone(), |index| format!("{name}.{index}"));
    let of_it = |task: &&ObservedTask| index.is_none_or(|index| task.slot == u64::from(index));
    let latest = service.tasks.iter().filter(of_it).max_by_key(|task| task.created);
    let state = match latest {
        None => "it has no task".to_owned(),
        Some(task) if task.error.is_empty() => format!("its task is {}", task.state.word()),
        Some(task) => format!("its task is {}: {}", task.state.word(), harmless(&task.error)),
    };
    Fault::new(Kind::Engine, format!("{what} is not running: {state}"))
        .hint(format!("see why with: stackctl why {name}"))
}
