//! What `deploy` asks of a cluster.

use super::values::{items, number, pairs, parsed, spanned, string, strings, time};
use crate::canonical::text;
use crate::model::{Deploy, DeployMode, GenericResource, RestartCondition, RestartPolicy};
use crate::tree::Node;

/// Reads `deploy` of a service.
pub(super) fn deploy(service: &Node) -> Deploy {
    let Some(node) = service.get("deploy") else { return Deploy::default() };
    let placement = node.get("placement");
    let reserved = node.get("resources").and_then(|resources| resources.get("reservations"));
    Deploy {
        mode: node.get("mode").and_then(|mode| DeployMode::of(text(mode))).unwrap_or_default(),
        labels: pairs(node, "labels"),
        endpoint_mode: string(node, "endpoint_mode"),
        constraints: placement.map(|placement| strings(placement, "constraints")).unwrap_or_default(),
        spread: (placement.into_iter())
            .flat_map(|placement| items(placement, "preferences"))
            .filter_map(|preference| string(preference, "spread"))
            .collect(),
        max_replicas_per_node: parsed(placement.and_then(|placement| placement.get("max_replicas_per_node")))
            .filter(|most| most.value > 0),
        restart_policy: node.get("restart_policy").map(|policy| spanned(policy, restart_policy(policy))),
        reserved_cpus: parsed(reserved.and_then(|reserved| reserved.get("cpus"))),
        generic_resources: (reserved.into_iter())
            .flat_map(|reserved| items(reserved, "generic_resources"))
            .filter_map(|item| {
                let counted = item.get("discrete_resource_spec")?;
                let kind = text(counted.get("kind")?).to_owned();
                Some(spanned(item, GenericResource { kind, value: number(counted, "value").unwrap_or(1) }))
            })
            .collect(),
    }
}

fn restart_policy(node: &Node) -> RestartPolicy {
    let duration = |key: &str| node.get(key).and_then(time).map(|time| time.value);
    RestartPolicy {
        condition: match node.get("condition").map(text) {
            Some("none") => RestartCondition::None,
            Some("on-failure") => RestartCondition::OnFailure,
            _ => RestartCondition::Any,
        },
        delay: duration("delay"),
        max_attempts: number(node, "max_attempts"),
        window: duration("window"),
    }
}
