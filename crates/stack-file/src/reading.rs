//! What is read while a stack is loaded: texts and findings, and how much of what
//! files refer to is brought in at most.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::canonical::{closest, outside_of};
use crate::diagnostic::Diagnostic;
use crate::source::{self, Origin, Reference, Referrer, SourceId, Sources, Span};
use crate::tree::{Entries, Entry, Kind, Node};
use crate::yaml::{self, Document};

/// Files that include or extend one another in a row, at most.
const DEPTH_LIMIT: usize = 32;

/// Files that are read because others refer to them, at most.
const FILE_LIMIT: usize = 1_000;

/// The size of all those files together, at most, in bytes.
const TOTAL_LIMIT: usize = 64 << 20;

/// Values that includes and extended services may add, at most: a few lines that
/// refer to each other could otherwise grow beyond any memory.
const NODE_LIMIT: usize = 1_000_000;

/// What a load has read and found so far.
pub(crate) struct Reading<'a> {
    /// The texts.
    pub(crate) sources: Sources,
    /// The findings.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Services that lack what they should have got from another, which is told already.
    pub(crate) incomplete: HashSet<String>,
    /// Contents of configs and secrets of included files, where a variable of theirs has it:
    /// kind and key to content.
    pub(crate) settled: HashMap<(&'static str, String), String>,
    /// The canonical documents before they are merged, where somebody wants to know.
    pub(crate) layers: Option<Vec<Node>>,
    /// Texts that were kept, in the place of the stack files at these paths.
    kept: Option<&'a BTreeMap<PathBuf, String>>,
    /// The directory to which names of files are relative when they are shown.
    directory: &'a Path,
    files: usize,
    bytes: usize,
    nodes: usize,
    exhausted: bool,
}

impl<'a> Reading<'a> {
    /// Nothing is read yet.
    pub(crate) fn new(directory: &'a Path, kept: Option<&'a BTreeMap<PathBuf, String>>) -> Self {
        Self {
            kept,
            sources: Sources::default(),
            diagnostics: Vec::new(),
            incomplete: HashSet::new(),
            settled: HashMap::new(),
            layers: None,
            directory,
            files: FILE_LIMIT,
            bytes: TOTAL_LIMIT,
            nodes: NODE_LIMIT,
            exhausted: false,
        }
    }

    /// The text of a stack file: as it was kept, or as it is now.
    pub(crate) fn stack_file(&self, path: &Path) -> Result<String, String> {
        match self.kept {
            Some(kept) => kept.get(path).cloned().ok_or_else(|| "its text was not kept".to_owned()),
            None => source::read(path),
        }
    }

    /// Adds a finding.
    pub(crate) fn say(&mut self, told: Diagnostic) {
        self.diagnostics.push(told);
    }

    /// Notes what a service was extended from, where somebody wants to know.
    pub(crate) fn note_base(&mut self, service: &str, base: &Node) {
        let Some(layers) = &mut self.layers else { return };
        let mut node = base.clone();
        for key in [service, "services"] {
            let origin = node.origin.clone();
            let entry = Entry { key: origin.clone(), node };
            node = Node { kind: Kind::Mapping(Entries::from([(key.to_owned(), entry)])), origin };
        }
        layers.push(node);
    }

    /// How a file is named to a person.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(self.directory).unwrap_or(path).display().to_string()
    }

    /// The documents of a text, empty ones left out where there are several.
    pub(crate) fn documents(&mut self, id: SourceId) -> Vec<Document> {
        let text = self.sources.get(id).text.clone();
        let before = self.diagnostics.len();
        let mut all = yaml::parse(&text, id, &mut self.diagnostics);
        let several = all.len() > 1;
        if all.is_empty() && self.diagnostics.len() == before {
            let place = Origin { source: id, span: Span::default(), via: None };
            // An included file that is empty is harmless: the stack has other files.
            let told = match self.sources.get(id).referrer.as_ref().map(|referrer| referrer.by) {
                Some(Reference::Include) => Diagnostic::warning("the file is empty"),
                _ => Diagnostic::error("the file is empty"),
            };
            self.say(told.at(&place).help("a stack file begins with `services:`"));
        }
        all.retain(|document| !(several && document.root.is_null()));
        all
    }

    /// Reads a file that another refers to. `None` when it cannot be read, which is told.
    pub(crate) fn referred(&mut self, path: &Path, referrer: Referrer, trail: &str) -> Option<SourceId> {
        let (place, by) = (referrer.origin.clone(), referrer.by);
        if self.sources.referrers(place.source).count() >= DEPTH_LIMIT {
            self.say(
                Diagnostic::error(format!("files include or extend each other more than {DEPTH_LIMIT} deep"))
                    .at(&place)
                    .path(trail)
                    .help("refer to the last of these files directly"),
            );
            return None;
        }
        if self.exhausted {
            return None;
        }
        if self.files == 0 {
            self.refuse(&place, &format!("the stack refers to more than {FILE_LIMIT} files"));
            return None;
        }
        self.files -= 1;
        let read = if by == Reference::EnvFile { source::read(path) } else { self.stack_file(path) };
        let text = match read {
            Ok(text) => text,
            Err(reason) => {
                self.unreadable(path, &place, by, &reason, trail);
                return None;
            }
        };
        let Some(rest) = self.bytes.checked_sub(text.len()) else {
            let limit = TOTAL_LIMIT >> 20;
            self.refuse(&place, &format!("the files of this stack are larger than {limit} MiB together"));
            return None;
        };
        self.bytes = rest;
        let name = self.name_of(path);
        let id = if by == Reference::EnvFile {
            self.sources.add_confidential(name, Some(path.to_owned()), text)
        } else {
            self.sources.add(name, Some(path.to_owned()), text)
        };
        self.sources.refer(id, referrer);
        Some(id)
    }

    /// Counts the values of a tree that is brought in; `false` when they are too many, which is told.
    pub(crate) fn admits(&mut self, node: &Node, place: &Origin) -> bool {
        if !self.exhausted
            && let Some(rest) = self.nodes.checked_sub(count(node))
        {
            self.nodes = rest;
            return true;
        }
        self.refuse(place, &format!("includes and extended services add more than {NODE_LIMIT} values"));
        false
    }

    /// Tells of a limit once: the other places of the same fault would be noise.
    fn refuse(&mut self, place: &Origin, message: &str) {
        if !std::mem::replace(&mut self.exhausted, true) {
            self.say(
                Diagnostic::error(message)
                    .at(place)
                    .help("check whether files refer to each other by mistake"),
            );
        }
    }

    fn unreadable(&mut self, path: &Path, place: &Origin, by: Reference, reason: &str, trail: &str) {
        let what = match by {
            Reference::Include => "included file",
            Reference::Extends => "extended file",
            Reference::EnvFile => "environment file",
        };
        // A path that a variable gave stays out of the message.
        let outside = outside_of(place);
        let name = outside.map_or_else(|| path.display().to_string(), |name| format!("named by `{name}`"));
        let mut told =
            Diagnostic::error(format!("the {what} {name} cannot be read: {reason}")).at(place).path(trail);
        told = match near(path).filter(|_| outside.is_none()) {
            Some(close) => told.help(format!("did you mean `{close}`?")),
            None => told.help("correct the path: relative ones start at the project directory, within an extended file at its own"),
        };
        self.say(told);
    }
}

/// A file beside an absent one whose name is much like it.
fn near(path: &Path) -> Option<String> {
    if path.exists() {
        return None;
    }
    let names: Vec<String> = std::fs::read_dir(path.parent()?)
        .ok()?
        .take(1_000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    closest(path.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Whether a reference leads to another machine, as git, OCI and HTTP references do.
pub(crate) fn is_remote(reference: &str) -> bool {
    reference.contains("://") || reference.starts_with("git@") || reference.starts_with("github.com/")
}

/// The values of a tree.
fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar(_) => 0,
        Kind::Sequence(items) => items.iter().map(count).sum(),
        Kind::Mapping(entries) => entries.values().map(|entry| count(&entry.node)).sum(),
    }
}
