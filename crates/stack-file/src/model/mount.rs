//! What is mounted into a container.

use std::path::PathBuf;

use indexmap::IndexMap;

/// One mount of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Path inside the container.
    pub target: String,
    /// Whether it is read-only.
    pub read_only: bool,
    /// What else there is to say of a volume, named or anonymous.
    pub volume: VolumeOptions,
}

impl Mount {
    /// Whether there is more to say of an anonymous volume than where it is mounted.
    #[must_use]
    pub fn has_options(&self) -> bool {
        self.read_only || self.volume != VolumeOptions::default()
    }
}

/// How a volume is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// Whether the image's files at the target are left out of a new volume.
    pub nocopy: bool,
    /// The directory within the volume that is mounted; `None` is all of it.
    pub subpath: Option<String>,
    /// Labels of a volume that is made for the mount.
    pub labels: IndexMap<String, String>,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A path of the host, absolute.
    Bind {
        /// The path.
        path: PathBuf,
        /// Whether a missing path is made, as a directory.
        create: bool,
        /// Mount propagation, as `rshared`.
        propagation: Option<String>,
        /// SELinux relabelling: `z` shared, `Z` private.
        selinux: Option<String>,
        /// How mounts below are passed on or become read-only: `disabled`, `writable`, `readonly`.
        recursive: Option<String>,
    },
    /// A named volume, by key of [`Stack::volumes`](crate::model::Stack::volumes).
    Volume {
        /// The key.
        key: String,
    },
    /// A volume without a name, made for this container.
    Anonymous,
    /// The files of an image, read-only.
    Image {
        /// The image's reference.
        reference: String,
        /// The directory within the image that is mounted; `None` is all of it.
        subpath: Option<String>,
    },
    /// A file system in memory.
    Tmpfs {
        /// Size, bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
    },
}
