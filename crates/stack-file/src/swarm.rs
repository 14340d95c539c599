//! What a stack asks for and Swarm does not do.

use crate::attributes::{Attribute, Support};
use crate::backend::Column;
use crate::diagnostic::{Diagnostic, Severity};
use crate::load::Loaded;
use crate::model::{DeployMode, PortMode, RestartCondition};
use crate::security;

const COLUMN: Column = Column { backend: "Swarm", honours: Attribute::on_swarm, not_yet: is_not_yet, value };

/// One warning for every attribute of the files that Swarm does not honour, in the order of
/// the files. What was filled in without being written is no attribute of a file.
#[must_use]
pub fn not_honoured(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut found = COLUMN.not_honoured(loaded);
    endpoints(loaded, &mut found);
    security_options(loaded, &mut found);
    found.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
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

/// Security options that a service of a swarm cannot have.
fn security_options(loaded: &Loaded, found: &mut Vec<Diagnostic>) {
    for service in loaded.stack.services.values() {
        for option in service.security_opt.iter().filter(|option| security::option(&option.value).is_none()) {
            found.push(
                Diagnostic::warning(format!("Swarm does not honour the security option `{}`", option.value))
                    .at(&option.origin)
                    .path(format!("services.{}.security_opt", service.name.value))
                    .help("there are no-new-privileges, seccomp=unconfined, apparmor=unconfined and label=…; set up others on the nodes"),
            );
        }
    }
}

/// Whether nothing is done about an attribute, on whatever engine.
fn is_not_yet(row: &Attribute) -> bool {
    // Swarm fills in templates itself.
    matches!(row.support, Support::NotYet(_)) && !row.path.ends_with(".template_driver")
}

const CONDITIONS: [RestartCondition; 3] =
    [RestartCondition::None, RestartCondition::OnFailure, RestartCondition::Any];

/// Attributes that Swarm honours with some values only.
fn value(path: &str, text: &str) -> Option<&'static str> {
    let help = match (path, text) {
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
        _ => return None,
    };
    Some(help)
}
