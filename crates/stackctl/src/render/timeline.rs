//! A run as a waterfall: what took how long, what waited for what, and what the end depended on.

mod page;

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Value, json};
use time::OffsetDateTime;
use unicode_width::UnicodeWidthStr;

use crate::render::stream::{Line, What, steps};
use crate::render::{DIM, RED, YELLOW, moment, paint, words};

pub(crate) use self::page::{html, svg};

/// The steps of a run in time.
pub(crate) struct Timeline {
    /// The command, as `up`; empty where the record does not say it.
    pub(crate) command: String,
    /// The project; empty where the record does not say it.
    pub(crate) project: String,
    /// When the run began, UTC.
    begun: OffsetDateTime,
    /// How long it took.
    took: Duration,
    /// The steps that were begun, in the order of beginning.
    bars: Vec<Bar>,
    /// The steps that were not begun, by resource.
    not_begun: Vec<String>,
}

/// A step, in time since the begin of the run.
struct Bar {
    address: String,
    action: String,
    /// What it has done or could not, as `started`.
    text: String,
    from: Duration,
    to: Duration,
    end: End,
    /// The bars that it came after.
    after: Vec<usize>,
    /// Whether the run would have ended earlier without it.
    critical: bool,
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Failed,
    /// It had not ended when the record did.
    Open,
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Open => "broken off",
        }
    }
}

impl Timeline {
    /// The waterfall of a recorded run; `None` where no step was begun.
    pub(crate) fn of(lines: &[Line]) -> Option<Self> {
        // What follows another beginning is that of another command.
        let another = lines.iter().skip(1).position(|line| matches!(line.what, What::Run { .. }));
        let lines = &lines[..another.map_or(lines.len(), |index| index + 1)];
        let begun = lines.first()?.at;
        let since = |at: OffsetDateTime| Duration::try_from(at - begun).unwrap_or_default();
        let took = since(lines.iter().map(|line| line.at).max()?);
        let mut timeline = Self {
            command: String::new(),
            project: String::new(),
            begun,
            took,
            bars: Vec::new(),
            not_begun: Vec::new(),
        };
        // Of the plan that runs: what its steps come after, and the bars of those that were begun.
        let mut after: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut bars: HashMap<u32, usize> = HashMap::new();
        // A plan that follows another begins when that one has ended.
        let mut before: Option<usize> = None;
        for line in lines {
            match &line.what {
                What::Run { command, project, .. } => {
                    timeline.command.clone_from(command);
                    timeline.project.clone_from(project);
                }
                What::Plan { plan } => {
                    before = (0..timeline.bars.len()).max_by_key(|index| timeline.bars[*index].to);
                    bars.clear();
                    let all = |step: &crate::render::stream::Planned| {
                        step.after.iter().chain(&step.after_any).copied().collect::<Vec<_>>()
                    };
                    after = steps(plan).iter().map(|step| (step.id, all(step))).collect();
                    if let Some(project) = plan["project"].as_str() {
                        timeline.project = project.to_owned();
                    }
                }
                _ => {}
            }
            let Some(of) = &line.of else { continue };
            match &line.what {
                What::Started { text } => {
                    let earlier = after.get(&of.step).into_iter().flatten();
                    let earlier: Vec<usize> = earlier.filter_map(|id| bars.get(id).copied()).collect();
                    let earlier = if earlier.is_empty() { before.into_iter().collect() } else { earlier };
                    bars.insert(of.step, timeline.bars.len());
                    timeline.bars.push(Bar {
                        address: of.address.clone(),
                        action: of.action.clone(),
                        text: text.clone(),
                        from: since(line.at),
                        to: took,
                        end: End::Open,
                        after: earlier,
                        critical: false,
                    });
                }
                What::Done { text, .. } => {
                    let text = text.clone().unwrap_or_else(|| of.action.clone());
                    timeline.end(&bars, of.step, since(line.at), End::Done, &text);
                }
                What::Failed { diagnosis, .. } => {
                    timeline.end(&bars, of.step, since(line.at), End::Failed, &diagnosis.what);
                }
                What::Skipped { .. } if !timeline.not_begun.contains(&of.address) => {
                    timeline.not_begun.push(of.address.clone());
                }
                _ => {}
            }
        }
        if timeline.bars.is_empty() {
            return None;
        }
        timeline.mark();
        Some(timeline)
    }

    fn end(&mut self, bars: &HashMap<u32, usize>, step: u32, at: Duration, end: End, text: &str) {
        if let Some(bar) = bars.get(&step).and_then(|index| self.bars.get_mut(*index)) {
            bar.to = at;
            bar.end = end;
            text.clone_into(&mut bar.text);
        }
    }

    /// Marks the steps that the end depended on: the last to end, the last of those before it, and so on.
    fn mark(&mut self) {
        let mut next = (0..self.bars.len()).max_by_key(|index| (self.bars[*index].to, *index));
        while let Some(index) = next {
            self.bars[index].critical = true;
            next = self.last_before(index);
        }
    }

    /// Of the bars that this one came after, the one that ended last.
    fn last_before(&self, index: usize) -> Option<usize> {
        let earlier = self.bars[index].after.iter().copied().filter(|earlier| *earlier < index);
        earlier.max_by_key(|earlier| (self.bars[*earlier].to, *earlier))
    }

    /// The bars on the critical path, the first to begin first.
    fn critical(&self) -> impl Iterator<Item = &Bar> {
        self.bars.iter().filter(|bar| bar.critical)
    }

    /// The bars of each resource, in the order of beginning.
    fn by_address(&self) -> IndexMap<&str, Vec<usize>> {
        let mut rows: IndexMap<&str, Vec<usize>> = IndexMap::new();
        for (index, bar) in self.bars.iter().enumerate() {
            rows.entry(&bar.address).or_default().push(index);
        }
        rows
    }

    /// The other resource that a resource waited for, and how long: the longest such wait.
    fn waited(&self, bars: &[usize]) -> Option<(&str, Duration)> {
        let waits = bars.iter().filter_map(|index| {
            let bar = &self.bars[*index];
            let last = &self.bars[self.last_before(*index)?];
            let own = bars.iter().filter(|other| *other < index).map(|other| self.bars[*other].to).max();
            let since = own.unwrap_or_default();
            (last.address != bar.address && bar.from > since)
                .then(|| (last.address.as_str(), bar.from - since))
        });
        waits.max_by_key(|(_, time)| *time)
    }

    fn title(&self) -> String {
        let name = [self.project.as_str(), self.command.as_str()];
        let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
        let steps = self.bars.len();
        let plural = if steps == 1 { "" } else { "s" };
        format!("{}: {}, {steps} step{plural}, {} UTC", name.join(" "), words::took(self.took), self.at())
    }

    fn at(&self) -> String {
        let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        self.begun.format(format).unwrap_or_default()
    }

    /// The waterfall in `columns`, and the critical path below it.
    pub(crate) fn text(&self, columns: usize) -> String {
        let rows = self.by_address();
        let name = rows.keys().map(|name| name.width()).max().unwrap_or(0).min(columns / 3);
        let chart = columns.saturating_sub(name + 34).clamp(10, 80);
        let whole = self.took.max(Duration::from_millis(1));
        let cell = |time: Duration| {
            let at = time.as_secs_f64() / whole.as_secs_f64() * chart as f64;
            (at as usize).min(chart - 1)
        };
        let mut text = format!("{}\n", self.title());
        for (address, bars) in &rows {
            let mut cells = vec![' '; chart];
            let (first, last) =
                (self.bars[bars[0]].from, bars.iter().map(|index| self.bars[*index].to).max());
            for cell in &mut cells[cell(first)..=cell(last.unwrap_or(first))] {
                *cell = '·';
            }
            // What is critical is drawn last, so that nothing hides it.
            let order = bars.iter().filter(|index| !self.bars[**index].critical);
            for index in order.chain(bars.iter().filter(|index| self.bars[**index].critical)) {
                let bar = &self.bars[*index];
                let sign = if bar.critical { '█' } else { '▒' };
                for cell in &mut cells[cell(bar.from)..=cell(bar.to)] {
                    *cell = sign;
                }
            }
            let span = last.unwrap_or(first) - first;
            let mut words = words::took(span);
            match bars.iter().map(|index| self.bars[*index].end).find(|end| *end != End::Done) {
                Some(End::Failed) => words.push_str(&format!(" {}", paint(RED, "failed"))),
                Some(_) => words.push_str(&format!(" {}", paint(YELLOW, "broken off"))),
                None => {}
            }
            if let Some((other, time)) = self.waited(bars).filter(|(_, time)| *time * 50 >= whole) {
                words.push_str(&paint(DIM, &format!(", waited {} for {other}", words::took(time))));
            }
            let cells: String = cells.into_iter().collect();
            let shown: String = address.chars().take(name).collect();
            text.push_str(&format!("{shown:<name$} ▏{cells}▕ {words}\n"));
        }
        if !self.not_begun.is_empty() {
            text.push_str(&format!("not begun: {}\n", self.not_begun.join(", ")));
        }
        text.push_str(&format!(
            "\ncritical path (█): without these {} of {} it would have ended earlier\n",
            self.critical().count(),
            self.bars.len()
        ));
        for bar in self.critical() {
            let time = words::took(bar.to - bar.from);
            text.push_str(&format!("  {time:>8}  {}  {}\n", bar.address, bar.text));
        }
        text
    }

    /// The waterfall for programs.
    pub(crate) fn value(&self) -> Value {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let bars = self.bars.iter().enumerate().map(|(index, bar)| {
            json!({
                "id": index + 1,
                "address": bar.address,
                "action": bar.action,
                "text": bar.text,
                "from": milliseconds(bar.from),
                "to": milliseconds(bar.to),
                "outcome": bar.end.word(),
                "after": bar.after.iter().map(|earlier| earlier + 1).collect::<Vec<_>>(),
                "critical": bar.critical,
            })
        });
        json!({
            "schema": 1,
            "command": self.command,
            "project": self.project,
            "at": moment(self.begun),
            "milliseconds": milliseconds(self.took),
            "steps": bars.collect::<Vec<_>>(),
            "not_begun": self.not_begun,
        })
    }
}

#[cfg(test)]
mod tests;
