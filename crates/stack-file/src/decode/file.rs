//! Configs and secrets of a service.

use super::values::{items, value};
use crate::canonical::text;
use crate::model::{FileKind, FileReference};
use crate::source::Spanned;
use crate::tree::Node;

/// Where secrets are found in a container.
const SECRETS: &str = "/run/secrets";

pub(super) fn files(service: &Node) -> Vec<FileReference> {
    let of = |kind: FileKind| {
        items(service, kind.attribute()).map(move |item| {
            let source = value(item, "source").unwrap_or_default();
            let given = value(item, "target").unwrap_or_else(|| source.clone());
            let start = if kind == FileKind::Secret { SECRETS } else { "" };
            let target = if given.starts_with('/') { given } else { format!("{start}/{given}") };
            let named = |key: &str| {
                item.get(key).map(|node| Spanned::new(text(node).to_owned(), node.origin.clone()))
            };
            FileReference {
                kind,
                source,
                target,
                uid: named("uid"),
                gid: named("gid"),
                mode: value(item, "mode").and_then(|mode| u32::from_str_radix(&mode, 8).ok()),
                origin: item.origin.clone(),
            }
        })
    };
    of(FileKind::Config).chain(of(FileKind::Secret)).collect()
}
