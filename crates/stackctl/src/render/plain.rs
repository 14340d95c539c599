//! One plain line per change, for everything that is no terminal.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stack_engine::event::{Event, EventKind, Progress, Waiting};
use stack_engine::image::build::BuildProgress;
use stack_plan::plan::{Action, Plan, StepId};
use time::OffsetDateTime;

use crate::diagnose::Diagnosis;
use crate::render::actions::Actions;
use crate::render::{DIM, GREEN, RED, YELLOW, paint, say, tell, words};
use crate::settings::Project;

/// Writes lines.
pub(crate) struct Plain {
    quiet: bool,
    plan: Arc<Plan>,
    started: HashMap<StepId, OffsetDateTime>,
    /// The steps of which it was told that they take long.
    slow: HashSet<StepId>,
    /// Whether nothing is left out.
    verbose: bool,
    /// The first event of the run.
    begun: Option<OffsetDateTime>,
    /// What GitHub Actions is told besides, where it listens.
    actions: Option<Actions>,
}

impl Plain {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        Self {
            quiet,
            plan: Arc::default(),
            started: HashMap::new(),
            slow: HashSet::new(),
            verbose,
            begun: None,
            actions: Actions::find(),
        }
    }

    /// A line with the time since the start of the run before it.
    fn change(&self, at: OffsetDateTime, text: &str) {
        let since = self.begun.map(|begun| at - begun).and_then(|since| since.try_into().ok());
        self.print(&format!(
            "{} {text}",
            paint(DIM, &format!("{:>7}", words::took(since.unwrap_or_default())))
        ));
    }

    pub(crate) fn print(&self, text: &str) {
        if !self.quiet {
            tell(text);
        }
    }

    pub(crate) fn event(&mut self, event: &Event, project: Option<&Project>) {
        self.begun.get_or_insert(event.at);
        let plan = Arc::clone(&self.plan);
        let step = event.step.and_then(|id| plan.step(id));
        match (&event.kind, step) {
            (EventKind::PlanReady(plan), _) => {
                self.plan = Arc::clone(plan);
                self.slow.clear();
                self.started.clear();
                if let Some(actions) = self.actions.as_mut().filter(|_| !self.quiet) {
                    actions.open(plan);
                }
                for warning in &plan.warnings {
                    say(&super::warning(warning));
                }
                for shortfall in &plan.shortfalls {
                    say(&super::warning(&words::shortfall(shortfall, project)));
                }
            }
            (EventKind::StepStarted, Some(step)) => {
                self.started.insert(step.id, event.at);
                // Only what takes long is worth a line of its own.
                if self.verbose || matches!(step.action, Action::Pull(_) | Action::Push(_) | Action::Build(_))
                {
                    self.change(event.at, &format!("  {}  {}", step.address, words::doing(step)));
                }
            }
            (EventKind::Progress(Progress::Build(build)), Some(step)) => {
                if let Some(line) = build_line(build) {
                    self.change(event.at, &format!("  {}  {line}", step.address));
                }
            }
            (EventKind::Progress(Progress::Warning(text)), Some(step)) => {
                say(&super::warning(&format!("{}: {text}", step.address)));
            }
            // The first word is enough: the last comes when it has ended.
            (EventKind::Progress(progress @ Progress::Waiting(Waiting::Stopping { .. })), Some(step))
                if self.slow.insert(step.id) =>
            {
                if let Some(text) = words::progress(progress) {
                    self.change(event.at, &format!("  {}  waiting for its end: {text}", step.address));
                }
            }
            (EventKind::Progress(Progress::Hook(line)), Some(step)) => {
                self.change(event.at, &words::hook_line(step, line));
            }
            (EventKind::Progress(Progress::Provider(line)), Some(step)) => {
                self.change(event.at, &format!("  {}  {line}", step.address));
            }
            (EventKind::StepDone, Some(step)) => {
                let Some(word) = words::done(step) else { return };
                let took = self.started.get(&step.id).map(|started| event.at - *started);
                let slow = matches!(
                    step.action,
                    Action::Await { .. }
                        | Action::Pull(_)
                        | Action::Push(_)
                        | Action::Build(_)
                        | Action::Stop { .. }
                );
                let time = match took.and_then(|took| took.try_into().ok()) {
                    Some(took) if slow => format!(" after {}", words::took(took)),
                    _ => String::new(),
                };
                self.change(event.at, &format!("{} {}  {word}{time}", paint(GREEN, "✓"), step.address));
            }
            (EventKind::StepFailed { failure, tolerated }, Some(step)) => {
                let diagnosis = Diagnosis::of(&self.plan, step, failure, project, self.verbose);
                let text = diagnosis.text(project, super::message_width());
                if let Some(actions) = &mut self.actions {
                    actions.close();
                    actions.annotate(&diagnosis, *tolerated, project);
                }
                if *tolerated {
                    say(&format!("{} {text}\n    {}", paint(YELLOW, "!"), words::tolerated(step)));
                } else {
                    say(&format!("{} {text}", paint(RED, "✗")));
                }
            }
            (EventKind::Progress(progress @ Progress::Waiting(_)), Some(step)) if self.verbose => {
                if let Some(text) = words::progress(progress) {
                    self.change(event.at, &format!("  {}  {text}", step.address));
                }
            }
            (EventKind::RolledBack, Some(step)) => {
                self.change(event.at, &format!("  {}  taken back", step.address));
            }
            (EventKind::Finished(summary), _) => {
                if let Some(actions) = &mut self.actions {
                    actions.close();
                }
                if !self.quiet || !summary.succeeded() {
                    words::left_out(&self.plan, summary).iter().for_each(|line| tell(line));
                    tell(&words::summary(&self.plan, summary));
                }
            }
            _ => {}
        }
    }
}

/// A step of a build that has ended, with its time.
fn build_line(build: &BuildProgress) -> Option<String> {
    match build {
        BuildProgress::Finished { name, took, .. } if !name.starts_with("[internal]") => {
            Some(format!("{}  {}", words::build_step(name), words::took(*took)))
        }
        BuildProgress::Cached { name, .. } if !name.starts_with("[internal]") => {
            Some(format!("{}  cached", words::build_step(name)))
        }
        _ => None,
    }
}
