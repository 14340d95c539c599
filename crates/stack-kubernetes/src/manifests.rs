//! The way from a stack to objects, on one screen.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use stack_file::diagnostic::Diagnostic;
use stack_file::kubernetes;
use stack_file::load::Loaded;
use stack_file::model::{Service, Stack};
use stack_file::source::Origin;

use crate::labels::Marks;
use crate::network::Isolation;
use crate::volumes::Storage;
use crate::workload::{Workload, workloads};
use crate::{Export, Found, Object, Options, name};

/// What is written so far, and what there is to say about it.
pub(crate) struct Manifests<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) options: &'a Options,
    pub(crate) look: &'a dyn Fn(&Path) -> Found,
    /// The names of services in Kubernetes, by their names in the file. A service whose name
    /// cannot be made fit is in the way of it all and told.
    pub(crate) names: IndexMap<&'a str, String>,
    /// What each service becomes.
    pub(crate) kinds: IndexMap<&'a str, Workload>,
    /// What each named volume becomes.
    pub(crate) storage: Storage<'a>,
    /// What is kept apart.
    pub(crate) isolation: Isolation,
    /// The names of Jobs that were written, by service.
    pub(crate) jobs: IndexMap<&'a str, String>,
    /// The names of Jobs that pods wait for.
    pub(crate) awaited: BTreeSet<String>,
    told: Vec<Diagnostic>,
    /// What is said already of configs and secrets whose content nobody has.
    unread: Vec<Diagnostic>,
    objects: Vec<(usize, Object, Origin)>,
}

/// The order in which objects are written: what others refer to comes first.
const ORDER: [&str; 12] = [
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    "Service",
    "Job",
    "StatefulSet",
    "DaemonSet",
    "Deployment",
];

impl<'a> Manifests<'a> {
    pub(crate) fn of(loaded: &'a Loaded, options: &'a Options, look: &'a dyn Fn(&Path) -> Found) -> Self {
        let stack = &loaded.stack;
        let mut manifests = Self {
            stack,
            options,
            look,
            names: IndexMap::new(),
            kinds: workloads(stack),
            storage: Storage::default(),
            isolation: Isolation::of(stack),
            jobs: IndexMap::new(),
            awaited: BTreeSet::new(),
            told: kubernetes::not_honoured(loaded),
            unread: unread(loaded),
            objects: Vec::new(),
        };
        manifests.name_services();
        manifests.storage = Storage::of(stack, &manifests.kinds);
        manifests.claims();
        // What waits for a Job names it, so that Jobs are written before all else.
        for (jobs_first, service) in manifests.in_order() {
            debug_assert!(!jobs_first || manifests.kinds[service.name.as_str()] == Workload::Job);
            manifests.services_of(service);
            manifests.workload(service);
        }
        manifests.policies();
        manifests.access();
        manifests
    }

    /// The services that have pods: Jobs first, each after the Jobs that it waits for.
    fn in_order(&self) -> Vec<(bool, &'a Service)> {
        let all =
            || self.stack.services.values().filter(|service| self.names.contains_key(service.name.as_str()));
        let is_job = |service: &Service| self.kinds.get(service.name.as_str()) == Some(&Workload::Job);
        let mut left: Vec<&Service> = all().filter(|service| is_job(service)).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let waits = |service: &Service| {
                left.iter().any(|other| {
                    other.name != service.name && service.depends_on.contains_key(other.name.as_str())
                })
            };
            // A circle is an error of the file, which is not written.
            let next = left.iter().position(|service| !waits(service)).unwrap_or(0);
            order.push((true, left.remove(next)));
        }
        order.extend(all().filter(|service| !is_job(service)).map(|service| (false, service)));
        order
    }

    fn name_services(&mut self) {
        let mut seen: IndexMap<String, &Service> = IndexMap::new();
        for service in self.stack.services.values() {
            // What another program makes has no pods; the table says so.
            if service.provider.is_some() {
                continue;
            }
            let path = format!("services.{}", service.name.value);
            let Some(fit) = name::label(&service.name)
                .filter(|fit| !fit.starts_with(|first: char| first.is_ascii_digit()))
            else {
                self.error(
                    &service.name.origin,
                    path,
                    format!("Kubernetes takes `{}` for no name of a Service", service.name.value),
                    "begin it with a letter",
                );
                continue;
            };
            if let Some(other) = seen.get(&fit) {
                let told = Diagnostic::error(format!("two services are both called `{fit}` in Kubernetes"))
                    .at(&service.name.origin)
                    .path(path)
                    .related(&other.name.origin, "the other one")
                    .help("give one of them another name");
                self.told.push(told);
                continue;
            }
            if fit != service.name.value {
                self.warn(
                    &service.name.origin,
                    path,
                    format!("the service is found as `{fit}` in Kubernetes: names there have lower-case letters, digits and `-`"),
                    format!("call it `{fit}`, or let those that use it use this name"),
                );
            }
            seen.insert(fit.clone(), service);
            self.names.insert(service.name.as_str(), fit);
        }
    }

    /// Writes an object. Two that have the same name must be the same.
    pub(crate) fn write(
        &mut self,
        api: &str,
        kind: &'static str,
        name: &str,
        marks: Marks,
        body: Map<String, Value>,
        origin: &Origin,
    ) {
        let mut value = Map::new();
        value.insert("apiVersion".to_owned(), json!(api));
        value.insert("kind".to_owned(), json!(kind));
        value.insert("metadata".to_owned(), self.metadata(name, marks));
        value.extend(body);
        let object = Object { kind, name: name.to_owned(), value: Value::Object(value) };
        let same = self.objects.iter().find(|(_, other, _)| other.kind == kind && other.name == name);
        match same {
            Some((_, other, _)) if other.value == object.value => {}
            Some((_, _, first)) => {
                let told =
                    Diagnostic::error(format!("two objects are both the {kind} `{name}` in Kubernetes"))
                        .at(origin)
                        .related(first, "the other one")
                        .help("give one of them another name");
                self.told.push(told);
            }
            None => {
                let place = ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len());
                self.objects.push((place, object, origin.clone()));
            }
        }
    }

    /// Says what the manifests do not say.
    pub(crate) fn warn(
        &mut self,
        at: &Origin,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.told.push(Diagnostic::warning(message).at(at).path(path).help(help));
    }

    /// Says what keeps the stack from being written.
    pub(crate) fn error(
        &mut self,
        at: &Origin,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.told.push(Diagnostic::error(message).at(at).path(path).help(help));
    }

    /// Says that a config or secret cannot be written, in the words that were found when it was read.
    pub(crate) fn without_content(&mut self, at: &Origin, path: String, message: String, help: &str) {
        let known = self.unread.iter().find(|told| told.path.starts_with(&format!("{path}."))).cloned();
        match known {
            Some(told) => self.told.push(told),
            None => self.error(at, path, message, help),
        }
    }

    pub(crate) fn finish(self) -> Export {
        let Self { mut objects, mut told, .. } = self;
        objects.sort_by_key(|(place, ..)| *place);
        let place = |told: &Diagnostic| told.origin.as_ref().map(|origin| (origin.source, origin.span));
        told.sort_by_key(place);
        // An anchor brings one place to several services.
        let mut seen = HashSet::new();
        told.retain(|told| seen.insert((place(told), told.message.clone())));
        Export { objects: objects.into_iter().map(|(_, object, _)| object).collect(), diagnostics: told }
    }
}

fn unread(loaded: &Loaded) -> Vec<Diagnostic> {
    let is_content = |told: &&Diagnostic| {
        (told.path.starts_with("configs.") || told.path.starts_with("secrets."))
            && (told.path.ends_with(".file") || told.path.ends_with(".environment"))
    };
    loaded.unsupported.iter().filter(is_content).cloned().collect()
}

/// Adds a value, if there is one.
pub(crate) fn put(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value);
    }
}

/// Adds a list or mapping that is not empty.
pub(crate) fn put_some(map: &mut Map<String, Value>, key: &str, value: Value) {
    let empty = match &value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    };
    if !empty {
        map.insert(key.to_owned(), value);
    }
}
