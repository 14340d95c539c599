//! Volumes to be there.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_file::model::{Stack, Volume};

use super::{plain, written};
use crate::address::Address;
use crate::fields::Fields;
use crate::labels;

/// A volume to be there.
#[derive(Clone, Debug)]
pub struct VolumeSpec {
    /// Its name within the project.
    pub address: Address,
    /// The settings.
    pub volume: Arc<Volume>,
    /// The settings, flat.
    pub fields: Fields,
    /// All labels that it gets.
    pub labels: BTreeMap<String, String>,
}

pub(super) fn volume_spec(stack: &Stack, volume: &Volume) -> VolumeSpec {
    let mut fields = Fields::of(&volume.tree, &["name", "external"]);
    fields.insert("name", &volume.name, &volume.key.origin);
    let mut all = plain(&volume.labels);
    all.extend(labels::of_volume(
        &stack.name,
        volume,
        written(stack, "volumes", &volume.key, &volume.tree),
        &fields,
    ));
    VolumeSpec {
        address: Address::Volume(volume.key.value.clone()),
        volume: Arc::new(volume.clone()),
        fields,
        labels: all,
    }
}
