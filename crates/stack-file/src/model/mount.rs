//! What is mounted into a container.

use std::path::PathBuf;

/// One mount of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Path inside the container.
    pub target: String,
    /// Whether it is read-only.
    pub read_only: bool,
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
    },
    /// A named volume, by key of [`Stack::volumes`].
    Volume {
        /// The key.
        key: String,
        /// Whether the image's files at the target are left out of a new volume.
        nocopy: bool,
    },
    /// A volume without a name, made for this container.
    Anonymous,
    /// A file system in memory.
    Tmpfs {
        /// Size, bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
    },
}
