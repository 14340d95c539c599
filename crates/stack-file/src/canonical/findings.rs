//! What is told about a value that is not right: what stands there, what was
//! expected, and what to do.

use super::{Reader, Trail};
use crate::attributes::{Attribute, Schema, Shape, Short};
use crate::diagnostic::Diagnostic;
use crate::scalar;
use crate::short_syntax::Fault;
use crate::source::{Origin, VariableSource};
use crate::tree::{Kind, Node, ScalarKind};

impl Reader<'_> {
    /// Tells of a fault. Where the value came from outside the file, the words about
    /// it stay out too.
    pub(super) fn fault(&mut self, whole: &Node, row: &Attribute, trail: Trail<'_>, fault: Fault) {
        let origin = fault.at.as_ref().unwrap_or(&whole.origin);
        let (message, help) = match outside_of(origin).or_else(|| outside_within(whole)) {
            Some(name) => {
                let subject = subject(trail);
                (format!("the value of `{name}` does not fit {subject}"), example(row, trail))
            }
            None => (fault.message, fault.help),
        };
        self.diagnostics.push(Diagnostic::error(message).at(origin).path(trail.to_string()).help(help));
    }

    pub(super) fn unknown(&mut self, key: &str, origin: &Origin, schema: &Schema, trail: Trail<'_>) {
        let place = match schema.row.name() {
            "" => "a stack file".to_owned(),
            "*" => match schema.row.path {
                "services.*" => "a service".to_owned(),
                "networks.*" => "a network".to_owned(),
                "volumes.*" => "a volume".to_owned(),
                "secrets.*" => "a secret".to_owned(),
                "configs.*" => "a config".to_owned(),
                "models.*" => "a model".to_owned(),
                path => format!("`{}`", path.trim_end_matches(".*").rsplit('.').next().unwrap_or(path)),
            },
            name => format!("`{}`", name.trim_end_matches("[]")),
        };
        let mut told = Diagnostic::error(format!("{place} has no attribute `{key}`"))
            .at(origin)
            .path(trail.to_string())
            .label("unknown attribute");
        let other = ALIASES.iter().find(|(alias, _)| *alias == key).map(|&(_, name)| name);
        let other = other.filter(|name| schema.children.contains_key(name));
        match other.or_else(|| closest(key, schema.children.keys().copied())) {
            Some(close) => told = told.help(format!("did you mean `{close}`?")).replacement(close),
            None => {
                if let Some(home) = elsewhere(key, schema) {
                    told = told.help(home);
                } else if schema.children.len() <= 12 {
                    let all = schema.children.keys().copied().collect::<Vec<_>>().join(", ");
                    told = told.help(format!("it has: {all}"));
                }
            }
        }
        self.diagnostics.push(told);
    }

    /// Tells what was expected in place of a value, and gives nothing.
    pub(super) fn wrong<T>(&mut self, node: &Node, schema: &Schema, trail: Trail<'_>) -> Option<T> {
        let row = schema.row;
        let message = match trail {
            Trail::Top => format!("a stack file must be a mapping, not {}", found(node)),
            _ => {
                format!("{} must be {}, not {}", subject(trail), expected(row), found(node))
            }
        };
        let mut told = Diagnostic::error(message).at(&node.origin).path(trail.to_string());
        told = told.label(format!("expected {}", expected(row)));
        if let Some(scalar) = node.as_scalar()
            && row.shape == Shape::Text
        {
            told = told
                .help("put it in quotes if this text is meant")
                .replacement(format!("\"{}\"", scalar.text));
        } else if row.shape == Shape::Duration
            && node.as_scalar().is_some_and(|s| scalar::integer(&s.text).is_some())
        {
            told = told.help("a time needs a unit: `10s`, `1m30s`, `500ms`");
        } else if !row.example.is_empty() {
            told = told.help(example(row, trail));
        } else if matches!(trail, Trail::Top) {
            told = told.help("a stack file begins with `services:`");
        }
        self.diagnostics.push(told);
        None
    }

    pub(super) fn wrong_item(&mut self, node: &Node, schema: &Schema, trail: Trail<'_>) {
        let mut told =
            Diagnostic::error(format!("an item of `{}` must be a text, not {}", trail.name(), found(node)))
                .at(&node.origin)
                .path(trail.to_string())
                .label("expected a text");
        if let Some(scalar) = node.as_scalar().filter(|scalar| scalar.kind != ScalarKind::Null) {
            told = told.help("put it in quotes").replacement(format!("\"{}\"", scalar.text));
        } else if !schema.row.example.is_empty() {
            told = told.help(format!("for example: {}: {}", trail.name(), schema.row.example));
        }
        self.diagnostics.push(told);
    }

    pub(super) fn no_choice(&mut self, node: &Node, text: &str, choices: &[&str], trail: Trail<'_>) {
        let all = choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
        let shown = if outside(node).is_some() { found(node) } else { format!("`{text}`") };
        let mut told = Diagnostic::error(format!("`{}` cannot be {shown}", trail.name()))
            .at(&node.origin)
            .path(trail.to_string())
            .label(if choices.len() == 1 {
                format!("expected {all}")
            } else {
                format!("expected one of {all}")
            });
        if let Some(close) = closest(text, choices.iter().copied()) {
            told = told.help(format!("did you mean `{close}`?")).replacement(close);
        }
        self.diagnostics.push(told);
    }
}

/// The candidate that was probably meant.
pub(crate) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_ascii_lowercase().replace('-', "_");
    if name.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&candidate.to_ascii_lowercase().replace('-', "_"), &folded),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(name.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names that the same things have elsewhere.
const ALIASES: &[(&str, &str)] = &[
    ("src", "source"),
    ("dst", "target"),
    ("destination", "target"),
    ("readonly", "read_only"),
    ("ro", "read_only"),
    ("env", "environment"),
    ("envs", "environment"),
    ("cmd", "command"),
    ("args", "command"),
    ("container_port", "target"),
    ("host_port", "published"),
    ("replicas", "scale"),
];

/// Where an attribute belongs that stands in the wrong mapping.
fn elsewhere(key: &str, schema: &Schema) -> Option<String> {
    let root = Schema::root();
    let service = root.below("services").and_then(|services| services.each.as_deref())?;
    if schema.row.path != "services.*" && service.children.contains_key(key) {
        return Some(format!("`{key}` is an attribute of a service: check the indentation"));
    }
    if !schema.row.path.is_empty() && root.children.contains_key(key) {
        return Some(format!("`{key}` belongs to the top of the file: check the indentation"));
    }
    None
}

/// The variable from outside the file that a value uses, if any.
fn outside(node: &Node) -> Option<&str> {
    outside_of(&node.origin)
}

/// The variable from outside the file at a place, if any.
pub(crate) fn outside_of(origin: &Origin) -> Option<&str> {
    let variable = origin.via.as_deref()?;
    match variable.from {
        VariableSource::Environment | VariableSource::EnvFile(..) => Some(&variable.name),
        VariableSource::Default | VariableSource::Unset => None,
    }
}

/// The first variable from outside the file within a value.
fn outside_within(node: &Node) -> Option<&str> {
    outside(node).or_else(|| match &node.kind {
        Kind::Scalar(_) => None,
        Kind::Sequence(items) => items.iter().find_map(outside_within),
        Kind::Mapping(entries) => entries.values().find_map(|entry| outside_within(&entry.node)),
    })
}

fn subject(trail: Trail<'_>) -> String {
    match trail {
        Trail::Item(above, _) => format!("an item of `{}`", above.name()),
        _ => format!("`{}`", trail.name()),
    }
}

pub(super) fn example(row: &Attribute, trail: Trail<'_>) -> String {
    match trail {
        Trail::Item(..) => format!("for example: - {}", row.example),
        _ => format!("for example: {}: {}", trail.name(), row.example),
    }
}

/// What a value may be, its short form included.
pub(super) fn expected(row: &Attribute) -> &'static str {
    match row.short {
        Short::One | Short::Words | Short::Test => return "a text or a list",
        Short::EnvFiles => return "a path or a list",
        Short::Assignments => return "a mapping or a list of `KEY=value`",
        Short::Names => return "a list or a mapping",
        Short::Hosts => return "a list of `name:address` or a mapping",
        Short::Build => return "a directory or a mapping",
        Short::Ulimit => return "a whole number or a mapping",
        Short::Device | Short::Source => return "a text or a mapping",
        Short::Gpus => return "`all` or a list",
        Short::Port => return "a port or a mapping",
        Short::Field(_) => return "a text or a mapping",
        Short::Mount => return "a text or a mapping",
        Short::None | Short::Expose | Short::External => {}
    }
    match row.shape {
        Shape::Text | Shape::Plain => "a text",
        Shape::Boolean => "`true` or `false`",
        Shape::Integer => "a whole number",
        Shape::Count => "a whole number from 0 on",
        Shape::Number => "a number from 0 on",
        Shape::Duration => "a time such as `1m30s`",
        Shape::Bytes => "a size such as `64m`",
        Shape::Limit => "a size such as `64m`, or -1",
        Shape::Amount => "a whole number or `all`",
        Shape::Permissions => "permission bits such as `0440`",
        Shape::Choice(_) => "one of a few words",
        Shape::Path => "a path",
        Shape::Context => "a directory",
        Shape::Mapping | Shape::Keyed | Shape::Pairs | Shape::Variables | Shape::Contexts | Shape::Lists => {
            "a mapping"
        }
        Shape::List | Shape::Texts | Shape::Paths => "a list",
    }
}

/// What stands in a place, in a few words. Values from outside the file stay outside the message.
pub(super) fn found(node: &Node) -> String {
    if let Some(name) = outside(node) {
        return format!("the value of `{name}`");
    }
    match &node.kind {
        Kind::Mapping(_) => "a mapping".to_owned(),
        Kind::Sequence(_) => "a list".to_owned(),
        Kind::Scalar(scalar) => {
            let mut text: String = scalar.text.chars().take(40).collect();
            if text.len() < scalar.text.len() {
                text.push('…');
            }
            match scalar.kind {
                ScalarKind::Null => "nothing".to_owned(),
                ScalarKind::Boolean => format!("`{text}`"),
                ScalarKind::Integer | ScalarKind::Float => format!("the number {text}"),
                ScalarKind::String if text.is_empty() => "an empty text".to_owned(),
                ScalarKind::String => format!("the text `{text}`"),
            }
        }
    }
}
