//! The way from files and variables to a stack, on one screen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::attributes::Schema;
use crate::canonical::{Base, canonical, clean};
use crate::check::{Declared, check, port_clashes};
use crate::complete::Completion;
use crate::contents::Contents;
use crate::decode;
use crate::destination::{Destination, destination};
use crate::diagnostic::{Diagnostic, Severity};
use crate::env_file;
use crate::explain::History;
use crate::extends;
use crate::find::{StackFile, stack_files};
use crate::include;
use crate::interpolate::{self, Variables};
use crate::merge;
use crate::model::{FileKind, Stack};
use crate::name;
use crate::reading::Reading;
use crate::source::{self, Origin, SourceId, Sources, Span, Spanned};
use crate::support;
use crate::tree::{Entries, Kind, Node};
use crate::verbatim::Verbatim;
use crate::yaml::Document;

/// What to load.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The stack files; `-` is standard input. Empty: look for one.
    pub files: Vec<PathBuf>,
    /// The working directory, absolute.
    pub directory: PathBuf,
    /// What relative paths are resolved against; else the directory of the first file.
    pub project_directory: Option<PathBuf>,
    /// The project name; else that of the environment, the file or the directory.
    pub project_name: Option<String>,
    /// Environment files in place of `.env`; later ones win.
    pub env_files: Vec<PathBuf>,
    /// Profiles to enable, besides those of `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// The environment of the process.
    pub environment: &'a BTreeMap<String, String>,
    /// The text of standard input, for `-`.
    pub stdin: Option<&'a str>,
}

/// What a load leaves undone, for a stack that is only looked at; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    /// Variables stay as they are written. There is a tree then, but no services to run.
    pub variables: bool,
    /// Names, networks and dependencies that are implied are not filled in.
    pub defaults: bool,
    /// Paths stay as they are written.
    pub paths: bool,
    /// What only the whole stack can tell is not checked.
    pub checks: bool,
    /// Environment files are not read, and variables without a value get none.
    pub env_files: bool,
    /// Networks, volumes, configs, secrets and models that no service uses are not left out.
    pub unused: bool,
}

/// A stack, and everything there is to say about its files.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The stack; what is faulty is left out of it.
    pub stack: Stack,
    /// Every finding, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// What stackctl cannot do yet, one error per use: nothing to one who reads, and a
    /// reason to refuse for one who acts.
    pub unsupported: Vec<Diagnostic>,
    /// The part of it that no kind of engine can make up for.
    pub unusable: Vec<Diagnostic>,
    /// The texts that were read.
    pub sources: Sources,
    /// The profiles that are active.
    pub profiles: BTreeSet<String>,
}

impl Loaded {
    /// Whether the stack cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|told| told.severity == Severity::Error)
    }
}

/// Loads a stack. Never stops at the first fault.
#[must_use]
pub fn load(request: &Request<'_>) -> Loaded {
    load_noting(request, Omitted::default(), None, None)
}

/// Loads a stack from texts that were kept, in the place of the stack files at their paths: those
/// that are asked for, and those that they include or extend. What is no stack file, as environment
/// files and the contents of configs and secrets, is read as it is now.
#[must_use]
pub fn load_kept(request: &Request<'_>, texts: &BTreeMap<PathBuf, String>) -> Loaded {
    load_noting(request, Omitted::default(), None, Some(texts))
}

/// Loads a stack, and leaves something undone.
#[must_use]
pub fn load_without(request: &Request<'_>, omitted: Omitted) -> Loaded {
    load_noting(request, omitted, None, None)
}

/// Loads a stack, and keeps what [`explain`](crate::explain::explain) needs to tell
/// where its values came from.
#[must_use]
pub fn load_with_history<'a>(request: &Request<'a>) -> (Loaded, History<'a>) {
    let mut history = History::new(request.environment);
    let loaded = load_noting(request, Omitted::default(), Some(&mut history), None);
    (loaded, history)
}

fn load_noting<'a>(
    request: &Request<'a>,
    omitted: Omitted,
    history: Option<&mut History<'a>>,
    kept: Option<&BTreeMap<PathBuf, String>>,
) -> Loaded {
    let mut reading = Reading::new(&request.directory, kept);
    reading.layers = history.is_some().then(Vec::new);
    let (mut variables, env_files) = project_variables(request, &mut reading);
    let files = stack_files(request, &variables, &mut reading.diagnostics);
    let directory = project_directory(request, &files);
    if env_files.is_empty() && directory != request.directory {
        add_dot_env(&directory, &mut variables, &mut reading);
    }

    let documents = documents(request, &files, &mut reading);
    let start = documents.first().map_or_else(
        || Origin { source: reading.sources.add("<no file>", None, ""), span: Span::default(), via: None },
        |document| document.root.origin.clone(),
    );
    let explicit = request.project_name.as_deref();
    let name =
        name::project_name(explicit, &directory, &documents, &variables, &start, &mut reading.diagnostics);
    variables.imply("COMPOSE_PROJECT_NAME", &name.value);

    if omitted.variables {
        let base = Base { directory: start_of_paths(&directory, omitted), home: variables.get("HOME") };
        let verbatim = Verbatim { base, variables: &variables, omitted };
        let mut tree = Node { kind: Kind::Mapping(Entries::new()), origin: start };
        for Document { mut root, marks } in documents {
            verbatim.long(&mut root, Schema::root());
            merge::clear(&mut tree, &marks);
            tree = merge::merge(tree, root, Schema::root());
        }
        verbatim.complete(&mut tree, &name.value);
        let stack = Stack {
            name,
            destination: Destination::default(),
            services: IndexMap::new(),
            networks: IndexMap::new(),
            volumes: IndexMap::new(),
            configs: IndexMap::new(),
            secrets: IndexMap::new(),
            models: IndexMap::new(),
            disabled: Vec::new(),
            files: files.into_iter().filter_map(|file| file.path).collect(),
            env_files,
            separator: separator(&variables),
            directory,
            tree,
        };
        let diagnostics = in_order(reading.diagnostics, &reading.sources);
        let profiles = active_profiles(request, &variables);
        let sources = reading.sources;
        let (unsupported, unusable) = (Vec::new(), Vec::new());
        return Loaded { stack, diagnostics, unsupported, unusable, sources, profiles };
    }
    let model = Model { directory: &directory, variables: &variables, omitted };
    let (mut tree, usable) = merged(documents, model, start, &mut reading);
    if let (Some(history), Some(layers)) = (history, reading.layers.take()) {
        history.merged(layers, &tree, &variables);
    }

    let Reading { mut sources, mut diagnostics, incomplete, settled, .. } = reading;
    let declared = Declared::of(&tree, incomplete);
    let profiles = active_profiles(request, &variables);
    let disabled = Completion {
        name: &name.value,
        directory: &directory,
        variables: &variables,
        profiles: &profiles,
        omitted,
        sources: &mut sources,
        diagnostics: &mut diagnostics,
        env_files: HashMap::new(),
    }
    .complete(&mut tree);

    let contents = Contents::new(&variables, &settled);
    let mut stack = Stack {
        name,
        destination: destination(&tree, &mut diagnostics),
        services: decoded(&tree, "services", decode::service),
        networks: decoded(&tree, "networks", decode::network),
        volumes: decoded(&tree, "volumes", decode::volume),
        configs: decoded(&tree, "configs", |key, entry| contents.read(FileKind::Config, key, entry)),
        secrets: decoded(&tree, "secrets", |key, entry| contents.read(FileKind::Secret, key, entry)),
        models: decoded(&tree, "models", decode::model),
        disabled: disabled.keys().cloned().collect(),
        files: files.into_iter().filter_map(|file| file.path).collect(),
        env_files,
        separator: separator(&variables),
        directory,
        tree,
    };
    // What is optional and enabled by no profile is not waited for.
    for service in stack.services.values_mut() {
        service.depends_on.retain(|other, wanted| wanted.required || !disabled.contains_key(other));
    }
    if usable && !omitted.checks {
        check(&stack, &declared, &disabled, &mut diagnostics);
    }
    let (unread, external) = contents.finish(&stack);
    let mut unusable = support::unusable(&stack, usable);
    unusable.extend(unread);
    let mut unsupported = support::unsupported(&stack);
    unsupported.extend(unusable.iter().cloned());
    unsupported.extend(external);
    if usable {
        port_clashes(&stack, &declared, &disabled, &mut unsupported);
    }
    let unsupported = in_order(unsupported, &sources);
    let diagnostics = in_order(diagnostics, &sources);
    let unusable = in_order(unusable, &sources);
    Loaded { stack, diagnostics, unsupported, unusable, sources, profiles }
}

/// What the files of one model share: those that were asked for, or those of one include.
#[derive(Clone, Copy)]
pub(crate) struct Model<'a> {
    /// The project directory, absolute: where relative paths start.
    pub(crate) directory: &'a Path,
    /// Its variables.
    pub(crate) variables: &'a Variables<'a>,
    /// What is left undone.
    pub(crate) omitted: Omitted,
}

/// What relative paths are put behind: nothing, where they are to stay as they are.
fn start_of_paths(directory: &Path, omitted: Omitted) -> &Path {
    if omitted.paths { Path::new("") } else { directory }
}

/// The documents of a model as one canonical tree, later ones over earlier ones,
/// and whether any of them could be used.
pub(crate) fn merged(
    documents: Vec<Document>,
    model: Model<'_>,
    start: Origin,
    reading: &mut Reading<'_>,
) -> (Node, bool) {
    let start_of_paths = start_of_paths(model.directory, model.omitted);
    let base = Base { directory: start_of_paths, home: model.variables.get("HOME") };
    let mut usable = false;
    let mut tree = Node { kind: Kind::Mapping(Entries::new()), origin: start };
    for Document { mut root, marks } in documents {
        interpolate::interpolate(&mut root, model.variables, &reading.sources, &mut reading.diagnostics);
        merge::clear(&mut tree, &marks);
        if let Some(mut root) = canonical(root, base, &mut reading.diagnostics) {
            let own = reading.layers.is_some().then(|| root.clone());
            include::include(&mut root, model, reading);
            extends::extend(&mut root, &marks, model, reading);
            if let Some(layers) = &mut reading.layers {
                layers.extend(own);
            }
            tree = merge::merge(tree, root, Schema::root());
            usable = true;
        }
    }
    merge::unique(&mut tree, Schema::root());
    merge::without_empty(&mut tree, Schema::root());
    (tree, usable)
}

fn separator(variables: &Variables) -> char {
    let asked = variables.get("COMPOSE_COMPATIBILITY").unwrap_or_default();
    if matches!(asked.to_lowercase().as_str(), "1" | "t" | "true") { '_' } else { '-' }
}

/// What is known of the project name without a stack file: the name that was
/// asked for, or `COMPOSE_PROJECT_NAME` of the environment or an environment file.
/// `None` when there is none, or when it cannot be a name.
#[must_use]
pub fn project_name_of(request: &Request<'_>) -> Option<String> {
    let (variables, _) = project_variables(request, &mut Reading::new(&request.directory, None));
    let asked = request.project_name.as_deref().or_else(|| variables.get("COMPOSE_PROJECT_NAME"));
    asked.filter(|asked| !asked.is_empty() && name::normalized(asked) == *asked).map(str::to_owned)
}

/// The variables that a load would use, but for the project name: the environment of
/// the process, and below it the environment files.
#[must_use]
pub fn variables_of(request: &Request<'_>) -> BTreeMap<String, String> {
    let mut reading = Reading::new(&request.directory, None);
    let (mut variables, env_files) = project_variables(request, &mut reading);
    let files = stack_files(request, &variables, &mut reading.diagnostics);
    let directory = project_directory(request, &files);
    if env_files.is_empty() && directory != request.directory {
        add_dot_env(&directory, &mut variables, &mut reading);
    }
    variables.all()
}

/// The environment and the environment files, and the paths of those that were named.
fn project_variables<'a>(request: &Request<'a>, reading: &mut Reading<'_>) -> (Variables<'a>, Vec<PathBuf>) {
    let mut variables = Variables::new(request.environment);
    let mut named: Vec<PathBuf> = request.env_files.clone();
    if named.is_empty()
        && let Some(list) = request.environment.get("COMPOSE_ENV_FILES")
    {
        named = list.split(',').filter(|part| !part.is_empty()).map(PathBuf::from).collect();
    }
    let disabled = request.environment.get("COMPOSE_DISABLE_ENV_FILE").map(String::as_str);
    if named.is_empty() && !matches!(disabled, Some("1" | "true")) {
        add_dot_env(&request.directory, &mut variables, reading);
    }
    let paths: Vec<PathBuf> = named.iter().map(|path| clean(&request.directory.join(path))).collect();
    for (path, given) in paths.iter().zip(&named) {
        match source::read(path) {
            Ok(text) => {
                let name = given.display().to_string();
                let id = reading.sources.add_confidential(name, Some(path.clone()), text);
                assign(id, path, true, &mut variables, reading);
            }
            Err(reason) => reading.say(
                Diagnostic::error(format!(
                    "the environment file {} cannot be read: {reason}",
                    path.display()
                ))
                .help("correct --env-file or COMPOSE_ENV_FILES"),
            ),
        }
    }
    (variables, paths)
}

fn add_dot_env(directory: &Path, variables: &mut Variables<'_>, reading: &mut Reading<'_>) {
    let path = directory.join(".env");
    if !path.is_file() {
        return;
    }
    match source::read(&path) {
        Ok(text) => {
            let id = reading.sources.add_confidential(".env", Some(path.clone()), text);
            assign(id, &path, false, variables, reading);
        }
        Err(reason) => {
            let message = format!("the environment file {} cannot be read: {reason}", path.display());
            reading.say(Diagnostic::error(message));
        }
    }
}

/// Adds the variables of an environment file; those that are there already are
/// replaced if `stronger`.
pub(crate) fn assign(
    id: SourceId,
    path: &Path,
    stronger: bool,
    variables: &mut Variables<'_>,
    reading: &mut Reading<'_>,
) {
    let text = reading.sources.get(id).text.clone();
    let diagnostics = &mut reading.diagnostics;
    let assignments = if stronger {
        let lookup = |name: &str| variables.fixed(name).map(str::to_owned);
        env_file::parse_after(&text, id, &lookup, variables.of_files(), diagnostics)
    } else {
        let lookup = |name: &str| variables.get(name).map(str::to_owned);
        env_file::parse(&text, id, &lookup, diagnostics)
    };
    for assignment in assignments {
        variables.add(&assignment.name, assignment.value, path, assignment.line, stronger);
    }
}

fn project_directory(request: &Request<'_>, files: &[StackFile]) -> PathBuf {
    let beside = || files.first().and_then(|file| file.path.as_deref()).and_then(Path::parent);
    let given = request.project_directory.as_ref().map(|path| request.directory.join(path));
    clean(given.as_deref().or_else(beside).unwrap_or(&request.directory))
}

/// Every document of every file, in the order of merging.
fn documents(request: &Request<'_>, files: &[StackFile], reading: &mut Reading<'_>) -> Vec<Document> {
    let mut documents = Vec::new();
    for file in files {
        let text = match &file.path {
            Some(path) => reading.stack_file(path),
            None => match request.stdin {
                Some(text) if text.len() as u64 > source::SIZE_LIMIT => Err(source::too_large()),
                Some(text) => Ok(text.to_owned()),
                None => Err("nothing was given".to_owned()),
            },
        };
        match text {
            Ok(text) => {
                let id: SourceId = reading.sources.add(file.name.clone(), file.path.clone(), text);
                documents.extend(reading.documents(id));
            }
            Err(reason) => reading
                .say(Diagnostic::error(format!("the stack file {} cannot be read: {reason}", file.name))),
        }
    }
    documents
}

fn active_profiles(request: &Request<'_>, variables: &Variables<'_>) -> BTreeSet<String> {
    let listed = variables.get("COMPOSE_PROFILES").unwrap_or_default().split(',').map(str::trim);
    let all = request.profiles.iter().map(String::as_str).chain(listed);
    all.filter(|profile| !profile.is_empty()).map(str::to_owned).collect()
}

fn decoded<T>(tree: &Node, kind: &str, read: impl Fn(&str, &crate::tree::Entry) -> T) -> IndexMap<String, T> {
    let Some(entries) = tree.get(kind).and_then(Node::as_mapping) else { return IndexMap::new() };
    entries.iter().map(|(key, entry)| (key.clone(), read(key, entry))).collect()
}

/// Each finding once, by file and place; those without a place first. A file that
/// is read several times, because several files refer to it, counts as one.
fn in_order(mut diagnostics: Vec<Diagnostic>, sources: &Sources) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    diagnostics.retain(|told| {
        let place = told.origin.as_ref().map(|origin| (sources.get(origin.source).name.clone(), origin.span));
        seen.insert((place, told.message.clone()))
    });
    diagnostics.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
    diagnostics
}

/// A project name at the place that gave it.
pub(crate) type Name = Spanned<String>;
