//! Everything that is shown. Progress goes to standard error, results to standard output.

mod actions;
pub(crate) mod config;
pub(crate) mod containers;
pub(crate) mod diagnostics;
pub(crate) mod explain;
pub(crate) mod format;
pub(crate) mod graph;
mod json;
pub(crate) mod junit;
mod live;
pub(crate) mod log;
pub(crate) mod passed_on;
mod plain;
pub(crate) mod plan;
pub(crate) mod schema;
mod screen;
pub(crate) mod stats;
pub(crate) mod stream;
pub(crate) mod table;
pub(crate) mod timeline;
mod tty;
pub(crate) mod units;
pub(crate) mod volumes;
pub(crate) mod words;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use stack_engine::event::{Event, Summary};
use stack_file::diagnostic::Diagnostic;
use stack_file::source::Sources;
use stack_plan::plan::Plan;

use crate::args::{Ansi, Global, Progress};
use crate::diagnose::{Diagnosis, Told, together};
use crate::error::{self, hint_of};
use crate::record::Recorder;
use crate::settings::Project;

use self::stream::{Going, Line, Teller, What};

pub(crate) use self::json::moment;

pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();

/// Decides about colours for the rest of the run.
pub(crate) fn colour(ansi: Ansi) {
    match ansi {
        Ansi::Auto => {}
        Ansi::Never => anstream::ColorChoice::Never.write_global(),
        Ansi::Always => anstream::ColorChoice::Always.write_global(),
    }
}

/// Whether messages are JSON lines.
static JSON: AtomicBool = AtomicBool::new(false);

/// Decides about the form of messages for the rest of the run.
pub(crate) fn form(progress: Progress) {
    JSON.store(progress == Progress::Json, Ordering::Relaxed);
}

fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Puts a style around a text.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A result, as it is.
pub(crate) fn text(text: &str) -> io::Result<()> {
    screen::aside();
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether results go to a terminal.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// The width of the terminal that results go to, in columns; `None` when they go elsewhere.
pub(crate) fn width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0)).filter(|width| *width > 0)
}

/// The width that messages are broken to: that of the terminal that they go to, else what
/// `COLUMNS` says, else none.
pub(crate) fn message_width() -> Option<usize> {
    let terminal = terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0));
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(columns).filter(|width| *width > 0)
}

/// A result in columns, cut to the width of a terminal.
pub(crate) fn rows(
    heads: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    layout: table::Layout,
) -> io::Result<()> {
    let head = heads.iter().map(|head| (*head).to_owned()).collect();
    let mut lines: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    if let Some(width) = width() {
        table::fit(&mut lines, width, layout);
    }
    let text: String = lines.iter().map(|line| format!("{}\n", line.join("\t"))).collect();
    self::text(&table::lay_out(&text, layout))
}

/// A result of one line.
pub(crate) fn line(line: &str) -> io::Result<()> {
    text(&format!("{line}\n"))
}

/// A line on standard error. If that is closed, nobody is there to be told.
fn say(line: &str) {
    screen::aside();
    let mut out = anstream::stderr().lock();
    let _: io::Result<()> = writeln!(out, "{line}");
}

/// Whether progress goes to standard output, as `COMPOSE_STATUS_STDOUT` asks.
fn is_status_on_stdout() -> bool {
    let asked = std::env::var("COMPOSE_STATUS_STDOUT").unwrap_or_default().to_lowercase();
    matches!(asked.as_str(), "1" | "t" | "true" | "y" | "yes" | "on")
}

/// A line of progress.
fn tell(line: &str) {
    if is_status_on_stdout() {
        // If that is closed, nobody is there to be told.
        let _: io::Result<()> = self::line(line);
    } else {
        say(line);
    }
}

/// A question on standard error, the cursor after it.
pub(crate) fn question(question: &str) {
    screen::aside();
    let mut out = anstream::stderr().lock();
    let _: io::Result<()> = write!(out, "{question}").and_then(|()| out.flush());
}

/// Whether the reader of our output has gone away, as `head` does.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// An error that ends the run: what, why, and what to do next.
pub(crate) fn fault(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    let hint = hint_of(error);
    if is_json() {
        return json::now("error", serde_json::json!({ "text": text, "hint": hint }));
    }
    let mut text = format!("{}: {text}", paint(RED, "error"));
    if let Some(hint) = hint {
        for line in hint.lines() {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
    say(&text);
}

/// What there is to say about a file.
pub(crate) fn diagnostics(found: &[Diagnostic], sources: &Sources) {
    if is_json() {
        for told in found {
            json::now("diagnostic", diagnostics::value(told, sources));
        }
        return;
    }
    let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    say(stack_file::draw::draw(found, sources, colour).trim_end());
    actions::annotate_all(found, sources);
}

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
        let _: io::Result<()> = self::text(&text);
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
        if all("timed_out") {
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

/// A text marked as a warning.
fn warning(text: &str) -> String {
    format!("{}: {text}", paint(YELLOW, "warning"))
}
