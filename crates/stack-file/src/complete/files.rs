//! Files beside the stack file: variables and labels of services.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Completion, empty};
use crate::canonical::text;
use crate::diagnostic::Diagnostic;
use crate::env_file;
use crate::source::{self, Origin, SourceId, Variable, VariableSource};
use crate::tree::{Entries, Entry, Kind, Node};

impl Completion<'_> {
    /// One mapping of variables: environment files below, `environment` on top.
    pub(super) fn environment(&mut self, service: &mut Entries, key: &Origin) {
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
        let path = PathBuf::from(text(place));
        let required = file.get("required").is_none_or(|required| text(required) != "false");
        let source = self.beside(&path, required, &place.origin, "environment");
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
            let lookup = |name: &str| lookup(name).or_else(|| earlier.get(name).cloned());
            env_file::parse_raw(&content, source, &lookup, self.diagnostics)
        } else {
            env_file::parse_after(&content, source, &lookup, earlier().collect(), self.diagnostics)
        };
        for assignment in assignments {
            let variable = Variable {
                name: assignment.name.clone(),
                from: VariableSource::EnvFile(path.clone(), assignment.line),
            };
            let origin = Origin { source, span: assignment.span.into(), via: Some(Arc::new(variable)) };
            let node = Node::string(assignment.value, origin.clone());
            all.insert(assignment.name, Entry { key: origin, node });
        }
    }

    /// Reads a file once; `None` for one that is not there or cannot be read, which is told.
    fn beside(&mut self, path: &PathBuf, required: bool, place: &Origin, what: &str) -> Option<SourceId> {
        if let Some(known) = self.env_files.get(path) {
            return *known;
        }
        let source = match source::read(path) {
            Ok(content) => {
                let name = path.strip_prefix(self.directory).unwrap_or(path).display().to_string();
                Some(self.sources.add_confidential(name, Some(path.clone()), content))
            }
            Err(_) if !required && !path.exists() => None,
            Err(reason) => {
                let mut told =
                    Diagnostic::error(format!("the {what} file {} cannot be read: {reason}", path.display()))
                        .at(place);
                told = match what {
                    "label" => told.help("correct the path, or remove it"),
                    _ => {
                        told.help("correct the path, or set `required: false` for a file that may be absent")
                    }
                };
                self.diagnostics.push(told);
                return None;
            }
        };
        self.env_files.insert(path.clone(), source);
        source
    }

    /// One mapping of labels: label files below, `labels` on top.
    pub(super) fn labels(&mut self, service: &mut Entries) {
        let Some(files) = service.shift_remove("label_file") else { return };
        let mut all = Entries::new();
        for file in files.node.as_sequence().unwrap_or_default() {
            let path = PathBuf::from(text(file));
            let Some(source) = self.beside(&path, true, &file.origin, "label") else { continue };
            let content = self.sources.get(source).text.clone();
            // Labels know nothing of the project's variables.
            let lookup = |name: &str| all.get(name).map(|entry| text(&entry.node).to_owned());
            let assignments = env_file::parse(&content, source, &lookup, self.diagnostics);
            for assignment in assignments {
                let origin = Origin { source, span: assignment.span.into(), via: None };
                let node = Node::string(assignment.value, origin.clone());
                all.insert(assignment.name, Entry { key: origin, node });
            }
        }
        let mut labels = service.shift_remove("labels").unwrap_or_else(|| empty(&files.key));
        if let Kind::Mapping(own) = &mut labels.node.kind {
            all.extend(std::mem::take(own));
            *own = all;
        }
        service.insert("labels".to_owned(), labels);
    }
}
