//! Words for the person at the terminal.

use std::io::Write;

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    // A reader that has gone away does not want it any more.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line of the result to standard output.
pub(crate) fn tell(line: &str) {
    // A reader that has gone away does not want it any more.
    let _ = writeln!(std::io::stdout(), "{line}");
}
