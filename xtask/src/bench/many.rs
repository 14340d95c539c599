//! A stack of many services that need nothing of each other.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Result;
use tempfile::NamedTempFile;

/// Writes a stack of so many services, which only sleep and stop at once. The file goes when it is dropped.
pub(super) fn stack(services: u32) -> Result<NamedTempFile> {
    let mut text = String::from("services:\n");
    for number in 1..=services {
        // Sleep as process 1 does not hear the signal that stops it, so its init does.
        write!(
            text,
            "  s{number}:\n    image: redis:latest\n    command: [sleep, '3600']\n    init: true\n    \
             environment: {{ NUMBER: '{number}', LEVEL: info }}\n    labels: {{ bench: many }}\n"
        )?;
    }
    let mut file = tempfile::Builder::new().prefix("stackctl-bench-").suffix(".yaml").tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
