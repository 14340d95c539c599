//! How values look, as Go prints them.

use serde_json::Value;

/// A value as text.
pub(crate) fn printed(value: &Value) -> String {
    let list = |values: &mut dyn Iterator<Item = &Value>| values.map(printed).collect::<Vec<_>>().join(" ");
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", list(&mut values.iter())),
        Value::Object(fields) => format!("{{{}}}", list(&mut fields.values())),
    }
}

/// Values side by side, with a space between two that are both no texts.
pub(super) fn print(values: &[Value]) -> String {
    let mut text = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !value.is_string() && !values[index - 1].is_string() {
            text.push(' ');
        }
        text.push_str(&printed(value));
    }
    text
}

/// A text with values at its `%` marks: `%s %d %v %q %t %x %f`, with width and precision.
pub(super) fn printf(form: &str, values: &[Value]) -> String {
    let mut text = String::new();
    let mut values = values.iter();
    let mut chars = form.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut mark = Mark::default();
        while let Some(flag @ ('-' | '+' | '#' | '0' | ' ')) = chars.peek().copied() {
            mark.left |= flag == '-';
            mark.zeros |= flag == '0';
            mark.plus |= flag == '+';
            chars.next();
        }
        let mut digits = || {
            let mut number = None;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                // What does not fit on any screen is no width.
                number = Some((number.unwrap_or(0) * 10 + digit as usize).min(10_000));
                chars.next();
            }
            (number, chars.peek() == Some(&'.'))
        };
        let (width, point) = digits();
        mark.width = width.unwrap_or(0);
        if point {
            chars.next();
            let mut precision = 0;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                precision = (precision * 10 + digit as usize).min(10_000);
                chars.next();
            }
            mark.precision = Some(precision);
        }
        match chars.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(verb) => match values.next() {
                Some(value) => text.push_str(&mark.show(verb, value)),
                None => text.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    text
}

#[derive(Default)]
struct Mark {
    left: bool,
    zeros: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

impl Mark {
    fn show(&self, verb: char, value: &Value) -> String {
        let whole = value.as_i64();
        let shown = match (verb, value) {
            ('s' | 'v', value) => {
                let text = printed(value);
                match self.precision {
                    Some(longest) if value.is_string() => text.chars().take(longest).collect(),
                    _ => text,
                }
            }
            ('q', Value::String(text)) => format!("{text:?}"),
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Number(number)) if whole.is_some() => {
                let plus = if self.plus && whole >= Some(0) { "+" } else { "" };
                format!("{plus}{number}")
            }
            ('x', Value::Number(_)) if let Some(number) = whole => format!("{number:x}"),
            ('x', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('f', Value::Number(number)) if !number.is_i64() => {
                format!("{:.*}", self.precision.unwrap_or(6), number.as_f64().unwrap_or_default())
            }
            (verb, value) => {
                let kind = match value {
                    Value::String(_) => "string",
                    Value::Number(number) if number.is_f64() => "float64",
                    Value::Number(_) => "int",
                    Value::Bool(_) => "bool",
                    Value::Null => return format!("%!{verb}(<nil>)"),
                    _ => "value",
                };
                return format!("%!{verb}({kind}={})", printed(value));
            }
        };
        let missing = self.width.saturating_sub(shown.chars().count());
        if self.left {
            format!("{shown}{}", " ".repeat(missing))
        } else if self.zeros && value.is_number() {
            let (sign, digits) = shown.split_at(usize::from(shown.starts_with(['-', '+'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        } else {
            format!("{}{shown}", " ".repeat(missing))
        }
    }
}
