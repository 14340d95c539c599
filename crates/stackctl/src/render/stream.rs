//! What happens in a run as lines of one stream: the engine's events in our words.
//!
//! Every renderer shows these lines and nothing else, so that a recorded run can be shown again.
//! `docs/events.md` describes them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::diagnose::Diagnosis;

/// The version of every line that is written.
pub(crate) const SCHEMA: u32 = 1;

/// One line of the stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The version of its form.
    pub(crate) schema: u32,
    /// When, UTC.
    #[serde(with = "rfc3339")]
    pub(crate) at: OffsetDateTime,
    /// What happened.
    #[serde(flatten)]
    pub(crate) what: What,
    /// The step it is about, of the plan told last.
    #[serde(flatten)]
    pub(crate) of: Option<Of>,
}

/// The step that a line is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Of {
    /// Its number in the plan, from 1.
    pub(crate) step: u32,
    /// The resource, as `db/1`.
    pub(crate) address: String,
    /// One word for what is done, as `create`.
    pub(crate) action: String,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum What {
    /// A command began.
    Run {
        /// The command, as `up`.
        command: String,
        /// The project.
        project: String,
        /// The version of stackctl.
        version: String,
    },
    /// A plan is about to run.
    Plan {
        /// The plan, as `plan --format json` shows it.
        plan: Value,
    },
    /// The step was begun.
    Started {
        /// What it does, as `pulling`.
        #[serde(default)]
        text: String,
    },
    /// The step goes on.
    Progress {
        /// How, in a few words.
        text: String,
        /// Of which kind.
        #[serde(default)]
        kind: Going,
        /// How much of it is done, where that can be counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<Part>,
    },
    /// Something to know.
    Warning {
        /// What.
        text: String,
    },
    /// The step is done.
    Done {
        /// What it has done, as `started`; none for a detail of another step.
        #[serde(default)]
        text: Option<String>,
        /// How long it took.
        #[serde(default)]
        milliseconds: u64,
    },
    /// The step failed.
    Failed {
        /// Whether the run goes on as if it were done.
        tolerated: bool,
        /// What follows from that, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        so: Option<String>,
        /// Why.
        #[serde(flatten)]
        diagnosis: Box<Diagnosis>,
    },
    /// The step was not begun.
    Skipped {
        /// The step that failed first.
        because: u32,
    },
    /// What the steps of the resource had done was taken back.
    RolledBack,
    /// The plan has run.
    Finished(Ended),
    /// The run was broken off by Ctrl-C or a signal.
    Interrupted {
        /// What was under way, what is left and what to do next.
        text: String,
    },
    /// Something that is said to the person.
    Note {
        /// What.
        text: String,
    },
}

/// How a plan ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// All of it, for people.
    pub(crate) text: String,
    /// Whether everything was done.
    pub(crate) succeeded: bool,
    /// Steps done.
    pub(crate) done: usize,
    /// The steps that failed, in the order of failing.
    pub(crate) failed: Vec<u32>,
    /// The steps not begun because of them.
    pub(crate) skipped: Vec<u32>,
    /// How long it took.
    pub(crate) milliseconds: u64,
    /// The resources that took longest, at most three, the longest first.
    #[serde(default)]
    pub(crate) slowest: Vec<Slow>,
}

/// A resource and the time that its slowest step took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slow {
    /// The resource.
    pub(crate) address: String,
    /// What took so long, as `built`.
    pub(crate) text: String,
    /// How long.
    pub(crate) milliseconds: u64,
}

/// How a step goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Going {
    /// A container is not ready yet.
    #[default]
    Waiting,
    /// A container has its signal and still runs.
    Stopping,
    /// Bytes come or go.
    Transfer,
    /// A step of a build was begun.
    BuildStep,
    /// A step of a build has ended.
    BuildStepDone,
    /// A build has printed a line.
    BuildLog,
    /// A hook has printed a line.
    Hook,
    /// A provider says something.
    Provider,
}

/// So much of so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// So much is done.
    pub(crate) done: u64,
    /// Of so much, as far as it is known.
    pub(crate) of: u64,
}

/// A step of a plan, as far as the stream tells it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Planned {
    /// Its number in the plan, from 1.
    pub(crate) id: u32,
    /// The resource.
    pub(crate) address: String,
    /// The steps it comes after.
    #[serde(default)]
    pub(crate) after: Vec<u32>,
    /// The steps whose end it waits for, well or not.
    #[serde(default)]
    pub(crate) after_any: Vec<u32>,
}

/// The steps of a plan that was told, in its order.
pub(crate) fn steps(plan: &Value) -> Vec<Planned> {
    let steps = plan["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().filter_map(|step| Planned::deserialize(step).ok()).collect()
}

/// The warnings of a plan that was told.
pub(crate) fn warnings(plan: &Value) -> Vec<String> {
    let warnings = plan["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    warnings.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Line {
    /// What happens now, and is about no step.
    pub(crate) fn now(what: What) -> Self {
        Self { schema: SCHEMA, at: OffsetDateTime::now_utc(), what, of: None }
    }

    /// Reads a line of a recorded run.
    pub(crate) fn read(text: &str) -> Result<Self, serde_json::Error> {
        let mut line: Self = serde_json::from_str(text)?;
        if let (What::Failed { diagnosis, .. }, Some(of)) = (&mut line.what, &line.of) {
            diagnosis.address.clone_from(&of.address);
        }
        Ok(line)
    }

    /// The line as it is written, without its end.
    pub(crate) fn written(&self) -> String {
        // Nothing in it can fail to be written: keys are texts, and numbers are finite.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Moments as RFC 3339.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    pub(super) fn serialize<S: Serializer>(at: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&crate::render::moment(*at))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<OffsetDateTime, D::Error> {
        let text = <std::borrow::Cow<'a, str>>::deserialize(from)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)
    }
}
