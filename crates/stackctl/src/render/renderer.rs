//! Shows what happens in a run, in the form that is asked for.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use stack_engine::event::{Event, Summary};
use stack_plan::plan::Plan;

use crate::args::{Ansi, Global, Progress};
use crate::diagnose::{Diagnosis, Told, together};
use crate::error;
use crate::record::Recorder;
use crate::render::stream::{Going, Line, What};
use crate::render::teller::Teller;
use crate::render::{RED, is_status_on_stdout, is_watched, message_width, paint, plain, plan, say, tty};
use crate::settings::Project;

/// Shows what happens in a run.
pub(crate) struct Renderer {
    form: Form,
    teller: Teller,
    /// Failures that were not told yet: those of a plan are told together at its end.
    pending: Vec<Diagnosis>,
    /// Whether plans are shown instead of carried out.
    dry_run: bool,
    /// Whether nothing is left out.
    verbose: bool,
    quiet_pull: bool,
    quiet_build: bool,
    recorder: Option<Recorder>,
    /// Of which kinds the failures of the last plan are.
    kinds: BTreeSet<String>,
    /// All lines so far, where a report is made of them.
    kept: Option<Vec<Line>>,
}

enum Form {
    /// One live line per resource.
    Tty(Box<tty::Tty>),
    /// One line per change.
    Plain(plain::Plain),
    /// One JSON object per line.
    Json,
}

impl Renderer {
    pub(crate) fn new(global: &Global) -> Self {
        let watched = if is_status_on_stdout() { is_watched() } else { io::stderr().is_terminal() };
        let live = watched
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            && global.ansi != Ansi::Never;
        let verbose = global.verbose;
        let form = match global.progress {
            Progress::Auto if live => Form::Tty(Box::new(tty::Tty::new(verbose))),
            Progress::Tty => Form::Tty(Box::new(tty::Tty::new(verbose))),
            Progress::Auto | Progress::Plain => Form::Plain(plain::Plain::new(false, verbose)),
            Progress::Quiet => Form::Plain(plain::Plain::new(true, verbose)),
            Progress::Json => Form::Json,
        };
        Self::with(form, global)
    }

    /// Shows one line per change, also on a terminal.
    pub(crate) fn lines(global: &Global) -> Self {
        let progress = match global.progress {
            Progress::Auto | Progress::Tty => Progress::Plain,
            other => other,
        };
        Self::new(&Global { progress, ..global.clone() })
    }

    /// Shows nothing but failures.
    pub(crate) fn silent(global: &Global) -> Self {
        let mut renderer = Self::with(Form::Plain(plain::Plain::new(true, false)), global);
        renderer.hush(true, true);
        renderer
    }

    fn with(form: Form, global: &Global) -> Self {
        Self {
            form,
            teller: Teller::default(),
            pending: Vec::new(),
            dry_run: global.dry_run,
            verbose: global.verbose,
            quiet_pull: false,
            quiet_build: false,
            recorder: None,
            kinds: BTreeSet::new(),
            kept: None,
        }
    }

    /// Whether plans are shown instead of carried out.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Shows a plan that is not carried out.
    pub(crate) fn rehearse(&mut self, plan: &Plan, project: Option<&Project>) {
        let text = match self.form {
            Form::Json => format!("{}\n", plan::json(plan, project)),
            _ => plan::pretty(plan, project, &plan::Next::DryRun),
        };
        // A reader that has gone away needs no plan.
        let _: io::Result<()> = super::text(&text);
    }

    /// Shows only the end of pulls and builds from here on.
    pub(crate) fn hush(&mut self, pulls: bool, builds: bool) {
        self.quiet_pull = pulls;
        self.quiet_build = builds;
    }

    /// Records everything from here on.
    pub(crate) fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// Keeps everything from here on, for a report.
    pub(crate) fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// What was kept.
    pub(crate) fn kept(&mut self) -> Vec<Line> {
        self.kept.take().unwrap_or_default()
    }

    /// Shows one event.
    pub(crate) fn event(&mut self, event: &Event, project: Option<&Project>) {
        if let Some(line) = self.teller.tell(event, project) {
            self.line(&line);
        }
    }

    /// Shows one line of the stream.
    pub(crate) fn line(&mut self, line: &Line) {
        if let Some(recorder) = &mut self.recorder {
            recorder.write(line);
        }
        if let Some(kept) = &mut self.kept {
            kept.push(line.clone());
        }
        if let What::Progress { kind, .. } = &line.what {
            let hushed = match kind {
                Going::Transfer => self.quiet_pull,
                Going::BuildStep | Going::BuildStepDone | Going::BuildLog => self.quiet_build,
                _ => false,
            };
            if hushed {
                return;
            }
        }
        match &line.what {
            What::Plan { .. } => self.kinds.clear(),
            What::Failed { tolerated: false, diagnosis, .. } => {
                self.kinds.insert(diagnosis.kind.clone());
                self.pending.push((**diagnosis).clone());
            }
            What::Finished(_) | What::Interrupted { .. } => self.tell_failures(),
            _ => {}
        }
        match &mut self.form {
            Form::Tty(tty) => tty.line(line),
            Form::Plain(plain) => plain.line(line),
            Form::Json => say(&line.written()),
        }
    }

    /// Whether something is drawn that has to be drawn again and again.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.form, Form::Tty(_))
    }

    /// Draws anew what is live.
    pub(crate) fn tick(&mut self) {
        if let Form::Tty(tty) = &mut self.form {
            tty.draw();
        }
    }

    /// Tells the failures so far, causes first.
    fn tell_failures(&mut self) {
        let failures = std::mem::take(&mut self.pending);
        for told in together(&failures) {
            let (text, diagnosis) = match &told {
                Told::Whole(diagnosis) => (diagnosis.text(message_width(), self.verbose), *diagnosis),
                Told::Brief(diagnosis, _) if self.verbose => {
                    (diagnosis.text(message_width(), true), *diagnosis)
                }
                Told::Brief(diagnosis, line) => (Diagnosis::broken(line, message_width()), *diagnosis),
            };
            let text = format!("{} {text}", paint(RED, "✗"));
            match &mut self.form {
                Form::Tty(tty) => tty.print(&text),
                Form::Plain(plain) => plain.failure(&text, diagnosis, false),
                Form::Json => {}
            }
        }
    }

    /// Leaves the lines as they stand: from here on logs are shown.
    pub(crate) fn settle(&mut self) {
        if let Form::Tty(tty) = &mut self.form {
            tty.settle();
        }
    }

    /// The exit code of a run that ended like this.
    pub(crate) fn code(&self, summary: &Summary) -> ExitCode {
        if summary.succeeded() {
            return ExitCode::SUCCESS;
        }
        let all = |kind: &str| !self.kinds.is_empty() && self.kinds.iter().all(|known| known == kind);
        if summary.is_rolled_back() {
            error::rolled_back()
        } else if all("timed_out") {
            error::timed_out()
        } else if all("lost") {
            error::lost()
        } else {
            error::failed()
        }
    }

    /// Says what a run that is broken off leaves, and what goes on with it.
    pub(crate) fn interrupted(&mut self, next: &str) {
        let text = match self.teller.broken_off() {
            Some(left) => format!("interrupted: {left}; {next}"),
            None => format!("interrupted; {next}"),
        };
        self.line(&Line::now(What::Interrupted { text }));
    }

    /// Says something to the person.
    pub(crate) fn note(&mut self, text: &str) {
        self.line(&Line::now(What::Note { text: text.to_owned() }));
    }

    /// Keeps a line below all others on a terminal, until the next plan runs; `None` takes it away.
    pub(crate) fn status(&mut self, text: Option<&str>) {
        if let Form::Tty(tty) = &mut self.form {
            tty.status(text);
        }
    }

    /// Warns the person.
    pub(crate) fn warn(&mut self, text: &str) {
        self.line(&Line::now(What::Warning { text: text.to_owned() }));
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        // What failed before a run was broken off is still to be told.
        self.tell_failures();
        self.settle();
    }
}
