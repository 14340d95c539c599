//! One JSON object per line on standard error, for programs: see `docs/events.md`.
//!
//! What there is to say about files is an event `diagnostic` each, and an error that ends the run
//! is the event `error`.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::render::say;
use crate::render::stream::SCHEMA;

/// Writes something that happens now.
pub(super) fn now(event: &str, more: Value) {
    let mut line = json!({ "schema": SCHEMA, "at": moment(OffsetDateTime::now_utc()), "event": event });
    extend(&mut line, more);
    say(&line.to_string());
}

/// Adds the entries of one object to another.
pub(super) fn extend(line: &mut Value, more: Value) {
    if let Value::Object(more) = more {
        for (key, value) in more {
            line[key] = value;
        }
    }
}

/// A moment as RFC 3339.
pub(crate) fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
