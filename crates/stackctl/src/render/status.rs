//! What is not as the newest generation left it.

use serde_json::{Value, json};
use stack_plan::fields::Shown;
use stack_plan::generation::{Drift, Generation, ResourceChange, summary};

use crate::render::format::{Columns, Form, row};
use crate::render::history::shown;
use crate::render::stream::SCHEMA;
use crate::render::{GREEN, RED, paint};
use crate::template::{Labels, Row};

/// What a template may ask for.
pub(crate) const COLUMNS: Columns = Columns {
    fields: &[("Field", "FIELD"), ("Now", "NOW"), ("Resource", "RESOURCE"), ("Was", "WAS")],
    usual: &["Resource", "Field", "Was", "Now"],
};

/// The differences in one of the forms.
pub(crate) fn list(drift: &[Drift], form: &Form) -> anyhow::Result<String> {
    let rows: Vec<Row> = (drift.iter())
        .map(|found| {
            let fields = [
                ("Field", found.field.as_str().into()),
                ("Now", found.now.to_string().into()),
                ("Resource", found.resource.as_str().into()),
                ("Was", found.was.to_string().into()),
            ];
            row(fields, Labels::None)
        })
        .collect();
    form.show(&rows, &COLUMNS, None)
}

/// The same for people.
pub(crate) fn text(generation: &Generation, drift: &[Drift], ahead: &[ResourceChange], mend: &str) -> String {
    let Generation { number, project, at, command, .. } = generation;
    let mut text = String::new();
    for found in drift {
        text.push_str(&format!("{} {}\n", paint(RED, "✗"), words(found)));
    }
    let left = format!("generation {number} left it ({at}, stackctl {command})");
    match drift.len() {
        0 => text.push_str(&format!("{} {project} is as {left}\n", paint(GREEN, "✓"))),
        1 => text.push_str(&format!("{project}: 1 thing is not as {left}; mend it with: {mend}\n")),
        count => {
            text.push_str(&format!("{project}: {count} things are not as {left}; mend them with: {mend}\n"));
        }
    }
    if !ahead.is_empty() {
        let what = summary(ahead);
        text.push_str(&format!(
            "the file is ahead of it: {what}; see what would be done with: stackctl plan\n"
        ));
    }
    text
}

fn words(found: &Drift) -> String {
    let Drift { resource, field, was, now } = found;
    match (was, now) {
        (_, Shown::Nothing) if matches!(field.as_str(), "container" | "service" | "volume") => {
            format!("{resource}  removed")
        }
        (_, Shown::Nothing) if field == "network" && resource.starts_with("network:") => {
            format!("{resource}  removed")
        }
        (Shown::Nothing, _) if matches!(field.as_str(), "container" | "service") => {
            format!("{resource}  extra: nothing asks for it")
        }
        (Shown::Text(network), Shown::Nothing) if field == "network" => {
            format!("{resource}  detached from the network {network}")
        }
        (Shown::Nothing, Shown::Text(network)) if field == "network" => {
            format!("{resource}  attached to the network {network}")
        }
        (Shown::Hidden, Shown::Hidden) => format!("{resource}  {field}  another value"),
        _ => format!("{resource}  {field}  {was} → {now}"),
    }
}

/// The same for programs.
pub(crate) fn json(generation: &Generation, drift: &[Drift], ahead: &[ResourceChange]) -> Value {
    let drift = drift.iter().map(|found| {
        json!({
            "resource": found.resource,
            "field": found.field,
            "was": shown(&found.was),
            "now": shown(&found.now),
        })
    });
    json!({
        "schema": SCHEMA,
        "project": generation.project,
        "generation": generation.number,
        "drift": drift.collect::<Vec<_>>(),
        "ahead": ahead.iter().map(super::history::change).collect::<Vec<_>>(),
    })
}
