//! Several files as one: what the table says per attribute, and the marks
//! `!reset` and `!override`.

use std::collections::HashMap;

use indexmap::map::Entry as Slot;

use crate::attributes::{Identity, Merge, Schema, Shape, Short};
use crate::canonical::text;
use crate::tree::{Entries, Kind, Node};
use crate::yaml::Mark;

/// Takes out of the earlier files what a later one marks with `!reset` or `!override`.
pub(crate) fn clear(base: &mut Node, marks: &[Mark]) {
    for mark in marks {
        let Some((last, above)) = mark.path.split_last() else { continue };
        let mut at = Some(&mut *base);
        for key in above {
            at = at.and_then(|node| match &mut node.kind {
                Kind::Mapping(entries) => entries.get_mut(key).map(|entry| &mut entry.node),
                _ => None,
            });
        }
        if let Some(Node { kind: Kind::Mapping(entries), .. }) = at {
            entries.shift_remove(last);
        }
    }
}

/// Lays a later canonical tree over an earlier one.
#[must_use]
pub(crate) fn merge(base: Node, over: Node, schema: &Schema) -> Node {
    merge_below(base, over, Some(schema))
}

fn merge_below(base: Node, over: Node, schema: Option<&Schema>) -> Node {
    let rule = schema.map_or(Merge::Deep, |schema| schema.row.merge);
    if rule == Merge::Replace {
        return over;
    }
    if over.is_null() {
        return base;
    }
    let origin = base.origin.clone();
    let kind = match (base.kind, over.kind) {
        (Kind::Mapping(mut base), Kind::Mapping(over)) => {
            if rule == Merge::Logging {
                let driver =
                    |entries: &Entries| entries.get("driver").map(|entry| text(&entry.node).to_owned());
                if let (Some(before), Some(after)) = (driver(&base), driver(&over))
                    && before != after
                {
                    base.shift_remove("options");
                }
            }
            for (key, entry) in over {
                let below = schema.and_then(|schema| schema.below(&key));
                // A variable without a value is one that is to be filled in anew.
                if entry.node.is_null() && schema.is_some_and(|schema| schema.row.shape == Shape::Variables) {
                    base.insert(key, entry);
                    continue;
                }
                match base.entry(key) {
                    Slot::Vacant(slot) => {
                        slot.insert(entry);
                    }
                    Slot::Occupied(mut slot) => {
                        let before = std::mem::replace(
                            &mut slot.get_mut().node,
                            Node { kind: Kind::Sequence(Vec::new()), origin: entry.key },
                        );
                        slot.get_mut().node = merge_below(before, entry.node, below);
                    }
                }
            }
            if let Some(schema) = schema.filter(|schema| !schema.children.is_empty()) {
                schema.order(&mut base);
            }
            Kind::Mapping(base)
        }
        (Kind::Sequence(mut base), Kind::Sequence(over)) => {
            base.extend(over);
            Kind::Sequence(base)
        }
        (_, over_kind) => return Node { kind: over_kind, origin: over.origin },
    };
    Node { kind, origin }
}

/// Leaves one of the items that are the same thing: the last, at the place of the first.
pub(crate) fn unique(node: &mut Node, schema: &Schema) {
    match &mut node.kind {
        Kind::Mapping(entries) => {
            for (key, entry) in entries {
                if let Some(below) = schema.below(key) {
                    unique(&mut entry.node, below);
                }
            }
        }
        Kind::Sequence(items) => {
            if let Some(below) = schema.item.as_deref() {
                items.iter_mut().for_each(|item| unique(item, below));
            }
            if let Merge::Unique(identity) = schema.row.merge
                && items.len() > 1
            {
                let mut places: HashMap<String, usize> = HashMap::with_capacity(items.len());
                let mut kept: Vec<Node> = Vec::with_capacity(items.len());
                for item in std::mem::take(items) {
                    match places.entry(key_of(&item, identity)) {
                        std::collections::hash_map::Entry::Occupied(place) => kept[*place.get()] = item,
                        std::collections::hash_map::Entry::Vacant(place) => {
                            place.insert(kept.len());
                            kept.push(item);
                        }
                    }
                }
                *items = kept;
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// Empty texts that say something where they stand: whether they may shows when the files are one.
const KEPT_EMPTY: &[&str] = &[
    "services.*.image",
    "services.*.build.dockerfile",
    "networks.*.name",
    "volumes.*.name",
    "configs.*.name",
    "secrets.*.name",
];

/// Leaves out what only took away what an earlier file said: empty texts, and commands
/// without a value.
pub(crate) fn without_empty(node: &mut Node, schema: &Schema) {
    match &mut node.kind {
        Kind::Mapping(entries) => entries.retain(|key, entry| {
            let Some(below) = schema.below(key) else { return true };
            without_empty(&mut entry.node, below);
            match &entry.node.kind {
                Kind::Scalar(_) if entry.node.is_null() => below.row.short != Short::Words,
                Kind::Scalar(scalar) if below.row.shape == Shape::Text && scalar.text.is_empty() => {
                    KEPT_EMPTY.contains(&below.row.path)
                }
                _ => true,
            }
        }),
        Kind::Sequence(items) => {
            if let Some(below) = schema.item.as_deref() {
                items.iter_mut().for_each(|item| without_empty(item, below));
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// What makes an item of a list the same thing as another.
pub(crate) fn key_of(item: &Node, identity: Identity) -> String {
    let part = |name: &str| item.get(name).map_or("", text);
    match identity {
        Identity::Value => text(item).to_owned(),
        Identity::Port => {
            format!("{}:{}:{}/{}", part("host_ip"), part("published"), part("target"), part("protocol"))
        }
        Identity::Field(name) => part(name).to_owned(),
        Identity::Mount => match part("target") {
            "" => part("source").to_owned(),
            target => target.to_owned(),
        },
        Identity::BeforeColon => text(item).split(':').next().unwrap_or_default().to_owned(),
    }
}
