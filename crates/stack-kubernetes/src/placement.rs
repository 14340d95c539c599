//! Which nodes a pod may run on.

use serde_json::{Map, Value, json};
use stack_file::model::Service;
use stack_file::source::Origin;
use stack_file::tree::Node;

use crate::manifests::{Manifests, put_some};
use crate::name;

const HOSTNAME: &str = "kubernetes.io/hostname";
const OS: &str = "kubernetes.io/os";
const ARCH: &str = "kubernetes.io/arch";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

impl Manifests<'_> {
    pub(crate) fn placement(&mut self, service: &Service, spec: &mut Map<String, Value>) {
        let path = format!("services.{}", service.name.value);
        let mut chosen = Map::new();
        if let Some(platform) = service.platform.as_ref().filter(|platform| !platform.is_empty()) {
            let mut parts = platform.value.split('/');
            let (system, machine) = (parts.next().unwrap_or_default(), parts.next());
            chosen.insert(OS.to_owned(), json!(name::value(system)));
            if let Some(machine) = machine {
                chosen.insert(ARCH.to_owned(), json!(name::value(architecture(machine))));
            }
        }
        put_some(spec, "nodeSelector", Value::Object(chosen));

        let placement =
            self.stack.written_service(&service.name).and_then(|node| node.get("deploy")?.get("placement"));
        let Some(placement) = placement else { return };
        let mut affinity = Map::new();
        let mut wanted = Vec::new();
        for item in items(placement, "constraints") {
            match requirement(text(item)) {
                Ok(requirement) => wanted.push(requirement),
                Err(help) => self.constraint(&item.origin, &path, help),
            }
        }
        if !wanted.is_empty() {
            let terms = json!({ "nodeSelectorTerms": [{ "matchExpressions": wanted }] });
            affinity.insert(
                "nodeAffinity".to_owned(),
                json!({ "requiredDuringSchedulingIgnoredDuringExecution": terms }),
            );
        }
        if let Some(most) = placement.get("max_replicas_per_node") {
            match text(most) {
                "0" => {}
                "1" => {
                    let apart = json!({
                        "labelSelector": { "matchLabels": self.selector(&service.name) },
                        "topologyKey": HOSTNAME,
                    });
                    affinity.insert(
                        "podAntiAffinity".to_owned(),
                        json!({ "requiredDuringSchedulingIgnoredDuringExecution": [apart] }),
                    );
                }
                _ => self.warn(
                    &most.origin,
                    format!("{path}.deploy.placement.max_replicas_per_node"),
                    "Kubernetes puts one pod on a node, or as many as it has room for",
                    "use 1, or spread them with `preferences`",
                ),
            }
        }
        put_some(spec, "affinity", Value::Object(affinity));
        let mut spread = Vec::new();
        for item in items(placement, "preferences") {
            let label = item.get("spread").map_or("", text);
            match key_of_label(label) {
                Some(key) => spread.push(json!({
                    "maxSkew": 1,
                    "topologyKey": key,
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": { "matchLabels": self.selector(&service.name) },
                })),
                None => {
                    self.constraint(&item.origin, &path, "spread over `node.labels.NAME` or `node.hostname`")
                }
            }
        }
        put_some(spec, "topologySpreadConstraints", Value::Array(spread));
    }

    fn constraint(&mut self, origin: &Origin, path: &str, help: &str) {
        let path = format!("{path}.deploy.placement");
        self.warn(origin, path, "Kubernetes does not know nodes by this", help);
    }
}

/// A constraint as an expression about labels of nodes.
fn requirement(constraint: &str) -> Result<Value, &'static str> {
    const KNOWN: &str =
        "use node.labels.NAME, node.hostname, node.role, node.platform.os or node.platform.arch";
    let (left, equal, right) = match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((left, right)), _) => (left.trim(), true, right.trim()),
        (None, Some((left, right))) => (left.trim(), false, right.trim()),
        (None, None) => return Err("write it as `node.labels.NAME == VALUE`"),
    };
    let operator = if equal { "In" } else { "NotIn" };
    if left == "node.role" {
        let is_manager = match right {
            "manager" => equal,
            "worker" => !equal,
            _ => return Err("use `manager` or `worker`"),
        };
        let operator = if is_manager { "Exists" } else { "DoesNotExist" };
        return Ok(json!({ "key": CONTROL_PLANE, "operator": operator }));
    }
    let key = key_of_label(left).ok_or(KNOWN)?;
    let value = if key == ARCH { architecture(right) } else { right };
    if !name::is_value(value) {
        return Err("its value is none of a label: letters, digits, `-`, `_` and `.`, 63 at most");
    }
    Ok(json!({ "key": key, "operator": operator, "values": [value] }))
}

/// The label that nodes of Kubernetes have for what a constraint names.
fn key_of_label(name: &str) -> Option<&str> {
    match name {
        "node.hostname" => Some(HOSTNAME),
        "node.platform.os" => Some(OS),
        "node.platform.arch" => Some(ARCH),
        _ => name.strip_prefix("node.labels.").filter(|key| name::is_qualified(key)),
    }
}

/// Architectures by the names that Go has for them.
fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "arm",
        "i386" | "i686" => "386",
        known => known,
    }
}

fn items<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a Node> {
    node.get(key).and_then(Node::as_sequence).unwrap_or_default().iter()
}

fn text(node: &Node) -> &str {
    node.as_scalar().map_or("", |scalar| &scalar.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_expressions_about_labels() {
        let written = |text: &str| requirement(text).map(|value| value.to_string());
        assert_eq!(
            written("node.labels.zone == a").as_deref(),
            Ok(r#"{"key":"zone","operator":"In","values":["a"]}"#)
        );
        assert_eq!(
            written("node.role!=manager").as_deref(),
            Ok(r#"{"key":"node-role.kubernetes.io/control-plane","operator":"DoesNotExist"}"#)
        );
        assert_eq!(
            written("node.platform.arch==x86_64").as_deref(),
            Ok(r#"{"key":"kubernetes.io/arch","operator":"In","values":["amd64"]}"#)
        );
        assert!(
            written("node.id==abc").is_err()
                && written("zone").is_err()
                && written("node.labels.a==b c").is_err()
        );
    }
}
