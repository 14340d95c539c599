//! Texts of others, made fit for a terminal.

/// The text without what a terminal would take for an order: escape sequences go, any other
/// control character becomes `�`, a tab a space. Line ends stay.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => out.push('\n'),
            '\t' => out.push(' '),
            // A progress bar that overwrites itself.
            '\r' => {
                if characters.peek().is_some_and(|next| *next != '\n') {
                    out.push(' ');
                }
            }
            '\x1b' => match characters.next() {
                // A control sequence ends with a letter or one of a few signs.
                Some('[') => while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // A command to the terminal, as a title or a link, ends with BEL or ST.
                Some(']' | 'P' | '_' | '^' | 'X') => {
                    while let Some(c) = characters.next() {
                        if c == '\x07' {
                            break;
                        }
                        if c == '\x1b' {
                            characters.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                _ => {}
            },
            // Marks that turn the direction of text make it show other than it is.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_moves_the_cursor_or_speaks_to_the_terminal() {
        for (text, shown) in [
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07rest", "rest"),
            ("\x1b]8;;http://x\x1b\\link", "link"),
            ("\x1b[2J\x1b[Hgone", "gone"),
            ("a\tb\r\nc", "a b\nc"),
            ("10 %\r20 %", "10 % 20 %"),
            ("\x07\x08", "\u{fffd}\u{fffd}"),
            ("cut \x1b[3", "cut "),
            ("\u{202e}evil", "\u{fffd}evil"),
            ("naïve – ✓", "naïve – ✓"),
        ] {
            assert_eq!(harmless(text), shown, "{text:?}");
        }
    }
}
