//! Log lines, each with its container before it.

use std::collections::HashMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use stack_engine::engine::{Channel, LogLine, LogSource};
use time::format_description::well_known::Rfc3339;

use crate::render::{DIM, paint, say};

const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
];

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
}

/// Shows log lines.
pub(crate) struct Logs {
    style: LogStyle,
    /// The colour of each container, by service and number.
    colours: HashMap<(String, u32), Style>,
    width: usize,
}

impl LogStyle {
    /// The same with or without the time before each line.
    pub(crate) fn with_time(&self, timestamps: bool) -> Self {
        Self { timestamps, ..self.clone() }
    }
}

impl Logs {
    pub(crate) fn new(style: LogStyle) -> Self {
        Self { style, colours: HashMap::new(), width: 0 }
    }

    /// Gives a container its colour and its place before the bar.
    pub(crate) fn introduce(&mut self, source: &LogSource) {
        let next = COLOURS[self.colours.len() % COLOURS.len()].on_default();
        self.colours.entry((source.service.clone(), source.number)).or_insert(next);
        self.width = self.width.max(name(source).len());
    }

    /// Shows a line: the container's standard output on ours, its standard error on ours.
    pub(crate) fn show(&mut self, line: &LogLine) -> io::Result<()> {
        self.introduce(&line.source);
        let name = name(&line.source);
        if let Channel::Exit(code) = line.channel {
            say(&paint(DIM, &format!("{name} ended with exit code {code}")));
            return Ok(());
        }
        let mut text = Vec::with_capacity(line.text.len() + 64);
        if !self.style.no_log_prefix {
            let width = self.width;
            let prefix = format!("{name:width$} | ");
            let key = (line.source.service.clone(), line.source.number);
            match self.colours.get(&key) {
                Some(colour) if !self.style.no_color => {
                    text.extend_from_slice(paint(*colour, &prefix).as_bytes())
                }
                _ => text.extend_from_slice(prefix.as_bytes()),
            }
        }
        if self.style.timestamps
            && let Some(at) = line.at.and_then(|at| at.format(&Rfc3339).ok())
        {
            text.extend_from_slice(at.as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(&line.text);
        text.push(b'\n');
        match line.channel {
            Channel::Stderr => anstream::stderr().lock().write_all(&text),
            _ => {
                let mut out = anstream::stdout().lock();
                out.write_all(&text)?;
                out.flush()
            }
        }
    }
}

fn name(source: &LogSource) -> String {
    format!("{}-{}", source.service, source.number)
}
