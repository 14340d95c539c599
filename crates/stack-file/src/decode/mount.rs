//! Mounts of the canonical tree.

use std::path::PathBuf;

use super::values::{is_true, number, plain_pairs, value};
use crate::canonical::{clean, text};
use crate::model::{Mount, MountSource, VolumeOptions};
use crate::tree::Node;

pub(crate) fn mount(node: &Node) -> Mount {
    let source = value(node, "source");
    let source = match (node.get("type").map(text), source) {
        (Some("bind"), source) => {
            let bind = node.get("bind");
            MountSource::Bind {
                path: clean(&PathBuf::from(source.unwrap_or_default())),
                create: bind.is_none_or(|bind| value(bind, "create_host_path").as_deref() != Some("false")),
                propagation: bind.and_then(|bind| value(bind, "propagation")),
                selinux: bind.and_then(|bind| value(bind, "selinux")),
                recursive: bind.and_then(|bind| value(bind, "recursive")).filter(|mode| mode != "enabled"),
            }
        }
        (Some("tmpfs"), _) => {
            let tmpfs = node.get("tmpfs");
            MountSource::Tmpfs {
                size: tmpfs.and_then(|tmpfs| number(tmpfs, "size")),
                mode: tmpfs.and_then(|tmpfs| number(tmpfs, "mode")),
            }
        }
        (Some("image"), reference) => MountSource::Image {
            reference: reference.unwrap_or_default(),
            subpath: node.get("image").and_then(|image| value(image, "subpath")),
        },
        (_, Some(key)) => MountSource::Volume { key },
        (_, None) => MountSource::Anonymous,
    };
    let options = node.get("volume").map(|volume| VolumeOptions {
        nocopy: is_true(volume, "nocopy"),
        subpath: value(volume, "subpath").filter(|path| !path.is_empty()),
        labels: plain_pairs(volume, "labels"),
    });
    let of_volume = matches!(source, MountSource::Volume { .. } | MountSource::Anonymous);
    Mount {
        source,
        target: value(node, "target").unwrap_or_default(),
        read_only: is_true(node, "read_only"),
        volume: options.filter(|_| of_volume).unwrap_or_default(),
    }
}
