//! Named volumes of the canonical tree.

use super::row_of;
use super::values::{is_true, pairs, string, value};
use crate::destination::Backend;
use crate::effective::effective;
use crate::model::Volume;
use crate::source::Spanned;
use crate::tree::Entry;

/// Reads a completed volume.
#[must_use]
pub(crate) fn volume(key: &str, entry: &Entry) -> Volume {
    let node = &entry.node;
    Volume {
        key: Spanned::new(key.to_owned(), entry.key.clone()),
        tree: effective(node, row_of("volumes"), Backend::Docker),
        name: value(node, "name").unwrap_or_else(|| key.to_owned()),
        external: is_true(node, "external"),
        driver: string(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        labels: pairs(node, "labels"),
    }
}
