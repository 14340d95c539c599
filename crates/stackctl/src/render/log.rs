//! Log lines, each with its container before it.

use std::collections::HashMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use stack_engine::engine::{Channel, LineRef, LogSource};
use time::OffsetDateTime;

use crate::render::{DIM, paint, say};

const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
];

/// So much is gathered before it is written, bytes.
const BUFFER: usize = 64 << 10;

/// How log lines look.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogStyle {
    /// Show the logs without colours
    #[arg(long)]
    no_color: bool,
    /// Show the logs without the container before each line
    #[arg(long)]
    no_log_prefix: bool,
    /// Whether the time stands before each line.
    #[arg(skip)]
    timestamps: bool,
    /// Whether each line is a JSON object.
    #[arg(skip)]
    json: bool,
}

/// Shows log lines. What is shown is written when it is much, or on [`Logs::flush`].
pub(crate) struct Logs {
    style: LogStyle,
    /// The colour of each container, by service and number.
    colours: HashMap<String, Style>,
    /// What stands before the lines of each container, by id.
    prefixes: HashMap<String, Vec<u8>>,
    width: usize,
    clock: Clock,
    out: Output,
}

impl LogStyle {
    /// The same with or without the time before each line.
    pub(crate) fn with_time(&self, timestamps: bool) -> Self {
        Self { timestamps, ..self.clone() }
    }

    /// The same with or without JSON.
    pub(crate) fn with_json(&self, json: bool) -> Self {
        Self { json, ..self.clone() }
    }
}

impl Logs {
    pub(crate) fn new(mut style: LogStyle) -> Self {
        // What containers write is passed on as it is, so that the colours of the prefix are not
        // left to a stream that would take out theirs, too.
        style.no_color |= anstream::AutoStream::choice(&io::stdout()) == anstream::ColorChoice::Never;
        Self {
            style,
            colours: HashMap::new(),
            prefixes: HashMap::new(),
            width: 0,
            clock: Clock::default(),
            out: Output::new(),
        }
    }

    /// Gives a container its colour and its place before the bar.
    pub(crate) fn introduce(&mut self, source: &LogSource) {
        let name = name(source);
        if name.len() > self.width {
            self.width = name.len();
            self.prefixes.clear();
        }
        let next = COLOURS[self.colours.len() % COLOURS.len()].on_default();
        self.colours.entry(name).or_insert(next);
    }

    /// Shows a line: the container's standard output on ours, its standard error on ours.
    pub(crate) fn show(&mut self, line: &LineRef<'_>) -> io::Result<()> {
        if self.style.json {
            return self.show_json(line);
        }
        if let Channel::Exit(code) = line.channel {
            self.flush()?;
            say(&paint(DIM, &format!("{} ended with exit code {code}", name(line.source))));
            return Ok(());
        }
        if !self.style.no_log_prefix && !self.prefixes.contains_key(&line.source.id) {
            self.introduce(line.source);
            let prefix = self.prefix(line.source);
            self.prefixes.insert(line.source.id.clone(), prefix);
        }
        let text = self.out.of(line.channel);
        if !self.style.no_log_prefix
            && let Some(prefix) = self.prefixes.get(&line.source.id)
        {
            text.extend_from_slice(prefix);
        }
        if self.style.timestamps
            && let Some(at) = line.nanoseconds
        {
            self.clock.write(at, text);
            text.push(b' ');
        }
        text.extend_from_slice(line.text);
        text.push(b'\n');
        if text.len() >= BUFFER { self.out.flush() } else { Ok(()) }
    }

    fn show_json(&mut self, line: &LineRef<'_>) -> io::Result<()> {
        let time = line.nanoseconds.map(|at| {
            let mut text = Vec::with_capacity(30);
            self.clock.write(at, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let (stream, exit_code) = match line.channel {
            Channel::Stdout => (Some("stdout"), None),
            Channel::Stderr => (Some("stderr"), None),
            Channel::Exit(code) => (None, Some(code)),
        };
        let said = Said {
            time,
            service: &line.source.service,
            number: line.source.number,
            id: &line.source.id,
            stream,
            text: stream.map(|_| String::from_utf8_lossy(line.text)),
            exit_code,
        };
        let text = self.out.of(Channel::Stdout);
        serde_json::to_writer(&mut *text, &said)?;
        text.push(b'\n');
        if text.len() >= BUFFER { self.out.flush() } else { Ok(()) }
    }

    /// Writes what was shown.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn prefix(&self, source: &LogSource) -> Vec<u8> {
        let name = name(source);
        // Two spaces, as docker compose has them.
        let prefix = format!("{name:width$}  | ", width = self.width);
        match self.colours.get(&name) {
            Some(colour) if !self.style.no_color => paint(*colour, &prefix).into_bytes(),
            _ => prefix.into_bytes(),
        }
    }
}

fn name(source: &LogSource) -> String {
    format!("{}-{}", source.service, source.number)
}

/// A line as JSON: `text` and `stream`, or `exit_code` when the container has ended.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    service: &'a str,
    number: u32,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i64>,
}

/// Writes times, most of which are within the second of the one before.
#[derive(Default)]
struct Clock {
    second: i64,
    written: String,
}

impl Clock {
    /// A time as RFC 3339 has it, with nine digits after the point: nanoseconds since 1970.
    fn write(&mut self, nanoseconds: i64, text: &mut Vec<u8>) {
        let (second, mut rest) =
            (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        if self.written.is_empty() || second != self.second {
            let at = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            self.second = second;
            self.written = format!("{}T{:02}:{:02}:{:02}", at.date(), at.hour(), at.minute(), at.second());
        }
        text.extend_from_slice(self.written.as_bytes());
        let mut digits = *b".000000000Z";
        for digit in digits[1..10].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        text.extend_from_slice(&digits);
    }
}

/// Standard output and standard error, gathered. Where both are the same file there is one
/// buffer, so that the order of lines stays.
struct Output {
    out: Vec<u8>,
    err: Vec<u8>,
    same: bool,
}

impl Output {
    fn new() -> Self {
        Self { out: Vec::with_capacity(BUFFER * 2), err: Vec::new(), same: are_same() }
    }

    fn of(&mut self, channel: Channel) -> &mut Vec<u8> {
        if channel == Channel::Stderr && !self.same { &mut self.err } else { &mut self.out }
    }

    fn flush(&mut self) -> io::Result<()> {
        super::screen::aside();
        if !self.out.is_empty() {
            let mut out = io::stdout().lock();
            out.write_all(&self.out)?;
            out.flush()?;
            self.out.clear();
        }
        if !self.err.is_empty() {
            io::stderr().lock().write_all(&self.err)?;
            self.err.clear();
        }
        Ok(())
    }
}

/// Whether standard output and standard error are the same terminal, pipe or file.
#[cfg(unix)]
fn are_same() -> bool {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let identity = |of: std::os::fd::BorrowedFd<'_>| {
        let metadata = File::from(of.try_clone_to_owned()?).metadata()?;
        io::Result::Ok((metadata.dev(), metadata.ino(), metadata.rdev()))
    };
    match (identity(io::stdout().as_fd()), identity(io::stderr().as_fd())) {
        (Ok(out), Ok(err)) => out == err,
        _ => false,
    }
}

#[cfg(not(unix))]
fn are_same() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_nine_digits() {
        let mut clock = Clock::default();
        let mut at = |nanoseconds| {
            let mut text = Vec::new();
            clock.write(nanoseconds, &mut text);
            String::from_utf8(text).expect("UTF-8")
        };
        assert_eq!(at(1_795_596_227_708_391_373), "2026-11-25T08:43:47.708391373Z");
        assert_eq!(at(1_795_596_227_000_000_001), "2026-11-25T08:43:47.000000001Z");
        assert_eq!(at(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at(-1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn prefixes_are_as_wide_as_the_longest() {
        let style = LogStyle { no_color: true, no_log_prefix: false, timestamps: false, json: false };
        let mut logs = Logs::new(style);
        let source =
            |service: &str| LogSource { id: service.to_owned(), service: service.to_owned(), number: 1 };
        logs.introduce(&source("database"));
        assert_eq!(logs.prefix(&source("s")), b"s-1         | ");
        assert_eq!(logs.prefix(&source("database")), b"database-1  | ");
    }
}
