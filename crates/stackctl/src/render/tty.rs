//! One live line per resource, with its state and time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use stack_engine::event::{Event, EventKind, Progress};
use stack_plan::address::Address;
use stack_plan::plan::{Plan, Step};
use time::OffsetDateTime;

use crate::diagnose::Diagnosis;
use crate::render::{DIM, GREEN, RED, YELLOW, paint, words};
use crate::settings::Project;

/// Draws lines and keeps them up to date.
pub(crate) struct Tty {
    multi: MultiProgress,
    plan: Arc<Plan>,
    lines: HashMap<Address, Line>,
    width: usize,
    /// The line below all others.
    status: Option<ProgressBar>,
    /// Whether nothing is left out.
    verbose: bool,
}

struct Line {
    bar: ProgressBar,
    begun: OffsetDateTime,
    /// Steps of the resource that have not ended.
    open: usize,
    failed: bool,
}

impl Tty {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { multi: lines(), plan: Arc::default(), lines: HashMap::new(), width: 0, status: None, verbose }
    }

    /// Prints a line above the live ones.
    pub(crate) fn print(&self, text: &str) {
        // Without a terminal behind it `println` would be lost.
        self.multi.suspend(|| super::tell(text));
    }

    /// Keeps a line below all others, or takes it away.
    pub(crate) fn status(&mut self, text: Option<&str>) {
        if let Some(bar) = self.status.take() {
            bar.finish_and_clear();
        }
        if let Some(text) = text {
            let bar = self.multi.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner:.cyan} {msg}"));
            bar.set_message(text.to_owned());
            bar.enable_steady_tick(Duration::from_millis(500));
            self.status = Some(bar);
        }
    }

    /// Leaves the lines as they stand.
    pub(crate) fn settle(&mut self) {
        self.status(None);
        for (_, line) in self.lines.drain() {
            line.bar.abandon();
        }
        self.multi = lines();
    }

    pub(crate) fn event(&mut self, event: &Event, project: Option<&Project>) {
        let plan = Arc::clone(&self.plan);
        let step = event.step.and_then(|id| plan.step(id));
        match (&event.kind, step) {
            (EventKind::PlanReady(plan), _) => {
                self.settle();
                self.plan = Arc::clone(plan);
                self.width = plan.steps.iter().map(|step| step.address.to_string().len()).max().unwrap_or(0);
                for warning in &plan.warnings {
                    self.print(&super::warning(warning));
                }
                for shortfall in &plan.shortfalls {
                    self.print(&super::warning(&words::shortfall(shortfall, project)));
                }
            }
            (EventKind::StepStarted, Some(step)) => {
                let line = self.line(step, event.at);
                line.bar.set_message(words::doing(step));
            }
            (EventKind::Progress(Progress::Warning(text)), Some(step)) => {
                self.print(&super::warning(&format!("{}: {text}", step.address)));
            }
            (EventKind::Progress(Progress::Hook(line)), Some(step)) => {
                self.print(&words::hook_line(step, line));
            }
            (EventKind::Progress(progress), Some(step)) => {
                if let (Some(text), Some(line)) = (words::progress(progress), self.lines.get(&step.address)) {
                    line.bar.set_message(format!("{}: {text}", words::doing(step)));
                }
            }
            (EventKind::StepDone, Some(step)) => self.end(step, event.at, words::done(step)),
            (EventKind::StepFailed { failure, tolerated }, Some(step)) => {
                if let Some(line) = self.lines.get_mut(&step.address) {
                    line.failed = !tolerated;
                }
                let word = if *tolerated { "left as it is" } else { words::failed(step) };
                self.end(step, event.at, Some(word));
                let diagnosis = Diagnosis::of(&self.plan, step, failure, project, self.verbose);
                let text = diagnosis.text(project, super::message_width());
                let mark = if *tolerated { paint(YELLOW, "!") } else { paint(RED, "✗") };
                self.print(&format!("{mark} {text}"));
            }
            (EventKind::StepSkipped { .. }, Some(step)) => self.end(step, event.at, None),
            (EventKind::RolledBack, Some(step)) => self.end(step, event.at, Some("taken back")),
            (EventKind::Finished(summary), _) => {
                let text = words::summary(&self.plan, summary);
                self.settle();
                words::left_out(&plan, summary).iter().for_each(|line| self.print(line));
                self.print(&text);
            }
            _ => {}
        }
    }

    fn line(&mut self, step: &Step, at: OffsetDateTime) -> &Line {
        let (multi, width, plan) = (&self.multi, self.width, &self.plan);
        self.lines.entry(step.address.clone()).or_insert_with(|| {
            let bar = multi.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner:.cyan} {prefix}  {msg}  {elapsed:.dim}"));
            bar.set_prefix(format!("{:width$}", step.address.to_string()));
            bar.enable_steady_tick(Duration::from_millis(100));
            let open = plan.steps.iter().filter(|other| other.address == step.address).count();
            Line { bar, begun: at, open, failed: false }
        })
    }

    /// Counts a step as ended; the last one ends the line.
    fn end(&mut self, step: &Step, at: OffsetDateTime, word: Option<&'static str>) {
        let Some(line) = self.lines.get_mut(&step.address) else { return };
        line.open = line.open.saturating_sub(1);
        if let Some(word) = word {
            line.bar.set_message(word);
        }
        if line.open > 0 && !line.failed {
            return;
        }
        let took = (at - line.begun).try_into().map(words::took).unwrap_or_default();
        let mark = if line.failed { paint(RED, "✗") } else { paint(GREEN, "✓") };
        line.bar.set_style(style(&format!("{mark} {{prefix}}  {{msg}}  {}", paint(DIM, &took))));
        line.bar.abandon();
    }
}

/// Live lines where progress goes.
fn lines() -> MultiProgress {
    match super::is_status_on_stdout() {
        true => MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
        false => MultiProgress::new(),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
