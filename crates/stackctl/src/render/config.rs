//! What `config` shows: a stack, lists of names, variables.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stack_file::source::{Origin, Sources};
use stack_file::tree::{Kind, Node};
use stack_file::variables::{Named, of_text, tells_of_secret};

/// What stands in the place of a value that nobody may look at.
const HIDDEN: &str = "<hidden>";

/// One name a line.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("{name}\n")).collect()
}

/// Hides the values that came through a variable whose name, or whose place, tells of a secret.
pub(crate) fn hide(tree: &mut Node, sources: &Sources) {
    hide_below(tree, "", sources);
}

fn hide_below(node: &mut Node, key: &str, sources: &Sources) {
    match &mut node.kind {
        Kind::Scalar(scalar) => {
            if !scalar.text.is_empty() && holds_secret(&node.origin, key, sources) {
                HIDDEN.clone_into(&mut scalar.text);
                scalar.kind = stack_file::tree::ScalarKind::String;
            }
        }
        Kind::Sequence(items) => items.iter_mut().for_each(|item| hide_below(item, key, sources)),
        Kind::Mapping(entries) => {
            entries.iter_mut().for_each(|(key, entry)| hide_below(&mut entry.node, key, sources));
        }
    }
}

/// Only the first variable of a value is kept with it; the others are named in its text.
fn holds_secret(origin: &Origin, key: &str, sources: &Sources) -> bool {
    let Some(variable) = &origin.via else { return false };
    let written = sources.get(origin.source).text.get(origin.span.range()).unwrap_or_default();
    tells_of_secret(&variable.name)
        || tells_of_secret(key)
        || of_text(written).keys().any(|name| tells_of_secret(name))
}

/// The variables that a file may use, as `NAME=value`.
pub(crate) fn environment(all: &BTreeMap<String, String>, hidden: bool) -> String {
    let value = |name: &str, value: &str| {
        if hidden && tells_of_secret(name) && !value.is_empty() {
            HIDDEN.to_owned()
        } else {
            value.to_owned()
        }
    };
    all.iter().map(|(name, text)| format!("{name}={}\n", value(name, text))).collect()
}

/// The variables that a file names, as a table.
pub(crate) fn variables(all: &BTreeMap<String, Named>) -> String {
    let mut rows = vec![["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"].map(str::to_owned)];
    rows.extend(all.iter().map(|(name, named)| {
        [name.clone(), named.required.to_string(), named.default.clone(), named.alternate.clone()]
    }));
    let width = |column: usize| {
        let widths = rows.iter().map(|row| unicode_width::UnicodeWidthStr::width(row[column].as_str()));
        widths.max().unwrap_or_default() + 3
    };
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        let [name, required, default, alternate] = row;
        let text = format!("{name:0$}{required:1$}{default:2$}{alternate}", widths[0], widths[1], widths[2]);
        format!("{}\n", text.trim_end())
    };
    rows.iter().map(line).collect()
}

/// The same as a value, with docker compose's names.
pub(crate) fn variables_value(all: &BTreeMap<String, Named>) -> Value {
    let entries = all.iter().map(|(name, named)| {
        let value = json!({
            "Name": name,
            "DefaultValue": named.default,
            "PresenceValue": named.alternate,
            "Required": named.required,
        });
        (name.clone(), value)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use stack_file::load::{Request, load};

    use super::*;

    #[test]
    fn secrets_that_came_through_variables_are_hidden_and_nothing_else() {
        let variables = [("DB_PASSWORD", "pw1"), ("api_key", "pw2"), ("PLAIN", "seen"), ("EMPTY_TOKEN", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = "
services:
  a:
    image: a
    command: [run, \"--password=${DB_PASSWORD}\"]
    environment:
      ONE: ${DB_PASSWORD}
      TWO: x$PLAIN-$api_key
      THREE: $PLAIN
      MY_SECRET: $PLAIN
      DB_PASSWORD:
      FOUR: $EMPTY_TOKEN
      ROOT_PASSWORD: in the file
";
        let mut loaded = load(&Request {
            files: vec![PathBuf::from("-")],
            directory: PathBuf::from("/nowhere/shop"),
            project_directory: None,
            project_name: None,
            env_files: Vec::new(),
            profiles: Vec::new(),
            environment: &BTreeMap::from(variables),
            stdin: Some(text),
        });
        hide(&mut loaded.stack.tree, &loaded.sources);
        let shown = serde_json::to_value(&loaded.stack.tree).expect("JSON");
        let service = &shown["services"]["a"];
        assert_eq!(service["command"], json!(["run", "<hidden>"]));
        assert_eq!(
            service["environment"],
            json!({
                "ONE": "<hidden>", "TWO": "<hidden>", "THREE": "seen", "MY_SECRET": "<hidden>",
                "DB_PASSWORD": "<hidden>", "FOUR": "", "ROOT_PASSWORD": "in the file",
            })
        );
    }

    #[test]
    fn variables_are_hidden_by_name() {
        let all = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("A_TOKEN".to_owned(), "2".to_owned())]);
        assert_eq!(environment(&all, true), "A=1\nA_TOKEN=<hidden>\n");
        assert_eq!(environment(&all, false), "A=1\nA_TOKEN=2\n");
    }
}
