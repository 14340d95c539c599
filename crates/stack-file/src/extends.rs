//! `extends`: a service that starts from another one, of the same file or of
//! another, and lays its own settings over it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::attributes::Schema;
use crate::canonical::{Base, canonical, clean, closest, outside_of, text};
use crate::diagnostic::{Diagnostic, Severity};
use crate::interpolate;
use crate::load::Model;
use crate::merge;
use crate::reading::{Reading, is_remote};
use crate::source::{Origin, Reference, Referrer, Span};
use crate::tree::{Entries, Entry, Kind, Node};
use crate::yaml::{Document, Mark};

type Services = Entries;

/// Resolves every `extends` of the canonical tree of a document; `marks` are its own.
pub(crate) fn extend(root: &mut Node, marks: &[Mark], model: Model<'_>, reading: &mut Reading<'_>) {
    let Kind::Mapping(top) = &mut root.kind else { return };
    let Some(Kind::Mapping(services)) = top.get_mut("services").map(|entry| &mut entry.node.kind) else {
        return;
    };
    let extending: Vec<String> = services
        .iter()
        .filter(|(_, entry)| entry.node.get("extends").is_some())
        .map(|(name, _)| name.clone())
        .collect();
    if extending.is_empty() {
        return;
    }
    let own = File {
        documents: Vec::new(),
        directory: model.directory.to_owned(),
        marks: marks_by_service(marks.iter()),
    };
    let mut resolver = Resolver {
        services,
        model,
        reading,
        files: vec![own],
        by_path: HashMap::new(),
        resolved: HashMap::new(),
    };
    for name in extending {
        // It may be whole already, as the base of one before.
        if resolver.services.get(&name).is_some_and(|entry| entry.node.get("extends").is_some()) {
            resolver.resolve(name);
        }
    }
}

/// A file whose services are extended; the first is the one that extends.
struct File {
    documents: Vec<Document>,
    directory: PathBuf,
    /// What `!reset` and `!override` mark within each service, from the service on.
    marks: HashMap<String, Vec<Mark>>,
}

/// A service of one of the files.
type Key = (usize, String);

/// The document that extends, as an index of [`Resolver::files`].
const OWN: usize = 0;

struct Resolver<'r, 'a> {
    services: &'r mut Services,
    model: Model<'r>,
    reading: &'r mut Reading<'a>,
    files: Vec<File>,
    by_path: HashMap<PathBuf, Option<usize>>,
    /// Whole services of other files.
    resolved: HashMap<Key, Node>,
}

/// One service on the way from the extending one to the last that is extended.
struct Step {
    key: Key,
    node: Node,
    /// Where the service says what it extends.
    place: Origin,
}

/// What a service extends.
struct Target {
    service: String,
    file: Option<(String, Origin)>,
    place: Origin,
}

impl Resolver<'_, '_> {
    /// Follows the way of a service to its end, then lays the services over each other.
    fn resolve(&mut self, name: String) {
        let mut way: Vec<Step> = Vec::new();
        let mut seen: HashSet<Key> = HashSet::new();
        let mut next = Some((OWN, name));
        let mut base: Option<Node> = None;
        let mut sound = true;
        while let Some(key) = next.take() {
            if let Some(done) = self.resolved.get(&key) {
                base = Some(done.clone());
                break;
            }
            if seen.contains(&key) {
                self.circle(&way, &key);
                sound = false;
                break;
            }
            let before = self.reading.diagnostics.len();
            let Some(mut node) = self.service(&key) else {
                self.missing(&way, &key);
                sound = false;
                break;
            };
            let target = target(&mut node);
            let place = target.as_ref().map_or(&node.origin, |target| &target.place).clone();
            let found = &self.reading.diagnostics[before..];
            sound &= !found.iter().any(|told| told.severity == Severity::Error);
            if let Some(target) = target {
                next = self.destination(&key, &target);
                sound &= next.is_some();
            }
            seen.insert(key.clone());
            way.push(Step { key, node, place });
        }
        self.fold(way, base, sound);
    }

    /// The last service of the way is the base of the one before it, and so on.
    fn fold(&mut self, way: Vec<Step>, mut base: Option<Node>, sound: bool) {
        let row = Schema::root().below("services").and_then(|services| services.each.as_deref());
        let mut wanting = !sound;
        let last = way.first().map(|step| step.key.1.clone());
        for Step { key, node, place } in way.into_iter().rev() {
            let origin = node.origin.clone();
            let mut whole = match (base.take(), row) {
                (Some(mut below), Some(row)) if self.reading.admits(&below, &place) => {
                    let marks = self.files[key.0].marks.get(&key.1);
                    merge::clear(&mut below, marks.map_or(&[], Vec::as_slice));
                    if let Some(name) = &last {
                        self.reading.note_base(name, &below);
                    }
                    merge::merge(below, node, row)
                }
                (refused, _) => {
                    wanting |= refused.is_some();
                    node
                }
            };
            whole.origin = origin;
            let (file, name) = &key;
            if *file == OWN {
                let bare = whole.get("image").is_none() && whole.get("build").is_none();
                wanting |= bare && self.faulty(name);
                if wanting {
                    self.reading.incomplete.insert(name.clone());
                }
                if let Some(entry) = self.services.get_mut(name) {
                    entry.node = whole.clone();
                }
            } else {
                self.resolved.insert(key, whole.clone());
            }
            base = Some(whole);
        }
    }

    /// Whether the image or the build of a service was found faulty.
    fn faulty(&self, name: &str) -> bool {
        let parts = ["image", "build"].map(|part| format!("services.{name}.{part}"));
        let starts = |told: &Diagnostic| parts.iter().any(|part| told.path.starts_with(part.as_str()));
        self.reading.diagnostics.iter().any(starts)
    }

    /// A service in canonical form, with what it extends.
    fn service(&mut self, (file, name): &Key) -> Option<Node> {
        if *file == OWN {
            return self.services.get(name).map(|entry| entry.node.clone());
        }
        let File { documents, directory, .. } = &self.files[*file];
        let base = Base { directory, home: self.model.variables.get("HOME") };
        let mut whole: Option<Node> = None;
        let mut found = false;
        for document in documents {
            let Some(entry) = services_of(&document.root).and_then(|services| services.get(name)) else {
                continue;
            };
            found = true;
            let alone = alone(name, entry.clone(), &document.root.origin);
            let Some(read) = canonical(alone, base, &mut self.reading.diagnostics) else { continue };
            whole = Some(match whole {
                Some(mut below) => {
                    merge::clear(&mut below, &document.marks);
                    merge::merge(below, read, Schema::root())
                }
                None => read,
            });
        }
        let services = whole.and_then(|mut root| match &mut root.kind {
            Kind::Mapping(top) => top.shift_remove("services"),
            _ => None,
        });
        let service = services.and_then(|mut entry| match &mut entry.node.kind {
            Kind::Mapping(services) => services.shift_remove(name),
            _ => None,
        });
        // A service that is faulty as a whole is told, and gives nothing.
        let nothing = || Node {
            kind: Kind::Mapping(Entries::new()),
            origin: Origin { source: documents[0].root.origin.source, span: Span::default(), via: None },
        };
        service.map(|entry| entry.node).or_else(|| found.then(nothing))
    }

    /// The service that another extends; `None` when its file cannot be read, which is told.
    fn destination(&mut self, (file, name): &Key, target: &Target) -> Option<Key> {
        let trail = format!("services.{name}.extends");
        if target.service.is_empty() {
            // A name that is there but faulty is told already.
            if self.reading.diagnostics.iter().any(|told| told.path.starts_with(&trail)) {
                return None;
            }
            self.reading.say(
                Diagnostic::error(format!("`extends` of `{name}` needs a `service`"))
                    .at(&target.place)
                    .path(trail)
                    .help("add the name of the service: `service: base`"),
            );
            return None;
        }
        let Some((reference, place)) = &target.file else { return Some((*file, target.service.clone())) };
        if is_remote(reference) {
            self.reading.say(
                Diagnostic::error("a file of another machine (git, OCI, HTTP) cannot be extended")
                    .at(place)
                    .path(format!("{trail}.file"))
                    .help("fetch it first, and name the file of this machine"),
            );
            return None;
        }
        let path = clean(&self.files[*file].directory.join(reference));
        let file = match self.by_path.get(&path) {
            Some(known) => (*known)?,
            None => {
                let read = self.read(&path, place, &format!("{trail}.file"));
                self.by_path.insert(path, read);
                read?
            }
        };
        Some((file, target.service.clone()))
    }

    /// Reads another file whole: a fault anywhere in it is a fault of the stack.
    fn read(&mut self, path: &Path, place: &Origin, trail: &str) -> Option<usize> {
        let referrer = Referrer { origin: place.clone(), by: Reference::Extends };
        let id = self.reading.referred(path, referrer, trail)?;
        let mut documents = self.reading.documents(id);
        if documents.is_empty() {
            return None;
        }
        for document in &mut documents {
            let Reading { sources, diagnostics, .. } = &mut *self.reading;
            interpolate::interpolate(&mut document.root, self.model.variables, sources, diagnostics);
        }
        let marks = marks_by_service(documents.iter().flat_map(|document| &document.marks));
        let directory = path.parent().unwrap_or(&self.files[OWN].directory).to_owned();
        self.files.push(File { documents, directory, marks });
        Some(self.files.len() - 1)
    }

    fn missing(&mut self, way: &[Step], (file, wanted): &Key) {
        let Some(Step { key: (from, name), place, .. }) = way.last() else { return };
        let others: Vec<&str> = if *file == OWN {
            self.services.keys().map(String::as_str).filter(|other| other != name).collect()
        } else {
            let documents = self.files[*file].documents.iter();
            let services = documents.filter_map(|document| services_of(&document.root));
            let itself = |other: &&str| from == file && other == name;
            services
                .flat_map(|services| services.keys())
                .map(String::as_str)
                .filter(|other| !itself(other))
                .collect()
        };
        let within =
            self.files[*file].documents.first().map_or(place.source, |first| first.root.origin.source);
        let within = &self.reading.sources.get(within).name;
        let outside = outside_of(place);
        let message = match outside {
            Some(variable) => {
                format!("`{name}` extends the service in `{variable}`, which {within} does not have")
            }
            None => format!("`{name}` extends `{wanted}`, and {within} has no such service"),
        };
        let mut told = Diagnostic::error(message).at(place).path(format!("services.{name}.extends"));
        let close = closest(wanted, others.into_iter()).filter(|_| outside.is_none());
        told = match close {
            Some(close) => told.help(format!("did you mean `{close}`?")).replacement(close),
            None if from == file && *from == OWN => {
                told.help("name a service of this file, or add `file:` with the file that has it")
            }
            None => told.help("name a service of that file"),
        };
        self.reading.say(told);
    }

    fn circle(&mut self, way: &[Step], key: &Key) {
        let start = way.iter().position(|step| step.key == *key).unwrap_or(0);
        let way = &way[start..];
        let names: Vec<&str> = way.iter().map(|step| step.key.1.as_str()).collect();
        let Some(first) = names.first() else { return };
        let circle = names.iter().chain([first]).copied().collect::<Vec<_>>().join(" → ");
        let message = match names.as_slice() {
            [name] => format!("`{name}` extends itself"),
            _ => format!("these services extend each other: {circle}"),
        };
        let mut told = Diagnostic::error(message)
            .path(format!("services.{first}.extends"))
            .help("a service must start from one that does not start from it");
        for (index, step) in way.iter().enumerate() {
            let label = format!("{} extends {}", names[index], names[(index + 1) % names.len()]);
            told =
                if index == 0 { told.at(&step.place).label(label) } else { told.related(&step.place, label) };
        }
        self.reading.say(told);
    }
}

/// What a service extends, taken out of it.
fn target(service: &mut Node) -> Option<Target> {
    let Kind::Mapping(entries) = &mut service.kind else { return None };
    let extends = entries.shift_remove("extends")?.node;
    let name = extends.get("service");
    Some(Target {
        service: name.map(text).unwrap_or_default().to_owned(),
        place: name.map_or(&extends.origin, |name| &name.origin).clone(),
        file: extends.get("file").map(|file| (text(file).to_owned(), file.origin.clone())),
    })
}

fn services_of(root: &Node) -> Option<&Services> {
    root.get("services").and_then(Node::as_mapping)
}

/// A document with a single service.
fn alone(name: &str, entry: Entry, whole: &Origin) -> Node {
    let key = entry.key.clone();
    let services =
        Node { kind: Kind::Mapping(Entries::from([(name.to_owned(), entry)])), origin: key.clone() };
    let top = Entries::from([("services".to_owned(), Entry { key, node: services })]);
    Node { kind: Kind::Mapping(top), origin: whole.clone() }
}

/// Marks within services by service. One on a whole service says nothing about what it extends.
fn marks_by_service<'m>(marks: impl Iterator<Item = &'m Mark>) -> HashMap<String, Vec<Mark>> {
    let mut by_service: HashMap<String, Vec<Mark>> = HashMap::new();
    for mark in marks {
        if let [top, name, within @ ..] = mark.path.as_slice()
            && top == "services"
            && !within.is_empty()
        {
            let mark = Mark { path: within.to_vec(), reset: mark.reset };
            by_service.entry(name.clone()).or_default().push(mark);
        }
    }
    by_service
}
