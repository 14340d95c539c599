//! What the file asks for and stackctl cannot do yet. Such a file loads, so that it
//! can be read and shown; whatever would act on it refuses, and says why.

use crate::attributes::{Schema, Shape, Support};
use crate::canonical::{is_remote, outside_of, text};
use crate::diagnostic::Diagnostic;
use crate::model::Stack;
use crate::source::Origin;
use crate::tree::{Kind, Node};

/// One error for every use of what is not honoured yet.
#[must_use]
pub(crate) fn unsupported(stack: &Stack, usable: bool) -> Vec<Diagnostic> {
    let mut told = Vec::new();
    visit(&stack.tree, Schema::root(), "", &mut told);
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

fn visit(node: &Node, schema: &Schema, path: &str, told: &mut Vec<Diagnostic>) {
    value(node, schema, path, told);
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, entry) in entries {
                let Some(child) = schema.below(key) else { continue };
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match child.row.support {
                    Support::NotYet(instead) if asks(&entry.node, child) => {
                        told.push(error(key, instead).at(&entry.key).path(path));
                    }
                    Support::NotYet(_) => {}
                    _ => visit(&entry.node, child, &path, told),
                }
            }
        }
        Kind::Sequence(items) => {
            let Some(child) = schema.item.as_deref() else { return };
            for (index, item) in items.iter().enumerate() {
                visit(item, child, &format!("{path}[{index}]"), told);
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// Whether a value asks for anything: the default and an empty list do not.
fn asks(node: &Node, schema: &Schema) -> bool {
    let default = match schema.row.path {
        "services.*.attach" | "networks.*.enable_ipv4" => "true",
        _ => "false",
    };
    match &node.kind {
        Kind::Scalar(scalar) => schema.row.shape != Shape::Boolean || scalar.text != default,
        Kind::Sequence(items) => !items.is_empty(),
        Kind::Mapping(entries) => !entries.is_empty(),
    }
}

/// Attributes that are honoured with some values only.
fn value(node: &Node, schema: &Schema, path: &str, told: &mut Vec<Diagnostic>) {
    let text = text(node);
    let instead = match schema.row.path {
        "services.*.deploy.mode" if text != "replicated" => "use `replicated`",
        "services.*.pull_policy" if !matches!(text, "always" | "never" | "missing" | "build") => {
            "use always, missing, never or build"
        }
        "services.*.network_mode" if !is_network_mode(text) => {
            "use host, none, bridge, service:NAME or container:NAME; networks stand under `networks`"
        }
        "services.*.build.context" if is_remote(text) => "fetch it first, and name its directory",
        "networks.*.ipam.driver" if text != "default" => "use `default`",
        "services.*.volumes[].type" if !matches!(text, "bind" | "volume" | "tmpfs") => {
            "use bind, volume or tmpfs"
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
            .path(path)
            .label("not supported yet")
            .help(instead),
    );
}

/// Options that belong to another type of mount.
fn mount(node: &Node, path: &str, told: &mut Vec<Diagnostic>) {
    let kind = node.get("type").map_or("", text);
    for (options, entry) in node.as_mapping().into_iter().flatten() {
        let own = options == kind || !matches!(options.as_str(), "bind" | "volume" | "tmpfs");
        if own || entry.node.as_mapping().is_none_or(indexmap::IndexMap::is_empty) {
            continue;
        }
        let place: &Origin = &entry.key;
        told.push(
            Diagnostic::error(format!("a mount of type {kind} has no options of `{options}`"))
                .at(place)
                .path(format!("{path}.{options}"))
                .label("not supported")
                .help(format!("remove `{options}`, or change the type")),
        );
    }
}

fn is_network_mode(mode: &str) -> bool {
    matches!(mode, "host" | "none" | "bridge")
        || mode
            .split_once(':')
            .is_some_and(|(kind, name)| matches!(kind, "service" | "container") && !name.is_empty())
}

fn error(key: &str, instead: &str) -> Diagnostic {
    let help = if instead.is_empty() { "remove it if the stack works without it" } else { instead };
    Diagnostic::error(format!("stackctl does not honour `{key}`, and would otherwise ignore it silently"))
        .label("not supported yet")
        .help(help)
}
