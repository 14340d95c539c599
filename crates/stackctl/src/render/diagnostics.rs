//! What there is to say about files: for people with the line and a caret, for
//! programs as data.

use serde_json::{Value, json};
use stack_file::diagnostic::{Diagnostic, Severity};
use stack_file::source::{Origin, Sources};

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
