//! The lines at the bottom of a terminal that are drawn again and again. indicatif draws them.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use unicode_width::UnicodeWidthStr;

/// What stands on the terminal below everything that stays.
pub(super) struct Screen {
    sheet: Sheet,
    /// `None` while nothing stands there.
    bar: Option<ProgressBar>,
}

/// There is one terminal.
static SCREEN: LazyLock<Mutex<Screen>> = LazyLock::new(|| Mutex::new(Screen::new()));

impl Screen {
    pub(super) fn new() -> Self {
        Self { sheet: Sheet::default(), bar: None }
    }

    /// What takes the live lines away; the cursor is where the first of them began.
    pub(super) fn clear(&mut self, size: (usize, usize)) -> String {
        self.sheet.drawing().size = size;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.sheet.take()
    }

    /// What puts up lines that stay, and below them the live ones, none of which is wider than the
    /// terminal.
    pub(super) fn show(&mut self, staying: &[String], live: &[String], size: (usize, usize)) -> String {
        if live.is_empty() {
            let cleared = self.clear(size);
            self.sheet.stay(staying);
            return cleared + &self.sheet.take();
        }
        self.sheet.drawing().size = size;
        let bar = self.bar.get_or_insert_with(|| self.sheet.bar());
        if !staying.is_empty() {
            bar.suspend(|| self.sheet.stay(staying));
        }
        bar.set_message(live.join("\n"));
        self.sheet.take()
    }
}

/// What indicatif draws on: everything is collected and written at once, so that nothing flickers,
/// lines end as lines do, and a terminal that became narrower, which breaks lines into more rows,
/// is cleaned all the same.
#[derive(Clone, Debug, Default)]
struct Sheet(Arc<Mutex<Drawing>>);

#[derive(Debug, Default)]
struct Drawing {
    /// Columns and rows of the terminal.
    size: (usize, usize),
    /// What is to be written next.
    text: String,
    /// Where in it the live lines begin.
    from: usize,
    /// The widths of the live lines in it, columns.
    drawn: Vec<usize>,
    /// The widths of the live lines that stand on the terminal, columns.
    standing: Vec<usize>,
    /// Whether what was there before was taken away for the drawing that is under way.
    erased: bool,
    /// Whether what comes next only fills up a line.
    fills: bool,
}

impl Sheet {
    fn drawing(&self) -> MutexGuard<'_, Drawing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bar(&self) -> ProgressBar {
        let target = ProgressDrawTarget::term_like(Box::new(self.clone()));
        // The template is the message alone, which no style can refuse.
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(None, target).with_style(style)
    }

    fn stay(&self, lines: &[String]) {
        let mut drawing = self.drawing();
        for line in lines {
            drawing.text.push_str(&line.replace('\n', "\r\n"));
            drawing.text.push_str("\r\n");
        }
    }

    /// What is to be written; it stands on the terminal then.
    fn take(&self) -> String {
        let mut drawing = self.drawing();
        if !drawing.drawn.is_empty() {
            drawing.standing = std::mem::take(&mut drawing.drawn);
        }
        std::mem::take(&mut drawing.text)
    }
}

impl Drawing {
    fn erase(&mut self) {
        if std::mem::replace(&mut self.erased, true) {
            return;
        }
        // What nobody has seen yet need not be taken away on the terminal.
        if !self.drawn.is_empty() {
            self.drawn.clear();
            self.text.truncate(self.from);
            return;
        }
        let columns = self.size.0.max(1);
        let rows: usize = self.standing.drain(..).map(|width| width.div_ceil(columns).max(1)).sum();
        if rows > 0 {
            self.text.push_str(&format!("\r\x1b[{rows}A\x1b[J"));
        }
    }

    fn write(&mut self, text: &str) {
        if std::mem::replace(&mut self.fills, false) {
            // Whatever stood there before is gone, whoever wrote it.
            self.text.push_str("\x1b[K\r\n");
            return;
        }
        if self.drawn.is_empty() {
            self.from = self.text.len();
        }
        self.drawn.push(anstream::adapter::strip_str(text).to_string().width());
        self.text.push_str(text);
        self.fills = true;
    }
}

/// indicatif goes up to the first of its lines and clears each, and then writes every line and the
/// blanks to the right of it.
impl TermLike for Sheet {
    fn width(&self) -> u16 {
        self.drawing().size.0.try_into().unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        self.drawing().size.1.try_into().unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, _rows: usize) -> io::Result<()> {
        self.drawing().erase();
        Ok(())
    }

    fn move_cursor_down(&self, _rows: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.drawing().write(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.drawing().erased = false;
        Ok(())
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
    if screen.bar.is_some() {
        let cleared = screen.clear(size());
        put(&cleared);
    }
}

/// Writes lines that stay, and below them the live ones, all at once.
pub(super) fn show(staying: &[String], live: &[String]) {
    let Ok(mut screen) = SCREEN.lock() else { return };
    let coloured = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let fit = |line: &String| match coloured {
        true => line.clone(),
        false => anstream::adapter::strip_str(line).to_string(),
    };
    let fit = |lines: &[String]| lines.iter().map(fit).collect::<Vec<_>>();
    let text = screen.show(&fit(staying), &fit(live), size());
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
