//! YAML that every reader takes for the same: texts that one of them would read as something
//! else, by the rules of YAML 1.1, of YAML 1.2 or of Go's reader, stand in quotes.

use serde_json::{Number, Value};

/// The longest key that needs no mark of its own; readers refuse those above 1024 characters.
const LONGEST_KEY: usize = 500;

/// A value as a YAML document.
pub(crate) fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(entries) if !entries.is_empty() => block(value, 0, &mut out),
        Value::Array(items) if !items.is_empty() => block(value, 0, &mut out),
        single => {
            scalar(single, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

/// A list or a mapping that is not empty, each item and entry on lines of its own. The
/// indentation of the first line stands already.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    spaces(indent, out);
                }
                out.push_str("- ");
                if is_block(item) {
                    block(item, indent + 2, out);
                } else {
                    scalar(item, indent + 2, out);
                    out.push('\n');
                }
            }
        }
        Value::Object(entries) => {
            for (index, (name, value)) in entries.iter().enumerate() {
                if index > 0 {
                    spaces(indent, out);
                }
                key(name, indent, out);
                match value {
                    // The dashes of a list stand below its key.
                    Value::Array(_) if is_block(value) => {
                        out.push('\n');
                        spaces(indent, out);
                        block(value, indent, out);
                    }
                    _ if is_block(value) => {
                        out.push('\n');
                        spaces(indent + 2, out);
                        block(value, indent + 2, out);
                    }
                    _ => {
                        out.push(' ');
                        scalar(value, indent + 2, out);
                        out.push('\n');
                    }
                }
            }
        }
        _ => {}
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => false,
    }
}

fn spaces(count: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', count));
}

fn key(name: &str, indent: usize, out: &mut String) {
    let long = name.chars().count() > LONGEST_KEY;
    if long {
        out.push_str("? ");
    }
    line(name, out);
    if long {
        out.push('\n');
        spaces(indent, out);
    }
    out.push(':');
}

fn scalar(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => out.push_str(&number(value)),
        Value::String(value) if reads_as_lines(value) => lines(value, indent, out),
        Value::String(value) => line(value, out),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A number that no reader takes for a text: with a point, and with a sign in its exponent.
fn number(value: &Number) -> String {
    let text = value.to_string();
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// A text on one line: as it stands if nobody misreads it, in single quotes if it can be
/// printed, else in double quotes.
fn line(text: &str, out: &mut String) {
    if text.chars().any(|each| !is_printable(each)) {
        escaped(text, out);
    } else if is_plain(text) && !means_something_else(text) {
        out.push_str(text);
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    }
}

fn is_printable(each: char) -> bool {
    !each.is_control() && !matches!(each, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn escaped(text: &str, out: &mut String) {
    out.push('"');
    for each in text.chars() {
        match each {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            each if is_printable(each) => out.push(each),
            each => match u32::from(each) {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push('"');
}

/// Whether a text can be written line by line: none of them needs a sign to be read, and the
/// first tells how far all are indented.
fn reads_as_lines(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && text.chars().all(|each| is_printable(each) || matches!(each, '\n' | '\t'))
        && text.lines().all(|line| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty())
}

fn lines(text: &str, indent: usize, out: &mut String) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            spaces(indent, out);
            out.push_str(line);
        }
    }
    // The line that holds the text is ended by who asked for it.
    out.extend(std::iter::repeat_n('\n', (text.len() - body.len()).saturating_sub(1)));
}

/// Whether a text without quotes is one value to the end, and begins with no sign of YAML's own.
fn is_plain(text: &str) -> bool {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return false };
    let follows = letters.next();
    let starts_well = match first {
        '-' | '?' | ':' => follows.is_some_and(|next| next != ' ') && !text.starts_with("---"),
        ' ' | ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
        | '`' => false,
        _ => true,
    };
    starts_well && !text.ends_with([' ', ':']) && !text.contains(": ") && !text.contains(" #")
}

/// Whether a reader takes a text without quotes for no value, a truth, a number, a time or a
/// sign to merge.
fn means_something_else(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words =
        ["~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "=", "<<", ".", "..", "..."];
    if words.contains(&lower.as_str()) {
        return true;
    }
    let unsigned = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    if matches!(unsigned, ".inf" | ".nan" | "inf" | "nan" | "infinity") {
        return true;
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | '_')) {
        return false;
    }
    is_number(unsigned) || is_time(unsigned)
}

/// Digits with whatever stands in numbers of any base, of base 60, or with a fraction. Rather a
/// text too many in quotes than one too few.
fn is_number(unsigned: &str) -> bool {
    let digits =
        |text: &str, more: &str| text.chars().all(|each| each.is_ascii_digit() || more.contains(each));
    let based = ["0x", "0o", "0b"].iter().find_map(|base| unsigned.strip_prefix(base));
    if let Some(rest) = based {
        return rest.chars().all(|each| each.is_ascii_hexdigit() || each == '_');
    }
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    digits(mantissa, "_.:") && mantissa.matches('.').count() < 2 && digits(exponent, "_")
}

/// A year of four digits, a month and a day, as times begin.
fn is_time(text: &str) -> bool {
    let mut parts = text.splitn(3, '-').map(|part| part.bytes().take_while(u8::is_ascii_digit).count());
    let mut next = || parts.next().unwrap_or_default();
    next() == 4 && matches!(next(), 1 | 2) && next() > 0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::document;

    #[test]
    fn lists_and_mappings() {
        let value = json!({
            "a": { "b": [1, { "c": null, "d": [] }, ["x", ["z"]]], "e": {} },
            "f": [{ "g": { "h": 0.5 } }],
        });
        let written = "\
a:
  b:
  - 1
  - c: null
    d: []
  - - x
    - - z
  e: {}
f:
- g:
    h: 0.5
";
        assert_eq!(document(&value), written);
        assert_eq!(document(&json!({})), "{}\n");
    }

    #[test]
    fn texts_that_somebody_misreads_are_quoted() {
        let quoted = "yes No on Off y N true Null ~ 0o17 017 0x1F 0b1 1_000 3.10 1e3 +1 -.5 .inf NaN 12:30 190:20:30 \
                      2001-12-14 2001-12-14T21:59:43Z = << 08 1. -1 _1 ... - ? #a &a *a !a |a >a %a @a `a [a {a ,a a:";
        for text in
            quoted.split_ascii_whitespace().chain(["", " a", "a ", "a: b", "a #b", "- a", "--- a", "'a"])
        {
            let written = document(&json!({ "k": text }));
            assert_eq!(written, format!("k: '{}'\n", text.replace('\'', "''")));
            let written = document(&json!({ text: "v" }));
            assert_eq!(written, format!("'{}': v\n", text.replace('\'', "''")));
        }
    }

    #[test]
    fn texts_that_nobody_misreads_stand_as_they_are() {
        let plain = "web --port -x :a ?a a:b a#b 127.0.0.1 1.2.3 nginx:1.27 8080/tcp 10m 1m30s 64mb 8000-8010 /a,b a=b a~ \
                     yesno 2m @x-";
        for text in plain
            .split_ascii_whitespace()
            .filter(|text| !text.starts_with('@'))
            .chain(["a b", "it's", "ä \"b\""])
        {
            assert_eq!(document(&json!({ "k": text })), format!("k: {text}\n"));
        }
    }

    #[test]
    fn several_lines_and_signs_that_cannot_be_seen() {
        for (text, written) in [
            ("a\nb", "k: |-\n  a\n  b\n"),
            ("a\n\nb\n", "k: |\n  a\n\n  b\n"),
            ("a\n\n", "k: |+\n  a\n\n"),
            ("#a\n- b: c\n  d\te\n", "k: |\n  #a\n  - b: c\n    d\te\n"),
            ("\na", "k: \"\\na\"\n"),
            (" a\nb", "k: \" a\\nb\"\n"),
            ("a\n \nb", "k: \"a\\n \\nb\"\n"),
            ("a\tb\\\"", "k: \"a\\tb\\\\\\\"\"\n"),
            ("a\u{85}\u{2028}\u{1b}\r", "k: \"a\\x85\\u2028\\x1b\\r\"\n"),
        ] {
            assert_eq!(document(&json!({ "k": text })), written, "{text:?}");
        }
        assert_eq!(document(&json!([["a\nb"]])), "- - |-\n    a\n    b\n");
        let long = "k".repeat(600);
        assert_eq!(document(&json!({ "a": { &long: 1 } })), format!("a:\n  ? {long}\n  : 1\n"));
    }

    #[test]
    fn numbers_are_numbers_to_all() {
        for (number, written) in
            [(json!(1e20), "1.0e+20"), (json!(1.5e-7), "1.5e-7"), (json!(1000.0), "1000.0")]
        {
            assert_eq!(document(&Value::Array(vec![number])), format!("- {written}\n"));
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let texts =
            ["", "yes", "a\nb\n\n", " x", "\u{7f}", "é: x", "|-\nx", "'\"\\", "a\n\tb", "...", "%YAML", "]"];
        let value = json!({ "list": texts, "map": texts.map(|text| json!({ text: text })) });
        let read: Value = serde_yaml::from_str(&document(&value)).expect("YAML");
        assert_eq!(read, value);
    }
}
