//! Versions of the Docker API.

use std::fmt;

/// A version of the Docker API, as 1.41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Api(pub u32, pub u32);

impl Api {
    /// From here on a container is made on several networks at once, and each endpoint may
    /// have a MAC address of its own.
    pub const SEVERAL_ENDPOINTS: Self = Self(1, 44);

    /// From here on the files of an image can be mounted.
    pub const IMAGE_MOUNTS: Self = Self(1, 48);
}

/// The oldest version that stackctl speaks.
impl Default for Api {
    fn default() -> Self {
        Self(1, 41)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}
