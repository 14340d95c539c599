//! The list of the nodes of a swarm, and what runs there.

use std::collections::BTreeMap;

use stack_plan::swarm::{ObservedNode, SwarmObserved, TaskState};

use crate::render;
use crate::render::format::{Columns, Form, row};
use crate::template::{Labels, Row};

/// What a template may ask for.
pub(crate) const COLUMNS: Columns = Columns {
    fields: &[
        ("Address", "ADDRESS"),
        ("Availability", "AVAILABILITY"),
        ("EngineVersion", "ENGINE"),
        ("ID", "ID"),
        ("Labels", "LABELS"),
        ("Message", "MESSAGE"),
        ("Name", "NODE"),
        ("Role", "ROLE"),
        ("Self", "SELF"),
        ("Status", "STATUS"),
        ("Tasks", "TASKS"),
    ],
    usual: &["Name", "Role", "Status", "Availability", "EngineVersion", "Address", "Tasks"],
};

/// The nodes in one of the forms.
pub(crate) fn show(observed: &SwarmObserved, form: &Form) -> anyhow::Result<String> {
    let rows: Vec<Row> = observed.nodes.iter().map(|node| values(observed, node)).collect();
    form.show(&rows, &COLUMNS, render::width())
}

fn values(observed: &SwarmObserved, node: &ObservedNode) -> Row {
    let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let role = if node.manager { "manager" } else { "worker" };
    let status = if node.ready { "ready" } else { "down" };
    row(
        [
            ("Address", node.address.as_str().into()),
            ("Availability", node.availability.word().into()),
            ("EngineVersion", node.engine.as_str().into()),
            ("ID", node.id.as_str().into()),
            ("Labels", labels.join(",").into()),
            ("Message", crate::diagnose::harmless(&node.message).into()),
            ("Name", node.name.as_str().into()),
            ("Role", role.into()),
            ("Self", (node.id == observed.here).into()),
            ("Status", status.into()),
            ("Tasks", tasks(observed, node).into()),
        ],
        Labels::Of(BTreeMap::new()),
    )
}

/// What of the project runs on a node, or is to: `redis.1, web.2 (starting)`.
fn tasks(observed: &SwarmObserved, node: &ObservedNode) -> String {
    let mut all = Vec::new();
    for service in &observed.services {
        for task in service.tasks.iter().filter(|task| task.node == node.id) {
            if task.wanted > TaskState::Running || task.state > TaskState::Running {
                continue;
            }
            let name = match service.mode.is_global() {
                true => service.service.clone(),
                false => format!("{}.{}", service.service, task.slot),
            };
            let state = task.state;
            all.push(if state == TaskState::Running { name } else { format!("{name} ({})", state.word()) });
        }
    }
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack_plan::swarm::Availability;

    fn node(id: &str, ready: bool, availability: Availability) -> ObservedNode {
        ObservedNode {
            id: id.to_owned(),
            name: format!("node-{id}"),
            address: "10.0.0.1".to_owned(),
            manager: id == "a",
            ready,
            message: if ready { String::new() } else { "heartbeat failure".to_owned() },
            availability,
            engine: "20.10.24".to_owned(),
            nano_cpus: 0,
            memory: 0,
            labels: BTreeMap::from([("zone".to_owned(), "x".to_owned())]),
        }
    }

    #[test]
    fn a_node_says_whether_it_takes_tasks() {
        let nodes = vec![node("a", true, Availability::Active), node("b", false, Availability::Drain)];
        let observed = SwarmObserved { nodes, here: "a".to_owned(), ..SwarmObserved::default() };
        let form = Form::parse(
            "{{.Name}} {{.Role}} {{.Status}} {{.Availability}} {{.Self}} {{.Message}}|{{.Labels}}",
            &COLUMNS,
        );
        let text = show(&observed, &form.expect("a form")).expect("a text");
        assert_eq!(
            text,
            "node-a manager ready active true |zone=x\nnode-b worker down drain false heartbeat failure|zone=x\n"
        );
    }
}
