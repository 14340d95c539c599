//! The functions of templates: Go's own, and those that docker adds.

use std::cmp::Ordering;

use serde_json::Value;

use crate::closest::closest;
use crate::template::print::{print, printed, printf};

const NAMES: [&str; 23] = [
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not", "or", "pad",
    "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
];

/// Refuses a function that there is not.
pub(super) fn check(name: &str) -> Result<(), String> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    let next = match closest(name, NAMES) {
        Some(close) => format!("did you mean {close}?"),
        None => format!("there are {}", NAMES.join(", ")),
    };
    Err(format!("there is no function {name}; {next}"))
}

/// Whether a value counts as true: not empty, not zero.
pub(super) fn holds(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Calls a function. In the head of a table the ones that change a text leave it alone.
pub(super) fn call(name: &str, values: &[Value], head: bool) -> Result<Value, String> {
    let wrong = |what: &str| Err(format!("{name}: {what}"));
    let text = |index: usize| match values.get(index) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(format!("{name}: {} is no text", printed(other))),
        None => Err(format!("{name}: a value is missing")),
    };
    let count = |index: usize| match values.get(index).map(Value::as_u64) {
        Some(Some(number)) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        Some(None) => Err(format!("{name}: {} is no number from 0 on", printed(&values[index]))),
        None => Err(format!("{name}: a value is missing")),
    };
    if head && matches!(name, "json" | "title" | "lower" | "upper" | "truncate" | "pad" | "split" | "join") {
        return Ok(values.iter().find(|value| value.is_string()).cloned().unwrap_or_default());
    }
    Ok(match name {
        "and" => pick(values, |value| !holds(value)),
        "or" => pick(values, holds),
        "not" => (!values.first().is_some_and(holds)).into(),
        "eq" => match values {
            [first, others @ ..] if !others.is_empty() => {
                others.iter().any(|other| same(first, other)).into()
            }
            _ => return wrong("it compares two values"),
        },
        "ne" | "lt" | "le" | "gt" | "ge" => {
            let [a, b] = values else { return wrong("it compares two values") };
            if name == "ne" {
                return Ok((!same(a, b)).into());
            }
            let Some(order) = order(a, b) else {
                return wrong(&format!("{} and {} have no order", printed(a), printed(b)));
            };
            match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }
            .into()
        }
        "len" => match values {
            [Value::String(text)] => text.len().into(),
            [Value::Array(values)] => values.len().into(),
            [Value::Object(fields)] => fields.len().into(),
            _ => return wrong("it counts a text or a list"),
        },
        "index" => return index(values),
        "slice" => {
            let whole = text(0)?;
            let begin = if values.len() > 1 { count(1)? } else { 0 };
            let end = if values.len() > 2 { count(2)? } else { whole.len() };
            match whole.get(begin..end) {
                Some(part) => part.into(),
                None => return wrong(&format!("{begin} to {end} is no part of {whole:?}")),
            }
        }
        "print" => print(values).into(),
        "println" => {
            let words: Vec<_> = values.iter().map(printed).collect();
            format!("{}\n", words.join(" ")).into()
        }
        "printf" => printf(text(0)?, &values[1..]).into(),
        "json" => values.first().map(Value::to_string).unwrap_or_default().into(),
        "lower" => text(0)?.to_lowercase().into(),
        "upper" => text(0)?.to_uppercase().into(),
        "title" => title(text(0)?).into(),
        "split" => text(0)?.split(text(1)?).collect::<Vec<_>>().into(),
        "join" => match values.first() {
            Some(Value::Array(list)) => list.iter().map(printed).collect::<Vec<_>>().join(text(1)?).into(),
            _ => return wrong("it joins a list"),
        },
        "truncate" => {
            let longest = count(1)?;
            text(0)?.chars().take(longest).collect::<String>().into()
        }
        "pad" => {
            let (before, after) = (count(1)?.min(10_000), count(2)?.min(10_000));
            match text(0)? {
                "" => "".into(),
                whole => format!("{}{whole}{}", " ".repeat(before), " ".repeat(after)).into(),
            }
        }
        _ => return wrong("it is not known"),
    })
}

/// The first value that fits, or the last one.
fn pick(values: &[Value], fits: impl Fn(&Value) -> bool) -> Value {
    values.iter().find(|value| fits(value)).or(values.last()).cloned().unwrap_or_default()
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn index(values: &[Value]) -> Result<Value, String> {
    let [of, keys @ ..] = values else { return Err("index: a value is missing".to_owned()) };
    let mut found = of;
    for key in keys {
        found = match (found, key) {
            (Value::Array(list), Value::Number(number)) => {
                let place = number.as_u64().and_then(|number| usize::try_from(number).ok());
                place
                    .and_then(|place| list.get(place))
                    .ok_or_else(|| format!("index: there is no {number} in a list of {}", list.len()))?
            }
            (Value::Object(fields), Value::String(name)) => fields.get(name).unwrap_or(&Value::Null),
            (other, key) => {
                return Err(format!("index: {} has no {}", printed(other), printed(key)));
            }
        };
    }
    Ok(found.clone())
}

/// Every word with a capital.
fn title(text: &str) -> String {
    let mut first = true;
    text.chars()
        .flat_map(|c| {
            let upper = std::mem::replace(&mut first, !c.is_alphanumeric()) && c.is_alphanumeric();
            if upper { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}
