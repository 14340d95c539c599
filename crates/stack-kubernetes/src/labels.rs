//! Labels and annotations: ours, by which objects find each other, and those of the file.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use stack_file::source::Spanned;

use crate::manifests::Manifests;
use crate::name;

/// The service that an object is for.
pub(crate) const NAME: &str = "app.kubernetes.io/name";
/// The stack that an object is of.
pub(crate) const PART_OF: &str = "app.kubernetes.io/part-of";
/// Who wrote an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// What labels of pods begin with that have a further name.
pub(crate) const ALIAS: &str = "alias.stackctl/";
/// What labels of pods begin with that are on a network.
pub(crate) const NETWORK: &str = "network.stackctl/";

/// What an object has besides its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// The labels.
    pub(crate) labels: Map<String, Value>,
    /// The annotations.
    pub(crate) annotations: Map<String, Value>,
}

impl Manifests<'_> {
    /// The labels by which the pods of a service are found.
    pub(crate) fn selector(&self, service: &str) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(NAME.to_owned(), json!(name::value(service)));
        labels.insert(PART_OF.to_owned(), json!(name::value(&self.stack.name)));
        labels
    }

    /// Labels of an object that is for no single service.
    pub(crate) fn common(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(PART_OF.to_owned(), json!(name::value(&self.stack.name)));
        labels.insert(MANAGED_BY.to_owned(), json!("stackctl"));
        labels
    }

    /// Labels of an object that is for one service.
    pub(crate) fn labels_of(&self, service: &str) -> Map<String, Value> {
        let mut labels = self.selector(service);
        labels.insert(MANAGED_BY.to_owned(), json!("stackctl"));
        labels
    }

    /// Adds labels of the file: as labels where Kubernetes takes them for such, else as annotations.
    pub(crate) fn add_labels(
        &mut self,
        marks: &mut Marks,
        labels: &IndexMap<String, Spanned<String>>,
        path: &str,
    ) {
        for (key, value) in labels {
            if !name::is_qualified(key) {
                self.warn(
                    &value.origin,
                    format!("{path}.{key}"),
                    format!("Kubernetes takes `{key}` for no label"),
                    "begin and end its name with a letter or digit, 63 characters at most",
                );
            } else if [NAME, PART_OF, MANAGED_BY].contains(&key.as_str()) {
                self.warn(
                    &value.origin,
                    format!("{path}.{key}"),
                    format!("the label `{key}` is one that objects are found by, and is set by stackctl"),
                    "give it another name",
                );
            } else if name::is_value(&value.value) {
                marks.labels.insert(key.clone(), json!(value.value));
            } else {
                marks.annotations.insert(key.clone(), json!(value.value));
            }
        }
    }

    /// Adds annotations of the file.
    pub(crate) fn add_annotations(
        &mut self,
        marks: &mut Marks,
        annotations: &IndexMap<String, Spanned<String>>,
        path: &str,
    ) {
        for (key, value) in annotations {
            if name::is_qualified(key) {
                marks.annotations.insert(key.clone(), json!(value.value));
            } else {
                self.warn(
                    &value.origin,
                    format!("{path}.{key}"),
                    format!("Kubernetes takes `{key}` for no annotation"),
                    "begin and end its name with a letter or digit, 63 characters at most",
                );
            }
        }
    }

    /// The metadata of an object.
    pub(crate) fn metadata(&self, name: &str, marks: Marks) -> Value {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(name));
        if let Some(namespace) = &self.options.namespace {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        metadata.insert("labels".to_owned(), Value::Object(marks.labels));
        if !marks.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), Value::Object(marks.annotations));
        }
        Value::Object(metadata)
    }
}
