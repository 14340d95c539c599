//! A resource's settings as a flat list of values: what is recorded on the
//! engine, and compared field by field with what the file says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stack_file::source::Origin;
use stack_file::tree::{Node, ScalarKind};

/// The form of the recorded text; a record of another form is not compared.
const FORM: u32 = 1;

/// A value as it may be shown to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// There is none.
    Nothing,
    /// The value itself.
    Text(String),
    /// There is one, and it may be secret.
    Hidden,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("(none)"),
            Self::Text(text) => f.write_str(text),
            Self::Hidden => f.write_str("(hidden)"),
        }
    }
}

/// The settings that the file asks for, each with its place.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    fields: BTreeMap<String, (String, Origin)>,
}

/// The settings that a resource was made with, as its label tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The form of the record.
    form: u32,
    /// Path to value, or to a digest where the value may be secret.
    fields: BTreeMap<String, String>,
}

/// A setting that is not what its resource was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration {
    /// The path below the resource.
    pub field: String,
    /// The value that it was made with.
    pub made: Shown,
    /// The value that it has now.
    pub now: Shown,
}

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The path below the resource: `ports[0].published`.
    pub field: String,
    /// The value that the resource was made with.
    pub was: Shown,
    /// The value that the file asks for.
    pub now: Shown,
    /// Where the file says so; for a value that is gone, the resource itself.
    pub origin: Origin,
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_content(&self.field) && self.was != Shown::Nothing && self.now != Shown::Nothing {
            return write!(f, "{}  content changed", self.field);
        }
        write!(f, "{}  {} → {}", self.field, self.was, self.now)
    }
}

impl Fields {
    /// Flattens a canonical tree, leaving out the paths of `without` and all below them.
    #[must_use]
    pub fn of(tree: &Node, without: &[&str]) -> Self {
        let mut fields = BTreeMap::new();
        for leaf in tree.leaves() {
            if leaf.path.starts_with("x-") || without.iter().any(|path| is_below(&leaf.path, path)) {
                continue;
            }
            let value = match leaf.scalar {
                None => "(empty)".to_owned(),
                Some(scalar) if scalar.kind == ScalarKind::Null => NULL.to_owned(),
                Some(scalar) if is_secret(&leaf.path) => digest(&scalar.text),
                Some(scalar) => scalar.text.clone(),
            };
            fields.insert(leaf.path, (value, leaf.origin.clone()));
        }
        Self { fields }
    }

    /// Adds a setting that stands in no tree, such as a name that was made up.
    pub fn insert(&mut self, path: &str, value: &str, origin: &Origin) {
        let value = if is_secret(path) { digest(value) } else { value.to_owned() };
        self.fields.insert(path.to_owned(), (value, origin.clone()));
    }

    /// Adds a setting that has no value, such as a variable that is unset.
    pub fn insert_null(&mut self, path: &str, origin: &Origin) {
        self.fields.insert(path.to_owned(), (NULL.to_owned(), origin.clone()));
    }

    /// Adds a setting whose value may be kept and compared as it is, such as a digest.
    pub(crate) fn insert_as_is(&mut self, path: &str, value: String, origin: &Origin) {
        self.fields.insert(path.to_owned(), (value, origin.clone()));
    }

    /// Every setting: path, value or digest of what may be secret, and place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Origin)> {
        self.fields.iter().map(|(path, (value, origin))| (path.as_str(), value.as_str(), origin))
    }

    /// What is kept on the engine.
    #[must_use]
    pub fn record(&self) -> Recorded {
        let fields = self.fields.iter().map(|(path, (value, _))| (path.clone(), value.clone())).collect();
        Recorded { form: FORM, fields }
    }

    /// Every setting in which `recorded` differs, in the order of the paths.
    #[must_use]
    pub fn difference(&self, recorded: &Recorded, whole: &Origin) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        for (path, (value, origin)) in &self.fields {
            let was = recorded.fields.get(path);
            if was != Some(value) {
                changes.push(FieldChange {
                    field: path.clone(),
                    was: was.map_or(Shown::Nothing, |value| shown(path, value)),
                    now: shown(path, value),
                    origin: origin.clone(),
                });
            }
        }
        for (path, value) in &recorded.fields {
            if !self.fields.contains_key(path) {
                changes.push(FieldChange {
                    field: path.clone(),
                    was: shown(path, value),
                    now: Shown::Nothing,
                    origin: whole.clone(),
                });
            }
        }
        changes.sort_by(|a, b| a.field.cmp(&b.field));
        changes
    }
}

impl Recorded {
    /// A record of these settings, path and value: of what may be secret it has the digest alone.
    #[must_use]
    pub fn of(settings: impl IntoIterator<Item = (String, String)>) -> Self {
        let hide = |(path, value): (String, String)| {
            let value = if is_secret(&path) && value != NULL { digest(&value) } else { value };
            (path, value)
        };
        Self { form: FORM, fields: settings.into_iter().map(hide).collect() }
    }

    /// The settings that are not what they were, in the order of the paths.
    #[must_use]
    pub fn altered(&self, now: &Self) -> Vec<Alteration> {
        let paths: BTreeSet<&String> = self.fields.keys().chain(now.fields.keys()).collect();
        let shown =
            |path: &str, value: Option<&String>| value.map_or(Shown::Nothing, |value| shown(path, value));
        (paths.into_iter())
            .map(|path| (path, self.fields.get(path), now.fields.get(path)))
            .filter(|(_, made, now)| made != now)
            .map(|(path, made, now)| Alteration {
                field: path.clone(),
                made: shown(path, made),
                now: shown(path, now),
            })
            .collect()
    }

    /// Reads the text of a label; `None` when it is not a record of this form.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|recorded: &Self| recorded.form == FORM)
    }

    /// Every setting: path and value, or digest of what may be secret.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(path, value)| (path.as_str(), value.as_str()))
    }

    /// The fixed addresses that a container was given on its networks.
    pub(crate) fn fixed_addresses(&self) -> impl Iterator<Item = &str> {
        let addresses =
            self.fields.range("networks.".to_owned()..).take_while(|(path, _)| path.starts_with("networks."));
        addresses
            .filter(|(path, _)| path.ends_with(".ipv4_address") || path.ends_with(".ipv6_address"))
            .map(|(_, address)| address.as_str())
    }

    /// The paths at which the file mounted something in a container.
    pub(crate) fn mounted(&self) -> impl Iterator<Item = &str> {
        let mounts =
            self.fields.range("volumes[".to_owned()..).take_while(|(path, _)| path.starts_with("volumes["));
        mounts.filter(|(path, _)| path.ends_with("].target")).map(|(_, target)| target.as_str())
    }

    /// The text of the label.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Whether `path` is `top` or lies below it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether the value at `path` may be a password: it is kept as a digest only.
pub(crate) fn is_secret(path: &str) -> bool {
    path.starts_with("environment.")
        || path.starts_with("driver_opts.")
        || path.starts_with("logging.options.")
        || is_content(path)
        || ["post_start[", "pre_stop["].iter().any(|hooks| path.starts_with(hooks))
            && path.contains("].environment.")
}

/// Whether the value at `path` stands for what is in a config or secret.
fn is_content(path: &str) -> bool {
    path.starts_with("configs.") || path.starts_with("secrets.")
}

pub(crate) fn shown(path: &str, value: &str) -> Shown {
    if is_secret(path) && value.starts_with(DIGEST) { Shown::Hidden } else { Shown::Text(value.to_owned()) }
}

pub(crate) const DIGEST: &str = "sha256:";
const NULL: &str = "(null)";

/// Enough of a digest to tell a change, too little to be a credential.
#[must_use]
pub fn digest(text: &str) -> String {
    digest_of(&Sha256::digest(text))
}

/// A SHA-256 in the form in which it is kept.
pub(crate) fn digest_of(sha256: &[u8]) -> String {
    let hex = hex(sha256);
    format!("{DIGEST}{}", hex.get(..24).unwrap_or(&hex))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
