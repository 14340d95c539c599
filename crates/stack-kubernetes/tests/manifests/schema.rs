//! Kubernetes' published schema. What is used of JSON Schema there is little; a word that is not
//! known here is a fault of this check.

use std::sync::OnceLock;

use serde_json::{Map, Value};
use stack_kubernetes::Object;

const PUBLISHED: &str = include_str!("schema/kubernetes-1.37.json");

pub(crate) struct Schema(Map<String, Value>);

impl Schema {
    pub(crate) fn read() -> &'static Self {
        static READ: OnceLock<Schema> = OnceLock::new();
        READ.get_or_init(|| Self(serde_json::from_str(PUBLISHED).expect("the schema")))
    }

    /// What of an object the schema does not allow.
    pub(crate) fn faults(&self, object: &Object) -> Vec<String> {
        let (group, version) = match object.value["apiVersion"].as_str().expect("a version").split_once('/') {
            Some((group, version)) => (group.split('.').next().unwrap_or_default(), version),
            None => ("core", object.value["apiVersion"].as_str().unwrap_or_default()),
        };
        let name = format!("io.k8s.api.{group}.{version}.{}", object.kind);
        let mut faults = Vec::new();
        match self.0.get(&name) {
            Some(definition) => {
                self.visit(
                    &object.value,
                    definition,
                    &format!("{}/{}", object.kind, object.name),
                    &mut faults,
                );
            }
            None => faults.push(format!("{name} is not in the schema")),
        }
        faults
    }

    fn visit(&self, value: &Value, schema: &Value, path: &str, faults: &mut Vec<String>) {
        for (word, told) in schema.as_object().expect("a schema") {
            match word.as_str() {
                "$ref" => {
                    let other = self.0.get(told.as_str().expect("a name")).expect("a definition");
                    self.visit(value, other, path, faults);
                }
                "type" => {
                    let types: Vec<&str> = match told {
                        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
                        one => one.as_str().into_iter().collect(),
                    };
                    if !types.iter().any(|name| is(value, name)) {
                        faults.push(format!("{path}: {value} is no {}", types.join(" or ")));
                    }
                }
                "enum" => {
                    if !told.as_array().expect("values").contains(value) {
                        faults.push(format!("{path}: {value} is none of {told}"));
                    }
                }
                "required" => {
                    for key in told.as_array().expect("keys").iter().filter_map(Value::as_str) {
                        if value.is_object() && value.get(key).is_none() {
                            faults.push(format!("{path}: {key} is missing"));
                        }
                    }
                }
                "properties" => {
                    for (key, below) in told.as_object().expect("properties") {
                        if let Some(value) = value.get(key) {
                            self.visit(value, below, &format!("{path}.{key}"), faults);
                        }
                    }
                }
                "additionalProperties" => {
                    let named = schema.get("properties").and_then(Value::as_object);
                    for (key, value) in value.as_object().into_iter().flatten() {
                        if named.is_some_and(|named| named.contains_key(key)) {
                            continue;
                        }
                        match told {
                            Value::Bool(false) => faults.push(format!("{path}: {key} is not known")),
                            Value::Bool(true) => {}
                            below => self.visit(value, below, &format!("{path}.{key}"), faults),
                        }
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.visit(item, told, &format!("{path}[{index}]"), faults);
                    }
                }
                "oneOf" => {
                    let fits = told.as_array().expect("schemas").iter().filter(|one| {
                        let mut found = Vec::new();
                        self.visit(value, one, path, &mut found);
                        found.is_empty()
                    });
                    if fits.count() != 1 {
                        faults.push(format!("{path}: {value} fits none or several of {told}"));
                    }
                }
                "format" => match told.as_str() {
                    Some("int32") if value.as_i64().is_some_and(|number| i32::try_from(number).is_err()) => {
                        faults.push(format!("{path}: {value} has more than 32 bits"));
                    }
                    Some("int32" | "int64" | "byte" | "date-time") => {}
                    other => panic!("a format that this check does not know: {other:?}"),
                },
                other => panic!("a word that this check does not know: {other}"),
            }
        }
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("a type that this check does not know: {other}"),
    }
}

#[test]
fn the_check_finds_what_the_schema_does_not_allow() {
    let object = |value: Value| Object { kind: "Service", name: "a".to_owned(), value };
    let told = |spec: Value| {
        let value = serde_json::json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "a" }, "spec": spec });
        Schema::read().faults(&object(value))
    };
    assert!(told(serde_json::json!({ "ports": [{ "port": 80, "targetPort": "web" }] })).is_empty());
    assert_eq!(told(serde_json::json!({ "ports": [{ "port": "80" }] })).len(), 1);
    assert_eq!(
        told(serde_json::json!({ "ports": [{ "targetPort": 80 }] })),
        ["Service/a.spec.ports[0]: port is missing"]
    );
    assert_eq!(told(serde_json::json!({ "prots": [] })), ["Service/a.spec: prots is not known"]);
    assert_eq!(told(serde_json::json!({ "selector": { "a": 1 } })).len(), 1);
    assert_eq!(told(serde_json::json!({ "ports": [{ "port": 5_000_000_000_u64 }] })).len(), 1);
}
