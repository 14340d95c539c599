//! Everything that is shown. Progress goes to standard error, results to standard output.

mod actions;
pub(crate) mod config;
pub(crate) mod containers;
pub(crate) mod diagnostics;
pub(crate) mod explain;
pub(crate) mod format;
pub(crate) mod graph;
pub(crate) mod history;
mod json;
pub(crate) mod junit;
pub(crate) mod kubernetes;
mod live;
pub(crate) mod log;
pub(crate) mod nodes;
pub(crate) mod passed_on;
mod plain;
pub(crate) mod plan;
mod renderer;
pub(crate) mod schema;
mod screen;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod stream;
pub(crate) mod table;
pub(crate) mod tasks;
mod teller;
pub(crate) mod timeline;
mod tty;
pub(crate) mod units;
pub(crate) mod volumes;
pub(crate) mod words;
pub(crate) mod yaml;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use stack_file::diagnostic::Diagnostic;
use stack_file::source::Sources;

use crate::args::{Ansi, Progress};
use crate::error::hint_of;

pub(crate) use self::json::moment;
pub(crate) use self::renderer::Renderer;

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

/// A text marked as a warning.
fn warning(text: &str) -> String {
    format!("{}: {text}", paint(YELLOW, "warning"))
}
