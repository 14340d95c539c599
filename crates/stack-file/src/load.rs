//! The way from files and variables to a stack, on one screen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::attributes::Schema;
use crate::canonical::{Base, canonical, clean};
use crate::check::{Declared, check};
use crate::complete::Completion;
use crate::decode;
use crate::diagnostic::{Diagnostic, Severity};
use crate::env_file;
use crate::find::{StackFile, stack_files};
use crate::interpolate::{self, Variables};
use crate::merge;
use crate::model::Stack;
use crate::name;
use crate::source::{self, Origin, SourceId, Sources, Spanned};
use crate::support;
use crate::tree::{Kind, Node};
use crate::yaml::{self, Document};

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
    /// The texts that were read.
    pub sources: Sources,
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
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let (mut variables, env_files) = project_variables(request, &mut sources, &mut diagnostics);
    let files = stack_files(request, &variables, &mut diagnostics);
    let directory = project_directory(request, &files);
    if env_files.is_empty() && directory != request.directory {
        add_dot_env(&directory, &mut variables, &mut sources, &mut diagnostics);
    }

    let documents = documents(request, &files, &mut sources, &mut diagnostics);
    let start = documents.first().map_or_else(
        || Origin { source: sources.add("<no file>", None, ""), span: 0..0, via: None },
        |document| document.root.origin.clone(),
    );
    let explicit = request.project_name.as_deref();
    let name = name::project_name(explicit, &directory, &documents, &variables, &start, &mut diagnostics);
    variables.imply("COMPOSE_PROJECT_NAME", &name.value);

    let base = Base { directory: &directory, home: variables.get("HOME") };
    let mut usable = false;
    let mut tree = Node { kind: Kind::Mapping(IndexMap::new()), origin: start };
    for Document { mut root, marks } in documents {
        interpolate::interpolate(&mut root, &variables, &sources, &mut diagnostics);
        merge::clear(&mut tree, &marks);
        if let Some(root) = canonical(root, base, &mut diagnostics) {
            tree = merge::merge(tree, root, Schema::root());
            usable = true;
        }
    }
    merge::unique(&mut tree, Schema::root());

    let declared = Declared::of(&tree);
    let profiles = active_profiles(request, &variables);
    let disabled = Completion {
        name: &name.value,
        directory: &directory,
        variables: &variables,
        profiles: &profiles,
        sources: &mut sources,
        diagnostics: &mut diagnostics,
        env_files: HashMap::new(),
    }
    .complete(&mut tree);

    let mut stack = Stack {
        name,
        services: decoded(&tree, "services", decode::service),
        networks: decoded(&tree, "networks", decode::network),
        volumes: decoded(&tree, "volumes", decode::volume),
        disabled: disabled.keys().cloned().collect(),
        files: files.into_iter().filter_map(|file| file.path).collect(),
        env_files,
        directory,
        tree,
    };
    // What is optional and enabled by no profile is not waited for.
    for service in stack.services.values_mut() {
        service.depends_on.retain(|other, wanted| wanted.required || !disabled.contains_key(other));
    }
    if usable {
        check(&stack, &declared, &disabled, &mut diagnostics);
    }
    let unsupported = in_order(support::unsupported(&stack, usable));
    Loaded { stack, diagnostics: in_order(diagnostics), unsupported, sources }
}

/// What is known of the project name without a stack file: the name that was
/// asked for, or `COMPOSE_PROJECT_NAME` of the environment or an environment file.
/// `None` when there is none, or when it cannot be a name.
#[must_use]
pub fn project_name_of(request: &Request<'_>) -> Option<String> {
    let (variables, _) = project_variables(request, &mut Sources::default(), &mut Vec::new());
    let asked = request.project_name.as_deref().or_else(|| variables.get("COMPOSE_PROJECT_NAME"));
    asked.filter(|asked| !asked.is_empty() && name::normalized(asked) == *asked).map(str::to_owned)
}

/// The environment and the environment files, and the paths of those that were named.
fn project_variables<'a>(
    request: &Request<'a>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Variables<'a>, Vec<PathBuf>) {
    let mut variables = Variables::new(request.environment);
    let mut named: Vec<PathBuf> = request.env_files.clone();
    if named.is_empty()
        && let Some(list) = request.environment.get("COMPOSE_ENV_FILES")
    {
        named = list.split(',').filter(|part| !part.is_empty()).map(PathBuf::from).collect();
    }
    let disabled = request.environment.get("COMPOSE_DISABLE_ENV_FILE").map(String::as_str);
    if named.is_empty() && !matches!(disabled, Some("1" | "true")) {
        add_dot_env(&request.directory, &mut variables, sources, diagnostics);
    }
    let paths: Vec<PathBuf> = named.iter().map(|path| clean(&request.directory.join(path))).collect();
    for (path, given) in paths.iter().zip(&named) {
        match source::read(path) {
            Ok(text) => {
                let name = given.display().to_string();
                add_env_file(text, name, path, true, &mut variables, sources, diagnostics);
            }
            Err(reason) => diagnostics.push(
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

fn add_dot_env(
    directory: &Path,
    variables: &mut Variables<'_>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let path = directory.join(".env");
    if !path.is_file() {
        return;
    }
    match source::read(&path) {
        Ok(text) => {
            add_env_file(text, ".env".to_owned(), &path, false, variables, sources, diagnostics);
        }
        Err(reason) => {
            let message = format!("the environment file {} cannot be read: {reason}", path.display());
            diagnostics.push(Diagnostic::error(message));
        }
    }
}

fn add_env_file(
    text: String,
    name: String,
    path: &Path,
    stronger: bool,
    variables: &mut Variables<'_>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let source = sources.add_confidential(name, Some(path.to_owned()), text);
    let text = sources.get(source).text.clone();
    let lookup = |name: &str| variables.get(name).map(str::to_owned);
    for assignment in env_file::parse(&text, source, &lookup, diagnostics) {
        variables.add(&assignment.name, assignment.value, path, assignment.line, stronger);
    }
}

fn project_directory(request: &Request<'_>, files: &[StackFile]) -> PathBuf {
    let beside = || files.first().and_then(|file| file.path.as_deref()).and_then(Path::parent);
    let given = request.project_directory.as_ref().map(|path| request.directory.join(path));
    clean(given.as_deref().or_else(beside).unwrap_or(&request.directory))
}

/// Every document of every file, in the order of merging.
fn documents(
    request: &Request<'_>,
    files: &[StackFile],
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Document> {
    let mut documents = Vec::new();
    for file in files {
        let text = match &file.path {
            Some(path) => source::read(path),
            None => match request.stdin {
                Some(text) if text.len() as u64 > source::SIZE_LIMIT => Err(source::too_large()),
                Some(text) => Ok(text.to_owned()),
                None => Err("nothing was given".to_owned()),
            },
        };
        match text {
            Ok(text) => {
                let id: SourceId = sources.add(file.name.clone(), file.path.clone(), text);
                let text = sources.get(id).text.clone();
                let before = diagnostics.len();
                let all = yaml::parse(&text, id, diagnostics);
                let several = all.len() > 1;
                if all.is_empty() && diagnostics.len() == before {
                    diagnostics.push(
                        Diagnostic::error("the file is empty")
                            .at(&Origin { source: id, span: 0..0, via: None })
                            .help("a stack file begins with `services:`"),
                    );
                }
                documents.extend(all.into_iter().filter(|document| !(several && document.root.is_null())));
            }
            Err(reason) => diagnostics
                .push(Diagnostic::error(format!("the stack file {} cannot be read: {reason}", file.name))),
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

/// Each finding once, by file and place; those without a place first.
fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let place = |told: &Diagnostic| {
        told.origin.as_ref().map(|origin| (origin.source, origin.span.start, origin.span.end))
    };
    let mut seen = HashSet::new();
    diagnostics.retain(|told| seen.insert((place(told), told.message.clone())));
    diagnostics.sort_by_key(place);
    diagnostics
}

/// A project name at the place that gave it.
pub(crate) type Name = Spanned<String>;
