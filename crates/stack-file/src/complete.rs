//! The merged tree made whole: profiles, environment files, defaults, names.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::attributes::Schema;
use crate::canonical::{clean, text};
use crate::diagnostic::Diagnostic;
use crate::interpolate::Variables;
use crate::load::Omitted;
use crate::source::{Origin, SourceId, Sources, Variable};
use crate::tree::{Entries, Entry, Kind, Node, ScalarKind};

pub(crate) mod dependencies;
mod files;

/// What the tree is completed with.
pub(crate) struct Completion<'a> {
    /// The project name.
    pub(crate) name: &'a str,
    /// The project directory, absolute.
    pub(crate) directory: &'a Path,
    /// Variables of the project.
    pub(crate) variables: &'a Variables<'a>,
    /// Active profiles.
    pub(crate) profiles: &'a BTreeSet<String>,
    /// Texts read so far; environment files are added.
    pub(crate) sources: &'a mut Sources,
    /// What is left undone.
    pub(crate) omitted: Omitted,
    /// What was found so far.
    pub(crate) diagnostics: &'a mut Vec<Diagnostic>,
    /// Environment files by path: several services share one.
    pub(crate) env_files: HashMap<PathBuf, Option<SourceId>>,
}

/// The keys of resources that the services use.
#[derive(Default)]
struct Used {
    volumes: HashSet<String>,
    secrets: HashSet<String>,
    configs: HashSet<String>,
    models: HashSet<String>,
}

impl Used {
    fn add(&mut self, service: &Entries) {
        fn sources<'a>(node: Option<&'a Node>) -> impl Iterator<Item = String> + 'a {
            let items = node.and_then(Node::as_sequence).unwrap_or_default().iter();
            items.filter_map(|item| item.get("source").map(|source| text(source).to_owned()))
        }
        let own = |key: &str| service.get(key).map(|entry| &entry.node);
        let mounts = own("volumes").and_then(Node::as_sequence).unwrap_or_default().iter();
        self.volumes.extend(
            mounts
                .filter(|mount| mount.get("type").map(text) == Some("volume"))
                .filter_map(|mount| mount.get("source").map(|source| text(source).to_owned())),
        );
        self.secrets.extend(sources(own("secrets")));
        self.secrets.extend(sources(own("build").and_then(|build| build.get("secrets"))));
        self.configs.extend(sources(own("configs")));
        self.models.extend(mapping_of(service, "models").map(|(key, _)| key.clone()));
    }
}

/// Services that no profile enables: name to the profiles that would.
pub(crate) type Disabled = IndexMap<String, Vec<String>>;

impl Completion<'_> {
    /// Completes the tree of a stack; gives the services that were taken out.
    pub(crate) fn complete(&mut self, root: &mut Node) -> Disabled {
        let whole = root.origin.clone();
        let Kind::Mapping(top) = &mut root.kind else { return Disabled::new() };
        let name =
            Node::string(self.name, top.get("name").map_or(&whole, |entry| &entry.node.origin).clone());
        let key = top.get("name").map_or(&whole, |entry| &entry.key).clone();
        top.shift_remove("name");
        top.shift_insert(0, "name".to_owned(), Entry { key, node: name });

        let row = Schema::root().below("services").and_then(|services| services.each.as_deref());
        let mut disabled = Disabled::new();
        let mut networks: IndexMap<String, Origin> = IndexMap::new();
        let mut used = Used::default();
        if let Some(Kind::Mapping(services)) = top.get_mut("services").map(|entry| &mut entry.node.kind) {
            services.retain(|name, entry| {
                let wanted = profiles_of(&entry.node);
                let enabled = wanted.is_empty()
                    || self.profiles.contains("*")
                    || wanted.iter().any(|profile| self.profiles.contains(profile));
                if !enabled {
                    disabled.insert(name.clone(), wanted);
                }
                enabled
            });
            let enabled: HashSet<String> = services.keys().cloned().collect();
            for (name, entry) in services.iter_mut() {
                let key = entry.key.clone();
                if let Kind::Mapping(service) = &mut entry.node.kind {
                    self.image(name, service);
                    self.service(service, &key);
                    self.drop_optional(name, service, &enabled, &disabled);
                    if let Some(row) = row {
                        row.order(service);
                    }
                    for (network, entry) in mapping_of(service, "networks") {
                        networks.entry(network.clone()).or_insert_with(|| entry.key.clone());
                    }
                    used.add(service);
                }
            }
        }
        if let Some(origin) = networks.get("default")
            && top.get("networks").is_none_or(|entry| entry.node.get("default").is_none())
        {
            let declared = top.entry("networks".to_owned()).or_insert_with(|| empty(origin));
            if let Kind::Mapping(entries) = &mut declared.node.kind {
                entries.insert("default".to_owned(), empty(origin));
            }
        }
        let all = self.omitted.unused;
        self.resources(top, "networks", |key| all || networks.contains_key(key));
        self.resources(top, "volumes", |key| all || used.volumes.contains(key));
        self.resources(top, "secrets", |key| all || used.secrets.contains(key));
        self.resources(top, "configs", |key| all || used.configs.contains(key));
        self.resources(top, "models", |key| all || used.models.contains(key));
        Schema::root().order(top);
        disabled
    }

    /// A volume of the local driver that is a bind shows a directory of this machine.
    fn bound_device(&self, volume: &mut Entries) {
        if volume.get("driver").is_none_or(|driver| text(&driver.node) != "local") {
            return;
        }
        let Some(options) = volume.get_mut("driver_opts") else { return };
        if options.node.get("o").is_some_and(|option| text(option) == "bind")
            && let Kind::Mapping(options) = &mut options.node.kind
            && let Some(device) = options.get_mut("device")
            && !text(&device.node).starts_with('/')
        {
            let path = clean(&self.directory.join(text(&device.node)));
            device.node = Node::string(path.to_string_lossy(), device.node.origin.clone());
        }
    }

    /// Leaves the resources of a kind that are in use, each with the engine's name for it.
    fn resources(&self, top: &mut Entries, kind: &str, used: impl Fn(&str) -> bool) {
        let Some(Kind::Mapping(all)) = top.get_mut(kind).map(|entry| &mut entry.node.kind) else { return };
        all.retain(|key, _| used(key));
        for (key, entry) in all.iter_mut() {
            let origin = entry.key.clone();
            let Kind::Mapping(resource) = &mut entry.node.kind else { continue };
            let external = resource.get("external").is_some_and(|entry| text(&entry.node) == "true");
            if !external {
                resource.shift_remove("external");
            }
            if kind == "volumes" {
                self.bound_device(resource);
            }
            if !resource.contains_key("name") && kind != "models" && !self.omitted.defaults {
                let name = if external { key.clone() } else { format!("{}_{key}", self.name) };
                let node = Node::string(name, origin.clone());
                resource.shift_insert(0, "name".to_owned(), Entry { key: origin, node });
            }
        }
        if top.get(kind).is_some_and(|entry| entry.node.as_mapping().is_some_and(|all| all.is_empty())) {
            top.shift_remove(kind);
        }
    }

    /// An empty image is none, which is fault enough unless one is built.
    fn image(&mut self, name: &str, service: &mut Entries) {
        if service.get("image").is_some_and(|entry| text(&entry.node).is_empty())
            && let Some(image) = service.shift_remove("image")
            && !service.contains_key("build")
        {
            self.diagnostics.push(
                Diagnostic::error("`image` is empty")
                    .at(&image.node.origin)
                    .path(format!("services.{name}.image")),
            );
        }
    }

    fn service(&mut self, service: &mut Entries, key: &Origin) {
        if !self.omitted.env_files {
            self.environment(service, key);
        }
        self.labels(service);
        self.build(service);
        if !self.omitted.checks {
            replicas(service);
        }
        dependencies::complete(service, !self.omitted.defaults);
        if self.omitted.defaults {
            return;
        }
        if !service.contains_key("network_mode")
            && !service.contains_key("provider")
            && service
                .get("networks")
                .is_none_or(|entry| entry.node.as_mapping().is_none_or(|all| all.is_empty()))
        {
            let networks = service.entry("networks".to_owned()).or_insert_with(|| empty(key));
            if let Kind::Mapping(entries) = &mut networks.node.kind {
                let nothing = Node::scalar("", ScalarKind::Null, key.clone());
                entries.insert("default".to_owned(), Entry { key: key.clone(), node: nothing });
            }
        }
    }

    /// Takes out dependencies that are not required and that nothing declares. Those that
    /// no profile enables stay written.
    fn drop_optional(
        &mut self,
        name: &str,
        service: &mut Entries,
        enabled: &HashSet<String>,
        disabled: &Disabled,
    ) {
        let Some(Kind::Mapping(all)) = service.get_mut("depends_on").map(|entry| &mut entry.node.kind) else {
            return;
        };
        all.retain(|other, entry| {
            let required = entry.node.get("required").is_none_or(|required| text(required) != "false");
            if required || enabled.contains(other) || disabled.contains_key(other) {
                return true;
            }
            self.diagnostics.push(
                Diagnostic::warning(format!("there is no service `{other}`; `{name}` goes without it"))
                    .at(&entry.key)
                    .path(format!("services.{name}.depends_on.{other}")),
            );
            false
        });
        if all.is_empty() {
            service.shift_remove("depends_on");
        }
    }

    fn build(&self, service: &mut Entries) {
        let Some(entry) = service.get_mut("build") else { return };
        let origin = entry.node.origin.clone();
        let Kind::Mapping(build) = &mut entry.node.kind else { return };
        if !build.contains_key("context") {
            let directory = if self.omitted.paths { Path::new(".") } else { self.directory };
            let node = Node::string(directory.to_string_lossy(), origin.clone());
            build.shift_insert(0, "context".to_owned(), Entry { key: origin.clone(), node });
        }
        if self.omitted.defaults {
            return;
        }
        if !build.contains_key("dockerfile") && !build.contains_key("dockerfile_inline") {
            let node = Node::string("Dockerfile", origin.clone());
            build.shift_insert(1, "dockerfile".to_owned(), Entry { key: origin, node });
        }
        if let Some(Kind::Mapping(args)) = build.get_mut("args").map(|entry| &mut entry.node.kind) {
            args.retain(|name, entry| {
                if !entry.node.is_null() {
                    return true;
                }
                let Some(value) = self.variables.get(name) else { return false };
                let variable = Variable { name: name.clone(), from: self.variables.origin(name) };
                let mut origin = entry.node.origin.clone();
                origin.via = Some(Arc::new(variable));
                entry.node = Node::string(value, origin);
                true
            });
        }
    }
}

fn profiles_of(service: &Node) -> Vec<String> {
    service
        .get("profiles")
        .and_then(Node::as_sequence)
        .unwrap_or_default()
        .iter()
        .map(|profile| text(profile).to_owned())
        .collect()
}

fn mapping_of<'a>(entries: &'a Entries, key: &str) -> impl Iterator<Item = (&'a String, &'a Entry)> {
    entries.get(key).and_then(|entry| entry.node.as_mapping()).into_iter().flatten()
}

/// Where `deploy` says nothing of replicas, `scale` says it.
fn replicas(service: &mut Entries) {
    let Some(scale) = service.get("scale").map(|entry| entry.node.clone()) else { return };
    let Some(Kind::Mapping(deploy)) = service.get_mut("deploy").map(|entry| &mut entry.node.kind) else {
        return;
    };
    if !deploy.contains_key("replicas") {
        let key = scale.origin.clone();
        deploy.insert("replicas".to_owned(), Entry { key, node: scale });
        if let Some(schema) =
            Schema::root().below("services").and_then(|all| all.each.as_deref()?.below("deploy"))
        {
            schema.order(deploy);
        }
    }
}

fn empty(origin: &Origin) -> Entry {
    Entry { key: origin.clone(), node: Node { kind: Kind::Mapping(Entries::new()), origin: origin.clone() } }
}
