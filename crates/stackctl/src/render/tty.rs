//! One live line per resource, with its state, its time and what it waits for.

use std::time::Instant;

use time::OffsetDateTime;

use crate::render::live::Live;
use crate::render::stream::{Going, Line, What, warnings};
use crate::render::{YELLOW, paint, screen, words};

/// Draws lines and keeps them up to date.
pub(crate) struct Tty {
    live: Live,
    /// Lines that stay, not yet on the screen.
    staying: Vec<String>,
    /// Whether nothing is left out.
    verbose: bool,
    /// How often it was drawn.
    turn: usize,
    /// The time of the last line, and when it came: a run that is shown again has times of its own.
    last: Option<(OffsetDateTime, Instant)>,
    /// A line below all others.
    status: Option<String>,
}

impl Tty {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { live: Live::default(), staying: Vec::new(), verbose, turn: 0, last: None, status: None }
    }

    /// Prints a text above the live lines.
    pub(crate) fn print(&mut self, text: &str) {
        self.staying.push(text.to_owned());
        self.draw();
    }

    /// Keeps a line below all others, or takes it away.
    pub(crate) fn status(&mut self, text: Option<&str>) {
        self.status = text.map(str::to_owned);
        self.draw();
    }

    /// Draws the live lines anew, below those that stay.
    pub(crate) fn draw(&mut self) {
        let (columns, rows) = screen::size();
        let now = self.last.map_or_else(OffsetDateTime::now_utc, |(at, came)| at + came.elapsed());
        // The cursor needs a row of its own.
        let rows = rows.saturating_sub(1 + usize::from(self.status.is_some()));
        let mut frame = self.live.frame(now, columns, rows, self.turn);
        frame.extend(self.status.iter().map(|status| status.chars().take(columns).collect()));
        self.turn = self.turn.wrapping_add(1);
        screen::show(&std::mem::take(&mut self.staying), &frame);
    }

    /// Leaves nothing that is drawn again.
    pub(crate) fn settle(&mut self) {
        self.live = Live::default();
        self.status = None;
        screen::show(&std::mem::take(&mut self.staying), &[]);
    }

    /// Takes up a line of the stream. What it changes is drawn with the next turn, so that a
    /// thousand of them at once cost one drawing.
    pub(crate) fn line(&mut self, line: &Line) {
        self.last = Some((line.at, Instant::now()));
        let done = self.live.take(line);
        self.staying.extend(done);
        match (&line.what, &line.of) {
            (What::Plan { plan }, _) => {
                for warning in warnings(plan) {
                    self.staying.push(super::warning(&warning));
                }
                self.draw();
            }
            (What::Warning { text }, of) => {
                let of = of.as_ref().map(|of| format!("{}: ", of.address)).unwrap_or_default();
                self.print(&super::warning(&format!("{of}{text}")));
            }
            (What::Progress { text, kind, .. }, Some(of)) => match kind {
                Going::Hook => self.staying.push(words::hook_line(&of.address, text)),
                Going::BuildLog if self.verbose => self.staying.push(format!("{}  {text}", of.address)),
                _ => {}
            },
            (What::Failed { tolerated: true, so, diagnosis }, _) => {
                let text = diagnosis.text(super::message_width(), self.verbose);
                let so = so.as_deref().unwrap_or("all else goes on");
                self.print(&format!("{} {text}\n    {so}", paint(YELLOW, "!")));
            }
            (What::RolledBack, Some(of)) => self.staying.push(format!("  {}  taken back", of.address)),
            (What::Finished(ended), _) => {
                self.settle();
                self.print(&ended.text);
            }
            (What::Note { text }, _) => self.print(text),
            (What::Interrupted { text }, _) => {
                self.settle();
                self.print(text);
            }
            _ => {}
        }
    }
}
