//! Everything that is shown. Progress goes to standard error, results to standard output.

pub(crate) mod config;
pub(crate) mod containers;
pub(crate) mod diagnostics;
pub(crate) mod explain;
mod json;
pub(crate) mod log;
mod plain;
pub(crate) mod plan;
pub(crate) mod schema;
mod tty;
pub(crate) mod words;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use stack_engine::event::Event;
use stack_file::diagnostic::Diagnostic;
use stack_file::source::Sources;

use crate::args::{Ansi, Progress};
use crate::error::hint_of;
use crate::settings::Project;

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
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether results go to a terminal.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// A result of one line.
pub(crate) fn line(line: &str) -> io::Result<()> {
    text(&format!("{line}\n"))
}

/// A line on standard error. If that is closed, nobody is there to be told.
fn say(line: &str) {
    let mut out = anstream::stderr().lock();
    let _: io::Result<()> = writeln!(out, "{line}");
}

/// A question on standard error, the cursor after it.
pub(crate) fn question(question: &str) {
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
}

/// Shows the events of a run.
pub(crate) enum Renderer {
    /// One live line per resource.
    Tty(Box<tty::Tty>),
    /// One line per change.
    Plain(plain::Plain),
    /// One JSON object per line.
    Json(json::Json),
}

impl Renderer {
    pub(crate) fn new(progress: Progress) -> Self {
        let live = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        match progress {
            Progress::Auto if live => Self::Tty(Box::new(tty::Tty::new())),
            Progress::Tty => Self::Tty(Box::new(tty::Tty::new())),
            Progress::Auto | Progress::Plain => Self::Plain(plain::Plain::new(false)),
            Progress::Quiet => Self::Plain(plain::Plain::new(true)),
            Progress::Json => Self::Json(json::Json::new()),
        }
    }

    /// Shows one event.
    pub(crate) fn event(&mut self, event: &Event, project: Option<&Project>) {
        match self {
            Self::Tty(tty) => tty.event(event, project),
            Self::Plain(plain) => plain.event(event, project),
            Self::Json(json) => json.event(event, project),
        }
    }

    /// Leaves the lines as they stand: from here on logs are shown.
    pub(crate) fn settle(&mut self) {
        if let Self::Tty(tty) = self {
            tty.settle();
        }
    }

    /// Says something to the person.
    pub(crate) fn note(&mut self, text: &str) {
        match self {
            Self::Tty(tty) => tty.print(text),
            Self::Plain(plain) => plain.print(text),
            Self::Json(json) => json.note("note", text),
        }
    }

    /// Warns the person.
    pub(crate) fn warn(&mut self, text: &str) {
        match self {
            Self::Json(json) => json.note("warning", text),
            Self::Tty(tty) => tty.print(&warning(text)),
            Self::Plain(_) => say(&warning(text)),
        }
    }
}

fn warning(text: &str) -> String {
    format!("{}: {text}", paint(YELLOW, "warning"))
}
