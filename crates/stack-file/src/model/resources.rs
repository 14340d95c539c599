//! What the containers of a service may use of the machine.

use indexmap::IndexMap;

/// A soft and a hard limit; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// The limit that holds.
    pub soft: i64,
    /// The highest that the process may ask for.
    pub hard: i64,
}

/// Limits of block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blkio {
    /// The weight against other containers, 10 to 1000.
    pub weight: Option<u16>,
    /// Weights by device.
    pub weight_device: Vec<DeviceWeight>,
    /// Bytes read a second.
    pub device_read_bps: Vec<DeviceRate>,
    /// Reads a second.
    pub device_read_iops: Vec<DeviceRate>,
    /// Bytes written a second.
    pub device_write_bps: Vec<DeviceRate>,
    /// Writes a second.
    pub device_write_iops: Vec<DeviceRate>,
}

/// The weight of a container at one block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceWeight {
    /// The device of the host, as `/dev/sda`.
    pub path: String,
    /// The weight, 10 to 1000.
    pub weight: u16,
}

/// A limit at one block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRate {
    /// The device of the host, as `/dev/sda`.
    pub path: String,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// A device of the host, or one by its CDI name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device of the host, as `/dev/ttyUSB0`, or a CDI name, as `vendor.com/class=name`.
    pub source: String,
    /// The path in the container; for a CDI name the name again.
    pub target: String,
    /// `r`, `w` and `m` for read, write and make.
    pub permissions: String,
}

impl Device {
    /// Whether it is named by the Container Device Interface: `VENDOR/CLASS=NAME`.
    #[must_use]
    pub fn is_cdi(&self) -> bool {
        let word = |text: &str, more: &[char]| {
            let letter = |first: char| first.is_ascii_alphabetic();
            text.starts_with(letter)
                && text.ends_with(|last: char| last.is_ascii_alphanumeric())
                && text.chars().all(|each| each.is_ascii_alphanumeric() || more.contains(&each))
        };
        let Some((kind, name)) = self.source.split_once('=') else { return false };
        let Some((vendor, class)) = kind.split_once('/') else { return false };
        self.source == self.target
            && word(vendor, &['_', '-', '.'])
            && word(class, &['_', '-'])
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.ends_with(|last: char| last.is_ascii_alphanumeric())
            && name.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '_' | '-' | '.' | ':'))
    }
}

/// A request for devices that a driver of the engine finds, as graphics processors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// What they must be able to do, all of it.
    pub capabilities: Vec<String>,
    /// How many; -1 is all, `None` goes by `device_ids`.
    pub count: Option<i64>,
    /// Which ones.
    pub device_ids: Vec<String>,
    /// The driver; `None` lets the engine choose.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: IndexMap<String, String>,
}
