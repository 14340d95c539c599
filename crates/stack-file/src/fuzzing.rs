//! What must hold for any text whatever, one function per fuzz target: the targets below
//! `fuzz/` call these with what a fuzzer makes up, the tests with what fuzzers kept.

#[cfg(test)]
mod replay;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::attributes::Schema;
use crate::canonical::{Base, canonical};
use crate::config::Form;
use crate::diagnostic::Diagnostic;
use crate::draw::draw;
use crate::explain::explain;
use crate::lint::lint;
use crate::load::{Omitted, Request, load, load_with_history, load_without};
use crate::source::{Origin, SourceId, Sources, Span};
use crate::tree::{Entries, Kind, Node, ScalarKind};
use crate::{env_file, interpolate, merge, yaml};

/// A line of this text parts the files of one input.
const PART: &str = "=====";

/// Reads a text as YAML: every value has a place in the text, every finding can be drawn, and
/// the short way through the text comes to the same as the long one.
///
/// # Panics
///
/// When that does not hold, as the functions below do.
pub fn tree(text: &str) {
    let mut sources = Sources::default();
    let id = sources.add("stack.yaml", None, text);
    let mut diagnostics = Vec::new();
    let documents = yaml::parse(text, id, &mut diagnostics);
    let mut at_length = Vec::new();
    let all = yaml::parse_all(text, id, &mut at_length);
    assert_eq!(format!("{documents:?} {diagnostics:?}"), format!("{all:?} {at_length:?}"));
    for document in documents {
        placed(&document.root, &sources);
    }
    drawn(&diagnostics, &sources);
}

/// Fills in the variables of a text: a doubled dollar sign is one, and a text without any
/// stays as it is.
///
/// # Panics
///
/// When that does not hold.
pub fn interpolation(text: &str) {
    let filled = interpolate::fill(text, &variable);
    if !text.contains('$') {
        assert_eq!(filled.as_ref().map(|filled| filled.text.as_str()), Ok(text));
    }
    if let Err(fault) = filled {
        let _ = fault.to_string();
    }
    let doubled = interpolate::fill(&text.replace('$', "$$"), &variable);
    assert_eq!(doubled.map(|filled| filled.text).as_deref(), Ok(text));
}

/// Reads a text as an environment file, line by line and as it stands: every variable has a
/// name and stands on the line that it tells.
///
/// # Panics
///
/// When that does not hold.
pub fn env_file(text: &str) {
    let mut sources = Sources::default();
    let id = sources.add_confidential(".env", None, text);
    let lookup = |name: &str| variable(name).map(Cow::into_owned);
    let mut diagnostics = Vec::new();
    let mut all = env_file::parse(text, id, &lookup, &mut diagnostics);
    all.extend(env_file::parse_raw(text, id, &lookup, &mut diagnostics));
    for assignment in all {
        assert!(!assignment.name.is_empty(), "a variable has no name");
        let origin = Origin { source: id, span: assignment.span.into(), via: None };
        within(&origin, &sources);
        assert_eq!(sources.place(&origin).line, assignment.line, "{}", assignment.name);
    }
    drawn(&diagnostics, &sources);
}

/// Lays the parts of a text over one another, as files: what lists hold once they hold
/// once, and nothing laid over a stack changes nothing.
///
/// # Panics
///
/// When that does not hold.
pub fn merge(text: &str) {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let start = Origin { source: sources.add("<no file>", None, ""), span: Span::default(), via: None };
    let nothing = Node { kind: Kind::Mapping(Entries::new()), origin: start };
    let mut merged = nothing.clone();
    for (index, part) in parts(text).into_iter().enumerate() {
        let id: SourceId = sources.add(format!("{index}.yaml"), None, part);
        for document in yaml::parse(part, id, &mut diagnostics) {
            merge::clear(&mut merged, &document.marks);
            let base = Base { directory: Path::new("/project"), home: Some("/home/ada") };
            if let Some(root) = canonical(document.root, base, &mut diagnostics) {
                merged = merge::merge(merged, root, Schema::root());
            }
        }
    }
    merge::unique(&mut merged, Schema::root());
    placed(&merged, &sources);
    drawn(&diagnostics, &sources);
    let mut again = merge::merge(merged.clone(), nothing, Schema::root());
    merge::unique(&mut again, Schema::root());
    assert_eq!(written(&again), written(&merged));
}

/// Loads a text as a stack in every way there is, and looks at what comes of it: what
/// `config` writes for a stack without a fault is a stack file, too, and means the same.
///
/// Further parts of the text become the files `other.yaml`, `app.env` and `.env` of
/// `directory`, which belongs to the caller.
///
/// # Panics
///
/// When that does not hold.
pub fn decode(text: &str, directory: &Path) {
    let mut parts = parts(text).into_iter();
    let stack = parts.next().unwrap_or_default();
    for name in ["other.yaml", "app.env", ".env"] {
        let path = directory.join(name);
        match parts.next() {
            Some(part) => std::fs::write(&path, part).expect("the directory can be written"),
            None if path.exists() => std::fs::remove_file(&path).expect("the directory can be written"),
            None => {}
        }
    }
    let environment = BTreeMap::from([
        ("A".to_owned(), "1".to_owned()),
        ("EMPTY".to_owned(), String::new()),
        ("HOME".to_owned(), "/home/ada".to_owned()),
    ]);
    let request = Request {
        files: vec!["-".into()],
        directory: directory.to_owned(),
        project_directory: None,
        project_name: None,
        env_files: Vec::new(),
        profiles: vec!["debug".to_owned()],
        environment: &environment,
        stdin: Some(stack),
    };
    for omitted in [
        Omitted { variables: true, ..Omitted::default() },
        Omitted { variables: true, defaults: true, paths: true, checks: true, env_files: true, unused: true },
        Omitted {
            variables: false,
            defaults: true,
            paths: true,
            checks: true,
            env_files: true,
            unused: true,
        },
    ] {
        let loaded = load_without(&request, omitted);
        drawn(&loaded.diagnostics, &loaded.sources);
    }
    let (loaded, history) = load_with_history(&request);
    for found in [&loaded.diagnostics, &loaded.unsupported, &lint(&loaded, &|_| false)] {
        drawn(found, &loaded.sources);
    }
    placed(&loaded.stack.tree, &loaded.sources);
    for (key, _) in loaded.stack.tree.as_mapping().into_iter().flatten() {
        if let Ok(explained) = explain(&loaded, &history, key) {
            assert!(!explained.is_empty(), "{key} is there and cannot be explained");
        }
    }
    if loaded.has_errors() || !loaded.stack.disabled.is_empty() {
        return;
    }
    let mut config = loaded.stack.config(Form::Yaml);
    let shown = written(&config);
    config.double_dollars();
    let text = written(&config);
    let nowhere = PathBuf::from("/nowhere/at/all");
    let again = load(&Request {
        directory: nowhere.clone(),
        project_directory: Some(nowhere),
        stdin: Some(&text),
        ..request
    });
    let told = draw(&again.diagnostics, &again.sources, false);
    assert!(!again.has_errors(), "what config writes is refused:\n{shown}\n{told}");
    assert_eq!(written(&again.stack.config(Form::Yaml)), shown, "what config writes means something else");
}

/// The parts of an input.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((part, after)) = rest.split_once(&format!("{PART}\n")) {
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

fn variable(name: &str) -> Option<Cow<'static, str>> {
    match name {
        "A" => Some("1".into()),
        "EMPTY" => Some("".into()),
        "MARKS" => Some("'\"$A${B}\\#\n".into()),
        _ => None,
    }
}

fn drawn(diagnostics: &[Diagnostic], sources: &Sources) {
    let origins = diagnostics
        .iter()
        .flat_map(|told| told.origin.iter().chain(told.related.iter().map(|(origin, _)| origin)));
    origins.for_each(|origin| within(origin, sources));
    let _ = draw(diagnostics, sources, true);
}

fn placed(node: &Node, sources: &Sources) {
    within(&node.origin, sources);
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::Sequence(items) => items.iter().for_each(|item| placed(item, sources)),
        Kind::Mapping(entries) => {
            for entry in entries.values() {
                within(&entry.key, sources);
                placed(&entry.node, sources);
            }
        }
    }
}

/// A place is a piece of its text.
fn within(origin: &Origin, sources: &Sources) {
    let text = &sources.get(origin.source).text;
    assert!(text.get(origin.span.range()).is_some(), "{:?} is no piece of {text:?}", origin.span);
    let (start, end) = (sources.place(origin), sources.end(origin));
    assert!((start.line, start.column) <= (end.line, end.column), "{start} and {end}");
}

/// A tree as JSON, which is YAML, too.
fn written(node: &Node) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

fn write(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.kind == ScalarKind::Null => out.push_str("null"),
        Kind::Scalar(scalar) if scalar.kind != ScalarKind::String => out.push_str(&scalar.text),
        Kind::Scalar(scalar) => write_text(&scalar.text, out),
        Kind::Sequence(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Kind::Mapping(entries) => {
            out.push('{');
            for (index, (key, entry)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                write_text(key, out);
                out.push_str(": ");
                write(&entry.node, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_ascii() && !letter.is_ascii_control() => out.push(letter),
            letter => out.push_str(&format!("\\U{:08x}", u32::from(letter))),
        }
    }
    out.push('"');
}
