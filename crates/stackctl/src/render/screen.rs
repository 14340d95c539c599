//! The lines at the bottom of a terminal that are drawn again and again.

use std::io::{self, Write};
use std::sync::Mutex;

use unicode_width::UnicodeWidthStr;

/// What stands on the terminal below everything that stays.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The widths of the lines that stand there, in columns.
    drawn: Vec<usize>,
}

/// There is one terminal.
static SCREEN: Mutex<Screen> = Mutex::new(Screen { drawn: Vec::new() });

impl Screen {
    /// What takes the live lines away; the cursor is where the first of them began. A terminal that
    /// became narrower since has broken them into more rows.
    pub(super) fn erase(&mut self, columns: usize) -> String {
        let rows: usize = self.drawn.drain(..).map(|width| width.div_ceil(columns.max(1)).max(1)).sum();
        if rows == 0 { String::new() } else { format!("\r\x1b[{rows}A\x1b[J") }
    }

    /// What puts live lines there; none of them is wider than the terminal.
    pub(super) fn draw(&mut self, lines: &[String], plain: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for line in lines {
            self.drawn.push(plain(line).width());
            text.push_str(line);
            // Whatever stood there before is gone, whoever wrote it.
            text.push_str("\x1b[K\r\n");
        }
        text
    }
}

/// The size of the terminal, columns and rows; what most terminals have at least where it is not known.
pub(super) fn size() -> (usize, usize) {
    let found = match super::is_status_on_stdout() {
        true => terminal_size::terminal_size_of(io::stdout()),
        false => terminal_size::terminal_size_of(io::stderr()),
    };
    match found {
        Some((width, height)) if width.0 > 0 && height.0 > 0 => (usize::from(width.0), usize::from(height.0)),
        _ => (80, 24),
    }
}

/// Takes the live lines away, so that something else can be written; the next drawing brings them back.
pub(super) fn aside() {
    let Ok(mut screen) = SCREEN.lock() else { return };
    let erased = screen.erase(size().0);
    if !erased.is_empty() {
        put(&erased);
    }
}

/// Writes lines that stay, and below them the live ones, all at once so that nothing flickers.
pub(super) fn show(staying: &[String], live: &[String]) {
    let Ok(mut screen) = SCREEN.lock() else { return };
    let plain = |line: &str| anstream::adapter::strip_str(line).to_string();
    let coloured = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let fit = |line: &String| if coloured { line.clone() } else { plain(line) };
    let mut text = screen.erase(size().0);
    for line in staying {
        text.push_str(&fit(line).replace('\n', "\r\n"));
        text.push_str("\r\n");
    }
    let live: Vec<String> = live.iter().map(fit).collect();
    text.push_str(&screen.draw(&live, plain));
    if !text.is_empty() {
        put(&text);
    }
}

/// Writes as it is: what moves the cursor is no colour. If nobody reads it, nobody is to be told.
fn put(text: &str) {
    let write = |out: &mut dyn Write| out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let _: io::Result<()> = match super::is_status_on_stdout() {
        true => write(&mut io::stdout().lock()),
        false => write(&mut io::stderr().lock()),
    };
}
