//! What a plain YAML value is taken for, and the one form in which it is kept.
//!
//! The rules are those of the YAML reader that Compose files were always read
//! with: `0644` is octal, `1_000` a thousand, `yes` a text.

use crate::tree::ScalarKind;

/// What an unquoted value is taken for.
#[must_use]
pub(crate) fn resolve(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => ScalarKind::Boolean,
        // Most texts begin as no number does.
        _ if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.')) => {
            ScalarKind::String
        }
        _ if integer(text).is_some() => ScalarKind::Integer,
        _ if float(text).is_some() => ScalarKind::Float,
        _ => ScalarKind::String,
    }
}

/// The canonical text of a value: `420` for `0644`, `3.1` for `3.10`.
#[must_use]
pub(crate) fn canonical(text: &str, kind: ScalarKind) -> String {
    match kind {
        ScalarKind::Null => String::new(),
        ScalarKind::Boolean => text.to_ascii_lowercase(),
        ScalarKind::Integer => integer(text).map_or_else(|| text.to_owned(), |number| number.to_string()),
        ScalarKind::Float => float(text).map_or_else(|| text.to_owned(), float_text),
        ScalarKind::String => text.to_owned(),
    }
}

/// Reads a whole number of at most 64 bits: decimal, `0x`, `0o`, `0b`, or octal by a leading zero.
#[must_use]
pub(crate) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    // A number may not begin with what only parts its digits, but for a sign.
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+')) {
        return None;
    }
    let digits = digits.replace('_', "");
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let radix = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, base) = if let Some(rest) = radix(["0x", "0X"]) {
        (rest, 16)
    } else if let Some(rest) = radix(["0o", "0O"]) {
        (rest, 8)
    } else if let Some(rest) = radix(["0b", "0B"]) {
        (rest, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits.as_str(), 10)
    };
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    let number = if negative { -number } else { number };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number).then_some(number)
}

/// Reads a number with a fraction or an exponent, or a whole one that is too large otherwise.
#[must_use]
pub(crate) fn float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let plain = if text.starts_with(['_', '.']) { text.to_owned() } else { text.replace('_', "") };
    let unsigned = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let starts_well = unsigned.starts_with(|first: char| first.is_ascii_digit())
        || (unsigned.starts_with('.') && unsigned[1..].starts_with(|next: char| next.is_ascii_digit()));
    let only_digits =
        unsigned.chars().all(|each| each.is_ascii_digit() || matches!(each, '.' | 'e' | 'E' | '+' | '-'));
    // What no number of 64 bits can hold is none.
    let number = if starts_well && only_digits { plain.parse::<f64>().ok() } else { None };
    number.filter(|number| number.is_finite())
}

/// The shortest text that reads back as the same number, with an exponent from a million on
/// and for very small ones: as Go prints numbers, so that texts made of them are the same.
#[must_use]
pub(crate) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    use super::{canonical, resolve};
    use crate::tree::ScalarKind;

    #[test]
    fn values_are_kept_as_compose_reads_them() {
        for (text, kept) in [
            ("0644", "420"),
            ("3.10", "3.1"),
            ("1e3", "1000"),
            ("1e6", "1e+06"),
            ("123456.70", "123456.7"),
            ("1234567.8", "1.2345678e+06"),
            ("1e400", "1e400"),
            ("_1", "_1"),
            ("+_1", "1"),
            ("._5", "._5"),
            ("1_000", "1000"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("+5", "5"),
            ("08", "8"),
            ("1e21", "1e+21"),
            ("0.00001", "1e-05"),
            ("12345678901234567890", "12345678901234567890"),
            (".inf", "+Inf"),
            ("True", "true"),
            ("yes", "yes"),
            ("22:22", "22:22"),
            ("2024-01-01", "2024-01-01"),
            ("1.2.3", "1.2.3"),
            ("-", "-"),
            ("0x", "0x"),
        ] {
            assert_eq!(canonical(text, resolve(text)), kept, "{text}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        for (text, kind) in [
            ("", ScalarKind::Null),
            ("~", ScalarKind::Null),
            ("false", ScalarKind::Boolean),
            ("no", ScalarKind::String),
            ("80", ScalarKind::Integer),
            ("1.5", ScalarKind::Float),
            ("1.5g", ScalarKind::String),
            ("e3", ScalarKind::String),
        ] {
            assert_eq!(resolve(text), kind, "{text}");
        }
    }
}
