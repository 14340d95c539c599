//! The variables that a text or a tree names, without their values.

use std::collections::BTreeMap;

use crate::tree::{Kind, Node};

/// Words in the names of variables that hold secrets.
const SECRET: [&str; 5] = ["PASSWORD", "SECRET", "TOKEN", "KEY", "CREDENTIAL"];

/// Whether a variable of this name is likely to hold a secret.
#[must_use]
pub fn tells_of_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// A variable as a file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Whether the file demands a value: `${NAME:?…}`.
    pub required: bool,
    /// What stands for it when it has no value: `${NAME:-…}`.
    pub default: String,
    /// What stands for it when it has one: `${NAME:+…}`.
    pub alternate: String,
}

/// Every variable that the values of a tree name.
#[must_use]
pub fn of_tree(tree: &Node) -> BTreeMap<String, Named> {
    let mut found = BTreeMap::new();
    collect(tree, &mut found);
    found
}

/// Every variable that a text names.
#[must_use]
pub fn of_text(text: &str) -> BTreeMap<String, Named> {
    let mut found = BTreeMap::new();
    scan(text, &mut found, 0);
    found
}

fn collect(node: &Node, found: &mut BTreeMap<String, Named>) {
    match &node.kind {
        Kind::Scalar(scalar) => scan(&scalar.text, found, 0),
        Kind::Sequence(items) => items.iter().for_each(|item| collect(item, found)),
        Kind::Mapping(entries) => entries.values().for_each(|entry| collect(&entry.node, found)),
    }
}

fn scan(text: &str, found: &mut BTreeMap<String, Named>, depth: usize) {
    // Deeper defaults are refused wherever a value is wanted.
    if depth > 64 {
        return;
    }
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('{') {
            let Some(end) = closing(inner) else { return };
            braced(&inner[..end], found, depth);
            rest = &inner[end + 1..];
        } else {
            let (name, after) = rest.split_at(name_length(rest));
            if !name.is_empty() {
                found.insert(name.to_owned(), Named::default());
            }
            rest = after;
        }
    }
}

fn braced(inner: &str, found: &mut BTreeMap<String, Named>, depth: usize) {
    let (name, operation) = inner.split_at(name_length(inner));
    if name.is_empty() {
        return;
    }
    let mut named = Named::default();
    let operation = operation.strip_prefix(':').unwrap_or(operation);
    if operation.starts_with('?') {
        named.required = true;
    } else if let Some(default) = operation.strip_prefix('-') {
        default.clone_into(&mut named.default);
    } else if let Some(alternate) = operation.strip_prefix('+') {
        alternate.clone_into(&mut named.alternate);
    }
    let below = operation.get(1..).unwrap_or_default().to_owned();
    found.insert(name.to_owned(), named);
    scan(&below, found, depth + 1);
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|each: char| !each.is_ascii_alphanumeric() && each != '_').unwrap_or(text.len())
}

/// Where the brace closes that was opened just before a text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Named, of_text};

    #[test]
    fn every_form_is_found_with_what_stands_for_it() {
        let found = of_text("$A ${B:-x${C-}} $$D ${E:?say it} ${F:+y} ${1} ${G");
        let named = |required, default: &str, alternate: &str| Named {
            required,
            default: default.to_owned(),
            alternate: alternate.to_owned(),
        };
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [
                ("A".to_owned(), named(false, "", "")),
                ("B".to_owned(), named(false, "x${C-}", "")),
                ("C".to_owned(), named(false, "", "")),
                ("E".to_owned(), named(true, "", "")),
                ("F".to_owned(), named(false, "", "y")),
            ]
        );
    }
}
