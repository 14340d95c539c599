//! What is in configs and secrets: read when a stack is loaded, so that a change shows.
//! What cannot be read keeps a stack from running, not from being looked at.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::canonical::{outside_of, text};
use crate::decode::values::{pairs, string};
use crate::diagnostic::Diagnostic;
use crate::interpolate::Variables;
use crate::model::{Content, FileKind, FileObject, FileReference, FileSource, Stack, Unread};
use crate::source::{Origin, SIZE_LIMIT, Spanned, reason};
use crate::tree::{Entry, Node};

/// Reads configs and secrets, and collects what is wrong with them.
pub(crate) struct Contents<'a> {
    variables: &'a Variables<'a>,
    settled: &'a HashMap<(&'static str, String), String>,
    told: RefCell<Vec<Diagnostic>>,
    external: RefCell<Vec<Diagnostic>>,
}

impl<'a> Contents<'a> {
    /// Nothing is read yet. `settled` has what variables of included files say.
    pub(crate) fn new(
        variables: &'a Variables<'a>,
        settled: &'a HashMap<(&'static str, String), String>,
    ) -> Self {
        Self { variables, settled, told: RefCell::default(), external: RefCell::default() }
    }

    /// Reads one that is completed.
    pub(crate) fn read(&self, kind: FileKind, key: &str, entry: &Entry) -> FileObject {
        let node = &entry.node;
        let path = format!("{}.{key}", kind.attribute());
        let source = if node.get("external").is_some_and(|external| text(external) == "true") {
            FileSource::External
        } else if let Some(file) = node.get("file") {
            let place = Path::new(text(file));
            let content = read(place).unwrap_or_else(|why| {
                self.say(
                    Diagnostic::error(format!(
                        "the file of the {} `{key}` cannot be read: {why}",
                        kind.word()
                    ))
                    .at(&file.origin)
                    .path(format!("{path}.file"))
                    .help("correct the path, or make the file"),
                );
                Err(Unread::Denied)
            });
            FileSource::File { path: place.to_owned(), content }
        } else if let Some(variable) = node.get("environment") {
            FileSource::Inline(self.variable(kind, key, variable, &path))
        } else {
            let content = node.get("content").map(|content| Content::from(text(content).as_bytes().to_vec()));
            FileSource::Inline(content)
        };
        FileObject {
            key: Spanned::new(key.to_owned(), entry.key.clone()),
            source,
            name: string(node, "name"),
            template_driver: string(node, "template_driver"),
            labels: pairs(node, "labels"),
        }
    }

    fn variable(&self, kind: FileKind, key: &str, variable: &Node, path: &str) -> Option<Content> {
        let name = text(variable);
        let settled = self.settled.get(&(kind.attribute(), key.to_owned())).map(String::as_str);
        let value = self.variables.get(name).or(settled);
        if value.is_none() {
            let shown = match outside_of(&variable.origin) {
                Some(outside) => format!("the variable named by `{outside}`"),
                None => format!("the variable `{name}`"),
            };
            self.say(
                Diagnostic::error(format!(
                    "{shown}, with the content of the {} `{key}`, is not set",
                    kind.word()
                ))
                .at(&variable.origin)
                .path(format!("{path}.environment"))
                .help("set it in the environment or in `.env`"),
            );
        }
        value.map(|value| Content::from(value.as_bytes().to_vec()))
    }

    /// What is wrong with configs and secrets and how they are used, and which ones only a cluster
    /// can have.
    pub(crate) fn finish(self, stack: &Stack) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        for service in stack.services.values() {
            for file in &service.files {
                self.reference(&service.name, file, stack);
            }
            for secret in service.build.iter().flat_map(|build| &build.value.secrets) {
                if let Some(FileObject { key, source: FileSource::External, .. }) =
                    stack.secrets.get(&secret.source)
                {
                    self.external(FileKind::Secret, key, &secret.origin);
                }
            }
        }
        (self.told.into_inner(), self.external.into_inner())
    }

    fn reference(&self, service: &str, file: &FileReference, stack: &Stack) {
        let attribute = file.kind.attribute();
        let path = format!("services.{service}.{attribute}");
        for (what, number) in [("uid", &file.uid), ("gid", &file.gid)] {
            let Some(number) = number else { continue };
            if number.parse::<u32>().is_err() {
                self.say(
                    Diagnostic::error(format!(
                        "`{what}` needs a number, as names are known only inside a container"
                    ))
                    .at(&number.origin)
                    .path(format!("{path}.{what}"))
                    .help("write the number, as in `\"1000\"`"),
                );
            }
        }
        let all = if file.kind == FileKind::Config { &stack.configs } else { &stack.secrets };
        if let Some(FileObject { key, source: FileSource::External, .. }) = all.get(&file.source) {
            self.external(file.kind, key, &file.origin);
        }
    }

    fn external(&self, kind: FileKind, key: &Spanned<String>, used: &Origin) {
        let word = kind.word();
        self.external.borrow_mut().push(
            Diagnostic::error(format!(
                "the {word} `{}` is external, and only a cluster keeps such",
                key.value
            ))
            .at(&key.origin)
            .path(format!("{}.{}", kind.attribute(), key.value))
            .related(used, "used here")
            .help("give it a `file` or an `environment` in place of `external`"),
        );
    }

    fn say(&self, told: Diagnostic) {
        self.told.borrow_mut().push(told);
    }
}

/// What is in a file, or why that was not read; an error when it cannot be shown to a container either.
fn read(path: &Path) -> Result<Result<Content, Unread>, String> {
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(Err(Unread::Denied)),
        other => other.map_err(|error| reason(&error))?,
    };
    if metadata.is_dir() {
        return Ok(Err(Unread::Directory));
    }
    if !metadata.is_file() {
        return Err("it is neither a file nor a directory".to_owned());
    }
    if metadata.len() > SIZE_LIMIT {
        return Ok(Err(Unread::TooLarge));
    }
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(SIZE_LIMIT).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Ok(Content::from(bytes))),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Err(Unread::Denied)),
        Err(error) => Err(reason(&error)),
    }
}
