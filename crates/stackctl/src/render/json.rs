//! One JSON object per line on standard error, for programs.
//!
//! Every object has `schema` (1), `at` (RFC 3339) and `event`; events of a step
//! have `step`, `address` and `action`. What there is to say about files is an
//! event `diagnostic` each, and an error that ends the run is the event `error`.

use std::sync::Arc;

use serde_json::{Value, json};
use stack_engine::event::{Event, EventKind, Progress};
use stack_plan::plan::Plan;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::diagnose::Diagnosis;
use crate::render::{plan, say, words};
use crate::settings::Project;

/// The version of every object that is written.
pub(super) const SCHEMA: u32 = 1;

/// Writes JSON lines.
pub(crate) struct Json {
    plan: Arc<Plan>,
}

impl Json {
    pub(crate) fn new() -> Self {
        Self { plan: Arc::default() }
    }

    pub(crate) fn note(&self, event: &str, text: &str) {
        now(event, json!({ "text": text }));
    }

    pub(crate) fn event(&mut self, event: &Event, project: Option<&Project>) {
        let mut line = json!({ "schema": SCHEMA, "at": moment(event.at) });
        let mut set = |key: &str, value: Value| line[key] = value;
        let plan = Arc::clone(&self.plan);
        let step = event.step.and_then(|id| plan.step(id));
        let (name, more) = match &event.kind {
            EventKind::PlanReady(plan) => {
                self.plan = Arc::clone(plan);
                ("plan", json!({ "plan": plan::value(plan, project) }))
            }
            EventKind::StepStarted => ("started", json!({})),
            EventKind::Progress(Progress::Warning(text)) => ("warning", json!({ "text": text })),
            EventKind::Progress(progress) => match words::progress(progress) {
                Some(text) => ("progress", json!({ "text": text })),
                None => return,
            },
            EventKind::StepDone => ("done", json!({})),
            EventKind::StepFailed { failure, tolerated } => {
                let mut told = json!({ "tolerated": tolerated });
                if let Some(step) = step {
                    let diagnosis = Diagnosis::of(&self.plan, step, failure, project, true);
                    extend(&mut told, diagnosis.value(project, failure));
                }
                ("failed", told)
            }
            EventKind::StepSkipped { because } => ("skipped", json!({ "because": because.0 })),
            EventKind::RolledBack => ("rolled_back", json!({})),
            EventKind::TakeBackFailed { failure } => {
                ("not_rolled_back", json!({ "text": crate::diagnose::harmless(&failure.error.to_string()) }))
            }
            EventKind::Finished(summary) => (
                "finished",
                json!({
                    "text": words::left_out(&self.plan, summary)
                        .into_iter()
                        .chain([words::summary(&self.plan, summary)])
                        .collect::<Vec<_>>()
                        .join("\n"),
                    "succeeded": summary.succeeded(),
                    "rolled_back": summary.is_rolled_back(),
                    "done": summary.done,
                    "failed": summary.failed.iter().map(|id| id.0).collect::<Vec<_>>(),
                    "skipped": summary.skipped.iter().map(|id| id.0).collect::<Vec<_>>(),
                    "milliseconds": u64::try_from(summary.took.as_millis()).unwrap_or(u64::MAX),
                }),
            ),
        };
        set("event", name.into());
        if let Some(step) = step {
            set("step", step.id.0.into());
            set("address", step.address.to_string().into());
            set("action", step.action.word().into());
        }
        extend(&mut line, more);
        say(&line.to_string());
    }
}

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
