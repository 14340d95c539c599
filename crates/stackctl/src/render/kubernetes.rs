//! Objects of Kubernetes as files.

use serde_json::{Value, json};
use stack_kubernetes::Object;

use super::yaml;

/// The first line of what is written; by it later runs know their own files.
pub(crate) const HEADER: &str = "# Written by stackctl export kubernetes.\n";

/// What stands in the place of what nobody may look at.
const HIDDEN: &str = "<hidden>";

/// One object as a file.
pub(crate) fn single(object: &Object) -> String {
    format!("{HEADER}{}", yaml::document(&object.value))
}

/// All objects as one file of several documents.
pub(crate) fn stream(objects: &[Object], hidden: bool) -> String {
    let documents: Vec<String> =
        objects.iter().map(|object| yaml::document(&shown(object, hidden))).collect();
    format!("{HEADER}{}", documents.join("---\n"))
}

/// All objects as one list in JSON.
pub(crate) fn list(objects: &[Object], hidden: bool) -> String {
    let items: Vec<Value> = objects.iter().map(|object| shown(object, hidden)).collect();
    format!("{:#}\n", json!({ "apiVersion": "v1", "kind": "List", "items": items }))
}

/// An object as it may be looked at.
fn shown(object: &Object, hidden: bool) -> Value {
    let mut value = object.value.clone();
    if hidden && object.kind == "Secret" {
        for (_, content) in value["data"].as_object_mut().into_iter().flatten() {
            *content = json!(HIDDEN);
        }
    }
    value
}
