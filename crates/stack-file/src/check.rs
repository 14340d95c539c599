//! What only the whole stack can tell: names that lead nowhere, circles, clashes.

use std::collections::{HashMap, HashSet};

use crate::canonical::{closest, outside_of, text};
use crate::complete::Disabled;
use crate::diagnostic::Diagnostic;
use crate::model::{DependencyCondition, Port, Service, Stack};
use crate::source::{Origin, Spanned};
use crate::tree::{Entries, Entry, Node};

mod references;

/// What the file declares, in use or not, by kind of resource and key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    by_kind: HashMap<&'static str, Entries>,
    /// Services that lack what they should have got from another, which is told already.
    incomplete: HashSet<String>,
}

impl Declared {
    /// What a merged tree declares.
    pub(crate) fn of(tree: &Node, incomplete: HashSet<String>) -> Self {
        let kinds = ["networks", "volumes", "secrets", "configs", "models"];
        let declared = |kind| Some((kind, tree.get(kind)?.as_mapping()?.clone()));
        Self { by_kind: kinds.into_iter().filter_map(declared).collect(), incomplete }
    }

    /// The resources of a kind.
    fn resources(&self, kind: &str) -> impl Iterator<Item = (&String, &Entry)> {
        self.by_kind.get(kind).into_iter().flatten()
    }

    /// Whether there is one of this kind and key.
    fn has(&self, kind: &str, key: &str) -> bool {
        self.by_kind.get(kind).is_some_and(|all| all.contains_key(key))
    }

    /// The keys of a kind.
    fn keys(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.resources(kind).map(|(key, _)| key.as_str())
    }
}

/// Checks a stack as a whole.
pub(crate) fn check(
    stack: &Stack,
    declared: &Declared,
    disabled: &Disabled,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut checker = Checker { stack, declared, disabled, diagnostics };
    for service in stack.services.values() {
        checker.service(service);
    }
    checker.cycles();
    checker.container_names();
    checker.externals();
    checker.contents();
    checker.whole();
}

/// Tells ports of the host that two services want. Such a file can be read and shown, but
/// not all of it can run.
pub(crate) fn port_clashes(
    stack: &Stack,
    declared: &Declared,
    disabled: &Disabled,
    diagnostics: &mut Vec<Diagnostic>,
) {
    Checker { stack, declared, disabled, diagnostics }.ports();
}

struct Checker<'a> {
    stack: &'a Stack,
    declared: &'a Declared,
    disabled: &'a Disabled,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    /// An attribute of a service as it stands in the tree.
    fn written(&self, service: &str, attribute: &str) -> Option<&'a Node> {
        self.stack.written_service(service)?.get(attribute)
    }

    fn say(&mut self, told: Diagnostic) {
        self.diagnostics.push(told);
    }

    fn service(&mut self, service: &Service) {
        let name = &service.name.value;
        let at = |rest: &str| format!("services.{name}{rest}");
        // An `image` or `build` that was found faulty, or misspelt, is told already.
        if service.image.is_none() && service.build.is_none() && self.written(name, "provider").is_none() {
            let told_already = self.diagnostics.iter().any(|told| {
                let misspelt =
                    |part| told.replacement.as_deref() == Some(part) && told.path.starts_with(&at("."));
                ["image", "build"].iter().any(|part| {
                    misspelt(part)
                        || told
                            .path
                            .strip_prefix(&at(&format!(".{part}")))
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            });
            if !told_already && !self.declared.incomplete.contains(name) {
                self.say(
                    Diagnostic::error(format!("the service `{name}` has neither `image` nor `build`"))
                        .at(&service.name.origin)
                        .path(at(""))
                        .help("name an image (`image: nginx`), or say how to build one (`build: .`)"),
                );
            }
        }
        if let Some(build) = &service.build
            && let (Some(file), Some(inline)) = (&build.dockerfile, &build.dockerfile_inline)
        {
            self.say(
                Diagnostic::error("a build has either `dockerfile` or `dockerfile_inline`, not both")
                    .at(&inline.origin)
                    .path(at(".build.dockerfile_inline"))
                    .related(&file.origin, "and here"),
            );
        }
        self.networks_of(service);
        for mount in &service.volumes {
            if let crate::model::MountSource::Volume { key, .. } = &mount.source
                && !self.stack.volumes.contains_key(key)
            {
                let told = match outside_of(&mount.origin) {
                    Some(name) => format!("the file declares no volume with the key in `{name}`"),
                    None => format!("the file declares no volume `{key}`"),
                };
                let mut told = Diagnostic::error(told).at(&mount.origin).path(at(".volumes"));
                if outside_of(&mount.origin).is_some() {
                    self.say(told.help("declare it under the top-level `volumes:`"));
                    continue;
                }
                told = match closest(key, self.declared.keys("volumes")) {
                    Some(close) => told.help(format!("did you mean `{close}`?")),
                    None => told.help(format!(
                        "add `{key}:` under the top-level `volumes:`, or write `./{key}` for a directory"
                    )),
                };
                self.say(told);
            }
        }
        self.references(service);
        self.builds(service);
        self.targets(service);
        self.dependencies(service);
        self.limits(service);
        if let Some(fixed) = &service.container_name {
            let help = "remove `container_name`, or run one container";
            self.only_one(service, &fixed.origin, "a fixed container name", help);
        }
    }

    /// Refuses more than one container of what only one can have.
    fn only_one(&mut self, service: &Service, origin: &Origin, what: &str, help: &str) {
        let Some(scale) = service.scale.as_ref().filter(|scale| scale.value > 1) else { return };
        let name = &service.name.value;
        self.say(
            Diagnostic::error(format!("`{name}` has {} containers and {what}", scale.value))
                .at(origin)
                .path(format!("services.{name}"))
                .label("only one container can have it")
                .related(&scale.origin, "so many containers")
                .help(help),
        );
    }

    fn networks_of(&mut self, service: &Service) {
        let name = &service.name.value;
        for (key, attachment) in &service.networks {
            if !self.stack.networks.contains_key(key) {
                let mut told = Diagnostic::error(format!("the file declares no network `{key}`"))
                    .at(&attachment.origin)
                    .path(format!("services.{name}.networks.{key}"));
                told = match closest(key, self.declared.keys("networks")) {
                    Some(close) => told.help(format!("did you mean `{close}`?")).replacement(close),
                    None => told.help(format!("add `{key}:` under the top-level `networks:`")),
                };
                self.say(told);
            }
        }
        let Some(mode) = &service.network_mode else { return };
        if let Some(networks) = self.written(name, "networks") {
            self.say(
                Diagnostic::error(format!("`{name}` has both `network_mode` and `networks`"))
                    .at(&mode.origin)
                    .path(format!("services.{name}.network_mode"))
                    .related(&networks.origin, "networks")
                    .help("keep one of the two"),
            );
        }
        if let Some(port) = service.ports.first() {
            // Who shares another's network is told by `ports`.
            if matches!(mode.split(':').next(), Some("service" | "container" | "bridge")) {
                return;
            }
            let told =
                Diagnostic::warning(format!("with `network_mode: {}` no port is published", mode.value));
            self.say(
                told.at(&port.origin)
                    .path(format!("services.{name}.ports"))
                    .related(&mode.origin, "the network mode")
                    .help("remove `ports`, or `network_mode`"),
            );
        }
    }

    /// The engine publishes nothing for a container within another's network.
    fn borrowed_network(&mut self, service: &Service) {
        let (Some(mode), Some(port)) = (&service.network_mode, service.ports.first()) else { return };
        if matches!(mode.split(':').next(), Some("service" | "container")) {
            self.say(
                Diagnostic::error("a service that shares another's network cannot publish ports")
                    .at(&port.origin)
                    .path(format!("services.{}.ports", service.name.value))
                    .related(&mode.origin, "the network mode")
                    .help("publish them on the service that owns the network"),
            );
        }
    }

    fn dependencies(&mut self, service: &Service) {
        let name = &service.name.value;
        for (other, wanted) in &service.depends_on {
            let path = format!("services.{name}.depends_on.{other}");
            let told = if other == name {
                Diagnostic::error(format!("`{name}` depends on itself")).help("remove the line")
            } else if let Some(other) = self.stack.services.get(other) {
                let off = other.healthcheck.as_ref().filter(|check| check.disable);
                let (DependencyCondition::Healthy, Some(off)) = (wanted.condition, off) else { continue };
                Diagnostic::error(format!(
                    "`{name}` waits until `{}` is healthy, but its health check is off",
                    other.name.value
                ))
                .related(&off.origin, "turned off here")
                .help("wait for `service_started`, or turn the check on")
            } else if let Some(profiles) = self.disabled.get(other) {
                let profile = profiles.first().map_or("", String::as_str);
                Diagnostic::error(format!("`{name}` depends on `{other}`, which no active profile enables"))
                    .help(format!("enable it with --profile {profile}, or set `required: false`"))
            } else {
                let told = Diagnostic::error(format!("there is no service `{other}`"));
                let all = self.stack.services.keys().map(String::as_str).filter(|known| known != name);
                match closest(other, all) {
                    // A place that is more than the name, as `service:db`, is not replaced.
                    Some(close) => told.help(format!("did you mean `{close}`?")).replacement(close),
                    None => told.help("add it under `services:`, or remove the dependency"),
                }
            };
            self.say(told.at(&wanted.origin).path(path));
        }
    }

    /// The same limit may stand in two places, but not with two values.
    fn limits(&mut self, service: &Service) {
        let name = &service.name.value;
        let Some(tree) = self.stack.written_service(name) else { return };
        let below = |path: &[&str]| {
            path.iter()
                .try_fold(tree, |node: &Node, key| node.get(key))
                .map(|node| (text(node), &node.origin))
        };
        for (own, deep) in [
            ("scale", &["deploy", "replicas"][..]),
            ("cpus", &["deploy", "resources", "limits", "cpus"]),
            ("mem_limit", &["deploy", "resources", "limits", "memory"]),
            ("pids_limit", &["deploy", "resources", "limits", "pids"]),
            ("mem_reservation", &["deploy", "resources", "reservations", "memory"]),
        ] {
            if let (Some((first, place)), Some((second, other))) = (below(&[own]), below(deep))
                && first != second
            {
                let deep = deep.join(".");
                let told = Diagnostic::error(format!("`{own}` and `{deep}` say different things"))
                    .at(place)
                    .path(format!("services.{name}.{own}"))
                    .related(other, deep)
                    .help("keep one of the two");
                self.diagnostics.push(told);
            }
        }
    }

    /// Circles of dependencies, each told once with every place on the way.
    fn cycles(&mut self) {
        let services = &self.stack.services;
        let mut open: Vec<usize> = vec![0; services.len()];
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); services.len()];
        for (index, service) in services.values().enumerate() {
            for other in service.depends_on.keys().filter_map(|other| services.get_index_of(other)) {
                if other != index {
                    open[index] += 1;
                    dependents[other].push(index);
                }
            }
        }
        let mut done = vec![false; services.len()];
        let mut ready: Vec<usize> = (0..services.len()).filter(|&index| open[index] == 0).collect();
        let mut first_open = 0;
        loop {
            while let Some(index) = ready.pop() {
                if std::mem::replace(&mut done[index], true) {
                    continue;
                }
                for &other in &dependents[index] {
                    open[other] -= 1;
                    if open[other] == 0 {
                        ready.push(other);
                    }
                }
            }
            while first_open < done.len() && done[first_open] {
                first_open += 1;
            }
            if first_open == done.len() {
                return;
            }
            // Whatever is left has a dependency that is left: following one leads into a circle.
            let mut way = vec![first_open];
            let mut seen = HashMap::from([(first_open, 0)]);
            let mut at = first_open;
            loop {
                let next = services[at]
                    .depends_on
                    .keys()
                    .filter_map(|other| services.get_index_of(other))
                    .find(|&other| !done[other] && other != at);
                let Some(next) = next else { return };
                if let Some(&start) = seen.get(&next) {
                    way.drain(..start);
                    break;
                }
                seen.insert(next, way.len());
                way.push(next);
                at = next;
            }
            self.cycle(&way);
            ready.extend(way);
        }
    }

    fn cycle(&mut self, way: &[usize]) {
        let services = &self.stack.services;
        let names: Vec<&str> = way.iter().map(|&index| services[index].name.value.as_str()).collect();
        let circle = names.iter().chain(names.first()).copied().collect::<Vec<_>>().join(" → ");
        let mut told = Diagnostic::error(format!("these services wait for each other: {circle}"))
            .path(format!("services.{}.depends_on", names.first().copied().unwrap_or_default()))
            .help("remove one of these dependencies");
        for (step, &index) in way.iter().enumerate() {
            let next = names[(step + 1) % names.len()];
            let Some(wanted) = services[index].depends_on.get(next) else { continue };
            let label = format!("{} waits for {next}", names[step]);
            told = if step == 0 {
                told.at(&wanted.origin).label(label)
            } else {
                told.related(&wanted.origin, label)
            };
        }
        self.say(told);
    }

    fn container_names(&mut self) {
        let mut seen: HashMap<&str, &Origin> = HashMap::new();
        for service in self.stack.services.values() {
            let Some(name) = &service.container_name else { continue };
            if let Some(first) = seen.insert(&name.value, &name.origin) {
                let told =
                    Diagnostic::error(format!("two services have the container name `{}`", name.value))
                        .at(&name.origin)
                        .path(format!("services.{}.container_name", *service.name))
                        .related(first, "first here")
                        .help("container names are unique on an engine: change one");
                self.diagnostics.push(told);
            }
        }
    }

    /// Two services that publish the same port of the host cannot both start.
    fn ports(&mut self) {
        struct Taken<'a> {
            address: Option<&'a str>,
            service: &'a str,
            origin: &'a Origin,
        }
        let mut seen: HashMap<(u16, &str), Vec<Taken<'_>>> = HashMap::new();
        let mut told = HashSet::new();
        for service in self.stack.services.values() {
            self.borrowed_network(service);
            if let Some(fixed) = service.ports.iter().find(|port| fixed_port(port).is_some()) {
                let help = "publish a range (`8080-8089:80`) or let the engine choose (`80`)";
                self.only_one(service, &fixed.origin, "a fixed port of the host", help);
            }
            let own = service.network_mode.as_ref().is_none_or(|mode| mode.value == "bridge");
            for port in service.ports.iter().filter(|_| own) {
                let Some(number) = fixed_port(port) else { continue };
                let address = port.host_ip.as_deref().filter(|ip| !matches!(*ip, "0.0.0.0" | "::"));
                let taken = seen.entry((number, &port.protocol)).or_default();
                let name = service.name.value.as_str();
                let clash = taken
                    .iter()
                    .find(|other| other.address == address)
                    .or_else(|| taken.iter().find(|other| other.address.is_none() || address.is_none()));
                if let Some(other) = clash
                    && told.insert((number, port.protocol.as_str(), name, other.service))
                {
                    let what = format!("{number}/{}", port.protocol);
                    let who = if other.service == name {
                        format!("`{name}` publishes the host's port {what} twice")
                    } else {
                        format!("`{}` and `{name}` both publish the host's port {what}", other.service)
                    };
                    let found = if other.address == address {
                        Diagnostic::error(who)
                    } else {
                        Diagnostic::warning(format!("{who}, one of them on every address"))
                    };
                    self.diagnostics.push(
                        found
                            .at(&port.origin)
                            .path(format!("services.{name}.ports"))
                            .related(other.origin, "first here")
                            .help("a port of the host can serve one container: change one"),
                    );
                }
                taken.push(Taken { address, service: name, origin: &port.origin });
            }
        }
    }

    /// What belongs to somebody else is not described here.
    fn externals(&mut self) {
        let mut found = Vec::new();
        for kind in ["networks", "volumes", "secrets", "configs"] {
            for (key, resource) in self.stack.tree.get(kind).and_then(Node::as_mapping).into_iter().flatten()
            {
                if resource.node.get("external").is_none_or(|external| text(external) != "true") {
                    continue;
                }
                for (attribute, entry) in resource.node.as_mapping().into_iter().flatten() {
                    if matches!(attribute.as_str(), "name" | "external") || attribute.starts_with("x-") {
                        continue;
                    }
                    let told = format!("`{key}` is external, so `{attribute}` has no effect");
                    // Docker compose refuses it of volumes alone.
                    let told = match kind {
                        "volumes" => Diagnostic::error(told),
                        _ => Diagnostic::warning(told),
                    };
                    found.push(
                        told.at(&entry.key)
                            .path(format!("{kind}.{key}.{attribute}"))
                            .help(format!("remove `{attribute}`, or `external`")),
                    );
                }
            }
        }
        self.diagnostics.append(&mut found);
    }
}

/// The one port of the host, when it is neither a range nor the engine's choice.
fn fixed_port(port: &Spanned<Port>) -> Option<u16> {
    port.published.as_deref()?.parse().ok()
}
