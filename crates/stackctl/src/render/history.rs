//! The generations of a project, and what each changed.

use serde_json::{Value, json};
use stack_engine::docker::generations::ListedGeneration;
use stack_plan::fields::Shown;
use stack_plan::generation::{Difference, Generation, KeptChange, ResourceChange};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::render::format::{Columns, Form, row};
use crate::render::stream::SCHEMA;
use crate::render::units::ago;
use crate::render::{GREEN, RED, YELLOW, paint, width};
use crate::template::{Labels, Row};

/// What a template may ask for.
pub(crate) const COLUMNS: Columns = Columns {
    fields: &[
        ("By", "BY"),
        ("Changed", "CHANGED"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedSince", "CREATED"),
        ("Generation", "GENERATION"),
        ("Images", "IMAGES"),
    ],
    usual: &["Generation", "CreatedSince", "Command", "By", "Changed", "Images"],
};

/// The generations in one of the forms, the newest first.
pub(crate) fn list(listed: &[ListedGeneration], form: &Form) -> anyhow::Result<String> {
    let rows: Vec<Row> = listed.iter().rev().map(values).collect();
    form.show(&rows, &COLUMNS, width())
}

fn values(listed: &ListedGeneration) -> Row {
    let note = |name: &str| listed.notes.get(name).cloned().unwrap_or_default();
    let at = note("at");
    let since = OffsetDateTime::parse(&at, &Rfc3339).map(|at| ago(at.unix_timestamp())).unwrap_or_default();
    row(
        [
            ("By", note("by").into()),
            ("Changed", note("changed").into()),
            ("Command", note("command").into()),
            ("CreatedAt", at.into()),
            ("CreatedSince", since.into()),
            ("Generation", listed.number.into()),
            ("Images", note("images").into()),
        ],
        Labels::None,
    )
}

/// What a generation is, and field by field what it changed since another.
pub(crate) fn changes(generation: &Generation, before: Option<&Generation>) -> String {
    let Generation { number, at, command, by, .. } = generation;
    let mut text = format!("generation {number}  {at}  stackctl {command}  by {by}\n");
    match before {
        None => text.push_str("  the first that is kept: there is nothing to compare it with\n"),
        Some(before) => {
            let changes = generation.since(before);
            text.push_str(&format!("  since generation {}:", before.number));
            text.push_str(if changes.is_empty() { " nothing changed\n" } else { "\n" });
            for change in changes {
                let resource = change.resource;
                match change.difference {
                    Difference::Added => text.push_str(&format!("  {} {resource}\n", paint(GREEN, "+"))),
                    Difference::Removed => text.push_str(&format!("  {} {resource}\n", paint(RED, "-"))),
                    Difference::Changed(fields) => {
                        text.push_str(&format!("  {} {resource}\n", paint(YELLOW, "~")));
                        for field in fields {
                            text.push_str(&format!("      {field}\n"));
                        }
                    }
                }
            }
        }
    }
    for (service, kept) in &generation.services {
        if let Some(image) = &kept.image {
            let digest = image.digests.first().map(|digest| format!("  {digest}")).unwrap_or_default();
            text.push_str(&format!("  image of {service}: {}  {}{digest}\n", image.reference, image.id));
        }
    }
    text
}

/// The same for programs.
pub(crate) fn json(generation: &Generation, before: Option<&Generation>) -> Value {
    let changes = before.map(|before| generation.since(before)).unwrap_or_default();
    let changes: Vec<Value> = changes.iter().map(change).collect();
    let images = generation.services.iter().filter_map(|(service, kept)| {
        let image = kept.image.as_ref()?;
        let facts = json!({ "reference": image.reference, "id": image.id, "digests": image.digests });
        Some((service.clone(), facts))
    });
    json!({
        "schema": SCHEMA,
        "project": generation.project,
        "generation": generation.number,
        "at": generation.at,
        "command": generation.command,
        "by": generation.by,
        "version": generation.version,
        "since": before.map(|before| before.number),
        "changes": changes,
        "images": images.collect::<serde_json::Map<_, _>>(),
    })
}

/// What became of a resource.
pub(super) fn change(change: &ResourceChange) -> Value {
    let (word, fields) = match &change.difference {
        Difference::Added => ("added", Vec::new()),
        Difference::Removed => ("removed", Vec::new()),
        Difference::Changed(fields) => ("changed", fields.iter().map(field).collect()),
    };
    json!({ "resource": change.resource, "difference": word, "fields": fields })
}

fn field(change: &KeptChange) -> Value {
    json!({
        "field": change.field,
        "was": shown(&change.was),
        "now": shown(&change.now),
        "variable": change.variable,
    })
}

/// A value as it may be shown; null for none.
pub(super) fn shown(value: &Shown) -> Value {
    match value {
        Shown::Nothing => Value::Null,
        other => Value::from(other.to_string()),
    }
}
