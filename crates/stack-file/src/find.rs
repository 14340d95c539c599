//! Which files make the stack, when they are not named.

use std::path::{Path, PathBuf};

use crate::canonical::clean;
use crate::diagnostic::Diagnostic;
use crate::interpolate::Variables;
use crate::load::Request;

/// Names of stack files, in families; the first of a family wins.
const FAMILIES: &[(&[&str], &[&str])] = &[
    (&["stack.yaml", "stack.yml"], &["stack.override.yaml", "stack.override.yml"]),
    (
        &["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"],
        &[
            "compose.override.yml",
            "compose.override.yaml",
            "docker-compose.override.yml",
            "docker-compose.override.yaml",
        ],
    ),
];

/// A stack file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StackFile {
    /// How it is named to a person.
    pub(crate) name: String,
    /// Where it is; `None` for standard input.
    pub(crate) path: Option<PathBuf>,
}

/// The stack files in the order of merging: named ones, those of `COMPOSE_FILE`,
/// or the first that is found from the directory upwards, with its override.
pub(crate) fn stack_files(
    request: &Request<'_>,
    variables: &Variables<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<StackFile> {
    let named = |path: &Path| {
        if path == Path::new("-") {
            return StackFile { name: "<stdin>".to_owned(), path: None };
        }
        StackFile { name: path.display().to_string(), path: Some(clean(&request.directory.join(path))) }
    };
    if !request.files.is_empty() {
        return request.files.iter().map(|path| named(path)).collect();
    }
    if let Some(list) = variables.get("COMPOSE_FILE").filter(|list| !list.is_empty()) {
        let separator = variables.get("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty());
        let default = if cfg!(windows) { ";" } else { ":" };
        let parts = list.split(separator.unwrap_or(default)).filter(|part| !part.is_empty());
        return parts.map(|part| named(Path::new(part))).collect();
    }
    let start = request.project_directory.as_ref().map(|path| request.directory.join(path));
    let start = clean(start.as_deref().unwrap_or(&request.directory));
    for directory in start.ancestors() {
        let found = in_directory(directory, diagnostics);
        if !found.is_empty() {
            return found
                .into_iter()
                .map(|path| {
                    let name = path.strip_prefix(&request.directory).unwrap_or(&path).display().to_string();
                    StackFile { name, path: Some(path) }
                })
                .collect();
        }
    }
    diagnostics.push(
        Diagnostic::error(format!("there is no stack file in {} or above it", start.display()))
            .help("write a stack.yaml, or name a file with -f"),
    );
    Vec::new()
}

fn in_directory(directory: &Path, diagnostics: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let there = |names: &[&str]| -> Vec<PathBuf> {
        names.iter().map(|name| directory.join(name)).filter(|path| path.is_file()).collect()
    };
    for (names, overrides) in FAMILIES {
        let mut found = there(names);
        if found.is_empty() {
            continue;
        }
        let above = there(overrides);
        for (all, what) in [(&found, "stack files"), (&above, "override files")] {
            if let [taken, others @ ..] = all.as_slice()
                && !others.is_empty()
            {
                let others =
                    others.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
                diagnostics.push(
                    Diagnostic::warning(format!("there are several {what}; {} is taken", taken.display()))
                        .help(format!("remove {others}, or name the file with -f")),
                );
            }
        }
        found.truncate(1);
        found.extend(above.into_iter().take(1));
        return found;
    }
    Vec::new()
}
