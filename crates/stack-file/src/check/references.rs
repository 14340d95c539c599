//! What services say of secrets, configs, models and other services' images.

use std::collections::HashMap;

use super::Checker;
use crate::canonical::{closest, outside_of, text};
use crate::diagnostic::Diagnostic;
use crate::model::Service;
use crate::source::Origin;
use crate::tree::Node;

impl Checker<'_> {
    /// Secrets, configs and models that a service uses must be declared.
    pub(super) fn references(&mut self, service: &Service) {
        let name = &service.name.value;
        let Some(tree) = self.stack.written_service(name) else { return };
        let build = tree.get("build");
        let mut used: Vec<(&str, String, String, Origin)> = Vec::new();
        for (kind, place, list) in [
            ("secrets", "secrets", tree.get("secrets")),
            ("secrets", "build.secrets", build.and_then(|build| build.get("secrets"))),
            ("configs", "configs", tree.get("configs")),
        ] {
            for (index, item) in list.and_then(Node::as_sequence).unwrap_or_default().iter().enumerate() {
                let Some(source) = item.get("source") else { continue };
                let path = format!("services.{name}.{place}[{index}]");
                used.push((kind, text(source).to_owned(), path, source.origin.clone()));
            }
        }
        for (key, entry) in tree.get("models").and_then(Node::as_mapping).into_iter().flatten() {
            used.push(("models", key.clone(), format!("services.{name}.models.{key}"), entry.key.clone()));
        }
        for (kind, key, path, origin) in used {
            if self.declared.has(kind, &key) {
                continue;
            }
            let one = kind.trim_end_matches('s');
            if let Some(variable) = outside_of(&origin) {
                let told = format!("the file declares no {one} with the key in `{variable}`");
                let help = format!("declare it under the top-level `{kind}:`");
                self.say(Diagnostic::error(told).at(&origin).path(path).help(help));
                continue;
            }
            let told =
                Diagnostic::error(format!("the file declares no {one} `{key}`")).at(&origin).path(path);
            let told = match closest(&key, self.declared.keys(kind)) {
                Some(close) => told.help(format!("did you mean `{close}`?")).replacement(close),
                None => told.help(format!("add `{key}:` under the top-level `{kind}:`")),
            };
            self.say(told);
        }
    }

    /// What says nothing unless it is whole, which shows once the files are one.
    pub(super) fn whole(&mut self) {
        let mut found = Vec::new();
        let mut needs = |node: &Node, what: String, key: &str, example: &str, path: String| {
            if node.get(key).is_none() {
                let told = Diagnostic::error(format!("{what} needs `{key}`")).at(&node.origin);
                found.push(told.path(path).help(format!("add `{example}`")));
            }
        };
        for (key, entry) in self.declared.resources("models") {
            let what = format!("the model `{key}`");
            needs(&entry.node, what, "model", "model: ai/smollm2", format!("models.{key}"));
        }
        for name in self.stack.services.keys() {
            if let Some(provider) = self.written(name, "provider") {
                let what = format!("the provider of `{name}`");
                let path = format!("services.{name}.provider");
                needs(provider, what, "type", "type: awesomecloud", path);
            }
        }
        self.diagnostics.append(&mut found);
    }

    /// Images of other services as contexts, and the platforms of a build.
    pub(super) fn builds(&mut self, service: &Service) {
        let name = &service.name.value;
        let Some(build) = self.written(name, "build") else { return };
        for (key, entry) in build.get("additional_contexts").and_then(Node::as_mapping).into_iter().flatten()
        {
            let Some(other) = text(&entry.node).strip_prefix("service:") else { continue };
            let path = format!("services.{name}.build.additional_contexts.{key}");
            let told = match self.stack.services.get(other) {
                Some(other) if other.build.is_some() => continue,
                Some(other) => {
                    Diagnostic::error(format!("the service `{other}` is not built", other = *other.name))
                        .related(&other.name.origin, "it has no `build`")
                        .help("name a service with `build`, or its image: `docker-image://IMAGE`")
                }
                None => {
                    let told = Diagnostic::error(format!("there is no service `{other}`"));
                    match closest(other, self.stack.services.keys().map(String::as_str)) {
                        Some(close) => told.help(format!("did you mean `{close}`?")),
                        None => told.help("add it under `services:`, or name a directory"),
                    }
                }
            };
            self.say(told.at(&entry.node.origin).path(path));
        }
        let platforms = build.get("platforms").and_then(Node::as_sequence).unwrap_or_default();
        if let Some(platform) = &service.platform
            && let Some(first) = platforms.first()
            && !platforms.iter().any(|built| text(built) == platform.value)
        {
            self.say(
                Diagnostic::error(format!("the image of `{name}` is not built for its own platform"))
                    .at(&platform.origin)
                    .path(format!("services.{name}.platform"))
                    .related(&first.origin, "it is built for these")
                    .help(format!("add `{}` to `build.platforms`", platform.value)),
            );
        }
    }

    /// Nothing is mounted twice at one place.
    pub(super) fn targets(&mut self, service: &Service) {
        let name = &service.name.value;
        let mut seen: HashMap<&str, &Origin> = HashMap::new();
        let tmpfs = service.tmpfs.iter().map(|mount| {
            let target = mount.value.split(':').next().unwrap_or_default();
            (target, &mount.origin, "tmpfs")
        });
        let volumes = service.volumes.iter().map(|mount| (mount.target.as_str(), &mount.origin, "volumes"));
        let mut found = Vec::new();
        for (target, origin, kind) in tmpfs.chain(volumes) {
            let Some(first) = seen.insert(target, origin) else { continue };
            let what = match outside_of(origin) {
                Some(variable) => format!("the target in `{variable}`"),
                None => format!("`{target}`"),
            };
            found.push(
                Diagnostic::error(format!("two mounts of `{name}` stand at {what}"))
                    .at(origin)
                    .path(format!("services.{name}.{kind}"))
                    .related(first, "first here")
                    .help("change one of the targets, or remove one of the mounts"),
            );
        }
        self.diagnostics.append(&mut found);
    }

    /// The content of a secret or a config comes from one place.
    pub(super) fn contents(&mut self) {
        let mut found = Vec::new();
        for (kind, from) in
            [("secrets", &["file", "environment"][..]), ("configs", &["file", "environment", "content"])]
        {
            for (key, entry) in self.declared.resources(kind) {
                let given: Vec<_> =
                    from.iter().filter_map(|from| Some((from, entry.node.get(from)?))).collect();
                let path = format!("{kind}.{key}");
                let one = kind.trim_end_matches('s');
                let choice = from.iter().map(|from| format!("`{from}`")).collect::<Vec<_>>().join(" or ");
                let external = entry.node.get("external").is_some_and(|external| text(external) == "true");
                match given.as_slice() {
                    [] if external => {}
                    [] => found.push(
                        Diagnostic::error(format!("the {one} `{key}` has no content"))
                            .at(&entry.key)
                            .path(path)
                            .help(format!("add {choice}, or `external: true`")),
                    ),
                    [(_, first), (second, node), ..] => found.push(
                        Diagnostic::error(format!("the {one} `{key}` has its content from two places"))
                            .at(&node.origin)
                            .path(format!("{path}.{second}"))
                            .related(&first.origin, "and here")
                            .help(format!("keep one of {choice}")),
                    ),
                    _ => {}
                }
            }
        }
        self.diagnostics.append(&mut found);
    }
}
