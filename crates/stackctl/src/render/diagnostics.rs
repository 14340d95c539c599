//! What there is to say about files: for people with the line and a caret, for
//! programs as data.

use std::io;

use serde_json::{Value, json};
use stack_file::diagnostic::{Diagnostic, Severity};
use stack_file::draw::draw;
use stack_file::source::{Origin, Sources};

use super::stream::SCHEMA;

/// The findings as text, and how many there are.
pub(crate) fn report(found: &[Diagnostic], sources: &Sources, errors: usize, warnings: usize) -> String {
    let count = |number: usize, what: &str| match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let colour = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    let drawn = draw(found, sources, colour);
    let gap = if drawn.is_empty() { "" } else { "\n" };
    format!("{drawn}{gap}{}, {}\n", count(errors, "error"), count(warnings, "warning"))
}

/// The findings as one JSON object per line, with a last line that counts them.
pub(crate) fn lines(found: &[Diagnostic], sources: &Sources, errors: usize, warnings: usize) -> String {
    let last = json!({ "schema": SCHEMA, "event": "checked", "errors": errors, "warnings": warnings });
    let all = found.iter().map(|told| {
        let mut line = json!({ "schema": SCHEMA, "event": "diagnostic" });
        super::json::extend(&mut line, value(told, sources));
        line
    });
    all.chain([last]).map(|line| format!("{line}\n")).collect()
}

/// One finding as data.
pub(super) fn value(told: &Diagnostic, sources: &Sources) -> Value {
    let mut value = json!({
        "severity": match told.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": told.message,
        "path": told.path,
    });
    if let Some(origin) = &told.origin {
        super::json::extend(&mut value, place(origin, sources));
    }
    let related = told.related.iter().map(|(origin, message)| {
        let mut other = place(origin, sources);
        other["message"] = message.as_str().into();
        other
    });
    super::json::extend(
        &mut value,
        json!({
            "label": told.label,
            "help": told.help,
            "replacement": told.replacement,
            "related": related.collect::<Vec<_>>(),
        }),
    );
    value
}

/// A place as data: lines and columns from 1, the end behind the last character.
pub(super) fn place(origin: &Origin, sources: &Sources) -> Value {
    let (start, end) = (sources.place(origin), sources.end(origin));
    json!({
        "file": start.file,
        "line": start.line,
        "column": start.column,
        "end": { "line": end.line, "column": end.column },
    })
}
