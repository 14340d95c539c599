//! Short forms: one text, or a list, in place of the long form.

use crate::attributes::Short;
use crate::canonical::{closest, text};
use crate::scalar;
use crate::source::Origin;
use crate::tree::{Entries, Entry, Kind, Node, ScalarKind};

mod hosts;
mod mount;
mod port;
mod request;
mod words;

pub(crate) use mount::settle_mount;
pub(crate) use port::{exposed, settle_port};
pub(crate) use request::{check_device, check_watch, needs, settle_file, settle_request};

/// What is wrong with a value, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) help: String,
    /// Where, when it is not the whole value.
    pub(crate) at: Option<Origin>,
    /// The attribute that is absent, if that is the fault.
    pub(crate) lacks: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), at: None, lacks: None }
    }

    /// The same fault, at a part of the value.
    fn at(mut self, origin: &Origin) -> Self {
        self.at = Some(origin.clone());
        self
    }
}

/// Turns the short form of a value into the long one; what is long already stays.
pub(crate) fn long_form(node: Node, short: Short) -> Result<Node, Fault> {
    let single = node.as_scalar().is_some();
    let Node { kind, origin } = node;
    let kind = match (short, kind) {
        (Short::One | Short::EnvFiles, kind) if single => {
            let one = Node { kind, origin: origin.clone() };
            Kind::Sequence(vec![if short == Short::One { one } else { env_file(one) }])
        }
        (Short::EnvFiles, Kind::Sequence(items)) => Kind::Sequence(items.into_iter().map(env_file).collect()),
        (Short::Assignments, Kind::Sequence(items)) => Kind::Mapping(assignments(items)?),
        (Short::Words, Kind::Scalar(scalar)) if scalar.kind == ScalarKind::String => {
            let words = words::split(&scalar.text)?;
            Kind::Sequence(words.into_iter().map(|word| Node::string(word, origin.clone())).collect())
        }
        (Short::Test, Kind::Scalar(scalar)) if scalar.kind == ScalarKind::String => Kind::Sequence(
            ["CMD-SHELL", &scalar.text].into_iter().map(|word| Node::string(word, origin.clone())).collect(),
        ),
        (Short::Expose, Kind::Sequence(items)) => {
            // They are written as they stand; an engine gets each with its protocol.
            exposed(items.clone())?;
            Kind::Sequence(items)
        }
        (Short::Build, Kind::Scalar(scalar)) => {
            let context = Node { kind: Kind::Scalar(scalar), origin: origin.clone() };
            mapping([("context", context)])
        }
        (Short::Field(name), Kind::Scalar(scalar)) if scalar.kind == ScalarKind::String => {
            let text = Node { kind: Kind::Scalar(scalar), origin: origin.clone() };
            mapping([(name, text)])
        }
        (Short::Names, Kind::Sequence(items)) => Kind::Mapping(names(items)?),
        (Short::Ulimit, Kind::Scalar(scalar)) => {
            let both = Node { kind: Kind::Scalar(scalar), origin: origin.clone() };
            mapping([("soft", both.clone()), ("hard", both)])
        }
        (Short::Hosts, Kind::Mapping(entries)) => Kind::Sequence(hosts::of_mapping(entries)),
        (Short::Hosts, Kind::Sequence(items)) => Kind::Sequence(hosts::of_list(items)?),
        (Short::Gpus, Kind::Scalar(scalar)) => request::gpus(&scalar, &origin)?,
        (_, kind) => kind,
    };
    Ok(Node { kind, origin })
}

/// Turns the short form of an item into long ones; `None` when it is long already.
pub(crate) fn items(node: &Node, short: Short) -> Option<Result<Vec<Node>, Fault>> {
    let scalar = node.as_scalar().filter(|scalar| {
        scalar.kind == ScalarKind::String || (short == Short::Port && scalar.kind == ScalarKind::Integer)
    })?;
    match short {
        Short::Port => Some(port::long(&scalar::canonical(&scalar.text, scalar.kind), &node.origin)),
        Short::Mount => Some(mount::long(&scalar.text, &node.origin).map(|node| vec![node])),
        Short::Device => Some(request::device(&scalar.text, &node.origin).map(|node| vec![node])),
        Short::Source => {
            let source = Node::string(&scalar.text, node.origin.clone());
            Some(Ok(vec![Node { kind: mapping([("source", source)]), origin: node.origin.clone() }]))
        }
        _ => None,
    }
}

/// A mapping whose keys and values all stand at the place of the short form.
fn mapping<'a>(entries: impl IntoIterator<Item = (&'a str, Node)>) -> Kind {
    Kind::Mapping(
        entries
            .into_iter()
            .map(|(key, node)| (key.to_owned(), Entry { key: node.origin.clone(), node }))
            .collect(),
    )
}

fn env_file(node: Node) -> Node {
    match node.kind {
        Kind::Scalar(scalar) => {
            let path = Node { kind: Kind::Scalar(scalar), origin: node.origin.clone() };
            Node { kind: mapping([("path", path)]), origin: node.origin }
        }
        kind => Node { kind, origin: node.origin },
    }
}

/// `KEY=value` items; a key alone has no value.
fn assignments(items: Vec<Node>) -> Result<Entries, Fault> {
    let mut entries = Entries::with_capacity(items.len());
    for item in items {
        let Some(scalar) = item.as_scalar().filter(|scalar| scalar.kind != ScalarKind::Null) else {
            return Err(Fault::new(
                "a list of settings takes texts: `- KEY=value`",
                "write `- KEY=value`, or leave the dashes out: `KEY: value`",
            )
            .at(&item.origin));
        };
        let (key, node) = match scalar.text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Node::string(value, item.origin.clone())),
            None => (scalar.text.clone(), Node::scalar("", ScalarKind::Null, item.origin.clone())),
        };
        entries.insert(key, Entry { key: item.origin, node });
    }
    Ok(entries)
}

fn names(items: Vec<Node>) -> Result<Entries, Fault> {
    let mut entries = Entries::with_capacity(items.len());
    for item in items {
        let Some(scalar) = item.as_scalar().filter(|scalar| scalar.kind != ScalarKind::Null) else {
            return Err(Fault::new(
                "a list of names takes texts",
                "leave the dashes out to give attributes: `NAME: {…}`",
            )
            .at(&item.origin));
        };
        let nothing = Node::scalar("", ScalarKind::Null, item.origin.clone());
        entries.insert(scalar.text.clone(), Entry { key: item.origin.clone(), node: nothing });
    }
    Ok(entries)
}

/// `external: {name: NAME}` means `external: true` and `name: NAME`.
pub(crate) fn hoist_external(entries: &mut Entries) {
    let Some(external) = entries.get_mut("external") else { return };
    let name = external.node.get("name").cloned();
    let empty = external.node.as_mapping().is_some_and(|entries| entries.is_empty());
    if name.is_none() && !empty {
        return;
    }
    external.node = Node::scalar("true", ScalarKind::Boolean, external.node.origin.clone());
    if let Some(name) = name {
        let key = name.origin.clone();
        entries.insert("name".to_owned(), Entry { key, node: name });
    }
}

/// The first word of a probe says how it is run.
pub(crate) fn check_test(test: &Node) -> Result<(), Fault> {
    let words = test.as_sequence().unwrap_or_default();
    match words.first().map(text) {
        None | Some("NONE") => Ok(()),
        Some("CMD") if words.len() > 1 => Ok(()),
        Some("CMD-SHELL") if words.len() == 2 => Ok(()),
        Some("CMD") => {
            Err(Fault::new("the probe `CMD` has no command", "name the program: [\"CMD\", \"program\"]"))
        }
        Some("CMD-SHELL") => Err(Fault::new(
            "`CMD-SHELL` takes one text: the command line",
            "write [\"CMD-SHELL\", \"the whole line\"], or use CMD",
        )),
        Some(_) => Err(Fault::new(
            "a probe begins with `CMD`, `CMD-SHELL` or `NONE`",
            "write [\"CMD\", \"program\", \"argument\"], or a plain text for a shell",
        )),
    }
}

/// `on-failure:0` means `on-failure`.
pub(crate) fn settle_restart(node: &mut Node) -> Result<(), Fault> {
    let policy = text(node).to_owned();
    let (name, count) = policy.split_once(':').unwrap_or((&policy, ""));
    match (name, count) {
        ("", "") if policy.is_empty() => Ok(()),
        ("no" | "always" | "unless-stopped" | "on-failure", "") if !policy.ends_with(':') => Ok(()),
        ("on-failure", count) if count.parse::<u32>().is_ok() => {
            let count: u32 = count.parse().unwrap_or_default();
            let kept = if count == 0 { "on-failure".to_owned() } else { format!("on-failure:{count}") };
            *node = Node::string(kept, node.origin.clone());
            Ok(())
        }
        _ => Err(Fault::new(
            format!("`restart` cannot be `{policy}`"),
            "use \"no\", always, unless-stopped, on-failure or on-failure:5",
        )),
    }
}

/// `if_not_present` means `missing`.
pub(crate) fn settle_pull_policy(node: &mut Node) -> Result<(), Fault> {
    let policy = text(node);
    match policy {
        "if_not_present" => *node = Node::string("missing", node.origin.clone()),
        "always" | "never" | "missing" | "build" | "refresh" | "daily" | "weekly" => {}
        _ if policy.strip_prefix("every_").is_some_and(|time| crate::quantity::duration(time).is_some()) => {}
        _ => {
            let known = ["always", "never", "missing", "build", "daily", "weekly"];
            return Err(Fault::new(
                format!("`pull_policy` cannot be `{policy}`"),
                match closest(policy, known.into_iter()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => "use always, missing, never, build, daily, weekly or every_TIME, as every_12h"
                        .to_owned(),
                },
            ));
        }
    }
    Ok(())
}

pub(crate) fn check_container_name(node: &Node) -> Result<(), Fault> {
    let name = text(node);
    let mut letters = name.chars();
    let fine = name.len() > 1
        && letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && letters.all(|each| each.is_ascii_alphanumeric() || matches!(each, '_' | '.' | '-'));
    if fine {
        return Ok(());
    }
    Err(Fault::new(
        if name.is_empty() {
            "a container cannot have an empty name".to_owned()
        } else {
            format!("`{name}` cannot be the name of a container")
        },
        "use at least two letters, digits, `_`, `.` or `-`, the first a letter or a digit",
    ))
}

/// A priority of 0 says nothing.
pub(crate) fn settle_attachment(node: &mut Node) {
    if node.get("priority").map(text) == Some("0")
        && let Kind::Mapping(entries) = &mut node.kind
    {
        entries.shift_remove("priority");
    }
}

/// A key and a value that the short form or the default implies.
fn implied(entries: &mut Entries, key: &str, node: Node) {
    let origin: Origin = node.origin.clone();
    entries.insert(key.to_owned(), Entry { key: origin, node });
}
