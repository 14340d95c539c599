//! Two stacks beside each other.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Difference;

/// The first difference that means something. Mappings have no order, lists have one.
pub(crate) fn difference(mut ours: Value, mut theirs: Value) -> Option<Difference> {
    without_meaning(&mut ours);
    without_meaning(&mut theirs);
    first(String::new(), Some(&ours), Some(&theirs))
}

/// Takes out what is written in one way or another and means the same:
///
/// - `command` and `entrypoint` of a service that are null: they are the image's, as if absent;
/// - a network of a service, or a volume or network of the stack, that is null: it is an empty mapping;
/// - `ipam` of a network, `resources` and `placement` of `deploy`, and `volume`, `bind` and
///   `tmpfs` of a mount, that are empty: as if absent.
///
/// A null elsewhere has a meaning (a variable that is unset), and so have other
/// empty lists and mappings.
fn without_meaning(stack: &mut Value) {
    for service in values(stack, "services") {
        if let Some(service) = service.as_object_mut() {
            for key in ["command", "entrypoint"] {
                if service.get(key).is_some_and(Value::is_null) {
                    service.remove(key);
                }
            }
        }
        if let Some(deploy) = service.get_mut("deploy") {
            drop_empty(deploy, &["resources", "placement"]);
        }
        values(service, "networks").for_each(null_is_empty);
        for mount in service.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
            drop_empty(mount, &["volume", "bind", "tmpfs"]);
        }
    }
    for kind in ["networks", "volumes"] {
        values(stack, kind).for_each(|resource| {
            null_is_empty(resource);
            drop_empty(resource, &["ipam"]);
        });
    }
}

fn values<'a>(of: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    of.get_mut(key).and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut())
}

fn null_is_empty(value: &mut Value) {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
}

fn drop_empty(of: &mut Value, keys: &[&str]) {
    let Some(entries) = of.as_object_mut() else { return };
    for key in keys {
        if entries.get(*key).and_then(Value::as_object).is_some_and(Map::is_empty) {
            entries.remove(*key);
        }
    }
}

/// The first difference, keys in alphabetical order.
fn first(path: String, ours: Option<&Value>, theirs: Option<&Value>) -> Option<Difference> {
    match (ours, theirs) {
        (Some(Value::Object(we)), Some(Value::Object(they))) => {
            let keys: std::collections::BTreeSet<_> = we.keys().chain(they.keys()).collect();
            keys.into_iter().find_map(|key| {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                first(below, we.get(key), they.get(key))
            })
        }
        (Some(Value::Array(we)), Some(Value::Array(they))) => (0..we.len().max(they.len()))
            .find_map(|index| first(format!("{path}[{index}]"), we.get(index), they.get(index))),
        (Some(Value::Number(we)), Some(Value::Number(they))) if we.as_f64() == they.as_f64() => None,
        _ if ours == theirs => None,
        _ => Some(Difference { path, ours: ours.cloned(), theirs: theirs.cloned() }),
    }
}

/// The first service whose hash is not the same; lines are `SERVICE HASH`.
pub(crate) fn hash_difference(ours: &str, theirs: &str) -> Option<Difference> {
    let read = |text: &str| -> BTreeMap<String, Value> {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.map(|(service, hash)| (service.to_owned(), Value::from(hash))).collect()
    };
    let (ours, theirs) = (read(ours), read(theirs));
    let services: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    services.into_iter().find_map(|service| {
        let (we, they) = (ours.get(service), theirs.get(service));
        (we != they).then(|| Difference {
            path: format!("services.{service} (hash)"),
            ours: we.cloned(),
            theirs: they.cloned(),
        })
    })
}

/// A path without the names that a file chose: `services.*.ports[].target`.
pub(crate) fn kind_of(path: &str) -> String {
    let mut kind = String::new();
    for (depth, part) in path.split('.').enumerate() {
        let (name, rest) = part.find('[').map_or((part, ""), |at| part.split_at(at));
        let parent = kind.rsplit('.').next().unwrap_or_default().to_owned();
        if depth > 0 {
            kind.push('.');
        }
        let chosen = (depth == 1
            && matches!(&*parent, "services" | "networks" | "volumes" | "configs" | "secrets" | "models"))
            || matches!(
                &*parent,
                "environment"
                    | "labels"
                    | "args"
                    | "depends_on"
                    | "ulimits"
                    | "options"
                    | "driver_opts"
                    | "sysctls"
                    | "annotations"
            )
            || (depth == 3 && matches!(&*parent, "networks" | "models"));
        kind.push_str(if chosen { "*" } else { name });
        if !rest.is_empty() {
            kind.push_str("[]");
        }
        if chosen && rest.is_empty() && part.ends_with(" (hash)") {
            kind.push_str(" (hash)");
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(ours: Value, theirs: Value) -> Option<String> {
        difference(ours, theirs).map(|found| found.path)
    }

    #[test]
    fn the_first_difference_has_a_path_and_both_values() {
        let ours = json!({"services": {"b": {"ports": [{"target": 80}]}, "a": {"image": "x"}}});
        let theirs = json!({"services": {"a": {"image": "x"}, "b": {"ports": [{"target": 81}]}}});
        let found = difference(ours, theirs).expect("a difference");
        assert_eq!(found.path, "services.b.ports[0].target");
        assert_eq!((found.ours, found.theirs), (Some(json!(80)), Some(json!(81))));
        assert_eq!(path(json!({"a": [1]}), json!({"a": [1, 2]})).as_deref(), Some("a[1]"));
        assert_eq!(path(json!({"a": 1}), json!({})).as_deref(), Some("a"));
        assert_eq!(path(json!({"a": 1}), json!({"a": "1"})).as_deref(), Some("a"));
    }

    #[test]
    fn order_counts_in_lists_alone() {
        assert_eq!(path(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1})), None);
        assert_eq!(path(json!([1, 2]), json!([2, 1])).as_deref(), Some("[0]"));
        assert_eq!(path(json!({"cpus": 1.0}), json!({"cpus": 1})), None);
    }

    #[test]
    fn what_has_no_meaning_is_the_same() {
        let ours = json!({"services": {"a": {"networks": {"n": {}}, "deploy": {"replicas": 1}, "volumes": [{"type": "volume"}]}},
            "networks": {"n": {"name": "x"}}, "volumes": {"v": {}}});
        let theirs = json!({"services": {"a": {"command": null, "entrypoint": null, "networks": {"n": null},
            "deploy": {"replicas": 1, "resources": {}, "placement": {}},
            "volumes": [{"type": "volume", "volume": {}}]}},
            "networks": {"n": {"name": "x", "ipam": {}}}, "volumes": {"v": null}});
        assert_eq!(path(ours, theirs), None);
        let unset = |value: Value| json!({"services": {"a": {"environment": value, "command": []}}});
        assert!(path(unset(json!({"A": null})), unset(json!({}))).is_some());
        assert!(path(unset(json!({})), json!({"services": {"a": {"environment": {}}}})).is_some());
    }

    #[test]
    fn hashes_are_compared_by_service() {
        assert_eq!(hash_difference("b 2\na 1\n", "a 1\nb 2\n"), None);
        let found = hash_difference("a 1\n", "a 1\nb 2\n").expect("a difference");
        assert_eq!((found.path.as_str(), found.ours), ("services.b (hash)", None));
    }

    #[test]
    fn names_of_a_file_are_left_out_of_the_kind() {
        for (path, kind) in [
            ("services.web.ports[0].target", "services.*.ports[].target"),
            ("services.web.environment.A", "services.*.environment.*"),
            ("services.web.networks.front.aliases[1]", "services.*.networks.*.aliases[]"),
            ("services.web", "services.*"),
            ("services.web (hash)", "services.* (hash)"),
            ("name", "name"),
        ] {
            assert_eq!(kind_of(path), kind);
        }
    }
}
