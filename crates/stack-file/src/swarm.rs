//! What a stack asks for and Swarm does not do.

use crate::attributes::{Schema, Support};
use crate::canonical::text;
use crate::diagnostic::{Diagnostic, Severity};
use crate::load::Loaded;
use crate::model::{DeployMode, PortMode, RestartCondition};
use crate::tree::{Kind, Node};

/// One warning for every attribute of the files that Swarm does not honour, in the order of
/// the files. What was filled in without being written is no attribute of a file.
#[must_use]
pub fn not_honoured(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    visit(&loaded.stack.tree, Schema::root(), "", &mut found);
    endpoints(loaded, &mut found);
    found.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
    // An anchor brings one place to several services.
    found.dedup_by(|later, earlier| later.origin == earlier.origin && later.message == earlier.message);
    found
}

/// What keeps a stack from running on a swarm: each attribute that it does not honour is an error,
/// but for those that are allowed by name, as `privileged` or `services.web.privileged`.
#[must_use]
pub fn refusals(loaded: &Loaded, allowed: &[String]) -> Vec<Diagnostic> {
    let mut found = not_honoured(loaded);
    for told in &mut found {
        let name = told.path.rsplit('.').next().unwrap_or_default();
        let name = name.split('[').next().unwrap_or_default();
        if allowed.iter().any(|allowed| *allowed == told.path || allowed == name) {
            told.label = "has no effect, as is allowed".to_owned();
        } else {
            told.severity = Severity::Error;
            told.help.push(format!("or go without it: --allow-unsupported {name}"));
        }
    }
    found.extend(loaded.unusable.iter().cloned());
    found.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
    found
}

/// Ports that cannot be open on every node, because nothing spreads connections to the service.
fn endpoints(loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    for service in loaded.stack.services.values() {
        let Some(mode) = service.deploy.endpoint_mode.as_ref().filter(|mode| mode.value == "dnsrr") else {
            continue;
        };
        for port in service.ports.iter().filter(|port| port.mode == PortMode::Ingress) {
            found.push(
                Diagnostic::warning("Swarm does not honour a port on every node with `endpoint_mode: dnsrr`")
                    .at(&port.origin)
                    .path(format!("services.{}.ports", service.name.value))
                    .related(&mode.origin, "asked for here")
                    .help("write the port in its long form, with `mode: host`"),
            );
        }
    }
}

fn visit(node: &Node, schema: &Schema, path: &str, found: &mut Vec<Diagnostic>) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, entry) in entries {
                let Some(child) = schema.below(key) else { continue };
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match child.row.on_swarm() {
                    Err(_) if asks_nothing(&entry.node) => {}
                    Err(why) => found.push(
                        Diagnostic::warning(format!("Swarm does not honour `{key}`"))
                            .at(&entry.key)
                            .path(path)
                            .help(why),
                    ),
                    Ok(()) if is_not_yet(child) && !asks_nothing(&entry.node) => found.push(
                        Diagnostic::warning(format!("stackctl does not honour `{key}` on a swarm"))
                            .at(&entry.key)
                            .path(path)
                            .help("remove it if the stack works without it"),
                    ),
                    Ok(()) => {
                        value(&entry.node, child, &path, found);
                        visit(&entry.node, child, &path, found);
                    }
                }
            }
        }
        Kind::Sequence(items) => {
            let Some(child) = schema.item.as_deref() else { return };
            for (index, item) in items.iter().enumerate() {
                visit(item, child, &format!("{path}[{index}]"), found);
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// Whether nothing is done about an attribute, on whatever engine.
fn is_not_yet(schema: &Schema) -> bool {
    // Swarm fills in templates itself.
    matches!(schema.row.support, Support::NotYet(_)) && !schema.row.path.ends_with(".template_driver")
}

/// Whether a value is that of an attribute that is not there.
fn asks_nothing(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.text == "false",
        Kind::Sequence(items) => items.is_empty(),
        Kind::Mapping(entries) => entries.is_empty(),
    }
}

const CONDITIONS: [RestartCondition; 3] =
    [RestartCondition::None, RestartCondition::OnFailure, RestartCondition::Any];

/// Attributes that Swarm honours with some values only.
fn value(node: &Node, schema: &Schema, path: &str, found: &mut Vec<Diagnostic>) {
    let help = match (schema.row.path, text(node)) {
        ("networks.*.driver", driver) if !matches!(driver, "overlay" | "" | "host") => {
            "services of a swarm need an `overlay` network"
        }
        ("services.*.deploy.mode", mode) if DeployMode::of(mode).is_none() => {
            "use replicated, global, replicated-job or global-job"
        }
        ("services.*.deploy.endpoint_mode", mode) if !matches!(mode, "vip" | "dnsrr") => "use vip or dnsrr",
        ("services.*.deploy.restart_policy.condition", word)
            if !CONDITIONS.iter().any(|condition| condition.word() == word) =>
        {
            "use none, on-failure or any"
        }
        ("services.*.ports[].mode", mode) if !matches!(mode, "ingress" | "host") => "use ingress or host",
        ("services.*.ports[].published", range) if range.contains('-') => {
            "name one port: a swarm does not choose within a range"
        }
        ("services.*.volumes[].type", kind) if !matches!(kind, "bind" | "volume" | "tmpfs") => {
            "use bind, volume or tmpfs"
        }
        _ => return,
    };
    found.push(
        Diagnostic::warning(format!("Swarm does not honour this `{}`", schema.row.name()))
            .at(&node.origin)
            .path(path)
            .help(help),
    );
}
