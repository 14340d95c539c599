//! What happens in a run as lines of one stream: the engine's events in our words.
//!
//! Every renderer shows these lines and nothing else, so that a recorded run can be shown again.
//! `docs/events.md` describes them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stack_engine::event::{Event, EventKind, Progress, Waiting};
use stack_engine::image::build::BuildProgress;
use stack_plan::plan::{Plan, StepId};
use time::OffsetDateTime;

use crate::diagnose::{Diagnosis, harmless};
use crate::render::{plan, words};
use crate::settings::Project;

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

/// Turns the events of a run into lines.
#[derive(Default)]
pub(crate) struct Teller {
    plan: Arc<Plan>,
    started: HashMap<StepId, OffsetDateTime>,
    /// Steps of builds: how many have ended, how many are known.
    builds: HashMap<StepId, Part>,
    slowest: HashMap<String, Slow>,
    ended: usize,
}

impl Teller {
    /// An event as a line; `None` for one that says nothing to anybody.
    pub(crate) fn tell(&mut self, event: &Event, project: Option<&Project>) -> Option<Line> {
        let plan = Arc::clone(&self.plan);
        let step = event.step.and_then(|id| plan.step(id));
        let what = match (&event.kind, step) {
            (EventKind::PlanReady(plan), _) => {
                *self = Self { plan: Arc::clone(plan), ..Self::default() };
                What::Plan { plan: plan::value(plan, project) }
            }
            (EventKind::StepStarted, Some(step)) => {
                self.started.insert(step.id, event.at);
                What::Started { text: words::doing(step).to_owned() }
            }
            (EventKind::Progress(Progress::Warning(text)), _) => What::Warning { text: harmless(text) },
            (EventKind::Progress(progress), Some(step)) => self.progress(step.id, progress)?,
            (EventKind::StepDone, Some(step)) => {
                let milliseconds = self.end(step.id, event.at);
                let text = words::done(step);
                if let Some(text) = text {
                    self.took(step.address.to_string(), text, milliseconds);
                }
                What::Done { text: text.map(str::to_owned), milliseconds }
            }
            (EventKind::StepFailed { failure, tolerated }, Some(step)) => {
                let milliseconds = self.end(step.id, event.at);
                self.took(step.address.to_string(), words::failed(step), milliseconds);
                What::Failed {
                    tolerated: *tolerated,
                    so: tolerated.then(|| words::tolerated(step).to_owned()),
                    diagnosis: Box::new(Diagnosis::of(&plan, step, failure, project)),
                }
            }
            (EventKind::StepSkipped { because }, _) => What::Skipped { because: because.0 },
            (EventKind::RolledBack, _) => What::RolledBack,
            (EventKind::Finished(summary), _) => {
                self.started.clear();
                self.ended = plan.steps.len();
                let mut slowest: Vec<Slow> = std::mem::take(&mut self.slowest).into_values().collect();
                slowest.sort_by(|a, b| (b.milliseconds, &a.address).cmp(&(a.milliseconds, &b.address)));
                slowest.truncate(3);
                let lines = words::left_out(&plan, summary).into_iter();
                let text: Vec<String> = lines.chain([words::summary(&plan, summary, &slowest)]).collect();
                What::Finished(Ended {
                    text: text.join("\n"),
                    succeeded: summary.succeeded(),
                    done: summary.done,
                    failed: summary.failed.iter().map(|id| id.0).collect(),
                    skipped: summary.skipped.iter().map(|id| id.0).collect(),
                    milliseconds: u64::try_from(summary.took.as_millis()).unwrap_or(u64::MAX),
                    slowest,
                })
            }
            (_, None) => return None,
        };
        let of = step.map(|step| Of {
            step: step.id.0,
            address: step.address.to_string(),
            action: step.action.word().to_owned(),
        });
        Some(Line { schema: SCHEMA, at: event.at, what, of })
    }

    /// Counts a step as ended and says how long it took, in milliseconds.
    fn end(&mut self, id: StepId, at: OffsetDateTime) -> u64 {
        self.ended += 1;
        let took = self.started.remove(&id).map(|started| at - started).unwrap_or_default();
        u64::try_from(took.whole_milliseconds()).unwrap_or_default()
    }

    /// Keeps the slowest step of a resource.
    fn took(&mut self, address: String, text: &str, milliseconds: u64) {
        let slow = Slow { address: address.clone(), text: text.to_owned(), milliseconds };
        let known = self.slowest.entry(address).or_insert_with(|| slow.clone());
        if known.milliseconds < milliseconds {
            *known = slow;
        }
    }

    fn progress(&mut self, id: StepId, progress: &Progress) -> Option<What> {
        let (kind, part) = match progress {
            Progress::Build(build) => {
                let known = self.builds.entry(id).or_insert(Part { done: 0, of: 0 });
                let kind = match build {
                    BuildProgress::Started { .. } => {
                        known.of += 1;
                        Going::BuildStep
                    }
                    BuildProgress::Finished { .. } => {
                        known.done = (known.done + 1).min(known.of);
                        Going::BuildStepDone
                    }
                    BuildProgress::Cached { .. } => {
                        // What comes out of the cache was never begun.
                        *known = Part { done: known.done + 1, of: known.of + 1 };
                        Going::BuildStepDone
                    }
                    BuildProgress::Log { .. } => Going::BuildLog,
                    BuildProgress::Warning(text) => return Some(What::Warning { text: harmless(text) }),
                };
                (kind, Some(*known))
            }
            Progress::Pull(pull) => {
                let bytes = Part { done: pull.current.min(pull.total), of: pull.total };
                let count = |count: usize| u64::try_from(count).unwrap_or_default();
                let layers = Part { done: count(pull.layers_done), of: count(pull.layers) };
                (Going::Transfer, Some(if pull.total > 0 { bytes } else { layers }))
            }
            Progress::Waiting(Waiting::Stopping { .. }) => (Going::Stopping, None),
            Progress::Waiting(_) => (Going::Waiting, None),
            Progress::Hook(_) => (Going::Hook, None),
            Progress::Provider(_) => (Going::Provider, None),
            Progress::Warning(_) => return None,
        };
        Some(What::Progress { text: words::progress(progress)?, kind, part })
    }

    /// What was under way when the run was broken off, and what is left of the plan.
    pub(crate) fn broken_off(&self) -> Option<String> {
        let now = OffsetDateTime::now_utc();
        let mut open: Vec<(&StepId, &OffsetDateTime)> = self.started.iter().collect();
        open.sort();
        let told: Vec<String> = (open.iter())
            .filter_map(|(id, since)| {
                let step = self.plan.step(**id)?;
                let time = words::took((now - **since).try_into().unwrap_or_default());
                Some(format!("{} {} ({time})", step.address, words::doing(step)))
            })
            .collect();
        let left = self.plan.steps.len().saturating_sub(self.ended);
        if left == 0 {
            return None;
        }
        let plural = if left == 1 { "" } else { "s" };
        let mut text = format!("{left} of {} step{plural} left", self.plan.steps.len());
        if !told.is_empty() {
            text.push_str(&format!("; broken off: {}", some_of(&told)));
        }
        Some(text)
    }

    /// Whether a step waits or creates; `pull`, `push` and `build` are worth a line when they begin.
    pub(crate) fn is_long(action: &str) -> bool {
        matches!(action, "pull" | "push" | "build")
    }

    /// What is worth its time when it is done.
    pub(crate) fn is_timed(action: &str) -> bool {
        Self::is_long(action) || action == "stop" || action.starts_with("await")
    }
}

/// The first few of many, and how many more there are.
fn some_of(told: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = told.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if told.len() > SHOWN {
        text.push_str(&format!(" and {} more", told.len() - SHOWN));
    }
    text
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
