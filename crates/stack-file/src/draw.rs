//! Diagnostics as a person reads them: file, line and column, the line itself, a
//! caret, and what to do.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin as Header, Patch, Renderer, Snippet,
    normalize_untrusted_str as tame,
};

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Origin, Reference, Source, Sources, VariableSource};

/// Longer lines are not shown: nobody wrote them by hand.
const LINE_LIMIT: usize = 400;

/// Draws diagnostics, one after the other with an empty line between them; the
/// text ends with a line break. Lines of environment files are never shown.
#[must_use]
pub fn draw(diagnostics: &[Diagnostic], sources: &Sources, colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled().decor_style(DecorStyle::Unicode)
    } else {
        Renderer::plain().decor_style(DecorStyle::Ascii)
    };
    let mut drawn = String::new();
    for (index, told) in diagnostics.iter().enumerate() {
        if index > 0 {
            drawn.push('\n');
        }
        drawn.push_str(&one(told, sources, &renderer));
        drawn.push('\n');
    }
    drawn
}

fn one(told: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match told.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(tame(&told.message)));
    let mut patch = None;
    if let Some(origin) = &told.origin {
        let places: Vec<(&Origin, &str)> = std::iter::once((origin, told.label.as_str()))
            .chain(told.related.iter().map(|(origin, label)| (origin, label.as_str())))
            .collect();
        group = group.elements(snippets(&places, sources));
        if !told.path.is_empty() {
            group = group.element(Level::NOTE.message(tame(&format!("at {}", told.path))));
        }
        if let Some(variable) = &origin.via {
            let name = &variable.name;
            let from = match &variable.from {
                VariableSource::Environment => format!("the value uses `{name}`, set in the environment"),
                VariableSource::EnvFile(path, line) => {
                    format!("the value uses `{name}`, set in {}:{line}", path.display())
                }
                VariableSource::Default => format!("the value uses `{name}`, by its default"),
                VariableSource::Unset => format!("the value uses `{name}`, which is not set"),
            };
            group = group.element(Level::NOTE.message(tame(&from)));
        }
        for referrer in sources.referrers(origin.source) {
            let how = match referrer.by {
                Reference::Include => "included",
                Reference::Extends => "extended",
                Reference::EnvFile => "read for the include",
            };
            let place = sources.place(&referrer.origin);
            group = group.element(Level::NOTE.message(tame(&format!("{how} at {place}"))));
        }
        patch = told
            .replacement
            .as_deref()
            .filter(|_| origin.via.is_none())
            .and_then(|text| replacement(origin, text, sources));
    }
    // The first help leads to the corrected line, if there is one.
    let (title, notes) = match (&patch, told.help.split_first()) {
        (Some(_), Some((first, rest))) => (Some(first.as_str()), rest),
        (Some(_), None) => (Some("write instead"), &[][..]),
        (None, _) => (None, told.help.as_slice()),
    };
    for help in notes {
        group = group.element(Level::HELP.message(tame(help)));
    }
    let mut report = vec![group];
    if let (Some(patch), Some(title)) = (patch, title) {
        report.push(Group::with_title(Level::HELP.secondary_title(tame(title))).element(patch));
    }
    renderer.render(&report)
}

/// One snippet per file, and per place where places lie far apart.
fn snippets<'a>(places: &[(&Origin, &'a str)], sources: &'a Sources) -> Vec<Element<'a>> {
    let mut elements = Vec::new();
    for (index, &(origin, _)) in places.iter().enumerate() {
        let source = sources.get(origin.source);
        if places[..index].iter().any(|(other, _)| other.source == origin.source) {
            continue;
        }
        let here: Vec<_> =
            places[index..].iter().filter(|(other, _)| other.source == origin.source).collect();
        let first = here.iter().map(|(origin, _)| line_range(source, origin).start).min().unwrap_or(0);
        let last = here.iter().map(|(origin, _)| line_range(source, origin).end).max().unwrap_or(0);
        let longest = source.text[first..last].lines().map(str::len).max().unwrap_or(0);
        if source.confidential || longest > LINE_LIMIT || last - first > 200_000 {
            for (origin, label) in here {
                elements.push(header(source, origin, sources).into());
                if !label.is_empty() {
                    elements.push(Level::NOTE.message(tame(label)).into());
                }
            }
            continue;
        }
        let line =
            sources.place(&Origin { source: origin.source, span: (first..first).into(), via: None }).line;
        let mut snippet =
            Snippet::source(&source.text[first..last]).line_start(line).path(tame(&source.name));
        for (nth, (origin, label)) in here.iter().enumerate() {
            let primary = index == 0 && nth == 0;
            let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            let span = within_line(source, origin);
            let annotation = kind.span(span.start - first..span.end - first);
            snippet =
                snippet.annotation(if label.is_empty() { annotation } else { annotation.label(tame(label)) });
        }
        elements.push(snippet.into());
    }
    elements
}

fn header<'a>(source: &'a Source, origin: &Origin, sources: &Sources) -> Header<'a> {
    let place = sources.place(origin);
    Header::path(tame(&source.name)).line(place.line).char_column(place.column)
}

/// The corrected line.
fn replacement<'a>(origin: &Origin, text: &'a str, sources: &'a Sources) -> Option<Snippet<'a, Patch<'a>>> {
    let source = sources.get(origin.source);
    let line = line_range(source, origin);
    if source.confidential || line.len() > LINE_LIMIT {
        return None;
    }
    let span = within_line(source, origin);
    let number = sources.place(origin).line;
    let patch = Patch::new(span.start - line.start..span.end - line.start, text);
    Some(Snippet::source(&source.text[line]).line_start(number).path(tame(&source.name)).patch(patch))
}

/// The first line of a place, without its line break.
fn line_range(source: &Source, origin: &Origin) -> Range<usize> {
    let text = &source.text;
    let at = floor(text, origin.span.start());
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
    start..end
}

/// The part of a place that lies in its first line.
fn within_line(source: &Source, origin: &Origin) -> Range<usize> {
    let line = line_range(source, origin);
    let start = floor(&source.text, origin.span.start()).min(line.end);
    let end = floor(&source.text, origin.span.end()).clamp(start, line.end);
    start..end
}

/// The nearest start of a character at or before a place.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
