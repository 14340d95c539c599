use serde_json::json;

use super::*;
use crate::render::screen::Screen;

fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000 + second).expect("a moment")
}

fn line(second: i64, event: serde_json::Value) -> Line {
    let mut all = json!({ "schema": 1, "at": crate::render::moment(at(second)) });
    crate::render::json::extend(&mut all, event);
    Line::read(&all.to_string()).expect("a line")
}

fn plan(steps: &[(u32, &str, &str, &[u32])]) -> Line {
    let steps: Vec<_> = (steps.iter())
        .map(|(id, address, action, after)| json!({ "id": id, "address": address, "action": action, "after": after }))
        .collect();
    line(0, json!({ "event": "plan", "plan": { "steps": steps } }))
}

fn step(second: i64, event: &str, id: u32, address: &str, more: serde_json::Value) -> Line {
    let mut all = json!({ "event": event, "step": id, "address": address, "action": "x" });
    crate::render::json::extend(&mut all, more);
    line(second, all)
}

fn plain(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
}

/// A database that is waited for, and an application that waits.
fn waiting() -> Live {
    let mut live = Live::default();
    live.take(&plan(&[
        (1, "db/1", "create", &[]),
        (2, "db/1", "await healthy", &[1]),
        (3, "app/1", "create", &[]),
        (4, "app/1", "start", &[2, 3]),
        (5, "web/1", "start", &[4]),
    ]));
    live.take(&step(0, "started", 1, "db/1", json!({ "text": "creating" })));
    live.take(&step(0, "started", 3, "app/1", json!({ "text": "creating" })));
    live.take(&step(1, "done", 1, "db/1", json!({ "text": "created" })));
    live.take(&step(1, "done", 3, "app/1", json!({ "text": "created" })));
    live.take(&step(1, "started", 2, "db/1", json!({ "text": "waiting for it to be ready" })));
    let probe = "probe 3 of 5, last: connection refused";
    live.take(&step(3, "progress", 2, "db/1", json!({ "kind": "waiting", "text": probe })));
    live
}

#[test]
fn what_waits_says_for_whom_and_how_that_one_goes_on() {
    assert_eq!(
        plain(&waiting().frame(at(5), 120, 23, 0)),
        [
            "⠋ db/1   waiting for it to be ready: probe 3 of 5, last: connection refused  4.0 s",
            "· app/1  waiting for db/1: probe 3 of 5, last: connection refused",
            "· web/1  waiting for db/1: probe 3 of 5, last: connection refused",
        ]
    );
}

#[test]
fn what_is_through_stays_and_what_was_never_begun_does_not() {
    let mut live = waiting();
    let done = live.take(&step(9, "done", 2, "db/1", json!({ "text": "healthy" })));
    assert_eq!(plain(&done), ["✓ db/1   healthy  9.0 s"]);
    let failed = json!({ "tolerated": false, "error": "no", "what": "cannot be started" });
    live.take(&step(9, "started", 4, "app/1", json!({ "text": "starting" })));
    assert_eq!(
        plain(&live.take(&step(10, "failed", 4, "app/1", failed))),
        ["✗ app/1  cannot be started  10 s"]
    );
    assert!(live.take(&step(10, "skipped", 5, "web/1", json!({ "because": 4 }))).is_empty());
    assert!(live.frame(at(11), 80, 23, 0).is_empty());
}

#[test]
fn builds_and_pulls_have_bars_where_there_is_room() {
    let mut live = Live::default();
    live.take(&plan(&[(1, "image:web", "build", &[])]));
    live.take(&step(0, "started", 1, "image:web", json!({ "text": "building" })));
    let progress = json!({ "kind": "build_step", "text": "RUN make", "part": { "done": 1, "of": 4 } });
    live.take(&step(1, "progress", 1, "image:web", progress));
    let wide = plain(&live.frame(at(2), 100, 23, 0));
    assert_eq!(wide, ["⠋ image:web  building █████░░░░░░░░░░░░░░░ RUN make  2.0 s"]);
    let narrow = plain(&live.frame(at(2), 40, 23, 0));
    assert_eq!(narrow, ["⠋ image:web  RUN make  2.0 s"]);
}

/// A small terminal: it knows what stackctl writes, and fails for anything else.
struct Fake {
    columns: usize,
    rows: usize,
    /// Everything that scrolled away, and the screen below it.
    lines: Vec<String>,
    row: usize,
    column: usize,
    /// The first line on the screen.
    top: usize,
}

impl Fake {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, lines: vec![String::new()], row: 0, column: 0, top: 0 }
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.lines.len() {
            self.lines.push(String::new());
        }
        self.top = self.top.max((self.row + 1).saturating_sub(self.rows));
    }

    fn write(&mut self, text: &str) {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => self.down(),
                '\x1b' => {
                    assert_eq!(characters.next(), Some('['));
                    let mut number = String::new();
                    let letter = loop {
                        match characters.next() {
                            Some(digit) if digit.is_ascii_digit() || digit == ';' => number.push(digit),
                            other => break other,
                        }
                    };
                    match letter {
                        Some('A') => {
                            // No terminal goes up to what has scrolled away.
                            let up = number.parse().unwrap_or(1);
                            self.row = self.row.saturating_sub(up).max(self.top);
                        }
                        Some('J') => {
                            self.lines[self.row] = self.lines[self.row].chars().take(self.column).collect();
                            self.lines.truncate(self.row + 1);
                        }
                        Some('K') => {
                            self.lines[self.row] = self.lines[self.row].chars().take(self.column).collect();
                        }
                        Some('m') => {}
                        other => panic!("an order that no terminal needs: {other:?}"),
                    }
                }
                other => {
                    if self.column == self.columns {
                        self.column = 0;
                        self.down();
                    }
                    let mut line: Vec<char> = self.lines[self.row].chars().collect();
                    line.resize(line.len().max(self.column + 1), ' ');
                    line[self.column] = other;
                    self.lines[self.row] = line.into_iter().collect();
                    self.column += 1;
                }
            }
        }
    }
}

fn draw(screen: &mut Screen, fake: &mut Fake, staying: &[String], frame: &[String]) {
    let text = screen.show(staying, frame, (fake.columns, fake.rows));
    fake.write(&text);
}

#[test]
fn five_hundred_services_on_a_small_terminal_lose_no_line() {
    const COUNT: u32 = 500;
    let mut live = Live::default();
    let names: Vec<String> = (1..=COUNT).map(|number| format!("service-{number}/1")).collect();
    let steps: Vec<(u32, &str, &str, &[u32])> =
        (1..=COUNT).zip(&names).map(|(id, name)| (id, name.as_str(), "start", &[][..])).collect();
    live.take(&plan(&steps));
    let (mut screen, mut fake) = (Screen::new(), Fake::new(40, 10));
    for (id, name) in (1..=COUNT).zip(&names) {
        let mut staying = live.take(&step(0, "started", id, name, json!({ "text": "starting" })));
        if id > 20 {
            let earlier = id - 20;
            let name = &names[earlier as usize - 1];
            staying.extend(live.take(&step(1, "done", earlier, name, json!({ "text": "started" }))));
        }
        // The terminal changes its size now and then.
        (fake.columns, fake.rows) = if id % 7 == 0 { (60, 6) } else { (40, 10) };
        if id % 7 == 0 {
            fake.top = fake.top.max((fake.row + 1).saturating_sub(fake.rows));
        }
        let rows = fake.rows.min(6) - 1;
        let frame = live.frame(at(1), fake.columns.min(40), rows, 0);
        assert!(frame.len() <= rows, "{frame:?}");
        for line in plain(&frame) {
            assert!(line.width() < 40, "{line}");
        }
        draw(&mut screen, &mut fake, &staying, &frame);
    }
    let mut staying = Vec::new();
    for id in COUNT - 19..=COUNT {
        let name = &names[id as usize - 1];
        staying.extend(live.take(&step(1, "done", id, name, json!({ "text": "started" }))));
    }
    draw(&mut screen, &mut fake, &staying, &live.frame(at(1), 40, 9, 0));
    let shown: Vec<&String> = fake.lines.iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(shown.len(), COUNT as usize, "{shown:#?}");
    for (line, name) in shown.iter().zip(&names) {
        assert!(line.starts_with(&format!("✓ {name} ")), "{line}");
    }
}

#[test]
fn more_than_fit_are_counted() {
    let mut live = Live::default();
    let names: Vec<String> = (1..=30).map(|number| format!("s{number}/1")).collect();
    let steps: Vec<(u32, &str, &str, &[u32])> =
        (1..=30).zip(&names).map(|(id, name)| (id, name.as_str(), "start", &[][..])).collect();
    live.take(&plan(&steps));
    for id in 1..=8 {
        live.take(&step(0, "started", id, &names[id as usize - 1], json!({ "text": "starting" })));
    }
    let frame = plain(&live.frame(at(0), 80, 5, 0));
    assert_eq!(frame.len(), 5);
    assert_eq!(frame[4], "… and 26 more: 8 at work, 22 waiting");
    for (columns, rows) in [(1, 1), (2, 3), (10, 1), (0, 0), (20, 2)] {
        let frame = plain(&live.frame(at(0), columns, rows, 0));
        assert!(frame.len() <= rows, "{columns}x{rows}: {frame:?}");
    }
}

#[test]
fn a_terminal_that_became_narrower_is_cleaned_of_broken_lines() {
    let mut screen = Screen::new();
    let drawn = screen.show(&[], &["x".repeat(70), "y".repeat(10)], (80, 24));
    assert_eq!(drawn, format!("{}\x1b[K\r\n{}\x1b[K\r\n", "x".repeat(70), "y".repeat(10)));
    // The first line now takes two rows.
    assert_eq!(screen.clear((40, 24)), "\r\x1b[3A\x1b[J");
    assert_eq!(screen.clear((40, 24)), "");
}

#[test]
fn a_drawing_is_written_once_with_what_stays_above_it() {
    let mut screen = Screen::new();
    screen.show(&[], &["old".to_owned()], (80, 24));
    let text = screen.show(&["done\nand more".to_owned()], &["new".to_owned(), "next".to_owned()], (80, 24));
    assert_eq!(text, "\r\x1b[1A\x1b[Jdone\r\nand more\r\nnew\x1b[K\r\nnext\x1b[K\r\n");
    assert_eq!(screen.show(&["last".to_owned()], &[], (80, 24)), "\r\x1b[2A\x1b[Jlast\r\n");
    assert_eq!(screen.show(&[], &["again".to_owned()], (80, 24)), "again\x1b[K\r\n");
}
