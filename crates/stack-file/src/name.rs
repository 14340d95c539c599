//! The project name.

use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::interpolate::{self, Variables};
use crate::load::Name;
use crate::source::{Origin, Spanned};
use crate::yaml::Document;

/// The project name: the one asked for, that of `COMPOSE_PROJECT_NAME`, that of the
/// last file that gives one, or that of the directory.
pub(crate) fn project_name(
    explicit: Option<&str>,
    directory: &Path,
    documents: &[Document],
    variables: &Variables<'_>,
    start: &Origin,
    diagnostics: &mut Vec<Diagnostic>,
) -> Name {
    let of_file = documents.iter().rev().find_map(|document| document.root.get("name"));
    let written = of_file.and_then(|node| {
        let lookup = |name: &str| variables.get(name).map(std::borrow::Cow::Borrowed);
        // What is wrong with the text itself is told where the file is read.
        let filled = interpolate::fill(&node.as_scalar()?.text, &lookup).ok()?;
        Some(Spanned::new(filled.text, node.origin.clone()))
    });
    let given = explicit.or_else(|| variables.get("COMPOSE_PROJECT_NAME")).filter(|name| !name.is_empty());
    let (name, place, whence) = match (given, written) {
        (Some(given), written) => {
            let origin = written.map_or_else(|| start.clone(), |written| written.origin);
            (given.to_owned(), None, origin)
        }
        (None, Some(written)) if !written.value.is_empty() => {
            (written.value, Some(written.origin.clone()), written.origin)
        }
        _ => {
            let base = directory.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = normalized(&base.unwrap_or_default());
            if name.is_empty() {
                diagnostics.push(
                    Diagnostic::error(format!("the directory {} gives no project name", directory.display()))
                        .help("give one with -p, or with `name:` in the file"),
                );
                return Spanned::new("stack".to_owned(), start.clone());
            }
            return Spanned::new(name, start.clone());
        }
    };
    let right = normalized(&name);
    if right == name {
        return Spanned::new(name, whence);
    }
    let mut told = match &place {
        // That of a file is made to fit, as docker compose does.
        Some(_) if !right.is_empty() => {
            Diagnostic::warning(format!("`{name}` is no project name, and becomes `{right}`"))
        }
        _ => Diagnostic::error(format!("`{name}` cannot be a project name")),
    }
    .path("name")
    .help("use lower-case letters, digits, `-` and `_`, the first a letter or a digit");
    if let Some(place) = place {
        told = told.at(&place);
        if !right.is_empty() {
            told = told.replacement(right.clone());
        }
    }
    diagnostics.push(told);
    Spanned::new(if right.is_empty() { "stack".to_owned() } else { right }, whence)
}

/// A text as a project name: lower case, other signs left out.
pub(crate) fn normalized(text: &str) -> String {
    let kept: String = text
        .to_lowercase()
        .chars()
        .filter(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || matches!(each, '_' | '-'))
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}
