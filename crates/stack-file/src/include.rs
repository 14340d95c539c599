//! `include`: other stack files, each a model of its own, whose services and
//! resources join those of the file that names them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::map::Entry as Slot;

use crate::attributes::Schema;
use crate::canonical::{clean, text};
use crate::diagnostic::Diagnostic;
use crate::interpolate::Variables;
use crate::load::{self, Model};
use crate::model::FileKind;
use crate::reading::{Reading, is_remote};
use crate::source::{Origin, Reference, Referrer, Variable};
use crate::tree::{Entries, Entry, Kind, Node};

/// What an included file brings; its name and its extensions stay its own.
const JOINED: [&str; 6] = ["services", "networks", "volumes", "configs", "secrets", "models"];

/// Brings the included files into the canonical tree of a document, and takes `include` out.
pub(crate) fn include(root: &mut Node, model: Model<'_>, reading: &mut Reading<'_>) {
    let Kind::Mapping(top) = &mut root.kind else { return };
    let Some(entry) = top.shift_remove("include") else { return };
    for item in entry.node.as_sequence().unwrap_or_default() {
        if let Some(included) = included(item, model, reading)
            && reading.admits(&included, &item.origin)
        {
            join(top, included, reading);
        }
    }
    Schema::root().order(top);
}

/// The model of one item: its files over each other, under its own directory and variables.
fn included(item: &Node, model: Model<'_>, reading: &mut Reading<'_>) -> Option<Node> {
    let paths = files_of(item, "path", model.directory);
    let Some((_, main, _)) = paths.first() else {
        // A path that is there but faulty is told already.
        if reading.diagnostics.iter().any(|told| told.path.starts_with("include[")) {
            return None;
        }
        reading.say(
            Diagnostic::error("an item of `include` needs a `path`")
                .at(&item.origin)
                .path("include")
                .help("write the file: `- monitoring/stack.yaml`"),
        );
        return None;
    };
    for (reference, path, place) in &paths {
        if is_remote(reference) {
            reading.say(
                Diagnostic::error("an include from another machine (git, OCI, HTTP) is not fetched")
                    .at(place)
                    .path("include")
                    .help("fetch it first, and include the file of this machine"),
            );
            return None;
        }
        if tell_circle(path, place, reading) {
            return None;
        }
    }
    let directory = match item.get("project_directory") {
        Some(given) => PathBuf::from(text(given)),
        None => main.parent().unwrap_or(model.directory).to_owned(),
    };
    let variables = variables(item, &directory, &paths[0].2, model, reading);
    let mut documents = Vec::new();
    for (_, path, place) in &paths {
        let referrer = Referrer { origin: place.clone(), by: Reference::Include };
        if let Some(id) = reading.referred(path, referrer, "include") {
            documents.extend(reading.documents(id).into_iter().filter(|document| !document.root.is_null()));
        }
    }
    let start = documents.first()?.root.origin.clone();
    let inner = Model { directory: &directory, variables: &variables, omitted: model.omitted };
    let (mut tree, _) = load::merged(documents, inner, start, reading);
    settle(&mut tree, inner, reading);
    Some(tree)
}

/// The paths under a key of an item: as written, absolute, and where they stand.
fn files_of(item: &Node, key: &str, directory: &Path) -> Vec<(String, PathBuf, Origin)> {
    let items = item.get(key).and_then(Node::as_sequence).unwrap_or_default();
    items
        .iter()
        .filter(|node| !text(node).is_empty())
        .map(|node| (text(node).to_owned(), clean(&directory.join(text(node))), node.origin.clone()))
        .collect()
}

/// The variables of an included file: those of the including one win over its own.
fn variables<'a>(
    item: &Node,
    directory: &Path,
    place: &Origin,
    model: Model<'a>,
    reading: &mut Reading<'_>,
) -> Variables<'a> {
    let mut variables = Variables::below(model.variables);
    let mut files: Vec<(PathBuf, Origin)> = files_of(item, "env_file", model.directory)
        .into_iter()
        .map(|(_, path, place)| (path, place))
        .collect();
    let beside = directory.join(".env");
    if files.is_empty() && beside.is_file() {
        files.push((beside, place.clone()));
    }
    for (path, origin) in files {
        let referrer = Referrer { origin, by: Reference::EnvFile };
        if let Some(id) = reading.referred(&path, referrer, "include") {
            load::assign(id, &path, true, &mut variables, reading);
        }
    }
    variables
}

/// Tells when a file is included by itself, at whatever remove.
fn tell_circle(path: &Path, place: &Origin, reading: &mut Reading<'_>) -> bool {
    let sources = &reading.sources;
    let mut way = vec![(sources.get(place.source), place)];
    way.extend(
        sources
            .referrers(place.source)
            .map(|referrer| (sources.get(referrer.origin.source), &referrer.origin)),
    );
    let Some(start) = way.iter().position(|(source, _)| source.path.as_deref() == Some(path)) else {
        return false;
    };
    way.truncate(start + 1);
    way.reverse();
    let names: Vec<&str> = way.iter().map(|(source, _)| source.name.as_str()).collect();
    let circle = names.iter().chain(names.first()).copied().collect::<Vec<_>>().join(" → ");
    let message = match names.as_slice() {
        [name] => format!("{name} includes itself"),
        _ => format!("these files include each other: {circle}"),
    };
    let mut told = Diagnostic::error(message).path("include").help("remove one of these includes");
    for (step, (source, origin)) in way.iter().enumerate() {
        let next = names[(step + 1) % names.len()];
        let label = format!("{} includes {next}", source.name);
        told = if step + 1 == way.len() { told.at(origin).label(label) } else { told.related(origin, label) };
    }
    reading.say(told);
    true
}

/// What depends on the directory and the variables of an included file is settled
/// before it joins the others.
fn settle(tree: &mut Node, model: Model<'_>, reading: &mut Reading<'_>) {
    let Kind::Mapping(top) = &mut tree.kind else { return };
    for kind in [FileKind::Config, FileKind::Secret].map(FileKind::attribute) {
        let all = top.get(kind).and_then(|entry| entry.node.as_mapping());
        for (key, entry) in all.into_iter().flatten() {
            let variable = entry.node.get("environment").map(text);
            if let Some(value) = variable.and_then(|name| model.variables.get(name)) {
                reading.settled.entry((kind, key.clone())).or_insert_with(|| value.to_owned());
            }
        }
    }
    let Some(Kind::Mapping(services)) = top.get_mut("services").map(|entry| &mut entry.node.kind) else {
        return;
    };
    for entry in services.values_mut() {
        let Kind::Mapping(service) = &mut entry.node.kind else { continue };
        if let Some(build) = service.get_mut("build").map(|entry| &mut entry.node)
            && let Kind::Mapping(entries) = &mut build.kind
            && !entries.contains_key("context")
        {
            let origin = build.origin.clone();
            let node = Node::string(model.directory.to_string_lossy(), origin.clone());
            entries.shift_insert(0, "context".to_owned(), Entry { key: origin, node });
        }
        let environment = service.get_mut("environment").map(|entry| &mut entry.node.kind);
        let Some(Kind::Mapping(environment)) = environment else { continue };
        for (name, entry) in environment {
            if entry.node.is_null()
                && let Some(value) = model.variables.get(name)
            {
                let variable = Variable { name: name.clone(), from: model.variables.origin(name) };
                let origin = Origin { via: Some(Arc::new(variable)), ..entry.node.origin.clone() };
                entry.node = Node::string(value, origin);
            }
        }
    }
}

/// Adds what an included file declares. The same key may stand on both sides only
/// with the same settings.
fn join(top: &mut Entries, included: Node, reading: &mut Reading<'_>) {
    let Kind::Mapping(mut included) = included.kind else { return };
    for kind in JOINED {
        let Some(Entry { key, node }) = included.shift_remove(kind) else { continue };
        let origin = node.origin.clone();
        let Kind::Mapping(all) = node.kind else { continue };
        let target = top
            .entry(kind.to_owned())
            .or_insert_with(|| Entry { key, node: Node { kind: Kind::Mapping(Entries::new()), origin } });
        let Kind::Mapping(target) = &mut target.node.kind else { continue };
        for (name, entry) in all {
            match target.entry(name) {
                Slot::Vacant(slot) => {
                    slot.insert(entry);
                }
                Slot::Occupied(slot) if same(&slot.get().node, &entry.node) => {}
                Slot::Occupied(slot) => {
                    let name = slot.key();
                    reading.say(
                        Diagnostic::error(format!(
                            "`{kind}.{name}` stands in two files of an `include`, with different settings"
                        ))
                        .at(&slot.get().key)
                        .path(format!("{kind}.{name}"))
                        .label("one of them")
                        .related(&entry.key, "the other")
                        .help("rename one, or change what is included in an override: a further file given with -f, or a further `path` of the include"),
                    );
                }
            }
        }
    }
}

/// Whether two trees say the same, wherever they stand.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Scalar(one), Kind::Scalar(other)) => one == other,
        (Kind::Sequence(one), Kind::Sequence(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Kind::Mapping(one), Kind::Mapping(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, entry)| other.get(key).is_some_and(|other| same(&entry.node, &other.node)))
        }
        _ => false,
    }
}
