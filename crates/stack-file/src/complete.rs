//! The merged tree made whole: profiles, environment files, defaults, names.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::attributes::Schema;
use crate::canonical::text;
use crate::diagnostic::Diagnostic;
use crate::env_file;
use crate::interpolate::Variables;
use crate::load::Omitted;
use crate::source::{self, Origin, SourceId, Sources, Variable, VariableSource};
use crate::tree::{Entry, Kind, Node, ScalarKind};

type Entries = IndexMap<String, Entry>;

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
        let mut volumes: HashSet<String> = HashSet::new();
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
                    self.service(service, &key);
                    self.drop_optional(name, service, &enabled, &disabled);
                    if let Some(row) = row {
                        row.order(service);
                    }
                    for (network, entry) in mapping_of(service, "networks") {
                        networks.entry(network.clone()).or_insert_with(|| entry.key.clone());
                    }
                    for mount in
                        service.get("volumes").and_then(|entry| entry.node.as_sequence()).unwrap_or_default()
                    {
                        if mount.get("type").map(text) == Some("volume") {
                            volumes.extend(mount.get("source").map(|source| text(source).to_owned()));
                        }
                    }
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
        self.resources(top, "networks", |key| networks.contains_key(key));
        self.resources(top, "volumes", |key| volumes.contains(key));
        let order = |key: &str| match key {
            "name" => 0,
            "services" => 1,
            "networks" => 2,
            "volumes" => 3,
            _ => 4,
        };
        top.sort_by_cached_key(|key, _| order(key));
        disabled
    }

    /// Leaves the networks or volumes in use, each with the engine's name for it.
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
            if !resource.contains_key("name") && !self.omitted.defaults {
                let name = if external { key.clone() } else { format!("{}_{key}", self.name) };
                let node = Node::string(name, origin.clone());
                resource.shift_insert(0, "name".to_owned(), Entry { key: origin, node });
            }
            if let Some(Kind::Mapping(ipam)) = resource.get_mut("ipam").map(|entry| &mut entry.node.kind) {
                ipam.shift_remove("driver");
                if ipam.is_empty() {
                    resource.shift_remove("ipam");
                }
            }
        }
        if top.get(kind).is_some_and(|entry| entry.node.as_mapping().is_some_and(IndexMap::is_empty)) {
            top.shift_remove(kind);
        }
    }

    fn service(&mut self, service: &mut Entries, key: &Origin) {
        if !self.omitted.env_files {
            self.environment(service, key);
        }
        self.build(service);
        dependencies(service, !self.omitted.defaults);
        if self.omitted.defaults {
            return;
        }
        healthcheck(service);
        if !service.contains_key("network_mode")
            && service
                .get("networks")
                .is_none_or(|entry| entry.node.as_mapping().is_none_or(IndexMap::is_empty))
        {
            let networks = service.entry("networks".to_owned()).or_insert_with(|| empty(key));
            if let Kind::Mapping(entries) = &mut networks.node.kind {
                entries.insert("default".to_owned(), empty(key));
            }
        }
    }

    /// Takes out dependencies that are not required and not there.
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
            if required || enabled.contains(other) {
                return true;
            }
            if !disabled.contains_key(other) {
                self.diagnostics.push(
                    Diagnostic::warning(format!("there is no service `{other}`; `{name}` goes without it"))
                        .at(&entry.key)
                        .path(format!("services.{name}.depends_on.{other}")),
                );
            }
            false
        });
        if all.is_empty() {
            service.shift_remove("depends_on");
        }
    }

    /// One mapping of variables: environment files below, `environment` on top.
    fn environment(&mut self, service: &mut Entries, key: &Origin) {
        let files = service.shift_remove("env_file");
        let mut own = match service.shift_remove("environment") {
            Some(entry) => entry,
            None if files.is_none() => return,
            None => empty(files.as_ref().map_or(key, |entry| &entry.key)),
        };
        let Kind::Mapping(own_entries) = &mut own.node.kind else { return };
        for (name, entry) in own_entries.iter_mut() {
            if entry.node.is_null()
                && let Some(value) = self.variables.get(name)
            {
                let variable = Variable { name: name.clone(), from: self.variables.origin(name) };
                let mut origin = entry.node.origin.clone();
                origin.via = Some(Arc::new(variable));
                entry.node = Node::string(value, origin);
            }
        }
        if let Some(files) = files {
            let mut all = Entries::new();
            for file in files.node.as_sequence().unwrap_or_default() {
                self.env_file(file, own_entries, &mut all);
            }
            for (name, entry) in std::mem::take(own_entries) {
                all.insert(name, entry);
            }
            *own_entries = all;
        }
        service.insert("environment".to_owned(), own);
    }

    fn env_file(&mut self, file: &Node, own: &Entries, all: &mut Entries) {
        let Some(place) = file.get("path") else {
            self.diagnostics.push(
                Diagnostic::error("an item of `env_file` needs a `path`")
                    .at(&file.origin)
                    .help("add `path: app.env`"),
            );
            return;
        };
        let path = self.directory.join(text(place));
        let required = file.get("required").is_none_or(|required| text(required) != "false");
        let known = self.env_files.get(&path).copied();
        let source = match known {
            Some(source) => source,
            None => {
                let source = match source::read(&path) {
                    Ok(content) => {
                        let name = path.strip_prefix(self.directory).unwrap_or(&path).display().to_string();
                        Some(self.sources.add_confidential(name, Some(path.clone()), content))
                    }
                    Err(_) if !required && !path.exists() => None,
                    Err(reason) => {
                        self.diagnostics.push(
                            Diagnostic::error(format!(
                                "the environment file {} cannot be read: {reason}",
                                path.display()
                            ))
                            .at(&place.origin)
                            .help("correct the path, or set `required: false` for a file that may be absent"),
                        );
                        return;
                    }
                };
                self.env_files.insert(path.clone(), source);
                source
            }
        };
        let Some(source) = source else { return };
        let content = self.sources.get(source).text.clone();
        let lookup = |name: &str| {
            self.variables
                .get(name)
                .or_else(|| {
                    own.get(name).filter(|entry| !entry.node.is_null()).map(|entry| text(&entry.node))
                })
                .map(str::to_owned)
        };
        let earlier = || all.iter().map(|(name, entry)| (name.clone(), text(&entry.node).to_owned()));
        let raw = file.get("format").is_some();
        let assignments = if raw {
            let earlier: HashMap<String, String> = earlier().collect();
            env_file::parse_raw(&content, &|name| lookup(name).or_else(|| earlier.get(name).cloned()))
        } else {
            env_file::parse_after(&content, source, &lookup, earlier().collect(), self.diagnostics)
        };
        for assignment in assignments {
            let variable = Variable {
                name: assignment.name.clone(),
                from: VariableSource::EnvFile(path.clone(), assignment.line),
            };
            let origin = Origin { source, span: assignment.span, via: Some(Arc::new(variable)) };
            let node = Node::string(assignment.value, origin.clone());
            all.insert(assignment.name, Entry { key: origin, node });
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

/// Every dependency in full, those that `network_mode` implies included if `implied`.
pub(crate) fn dependencies(service: &mut Entries, implied: bool) {
    let implied = service.get("network_mode").filter(|_| implied).and_then(|entry| {
        let name = text(&entry.node).strip_prefix("service:")?;
        Some((name.to_owned(), entry.node.origin.clone()))
    });
    if let Some((name, origin)) = implied {
        let all = service.entry("depends_on".to_owned()).or_insert_with(|| empty(&origin));
        if let Kind::Mapping(entries) = &mut all.node.kind {
            entries.entry(name).or_insert_with(|| {
                let mut wanted = Entries::new();
                default(&mut wanted, 0, "restart", "true", ScalarKind::Boolean, &origin);
                Entry {
                    key: origin.clone(),
                    node: Node { kind: Kind::Mapping(wanted), origin: origin.clone() },
                }
            });
        }
    }
    let Some(Kind::Mapping(all)) = service.get_mut("depends_on").map(|entry| &mut entry.node.kind) else {
        return;
    };
    for entry in all.values_mut() {
        let origin = entry.node.origin.clone();
        if let Kind::Mapping(wanted) = &mut entry.node.kind {
            default(wanted, 0, "condition", "service_started", ScalarKind::String, &origin);
            default(wanted, 1, "restart", "false", ScalarKind::Boolean, &origin);
            default(wanted, 2, "required", "true", ScalarKind::Boolean, &origin);
        }
    }
}

fn default(entries: &mut Entries, at: usize, key: &str, value: &str, kind: ScalarKind, origin: &Origin) {
    if !entries.contains_key(key) {
        let node = Node::scalar(value, kind, origin.clone());
        let at = at.min(entries.len());
        entries.shift_insert(at, key.to_owned(), Entry { key: origin.clone(), node });
    }
}

/// `disable: true` and the probe `NONE` mean the same.
fn healthcheck(service: &mut Entries) {
    let Some(entry) = service.get_mut("healthcheck") else { return };
    let Kind::Mapping(check) = &mut entry.node.kind else { return };
    let off = check.get("disable").filter(|entry| text(&entry.node) == "true").or_else(|| {
        check
            .get("test")
            .filter(|entry| entry.node.as_sequence().and_then(<[Node]>::first).map(text) == Some("NONE"))
    });
    if let Some(off) = off {
        let origin = off.node.origin.clone();
        check.retain(|key, _| key.starts_with("x-"));
        let none = Kind::Sequence(vec![Node::string("NONE", origin.clone())]);
        let test = Node { kind: none, origin: origin.clone() };
        check.shift_insert(0, "test".to_owned(), Entry { key: origin.clone(), node: test });
        default(check, 1, "disable", "true", ScalarKind::Boolean, &origin);
    } else {
        check.shift_remove("disable");
        if check.is_empty() {
            service.shift_remove("healthcheck");
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

fn empty(origin: &Origin) -> Entry {
    Entry { key: origin.clone(), node: Node { kind: Kind::Mapping(Entries::new()), origin: origin.clone() } }
}
