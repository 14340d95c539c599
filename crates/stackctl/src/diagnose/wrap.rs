//! Long lines, broken where they have blanks.

use unicode_width::UnicodeWidthStr;

/// Breaks a line so that each part has at most `width` columns; a word that is longer stays whole.
pub(super) fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut columns = 0;
    for word in line.split(' ') {
        let wide = word.width();
        if columns > 0 && columns + 1 + wide > width {
            lines.push(String::new());
            columns = 0;
        }
        if let Some(last) = lines.last_mut() {
            if columns > 0 {
                last.push(' ');
                columns += 1;
            }
            last.push_str(word);
            columns += wide;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_long_words_stay() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("averylongword x", 5), ["averylongword", "x"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
