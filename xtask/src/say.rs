//! The one place where the chores speak: everything goes to stderr.

/// Says a line, or several, to whoever started the chore.
#[expect(clippy::print_stderr, reason = "this is the one place of xtask that prints")]
pub(crate) fn say(text: &str) {
    eprintln!("{}", text.trim_end());
}
