//! Ways to the engines of other nodes: what the file says, and docker contexts of their names.

use std::collections::BTreeMap;

use stack_engine::docker::DockerEngine;
use stack_engine::docker::connect::{self, ConnectError, Where};
use stack_plan::swarm::{ObservedNode, SwarmObserved};

use crate::args::Global;
use crate::settings::{self, Project};

/// Connects to the other nodes that may get tasks, as far as there is a way; what there is to say of
/// those where there is one and it does not lead there.
pub(super) async fn connect(
    global: &Global,
    project: Option<&Project>,
    observed: &SwarmObserved,
) -> (BTreeMap<String, DockerEngine>, Vec<String>) {
    let mut told: Vec<String> = (project.into_iter())
        .flat_map(|project| project.loaded.stack.destination.nodes.iter().map(move |said| (project, said)))
        .filter(|(_, (name, _))| !observed.nodes.iter().any(|node| node.name == **name || node.id == **name))
        .map(|(project, (name, address))| {
            format!("{}: the swarm has no node {name}", project.place(&address.origin))
        })
        .collect();
    let others = observed.nodes.iter().filter(|node| node.id != observed.here && node.takes_tasks());
    let looks = others.map(async |node| (node, reach(global, project, node).await));
    let mut ways = BTreeMap::new();
    for (node, found) in futures_util::future::join_all(looks).await {
        match found {
            Ok(Some(engine)) => {
                ways.insert(node.id.clone(), engine);
            }
            Ok(None) => {}
            Err(why) => told.push(format!("the engine of the node {} cannot be used: {why}", node.name)),
        }
    }
    (ways, told)
}

/// The engine of a node; `None` where nobody says where it is.
pub(super) async fn reach(
    global: &Global,
    project: Option<&Project>,
    node: &ObservedNode,
) -> Result<Option<DockerEngine>, String> {
    let said = project.map(|project| &project.loaded.stack.destination.nodes);
    let address = said.and_then(|said| said.get(&node.name).or_else(|| said.get(&node.id)));
    let place = match address {
        Some(address) => Where { host: Some(address.value.clone()), context: None },
        None => Where { host: None, context: Some(node.name.clone()) },
    };
    let engine = match connect::connect(&place, &settings::variables(global)).await {
        Ok(connection) => DockerEngine::new(connection, false),
        Err(ConnectError::NoContext { .. }) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let found = engine.node_id().await.map_err(|error| error.to_string())?;
    if found != node.id {
        return Err(format!("{} is another engine", engine.connection().address));
    }
    Ok(Some(engine))
}
