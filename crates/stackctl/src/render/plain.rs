//! One plain line per change, for everything that is no terminal.

use std::collections::HashSet;
use std::time::Duration;

use time::OffsetDateTime;

use crate::diagnose::Diagnosis;
use crate::render::actions::Actions;
use crate::render::stream::{Going, Line, What, steps, warnings};
use crate::render::teller::Teller;
use crate::render::{DIM, GREEN, RED, YELLOW, paint, say, tell, words};

/// Writes lines.
pub(crate) struct Plain {
    quiet: bool,
    /// The steps of which it was told that they take long.
    slow: HashSet<u32>,
    /// Whether nothing is left out.
    verbose: bool,
    /// The first line of the run.
    begun: Option<OffsetDateTime>,
    /// What GitHub Actions is told besides, where it listens.
    actions: Option<Actions>,
}

impl Plain {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        Self { quiet, slow: HashSet::new(), verbose, begun: None, actions: Actions::find() }
    }

    /// A line with the time since the start of the run before it.
    fn change(&self, at: OffsetDateTime, text: &str) {
        let since = self.begun.map(|begun| at - begun).and_then(|since| since.try_into().ok());
        self.print(&format!(
            "{} {text}",
            paint(DIM, &format!("{:>7}", words::took(since.unwrap_or_default())))
        ));
    }

    fn print(&self, text: &str) {
        if !self.quiet {
            tell(text);
        }
    }

    /// A failure in full, and the line of the file that it has to do with.
    pub(crate) fn failure(&mut self, text: &str, diagnosis: &Diagnosis, tolerated: bool) {
        if let Some(actions) = &mut self.actions {
            actions.close();
            actions.annotate(diagnosis, tolerated);
        }
        tell(text);
    }

    pub(crate) fn line(&mut self, line: &Line) {
        self.begun.get_or_insert(line.at);
        match (&line.what, &line.of) {
            (What::Plan { plan }, _) => {
                self.slow.clear();
                if let Some(actions) = self.actions.as_mut().filter(|_| !self.quiet) {
                    actions.open(steps(plan).len());
                }
                for warning in warnings(plan) {
                    say(&super::warning(&warning));
                }
            }
            (What::Warning { text }, of) => {
                let of = of.as_ref().map(|of| format!("{}: ", of.address)).unwrap_or_default();
                say(&super::warning(&format!("{of}{text}")));
            }
            (What::Note { text } | What::Interrupted { text }, _) => self.print(text),
            // Only what takes long is worth a line of its own.
            (What::Started { text }, Some(of)) if self.verbose || Teller::is_long(&of.action) => {
                self.change(line.at, &format!("  {}  {text}", of.address));
            }
            (What::Progress { text, kind, .. }, Some(of)) => match kind {
                Going::Hook => self.change(line.at, &words::hook_line(&of.address, text)),
                Going::Provider => self.change(line.at, &format!("  {}  {text}", of.address)),
                Going::BuildStepDone if self.verbose || !text.starts_with("[internal]") => {
                    self.change(line.at, &format!("  {}  {text}", of.address));
                }
                // The first word is enough: the last comes when it has ended.
                Going::Stopping if self.slow.insert(of.step) => {
                    self.change(line.at, &format!("  {}  waiting for its end: {text}", of.address));
                }
                Going::Waiting | Going::Stopping | Going::BuildStep | Going::BuildLog if self.verbose => {
                    self.change(line.at, &format!("  {}  {text}", of.address));
                }
                _ => {}
            },
            (What::Done { text: Some(text), milliseconds }, Some(of)) => {
                let time = if Teller::is_timed(&of.action) {
                    format!(" after {}", words::took(Duration::from_millis(*milliseconds)))
                } else {
                    String::new()
                };
                self.change(line.at, &format!("{} {}  {text}{time}", paint(GREEN, "✓"), of.address));
            }
            (What::Failed { tolerated: true, so, diagnosis }, _) => {
                let text = diagnosis.text(super::message_width(), self.verbose);
                let so = so.as_deref().unwrap_or("all else goes on");
                self.failure(&format!("{} {text}\n    {so}", paint(YELLOW, "!")), diagnosis, true);
            }
            // All of it comes at the end, with the other failures.
            (What::Failed { diagnosis, .. }, Some(of)) => {
                self.change(line.at, &format!("{} {}  {}", paint(RED, "✗"), of.address, diagnosis.what));
            }
            (What::RolledBack, Some(of)) => self.change(line.at, &format!("  {}  taken back", of.address)),
            (What::Finished(ended), _) => {
                if let Some(actions) = &mut self.actions {
                    actions.close();
                }
                if !self.quiet || !ended.succeeded {
                    tell(&ended.text);
                }
            }
            _ => {}
        }
    }
}
