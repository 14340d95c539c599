//! The tree of a file: every node with its place.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::source::Origin;

mod entries;

pub use entries::Entries;

/// A node of a stack file.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it holds.
    pub kind: Kind,
    /// Where it stands.
    pub origin: Origin,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in the order of the file.
    Mapping(Entries),
}

/// The value of a key, with the place of the key itself.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key stands.
    pub key: Origin,
    /// The value.
    pub node: Node,
}

/// A single value: its text, and what it is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text: as written before the attribute table has cast it, in canonical
    /// form after that (`true`, `80`, `1m30s`).
    pub text: String,
    /// What the text is taken for.
    pub kind: ScalarKind,
}

/// What a scalar is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// No value: `~`, `null`, or nothing at all.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Float,
    /// Text.
    String,
}

/// One value of a flattened tree, see [`Node::leaves`].
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    /// The path from the node that was flattened: `ports[0].target`.
    pub path: String,
    /// The value; `None` for an empty list or mapping.
    pub scalar: Option<&'a Scalar>,
    /// Where it stands.
    pub origin: &'a Origin,
}

impl Node {
    /// A text node.
    pub fn string(text: impl Into<String>, origin: Origin) -> Self {
        Self::scalar(text, ScalarKind::String, origin)
    }

    /// A scalar node.
    pub fn scalar(text: impl Into<String>, kind: ScalarKind, origin: Origin) -> Self {
        Self { kind: Kind::Scalar(Scalar { text: text.into(), kind }), origin }
    }

    /// The entries of a mapping; `None` for anything else.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&Entries> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list; `None` for anything else.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The scalar; `None` for anything else.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The value of `key` in a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping().and_then(|entries| entries.get(key)).map(|entry| &entry.node)
    }

    /// Doubles every dollar sign of the values, so that they read back as they are. Variables
    /// of keys are not filled in: keys stay.
    pub fn double_dollars(&mut self) {
        match &mut self.kind {
            Kind::Scalar(scalar) if scalar.text.contains('$') => scalar.text = scalar.text.replace('$', "$$"),
            Kind::Scalar(_) => {}
            Kind::Sequence(items) => items.iter_mut().for_each(Self::double_dollars),
            Kind::Mapping(entries) => entries.values_mut().for_each(|entry| entry.node.double_dollars()),
        }
    }

    /// Whether the node is a null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(|scalar| scalar.kind == ScalarKind::Null)
    }

    /// Every value below this node with its path, in the order of the file.
    ///
    /// Keys are joined by dots, list items counted from 0 in brackets:
    /// `healthcheck.test[1]`. Empty lists and mappings appear without a value.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf<'_>> {
        let mut leaves = Vec::new();
        self.collect(String::new(), &mut leaves);
        leaves
    }

    fn collect<'a>(&'a self, path: String, leaves: &mut Vec<Leaf<'a>>) {
        match &self.kind {
            Kind::Scalar(scalar) => leaves.push(Leaf { path, scalar: Some(scalar), origin: &self.origin }),
            Kind::Sequence(items) if items.is_empty() => {
                leaves.push(Leaf { path, scalar: None, origin: &self.origin });
            }
            Kind::Mapping(entries) if entries.is_empty() => {
                leaves.push(Leaf { path, scalar: None, origin: &self.origin });
            }
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.collect(format!("{path}[{index}]"), leaves);
                }
            }
            Kind::Mapping(entries) => {
                for (key, entry) in entries {
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    entry.node.collect(below, leaves);
                }
            }
        }
    }
}

/// Writes the values alone, in their order: texts as texts, numbers as numbers.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.serialize(serializer),
            Kind::Sequence(items) => serializer.collect_seq(items),
            Kind::Mapping(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, entry) in entries {
                    map.serialize_entry(key, &entry.node)?;
                }
                map.end()
            }
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind {
            ScalarKind::Null => serializer.serialize_unit(),
            ScalarKind::Boolean => serializer.serialize_bool(self.text.eq_ignore_ascii_case("true")),
            ScalarKind::Integer => match (self.text.parse::<i64>(), self.text.parse::<u64>()) {
                (Ok(number), _) => serializer.serialize_i64(number),
                (_, Ok(number)) => serializer.serialize_u64(number),
                _ => serializer.serialize_str(&self.text),
            },
            ScalarKind::Float => match self.text.parse::<f64>() {
                Ok(number) if number.is_finite() => serializer.serialize_f64(number),
                _ => serializer.serialize_str(&self.text),
            },
            ScalarKind::String => serializer.serialize_str(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde::Serialize;

    use super::{Scalar, ScalarKind};

    /// Formatters are serializers of single values.
    struct Written(Scalar);

    impl fmt::Display for Written {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }

    #[test]
    fn values_are_written_as_what_they_are() {
        for (text, kind, written) in [
            ("true", ScalarKind::Boolean, "true"),
            ("-5", ScalarKind::Integer, "-5"),
            ("18446744073709551615", ScalarKind::Integer, "18446744073709551615"),
            ("1.50", ScalarKind::Float, "1.5"),
            ("0644", ScalarKind::String, "0644"),
            ("+Inf", ScalarKind::Float, "+Inf"),
        ] {
            let shown = Written(Scalar { text: text.to_owned(), kind }).to_string();
            assert_eq!(shown, written, "{text}");
        }
    }
}
