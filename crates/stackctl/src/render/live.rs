//! The state of every resource of a run, and the lines that show it: no terminal, no clock.

use std::collections::HashMap;

use anstyle::{AnsiColor, Style};
use indexmap::IndexMap;
use time::OffsetDateTime;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::render::stream::{Going, Line, Part, Planned, What, steps};
use crate::render::{DIM, GREEN, RED, YELLOW, paint, words};

/// The signs that show that something goes on.
const TURNING: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const CYAN: Style = AnsiColor::Cyan.on_default();
/// The width of a bar, columns.
const BAR: usize = 20;
/// A terminal that is narrower has no room for bars.
const ROOM_FOR_BARS: usize = 70;
/// In a terminal that is narrower, a line says only how a resource goes on.
const ROOM_FOR_WORDS: usize = 60;
/// How many steps back it is looked for what a resource waits for.
const FARTHEST: usize = 64;

/// The resources of a plan that runs.
#[derive(Default)]
pub(super) struct Live {
    steps: Vec<Step>,
    /// The steps of each resource, in the order of the plan.
    rows: IndexMap<String, Vec<usize>>,
    /// When the first step of each resource began.
    times: HashMap<String, OffsetDateTime>,
    width: usize,
}

struct Step {
    planned: Planned,
    state: State,
}

enum State {
    /// Its turn has not come.
    Open,
    Running(Running),
    Ended(How),
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq)]
enum How {
    Done(Option<String>),
    Failed(String),
    Tolerated,
    Skipped,
}

struct Running {
    since: OffsetDateTime,
    doing: String,
    /// How it goes on.
    detail: String,
    part: Option<Part>,
}

impl Live {
    /// Takes up a line of the stream; the lines that stay because of it.
    pub(super) fn take(&mut self, line: &Line) -> Vec<String> {
        if let What::Plan { plan } = &line.what {
            *self = Self::of(steps(plan));
            return Vec::new();
        }
        let Some(of) = &line.of else { return Vec::new() };
        let Some(index) = (of.step as usize).checked_sub(1).filter(|index| *index < self.steps.len()) else {
            return Vec::new();
        };
        let state = &mut self.steps[index].state;
        match &line.what {
            What::Started { text } => {
                self.times.entry(of.address.clone()).or_insert(line.at);
                *state = State::Running(Running {
                    since: line.at,
                    doing: text.clone(),
                    detail: String::new(),
                    part: None,
                });
                return Vec::new();
            }
            What::Progress { text, part, kind } => {
                if let State::Running(running) = state
                    && !matches!(kind, Going::BuildLog | Going::Hook)
                {
                    running.detail.clone_from(text);
                    running.part = *part;
                }
                return Vec::new();
            }
            What::Done { text, .. } => *state = State::Ended(How::Done(text.clone())),
            What::Failed { tolerated: true, .. } => *state = State::Ended(How::Tolerated),
            What::Failed { diagnosis, .. } => *state = State::Ended(How::Failed(diagnosis.what.clone())),
            What::Skipped { .. } => *state = State::Ended(How::Skipped),
            _ => return Vec::new(),
        }
        self.last_line(&of.address, line.at).into_iter().collect()
    }

    fn of(planned: Vec<Planned>) -> Self {
        let mut rows: IndexMap<String, Vec<usize>> = IndexMap::new();
        for (index, step) in planned.iter().enumerate() {
            rows.entry(step.address.clone()).or_default().push(index);
        }
        let width = rows.keys().map(|address| address.width()).max().unwrap_or(0);
        let steps = planned.into_iter().map(|planned| Step { planned, state: State::Open }).collect();
        Self { steps, rows, times: HashMap::new(), width }
    }

    /// The line of a resource that is through with all of its steps. One that was not begun because
    /// of another has none: the end of the run says so in one line for all.
    fn last_line(&self, address: &str, at: OffsetDateTime) -> Option<String> {
        let steps = self.rows.get(address)?.iter().map(|index| &self.steps[*index]);
        let mut word = None;
        let (mut failed, mut skipped) = (None, false);
        for step in steps {
            match &step.state {
                State::Open | State::Running(_) => return None,
                State::Ended(How::Done(text)) => word = text.clone().or(word),
                State::Ended(How::Failed(what)) => failed = Some(what.clone()),
                State::Ended(How::Tolerated) => word = Some("left as it is".to_owned()),
                State::Ended(How::Skipped) => skipped = true,
            }
        }
        let (mark, word) = match (failed, word) {
            (Some(what), _) => (paint(RED, "✗"), what),
            (None, Some(word)) if skipped => (paint(YELLOW, "-"), format!("{word}, and no further")),
            (None, Some(word)) => (paint(GREEN, "✓"), word),
            (None, None) => return None,
        };
        let time =
            self.times.get(address).map(|begun| words::took((at - *begun).try_into().unwrap_or_default()));
        let name = format!("{address:<width$}", width = self.width);
        Some(format!("{mark} {name}  {word}  {}", paint(DIM, &time.unwrap_or_default())))
    }

    /// The live lines: what is at work first, then what waits, at most `rows` of them, none wider
    /// than `columns`. `turn` counts the drawings.
    pub(super) fn frame(&self, now: OffsetDateTime, columns: usize, rows: usize, turn: usize) -> Vec<String> {
        let (mut working, mut waiting) = (Vec::new(), Vec::new());
        for (address, steps) in &self.rows {
            let running =
                steps.iter().rev().find(|index| matches!(self.steps[**index].state, State::Running(_)));
            if let Some(index) = running {
                working.push((address, *index));
            } else if let Some(index) =
                steps.iter().find(|index| matches!(self.steps[**index].state, State::Open))
            {
                waiting.push((address, *index));
            }
        }
        let all = working.len() + waiting.len();
        let shown = if all > rows { rows.saturating_sub(1) } else { all };
        let mut lines = Vec::with_capacity(shown + 1);
        for (address, index) in working.iter().take(shown) {
            let State::Running(running) = &self.steps[*index].state else { continue };
            let mark = paint(CYAN, TURNING[turn % TURNING.len()]);
            let time = words::took((now - running.since).try_into().unwrap_or_default());
            lines.push(self.row(&mark, address, &running.said(columns), &time, columns));
        }
        for (address, index) in waiting.iter().take(shown.saturating_sub(lines.len())) {
            let text = self.waits_for(*index);
            lines.push(self.row(&paint(DIM, "·"), address, &text, "", columns));
        }
        if all > shown && rows > 0 {
            let more = all - shown;
            let text = format!("… and {more} more: {} at work, {} waiting", working.len(), waiting.len());
            lines.push(paint(DIM, &cut(&text, columns.saturating_sub(1))));
        }
        lines
    }

    /// What a step whose turn has not come waits for.
    fn waits_for(&self, index: usize) -> String {
        let mut at = index;
        for _ in 0..FARTHEST {
            let planned = &self.steps[at].planned;
            let before = planned.after.iter().chain(&planned.after_any);
            let open = before
                .filter_map(|id| (*id as usize).checked_sub(1))
                .filter(|earlier| *earlier < self.steps.len() && *earlier != at)
                .find(|earlier| !matches!(self.steps[*earlier].state, State::Ended(_)));
            let Some(earlier) = open else { break };
            at = earlier;
            if let State::Running(running) = &self.steps[at].state {
                let address = &self.steps[at].planned.address;
                let detail = if running.detail.is_empty() { &running.doing } else { &running.detail };
                return format!("waiting for {address}: {detail}");
            }
        }
        match &self.steps[at].planned.address {
            address if *address != self.steps[index].planned.address => format!("waiting for {address}"),
            _ => "waiting for its turn".to_owned(),
        }
    }

    /// A line, cut to the terminal: the mark and the name stay, the words give way to the time.
    fn row(&self, mark: &str, address: &str, text: &str, time: &str, columns: usize) -> String {
        let room = columns.saturating_sub(1);
        let name = cut(address, self.width.min(room.saturating_sub(2)).min((room / 2).max(8)));
        let padding = self.width.min(room / 2).saturating_sub(name.width());
        let left = room.saturating_sub(2 + name.width() + padding + 2);
        let time_room = if time.is_empty() { 0 } else { time.width() + 2 };
        let (text, time) =
            if left > time_room + 8 { (cut(text, left - time_room), time) } else { (cut(text, left), "") };
        let mut line = format!("{mark} {name}{}", " ".repeat(padding));
        if !text.is_empty() {
            line.push_str(&format!("  {text}"));
        }
        if !time.is_empty() {
            line.push_str(&format!("  {}", paint(DIM, time)));
        }
        line
    }
}

impl Running {
    fn said(&self, columns: usize) -> String {
        let bar = self.part.filter(|part| part.of > 0 && columns >= ROOM_FOR_BARS).map(bar);
        let bar = bar.map(|bar| format!(" {bar}")).unwrap_or_default();
        // In little room, how it goes on says more than what it is.
        if !self.detail.is_empty() && columns < ROOM_FOR_WORDS {
            return self.detail.clone();
        }
        if self.detail.is_empty() {
            return format!("{}{bar}", self.doing);
        }
        format!("{}{bar}{} {}", self.doing, if bar.is_empty() { ":" } else { "" }, self.detail)
    }
}

/// `█████░░░░░`: how much of it is done.
fn bar(part: Part) -> String {
    let full = (part.done.min(part.of) as usize).saturating_mul(BAR) / (part.of.max(1) as usize);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

/// The text in at most so many columns, with `…` where something is missing.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut width = 0;
    for character in text.chars() {
        let more = character.width().unwrap_or(0);
        if width + more + 1 > columns {
            break;
        }
        width += more;
        out.push(character);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests;
