//! From the engine's events to the lines of the stream.

use std::collections::HashMap;
use std::sync::Arc;

use stack_engine::event::{Event, EventKind, Progress, Waiting};
use stack_engine::image::build::BuildProgress;
use stack_plan::plan::{Plan, StepId};
use time::OffsetDateTime;

use crate::diagnose::{Diagnosis, harmless};
use crate::render::stream::{Ended, Going, Line, Of, Part, SCHEMA, Slow, What};
use crate::render::{plan, words};
use crate::settings::Project;

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
            (EventKind::TakeBackFailed { failure }, _) => {
                What::Warning { text: words::not_taken_back(failure) }
            }
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
