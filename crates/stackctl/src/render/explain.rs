//! Where values came from.

use serde_json::{Value, json};
use stack_file::explain::{Explained, Used, Whence};
use stack_file::source::{Origin, Sources, VariableSource};
use stack_file::tree::{Node, ScalarKind};

use super::json::extend;
use super::stream::SCHEMA;
use super::{DIM, diagnostics, paint};

/// For people: the value, and below it a line for each thing that went into it.
pub(crate) fn pretty(all: &[Explained], sources: &Sources, reveal: bool) -> String {
    let blocks: Vec<String> = all.iter().map(|one| block(one, sources, reveal)).collect();
    blocks.join("\n")
}

fn block(one: &Explained, sources: &Sources, reveal: bool) -> String {
    let hidden = one.confidential && !reveal;
    let own = if hidden {
        paint(DIM, "hidden: it comes from outside the file; --reveal shows it")
    } else {
        text(&one.value)
    };
    let mut out = format!("{} = {own}\n", one.path);
    let mut row = |word: &str, rest: &str| out.push_str(&format!("  {word:<9}  {rest}\n"));
    let from = at(&one.value.origin, sources, reveal);
    match one.whence {
        Whence::File => row("from", &from),
        Whence::Implied => row("implied", &from),
        Whence::Outside if one.variables.is_empty() => row("given", "with -p"),
        Whence::Outside => {}
    }
    for used in &one.variables {
        row("variable", &variable(used, sources, hidden));
        for lost in &used.in_vain {
            let value = if hidden { "hidden".to_owned() } else { shown(&lost.value) };
            row("not", &format!("{value}, {}", set(&lost.from, sources)));
        }
    }
    for earlier in &one.overridden {
        let value = if earlier.confidential && !reveal { "hidden".to_owned() } else { text(&earlier.value) };
        row("overrides", &format!("{value}, from {}", at(&earlier.value.origin, sources, reveal)));
    }
    out
}

/// A place and the line there; lines of environment files only where asked for.
fn at(origin: &Origin, sources: &Sources, reveal: bool) -> String {
    let place = sources.place(origin);
    match line(origin, sources, reveal) {
        Some(line) => format!("{place}  {}", paint(DIM, &tame(line))),
        None => place.to_string(),
    }
}

fn line<'a>(origin: &Origin, sources: &'a Sources, reveal: bool) -> Option<&'a str> {
    let shown = reveal || !sources.get(origin.source).confidential;
    shown.then(|| sources.line(origin)).filter(|line| !line.is_empty())
}

fn variable(used: &Used, sources: &Sources, hidden: bool) -> String {
    let value = match &used.value {
        Some(value) if !hidden && used.from != VariableSource::Default => format!(" = {}", shown(value)),
        _ => String::new(),
    };
    let name = &used.name;
    match &used.from {
        VariableSource::Environment | VariableSource::EnvFile(..) => {
            format!("{name}{value}, {}", set(&used.from, sources))
        }
        VariableSource::Default => format!("{name} is not set: by its default"),
        VariableSource::Unset => format!("{name} is not set: an empty text"),
    }
}

/// By whom a variable is set.
fn set(from: &VariableSource, sources: &Sources) -> String {
    match from {
        VariableSource::Environment => "set in the environment".to_owned(),
        VariableSource::EnvFile(path, line) => format!("set in {}:{line}", file(path, sources)),
        VariableSource::Default | VariableSource::Unset => "not set".to_owned(),
    }
}

/// A file as it was named when it was read.
fn file(path: &std::path::Path, sources: &Sources) -> String {
    let known = sources.iter().find(|source| source.path.as_deref() == Some(path));
    known.map_or_else(|| path.display().to_string(), |source| source.name.clone())
}

/// A value on one line.
fn text(node: &Node) -> String {
    match node.as_scalar() {
        Some(scalar) if scalar.kind != ScalarKind::Null => shown(&scalar.text),
        _ => serde_json::to_string(node).unwrap_or_default(),
    }
}

/// A text as it is, or as JSON if it is empty or would move the cursor.
fn shown(text: &str) -> String {
    if text.is_empty() || text.contains(char::is_control) {
        return serde_json::Value::from(text).to_string();
    }
    text.to_owned()
}

/// A line of a file that can be trusted to be one: not longer than anybody reads.
fn tame(line: &str) -> String {
    const LONGEST: usize = 120;
    let plain: String =
        line.chars().take(LONGEST).map(|each| if each.is_control() { ' ' } else { each }).collect();
    if plain.len() < line.len() { format!("{plain}…") } else { plain }
}

/// For programs: one object with every value.
pub(crate) fn json(all: &[Explained], sources: &Sources, reveal: bool) -> Value {
    let values: Vec<Value> = all
        .iter()
        .map(|one| {
            let mut value = json!({ "path": one.path });
            let mut told_itself = told(&one.value, one.confidential, sources, reveal);
            if one.whence == Whence::Outside
                && let Some(told) = told_itself.as_object_mut()
            {
                // The place of the name that it took the place of is none of its own.
                told.retain(|key, _| matches!(key.as_str(), "value" | "hidden"));
            }
            extend(&mut value, told_itself);
            let whence = match one.whence {
                Whence::File => "file",
                Whence::Implied => "implied",
                Whence::Outside => "outside",
            };
            let hidden = one.confidential && !reveal;
            let variables = one.variables.iter().map(|used| used_value(used, sources, hidden));
            let earlier = one
                .overridden
                .iter()
                .map(|earlier| told(&earlier.value, earlier.confidential, sources, reveal));
            extend(
                &mut value,
                json!({
                    "whence": whence,
                    "doc": one.doc,
                    "variables": variables.collect::<Vec<_>>(),
                    "overrides": earlier.collect::<Vec<_>>(),
                }),
            );
            value
        })
        .collect();
    json!({ "schema": SCHEMA, "values": values })
}

fn told(node: &Node, confidential: bool, sources: &Sources, reveal: bool) -> Value {
    let hidden = confidential && !reveal;
    let value = if hidden { Value::Null } else { serde_json::to_value(node).unwrap_or_default() };
    let mut told = json!({ "value": value, "hidden": hidden });
    extend(&mut told, diagnostics::place(&node.origin, sources));
    told["text"] = line(&node.origin, sources, reveal).into();
    told
}

fn used_value(used: &Used, sources: &Sources, hidden: bool) -> Value {
    let told =
        |from: &VariableSource, value: Option<&str>| source_value(from, value.filter(|_| !hidden), sources);
    let mut whole = json!({ "name": used.name });
    extend(&mut whole, told(&used.from, used.value.as_deref()));
    let in_vain = used.in_vain.iter().map(|lost| told(&lost.from, Some(&lost.value)));
    extend(&mut whole, json!({ "in_vain": in_vain.collect::<Vec<_>>() }));
    whole
}

fn source_value(from: &VariableSource, value: Option<&str>, sources: &Sources) -> Value {
    let (from, place) = match from {
        VariableSource::Environment => ("environment", None),
        VariableSource::EnvFile(path, line) => ("env_file", Some((file(path, sources), *line))),
        VariableSource::Default => ("default", None),
        VariableSource::Unset => ("unset", None),
    };
    let mut told = json!({ "from": from, "value": value });
    if let Some((file, line)) = place {
        extend(&mut told, json!({ "file": file, "line": line }));
    }
    told
}
