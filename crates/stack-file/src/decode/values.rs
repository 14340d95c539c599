//! Values of a canonical tree, as the types of the model.

use std::time::Duration;

use indexmap::IndexMap;

use crate::canonical::text;
use crate::quantity;
use crate::source::{Origin, Spanned};
use crate::tree::{Entry, Node};

pub(crate) fn spanned<T>(node: &Node, value: T) -> Spanned<T> {
    Spanned::new(value, node.origin.clone())
}

pub(crate) fn value(node: &Node, key: &str) -> Option<String> {
    node.get(key).map(|node| text(node).to_owned())
}

pub(crate) fn string(node: &Node, key: &str) -> Option<Spanned<String>> {
    node.get(key).map(|node| spanned(node, text(node).to_owned()))
}

pub(crate) fn items<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a Node> {
    node.get(key).and_then(Node::as_sequence).unwrap_or_default().iter()
}

pub(crate) fn strings(node: &Node, key: &str) -> Vec<Spanned<String>> {
    items(node, key).map(|item| spanned(item, text(item).to_owned())).collect()
}

pub(crate) fn texts(node: &Node, key: &str) -> Vec<String> {
    items(node, key).map(|item| text(item).to_owned()).collect()
}

pub(crate) fn plain_pairs(node: &Node, key: &str) -> IndexMap<String, String> {
    entries(node, key).map(|(key, entry)| (key.clone(), text(&entry.node).to_owned())).collect()
}

pub(crate) fn words(node: &Node, key: &str) -> Option<Spanned<Vec<String>>> {
    let list = node.get(key)?;
    Some(spanned(list, items(node, key).map(|word| text(word).to_owned()).collect()))
}

pub(crate) fn number<T: std::str::FromStr>(node: &Node, key: &str) -> Option<T> {
    node.get(key).and_then(|node| text(node).parse().ok())
}

pub(crate) fn parsed<T: std::str::FromStr>(node: Option<&Node>) -> Option<Spanned<T>> {
    node.and_then(|node| Some(spanned(node, text(node).parse().ok()?)))
}

pub(crate) fn is_true(node: &Node, key: &str) -> bool {
    node.get(key).map(text) == Some("true")
}

pub(crate) fn flag(node: &Node, key: &str) -> Option<Spanned<bool>> {
    node.get(key).map(|node| spanned(node, text(node) == "true"))
}

pub(crate) fn time(node: &Node) -> Option<Spanned<Duration>> {
    Some(spanned(node, quantity::duration(text(node))?))
}

pub(crate) fn keyed<T>(node: &Node, key: &str, read: impl Fn(&Node) -> T) -> IndexMap<String, Spanned<T>> {
    entries(node, key)
        .map(|(key, entry)| (key.clone(), Spanned::new(read(&entry.node), place(entry))))
        .collect()
}

pub(crate) fn pairs(node: &Node, key: &str) -> IndexMap<String, Spanned<String>> {
    entries(node, key)
        .map(|(key, entry)| (key.clone(), spanned(&entry.node, text(&entry.node).to_owned())))
        .collect()
}

pub(crate) fn variables(node: &Node, key: &str) -> IndexMap<String, Spanned<Option<String>>> {
    entries(node, key)
        .map(|(key, entry)| {
            let value = (!entry.node.is_null()).then(|| text(&entry.node).to_owned());
            (key.clone(), spanned(&entry.node, value))
        })
        .collect()
}

pub(crate) fn entries<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a String, &'a Entry)> {
    node.get(key).and_then(Node::as_mapping).into_iter().flatten()
}

/// A key says more about a place than the braces or the first line below it.
pub(crate) fn place(entry: &Entry) -> Origin {
    entry.key.clone()
}
