//! What the file asks for and stackctl cannot do yet, or has nothing to do about. Such a
//! file loads, so that it can be read and shown; whatever would act on it refuses, or
//! warns, and says why.

use crate::attributes::{Schema, Shape, Support};
use crate::canonical::{Trail, is_fetched, is_remote, outside_of, text};
use crate::diagnostic::Diagnostic;
use crate::model::Stack;
use crate::quantity;
use crate::source::Origin;
use crate::tree::{Kind, Node};

/// One error for every use of what is not honoured yet, and one warning for every use of
/// what has no effect on one engine.
#[must_use]
pub(crate) fn unsupported(stack: &Stack) -> Vec<Diagnostic> {
    let mut told = Vec::new();
    visit(&stack.tree, Schema::root(), Trail::Top, &mut told);
    told
}

/// What keeps a stack from running on any engine.
#[must_use]
pub(crate) fn unusable(stack: &Stack, usable: bool) -> Vec<Diagnostic> {
    let mut told = Vec::new();
    empty_names(stack, &mut told);
    if usable && stack.services.is_empty() && stack.disabled.is_empty() {
        told.push(
            Diagnostic::error("the file has no services")
                .at(&stack.tree.origin)
                .help("add one under `services:`"),
        );
    }
    told
}

/// What has an empty name, mostly that of a variable without a value, cannot be found or made.
fn empty_names(stack: &Stack, told: &mut Vec<Diagnostic>) {
    for (kind, word) in
        [("networks", "network"), ("volumes", "volume"), ("secrets", "secret"), ("configs", "config")]
    {
        for (key, entry) in stack.tree.get(kind).and_then(Node::as_mapping).into_iter().flatten() {
            let Some(name) = entry.node.get("name").filter(|name| text(name).is_empty()) else { continue };
            let help = match outside_of(&name.origin) {
                Some(variable) => format!("set the variable `{variable}`, or remove `name`"),
                None => "give it a name, or remove the key".to_owned(),
            };
            told.push(
                Diagnostic::error(format!("the {word} `{key}` has an empty name"))
                    .at(&name.origin)
                    .path(format!("{kind}.{key}.name"))
                    .help(help),
            );
        }
    }
}

fn visit(node: &Node, schema: &Schema, path: Trail<'_>, told: &mut Vec<Diagnostic>) {
    if !schema.judged {
        return;
    }
    value(node, schema, path, told);
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, entry) in entries {
                let Some(child) = schema.below(key) else { continue };
                let path = Trail::Key(&path, key);
                match child.row.support {
                    Support::NotYet(instead) if asks(&entry.node, child) => {
                        told.push(error(key, instead).at(&entry.key).path(path.to_string()));
                    }
                    Support::Ignored(why) if asks(&entry.node, child) => {
                        told.push(ignored(key, why).at(&entry.key).path(path.to_string()));
                    }
                    Support::NotYet(_) | Support::Ignored(_) => {}
                    _ => visit(&entry.node, child, path, told),
                }
            }
        }
        Kind::Sequence(items) => {
            let Some(child) = schema.item.as_deref() else { return };
            for (index, item) in items.iter().enumerate() {
                visit(item, child, Trail::Item(&path, index), told);
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// Whether a value asks for anything: the default and an empty list do not.
fn asks(node: &Node, schema: &Schema) -> bool {
    match &node.kind {
        Kind::Scalar(scalar) => schema.row.shape != Shape::Boolean || scalar.text != "false",
        Kind::Sequence(items) => !items.is_empty(),
        Kind::Mapping(entries) => !entries.is_empty(),
    }
}

/// Attributes that are honoured with some values only.
pub(crate) const JUDGED: &[&str] = &[
    "services.*.deploy.mode",
    "services.*.pull_policy",
    "services.*.build.context",
    "services.*.volumes[].type",
    "services.*.volumes[]",
];

/// Tells of a value of one of [`JUDGED`] that is not honoured.
fn value(node: &Node, schema: &Schema, path: Trail<'_>, told: &mut Vec<Diagnostic>) {
    let text = text(node);
    let instead = match schema.row.path {
        "services.*.deploy.mode" if !MODES.contains(&text) => return mode(node, path, told),
        "services.*.pull_policy" if !is_pull_policy(text) => {
            "use always, missing, never, build, refresh, daily, weekly or every_TIME"
        }
        "services.*.build.context" if is_remote(text) && !is_fetched(text) => {
            "name a directory, or an address of git or HTTP"
        }
        "services.*.volumes[].type" if !matches!(text, "bind" | "volume" | "tmpfs" | "image") => {
            "use bind, volume, tmpfs or image"
        }
        "services.*.volumes[]" => return mount(node, path, told),
        _ => return,
    };
    let shown = match outside_of(&node.origin) {
        Some(name) => format!("the value of `{name}`"),
        None => format!("`{text}`"),
    };
    told.push(
        Diagnostic::error(format!("stackctl does not honour {shown} for `{}`", schema.row.name()))
            .at(&node.origin)
            .path(path.to_string())
            .label("not supported yet")
            .help(instead),
    );
}

/// Options that belong to another type of mount.
fn mount(node: &Node, path: Trail<'_>, told: &mut Vec<Diagnostic>) {
    let kind = node.get("type").map_or("", text);
    for (options, entry) in node.as_mapping().into_iter().flatten() {
        let own = options == kind || !matches!(options.as_str(), "bind" | "volume" | "tmpfs" | "image");
        if own || entry.node.as_mapping().is_none_or(|options| options.is_empty()) {
            continue;
        }
        let place: &Origin = &entry.key;
        told.push(
            Diagnostic::warning(format!("a mount of type {kind} has no options of `{options}`"))
                .at(place)
                .path(format!("{path}.{options}"))
                .label("has no effect")
                .help(format!("remove `{options}`, or change the type")),
        );
    }
}

/// The modes of `deploy`. On one engine a global service has one container.
const MODES: &[&str] = &["replicated", "global", "replicated-job", "global-job"];

/// Another mode is none; docker compose does not look at it.
fn mode(node: &Node, path: Trail<'_>, told: &mut Vec<Diagnostic>) {
    let shown = match outside_of(&node.origin) {
        Some(name) => format!("the value of `{name}`"),
        None => format!("`{}`", text(node)),
    };
    told.push(
        Diagnostic::warning(format!("{shown} is no mode of `deploy`"))
            .at(&node.origin)
            .path(path.to_string())
            .label("taken as `replicated`")
            .help(format!("use {}", MODES.join(", "))),
    );
}

fn is_pull_policy(text: &str) -> bool {
    matches!(
        text,
        "always" | "never" | "missing" | "if_not_present" | "build" | "refresh" | "daily" | "weekly"
    ) || text.strip_prefix("every_").is_some_and(|time| quantity::duration(time).is_some())
}

fn ignored(key: &str, why: &str) -> Diagnostic {
    Diagnostic::warning(format!("`{key}` has no effect: {why}"))
        .label("has no effect here")
        .help("remove it if only one engine runs this file")
}

fn error(key: &str, instead: &str) -> Diagnostic {
    let help = if instead.is_empty() { "remove it if the stack works without it" } else { instead };
    Diagnostic::error(format!("stackctl does not honour `{key}`, and would otherwise ignore it silently"))
        .label("not supported yet")
        .help(help)
}
