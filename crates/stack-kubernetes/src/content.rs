//! ConfigMaps and Secrets: their names tell another content.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use stack_file::model::Service;
use stack_file::source::Origin;
use stack_file::variables::tells_of_secret;

use crate::labels::Marks;
use crate::manifests::Manifests;
use crate::name;
use crate::pod::literal;

/// The most that an object may hold.
const LARGEST: usize = 1 << 20;

/// Files for one object, by key.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) entries: Vec<(String, Vec<u8>)>,
    /// Whether they are for a Secret.
    pub(crate) secret: bool,
}

/// An object that holds files.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) secret: bool,
}

impl Kept {
    /// The volume that shows its files.
    pub(crate) fn volume(&self, mode: u32, items: Option<Vec<Value>>) -> (&'static str, Value) {
        let (kind, key) = if self.secret { ("secret", "secretName") } else { ("configMap", "name") };
        let mut source = Map::new();
        source.insert(key.to_owned(), json!(self.name));
        source.insert("defaultMode".to_owned(), json!(mode));
        if let Some(items) = items.filter(|items| !items.is_empty()) {
            source.insert("items".to_owned(), Value::Array(items));
        }
        (kind, Value::Object(source))
    }
}

impl<'a> Manifests<'a> {
    /// Writes an object with these files; `None` when it would be too large, which is told.
    pub(crate) fn content(&mut self, stem: &str, files: Files, origin: &Origin, path: &str) -> Option<Kept> {
        let size: usize = files.entries.iter().map(|(key, content)| key.len() + content.len()).sum();
        if size > LARGEST {
            self.error(
                origin,
                path,
                format!(
                    "these are {} KiB, and an object of Kubernetes holds 1024 at most",
                    size.div_ceil(1024)
                ),
                "keep it in a named volume or in the image",
            );
            return None;
        }
        let stem = name::label(stem).unwrap_or_else(|| "files".to_owned());
        let name = name::hashed(&stem, &together(&files.entries));
        let kind = if files.secret { "Secret" } else { "ConfigMap" };
        let mut body = Map::from_iter([("immutable".to_owned(), json!(true))]);
        let (mut texts, mut binary) = (Map::new(), Map::new());
        for (key, content) in &files.entries {
            match std::str::from_utf8(content) {
                Ok(text) if !files.secret => texts.insert(key.clone(), json!(text)),
                _ => binary.insert(key.clone(), json!(STANDARD.encode(content))),
            };
        }
        let holds_bytes = if files.secret { "data" } else { "binaryData" };
        for (key, values) in [("data", texts), (holds_bytes, binary)] {
            if !values.is_empty() {
                body.insert(key.to_owned(), Value::Object(values));
            }
        }
        let marks = Marks { labels: self.common(), ..Marks::default() };
        self.write("v1", kind, &name, marks, body, origin);
        Some(Kept { name, secret: files.secret })
    }

    /// The variables of a container. Those whose names tell of a secret come out of a Secret.
    pub(crate) fn environment(&mut self, service: &'a Service) -> Value {
        let path = format!("services.{}.environment", service.name.value);
        let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
        let mut plain: Vec<(&String, Option<&String>)> = Vec::new();
        for (name, value) in &service.environment {
            let path = format!("{path}.{name}");
            let Some(text) = &value.value else {
                self.warn(
                    &value.origin,
                    path,
                    "Kubernetes sets variables, and takes none of the image away",
                    "give it a value; an empty one may do",
                );
                continue;
            };
            if !is_variable(name) {
                self.warn(
                    &value.origin,
                    path,
                    format!("Kubernetes takes `{name}` for no variable"),
                    "use letters, digits, `_`, `-` and `.`, and begin with none of the digits",
                );
            } else if tells_of_secret(name) && !text.is_empty() {
                kept.push((name.clone(), text.as_bytes().to_vec()));
                plain.push((name, None));
            } else {
                plain.push((name, Some(text)));
            }
        }
        let origin = &service.name.origin;
        let secret = if kept.is_empty() {
            None
        } else {
            let stem = format!("{}-env", self.names[service.name.as_str()]);
            self.content(&stem, Files { entries: kept, secret: true }, origin, &path)
        };
        let entries = plain.into_iter().filter_map(|(name, text)| match (text, &secret) {
            (Some(text), _) => Some(json!({ "name": name, "value": literal(text) })),
            (None, Some(secret)) => Some(json!({
                "name": name,
                "valueFrom": { "secretKeyRef": { "name": secret.name, "key": name } },
            })),
            (None, None) => None,
        });
        Value::Array(entries.collect())
    }
}

/// Keys and contents in one, such that different ones stay different.
fn together(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (key, content) in entries {
        for part in [key.as_bytes(), content] {
            all.extend((part.len() as u64).to_be_bytes());
            all.extend(part);
        }
    }
    all
}

/// Whether clusters of every age take a text for the name of a variable.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !matches!(name, "." | "..")
        && name.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '_' | '-' | '.'))
        && !name.starts_with("..")
}
