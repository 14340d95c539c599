//! The one place where the chores speak: everything goes to stderr, but for results that programs read.

/// Says a line, or several, to whoever started the chore.
#[expect(clippy::print_stderr, reason = "this is the one place of xtask that prints")]
pub(crate) fn say(text: &str) {
    eprintln!("{}", text.trim_end());
}

/// Writes a result that a program asked for to standard output.
#[expect(clippy::print_stdout, reason = "this is the one place of xtask that prints")]
pub(crate) fn result(text: &str) {
    println!("{}", text.trim_end());
}
