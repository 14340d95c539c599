//! What containers use.

use std::io;

use stack_engine::look::{Listed, Sample};

use crate::render;
use crate::render::format::{Columns, Form, row};
use crate::render::units::{binary, decimal};
use crate::template::{Labels, Row};

/// What a template may ask for.
pub(crate) const COLUMNS: Columns = Columns {
    fields: &[
        ("BlockIO", "BLOCK I/O"),
        ("CPUPerc", "CPU %"),
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("MemPerc", "MEM %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("Name", "NAME"),
        ("NetIO", "NET I/O"),
        ("PIDs", "PIDS"),
    ],
    usual: &["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
};

/// Containers with what they use, in one of the forms; `None` is not known yet.
pub(crate) fn show(rows: &[(&Listed, Option<Sample>)], form: &Form, whole: bool) -> anyhow::Result<String> {
    let rows: Vec<Row> =
        rows.iter().map(|(container, sample)| values(container, sample.as_ref(), whole)).collect();
    form.show(&rows, &COLUMNS, render::width().filter(|_| !whole))
}

fn values(container: &Listed, sample: Option<&Sample>, whole: bool) -> Row {
    let of =
        |value: &dyn Fn(&Sample) -> String, unknown: &str| sample.map_or_else(|| unknown.to_owned(), value);
    let both = |(one, two): (u64, u64)| format!("{} / {}", decimal(one as f64), decimal(two as f64));
    let share = |sample: &Sample| match sample.memory_limit {
        0 => "0.00%".to_owned(),
        limit => format!("{:.2}%", sample.memory as f64 / limit as f64 * 100.0),
    };
    let memory = |sample: &Sample| {
        format!("{} / {}", binary(sample.memory as f64), binary(sample.memory_limit as f64))
    };
    let id = if whole { &container.id } else { &container.id[..container.id.len().min(12)] };
    row(
        [
            ("BlockIO", of(&|sample| both(sample.disk), "--").into()),
            ("CPUPerc", of(&|sample| format!("{:.2}%", sample.cpu), "--").into()),
            ("Container", container.id.as_str().into()),
            ("ID", id.into()),
            ("MemPerc", of(&share, "--").into()),
            ("MemUsage", of(&memory, "-- / --").into()),
            ("Name", container.name.as_str().into()),
            ("NetIO", of(&|sample| both(sample.network), "--").into()),
            ("PIDs", of(&|sample| sample.processes.to_string(), "--").into()),
        ],
        Labels::None,
    )
}

/// Shows what containers use again and again: in place on a terminal, one after the other elsewhere.
pub(crate) struct Screen {
    form: Form,
    whole: bool,
    in_place: bool,
}

impl Screen {
    pub(crate) fn new(form: Form, whole: bool) -> Self {
        let controls = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let in_place = render::is_watched() && controls && !matches!(form, Form::Json);
        Self { form, whole, in_place }
    }

    pub(crate) fn show(&mut self, rows: &[(&Listed, Option<Sample>)]) -> anyhow::Result<()> {
        let mut text = show(rows, &self.form, self.whole)?;
        if self.in_place {
            text = in_place(&text);
        }
        let shown: io::Result<()> = render::text(&text);
        Ok(shown?)
    }
}

/// A text that takes the place of what is on the screen: home, each line cleared to its end, and
/// then all that is below. Nothing is cleared before it is written over, so that nothing flickers.
fn in_place(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}\x1b[K\r\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_written_over_from_its_top() {
        assert_eq!(in_place("a\nb\n"), "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J");
    }
}
