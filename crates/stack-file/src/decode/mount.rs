//! Mounts of the canonical tree.

use std::path::PathBuf;

use super::values::{is_true, number, value};
use crate::canonical::text;
use crate::model::{Mount, MountSource};
use crate::tree::Node;

pub(super) fn mount(node: &Node) -> Mount {
    let source = value(node, "source");
    let source = match (node.get("type").map(text), source) {
        (Some("bind"), source) => {
            let bind = node.get("bind");
            MountSource::Bind {
                path: PathBuf::from(source.unwrap_or_default()),
                create: bind.is_none_or(|bind| value(bind, "create_host_path").as_deref() != Some("false")),
                propagation: bind.and_then(|bind| value(bind, "propagation")),
                selinux: bind.and_then(|bind| value(bind, "selinux")),
            }
        }
        (Some("tmpfs"), _) => {
            let tmpfs = node.get("tmpfs");
            MountSource::Tmpfs {
                size: tmpfs.and_then(|tmpfs| number(tmpfs, "size")),
                mode: tmpfs.and_then(|tmpfs| number(tmpfs, "mode")),
            }
        }
        (_, Some(key)) => MountSource::Volume {
            key,
            nocopy: node.get("volume").is_some_and(|volume| is_true(volume, "nocopy")),
        },
        (_, None) => MountSource::Anonymous,
    };
    Mount { source, target: value(node, "target").unwrap_or_default(), read_only: is_true(node, "read_only") }
}
