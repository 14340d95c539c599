//! Environment files: `.env`, `--env-file` and `env_file`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::interpolate;
use crate::source::{Origin, SourceId};

/// A variable that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The name.
    pub(crate) name: String,
    /// The value, variables filled in.
    pub(crate) value: String,
    /// Where the name stands, in bytes.
    pub(crate) span: Range<usize>,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// Reads an environment file. `lookup` knows the variables from outside; they win
/// over earlier lines when a value uses one. No value appears in `diagnostics`.
pub(crate) fn parse(
    text: &str,
    source: SourceId,
    lookup: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Assignment> {
    parse_after(text, source, lookup, HashMap::new(), diagnostics)
}

/// The same for a file that follows others, whose variables are `known` as if they
/// stood in its first lines.
pub(crate) fn parse_after(
    text: &str,
    source: SourceId,
    lookup: &dyn Fn(&str) -> Option<String>,
    known: HashMap<String, String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Assignment> {
    let mut reader = Reader { text, at: 0, line: 1, counted: 0, source, lookup, known, diagnostics };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    let mut all = Vec::new();
    while reader.at < text.len() {
        all.extend(reader.statement());
    }
    all
}

/// Reads an environment file line by line: everything after `=` is the value as
/// it stands; a name alone takes the value from outside.
pub(crate) fn parse_raw(
    text: &str,
    source: SourceId,
    lookup: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Assignment> {
    let mut all = Vec::new();
    let mut start = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let begin = start;
        start += whole.len();
        let line = whole.trim_end_matches(['\n', '\r']);
        let line = if index == 0 { line.trim_start_matches('\u{feff}') } else { line };
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (name, value) = match trimmed.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (trimmed, lookup(trimmed)),
        };
        if name.is_empty() {
            continue;
        }
        let span = begin..begin + whole.trim_end().len();
        if name.contains(char::is_whitespace) {
            let origin = Origin { source, span: span.into(), via: None };
            let told = Diagnostic::error("the name of a variable cannot have spaces").at(&origin);
            diagnostics.push(told.help("write NAME=value; with `format: raw` a line is taken as it is"));
            continue;
        }
        if let Some(value) = value {
            all.push(Assignment { name: name.to_owned(), value, span, line: index + 1 });
        }
    }
    all
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    counted: usize,
    source: SourceId,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    known: HashMap<String, String>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The line of a place; places are asked for in their order.
    fn line_of(&mut self, at: usize) -> usize {
        self.line += self.text[self.counted..at].bytes().filter(|&byte| byte == b'\n').count();
        self.counted = at;
        self.line
    }

    fn end_of_line(&self) -> usize {
        self.rest().find('\n').map_or(self.text.len(), |found| self.at + found)
    }

    fn fault(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        let origin = Origin { source: self.source, span: span.into(), via: None };
        self.diagnostics.push(Diagnostic::error(message).at(&origin).help(help));
    }

    /// Reads one line, or several when quotes run over lines.
    fn statement(&mut self) -> Option<Assignment> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        let end = self.end_of_line();
        if self.at >= self.text.len() || self.rest().starts_with('#') {
            self.at = (end + 1).min(self.text.len());
            return None;
        }
        if let Some(after) = self.rest().strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.at += "export".len() + after.len() - after.trim_start_matches([' ', '\t']).len();
        }
        let start = self.at;
        let line = self.text[start..end].trim_end_matches('\r');
        let split = line.find(['=', ':']);
        let name = line[..split.unwrap_or(line.len())].trim_end();
        let name = if split.is_none() { name.split(" #").next().unwrap_or(name).trim_end() } else { name };
        let span = start..start + name.len();
        let fine = !name.is_empty()
            && name.chars().all(|each| each.is_alphanumeric() || matches!(each, '_' | '.' | '-' | '[' | ']'));
        if !fine {
            self.fault(
                span,
                "this line does not begin with the name of a variable",
                "write NAME=value; names have letters, digits and `_`",
            );
            self.at = (end + 1).min(self.text.len());
            return None;
        }
        let name = name.to_owned();
        let line = self.line_of(start);
        let value = match split {
            None => {
                self.at = (end + 1).min(self.text.len());
                (self.lookup)(&name).or_else(|| self.known.get(&name).cloned())
            }
            Some(split) => {
                self.at = start + split + 1;
                self.value(&name, span.clone())
            }
        }?;
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            let origin = Origin { source: self.source, span: span.into(), via: None };
            let told = Diagnostic::warning(format!("`{name}` begins with a digit and is left out"));
            self.diagnostics.push(told.at(&origin));
            return None;
        }
        self.known.insert(name.clone(), value.clone());
        Some(Assignment { name, value, span, line })
    }

    fn value(&mut self, name: &str, place: Range<usize>) -> Option<String> {
        let text = self.text;
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let quote = rest[skipped..].chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let Some(quote) = quote else {
            let end = self.end_of_line();
            let line = &text[self.at..end];
            self.at = (end + 1).min(text.len());
            let comment = line
                .match_indices('#')
                .map(|(at, _)| at)
                .find(|&at| line[..at].ends_with(char::is_whitespace));
            return self.filled(line[..comment.unwrap_or(line.len())].trim(), name, place);
        };
        self.at += skipped + 1;
        let mut escaped = false;
        let end = self.rest().char_indices().find_map(|(at, letter)| {
            let ends = letter == quote && !escaped;
            escaped = letter == '\\' && !escaped;
            ends.then_some(at)
        });
        let Some(end) = end else {
            self.fault(
                place,
                format!("the quote of `{name}` is not closed"),
                "close it, or write the value without quotes",
            );
            self.at = text.len();
            return None;
        };
        let inner = text[self.at..self.at + end].replace("\r\n", "\n");
        self.at += end + 1;
        let line_end = self.end_of_line();
        let behind = text[self.at..line_end].trim();
        self.at = (line_end + 1).min(text.len());
        if !behind.is_empty() && !behind.starts_with('#') {
            self.fault(
                place,
                format!("text follows the closing quote of `{name}`"),
                "put the whole value in quotes, and a backslash before quotes within it",
            );
            return None;
        }
        if quote == '\'' {
            return Some(inner.replace("\\'", "'"));
        }
        self.filled(&unescaped(&inner), name, place)
    }

    fn filled(&mut self, value: &str, name: &str, place: Range<usize>) -> Option<String> {
        if !value.contains('$') {
            return Some(value.to_owned());
        }
        let lookup = |wanted: &str| {
            (self.lookup)(wanted).map(Cow::Owned).or_else(|| self.known.get(wanted).cloned().map(Cow::Owned))
        };
        match interpolate::fill(value, &lookup) {
            Ok(filled) => {
                if !filled.unset.is_empty() {
                    let origin = Origin { source: self.source, span: place.into(), via: None };
                    self.diagnostics.push(
                        Diagnostic::warning(format!(
                            "a `$` in the value of `{name}` names a variable that is not set, and stands for an empty text"
                        ))
                        .at(&origin)
                        .help("put the value in single quotes if the `$` is meant"),
                    );
                }
                Some(filled.text)
            }
            Err(_) => {
                self.fault(
                    place,
                    format!("a `$` in the value of `{name}` begins no variable that can be read"),
                    "put the value in single quotes if the `$` is meant",
                );
                None
            }
        }
    }
}

/// The escapes of double quotes. `\$` becomes `$$`, which stands for one `$` later.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\u{b}'),
            Some('\\') => out.push('\\'),
            Some('"') => out.push('"'),
            Some('$') => out.push_str("$$"),
            Some('0') => {
                let mut code = 0_u32;
                for _ in 0..3 {
                    match letters.peek().and_then(|digit| digit.to_digit(8)) {
                        Some(digit) => {
                            code = code * 8 + digit;
                            letters.next();
                        }
                        None => break,
                    }
                }
                out.extend(char::from_u32(code));
            }
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_raw};
    use crate::source::{SourceId, Sources};
    use proptest::prelude::*;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<String>) {
        let mut sources = Sources::default();
        let source = sources.add_confidential(".env", None, text);
        let mut diagnostics = Vec::new();
        let outer = |name: &str| (name == "OUTER").then(|| "out".to_owned());
        let all = parse(text, source, &outer, &mut diagnostics);
        for told in &diagnostics {
            let origin = told.origin.as_ref().expect("a place");
            assert!(origin.span.end() <= text.len());
        }
        let pairs = all.into_iter().map(|each| (each.name, each.value)).collect();
        (pairs, diagnostics.into_iter().map(|told| told.message).collect())
    }

    #[test]
    fn every_form() {
        let text = "\u{feff}A=1\nB=\"two ${A}\"\nC='single ${A}'\nD=unq ${A} # trailing\nE=unq#nohash\n\
                    export G=\nH: yaml-style\nI=${UNSET:-def}\nJ=a\\nb\nK=\"a\\nb\"\nL=$A-x\nM=\"dollar $$A \\$A\"\n\
                    OUTER\nO\n# comment\nP=\"multi\nline\" # c\nQ='it\\'s'\nR = spaced  \nS=\"\\0101\"\n\
                    T=$OUTER\r\nU=\"\"\nV= # nothing\nW=#x\n9X=1";
        let (pairs, told) = read(text);
        let expected = [
            ("A", "1"),
            ("B", "two 1"),
            ("C", "single ${A}"),
            ("D", "unq 1"),
            ("E", "unq#nohash"),
            ("G", ""),
            ("H", "yaml-style"),
            ("I", "def"),
            ("J", "a\\nb"),
            ("K", "a\nb"),
            ("L", "1-x"),
            ("M", "dollar $A $A"),
            ("OUTER", "out"),
            ("P", "multi\nline"),
            ("Q", "it's"),
            ("R", "spaced"),
            ("S", "A"),
            ("T", "out"),
            ("U", ""),
            ("V", ""),
            ("W", "#x"),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(pairs, expected);
        assert_eq!(told, ["`9X` begins with a digit and is left out"]);
    }

    #[test]
    fn faults_show_no_value() {
        for (text, fault) in [
            ("A=\"hunter2", "the quote of `A` is not closed"),
            ("A=\"hunter2\"x", "text follows the closing quote of `A`"),
            ("A=${hunter2", "a `$` in the value of `A` begins no variable that can be read"),
            (
                "A=hun$ter2",
                "a `$` in the value of `A` names a variable that is not set, and stands for an empty text",
            ),
            ("= hunter2", "this line does not begin with the name of a variable"),
            ("a b=hunter2", "this line does not begin with the name of a variable"),
        ] {
            assert_eq!(read(text).1, [fault], "{text}");
        }
    }

    #[test]
    fn raw_lines_are_taken_as_they_are() {
        let outer = |name: &str| (name == "OUTER").then(|| "out".to_owned());
        let mut sources = Sources::default();
        let mut told = Vec::new();
        let text = "# c\nA=\"x\" # y\n  B=$A\r\nOUTER\nNOT\n\nC=\nexport D=1\nE =2";
        let all = parse_raw(text, sources.add("a.env", None, text), &outer, &mut told);
        assert_eq!(told.len(), 2, "{told:?}");
        let pairs: Vec<_> = all.iter().map(|each| (each.name.as_str(), each.value.as_str())).collect();
        assert_eq!(pairs, [("A", "\"x\" # y"), ("B", "$A"), ("OUTER", "out"), ("C", "")]);
        assert_eq!(all[1].line, 3);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[A=:\"'\\\\$#{} \n\r\tä0n]{0,60}") {
            read(&text);
            parse_raw(&text, SourceId(0), &|_| None, &mut Vec::new());
        }

        #[test]
        fn single_quotes_keep_everything(value in "[ -&(-\\[\\]-~\n]{0,40}") {
            let (pairs, told) = read(&format!("A='{value}'\n"));
            prop_assert_eq!(told, Vec::<String>::new());
            prop_assert_eq!(pairs, vec![("A".to_owned(), value)]);
        }
    }
}
