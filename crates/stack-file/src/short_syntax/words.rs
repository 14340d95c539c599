//! A command line as words, without a shell: quotes and backslashes group,
//! nothing is expanded.

use super::Fault;

/// Splits a command line.
pub(crate) fn split(line: &str) -> Result<Vec<String>, Fault> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(letters.next()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => word.extend(letters.next()),
                        Some(inner) => word.push(inner),
                        None => {
                            let what = if letter == '"' { "double" } else { "single" };
                            return Err(Fault::new(
                                format!("a {what} quote is not closed"),
                                "close it, or write the words as a list: [\"program\", \"argument\"]",
                            ));
                        }
                    }
                }
            }
            '`' => group(word.get_or_insert_default(), letter, '`', &mut letters)?,
            '$' if letters.peek() == Some(&'(') => {
                group(word.get_or_insert_default(), letter, ')', &mut letters)?;
            }
            ';' | '&' | '|' | '<' | '>' => {
                return Err(Fault::new(
                    format!("`{letter}` means something to a shell only, and there is none here"),
                    "run a shell: [\"sh\", \"-c\", \"the whole line\"], or put the sign in quotes",
                ));
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A command in backticks or `$(…)` stays one word as it is.
fn group(
    word: &mut String,
    first: char,
    end: char,
    letters: &mut impl Iterator<Item = char>,
) -> Result<(), Fault> {
    word.push(first);
    for letter in letters {
        word.push(letter);
        if letter == end {
            return Ok(());
        }
    }
    Err(Fault::new(format!("`{first}` is not closed by `{end}`"), "close it, or put it in single quotes"))
}

#[cfg(test)]
mod tests {
    use super::split;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        for (line, words) in [
            ("echo \"a b\" 'c d' e\\ f $HOME", vec!["echo", "a b", "c d", "e f", "$HOME"]),
            ("a ''", vec!["a", ""]),
            ("", vec![]),
            ("  a\n b ", vec!["a", "b"]),
            ("echo a #b c", vec!["echo", "a", "#b", "c"]),
            ("a $(b c) `d e`", vec!["a", "$(b c)", "`d e`"]),
            ("a \\n \"x\\ny\" b\\ c", vec!["a", "n", "xny", "b c"]),
            ("--url=\"http://x\"/y", vec!["--url=http://x/y"]),
        ] {
            assert_eq!(split(line).expect(line), words, "{line}");
        }
        for line in ["a \"b", "a 'b", "a && b", "a; b", "a > b", "a `b", "a $(b"] {
            assert!(split(line).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn joined_words_split_again(words in proptest::collection::vec("[ -~]{0,12}", 0..8)) {
            let single: Vec<String> = words.iter().map(|word| word.replace(['\'', '\\'], "_")).collect();
            let line = single.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&line).expect("quoted words"), single.clone());
            prop_assert_eq!(split(&shell_words::join(&single)).expect("joined words"), single);
        }
    }
}
