//! The list of volumes.

use stack_engine::look::ListedVolume;

use crate::render::format::{Columns, Form, row};
use crate::template::{Labels, Row};

/// What a template may ask for.
pub(crate) const COLUMNS: Columns = Columns {
    fields: &[
        ("Availability", "AVAILABILITY"),
        ("Driver", "DRIVER"),
        ("Group", "GROUP"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Name", "VOLUME NAME"),
        ("Scope", "SCOPE"),
        ("Size", "SIZE"),
        ("Status", "STATUS"),
    ],
    usual: &["Driver", "Name"],
};

/// What only volumes of a cluster have, and a size that nobody has measured, in docker's words.
const NOT_KNOWN: &str = "N/A";

/// The volumes in one of the forms.
pub(crate) fn show(volumes: &[ListedVolume], form: &Form) -> anyhow::Result<String> {
    let rows: Vec<Row> = volumes.iter().map(values).collect();
    // A name is for copying: it is never cut.
    form.show(&rows, &COLUMNS, None)
}

fn values(volume: &ListedVolume) -> Row {
    let labels: Vec<String> = volume.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    row(
        [
            ("Availability", NOT_KNOWN.into()),
            ("Driver", volume.driver.as_str().into()),
            ("Group", NOT_KNOWN.into()),
            ("Labels", labels.join(",").into()),
            ("Links", NOT_KNOWN.into()),
            ("Mountpoint", volume.mountpoint.as_str().into()),
            ("Name", volume.name.as_str().into()),
            ("Scope", volume.scope.as_str().into()),
            ("Size", NOT_KNOWN.into()),
            ("Status", NOT_KNOWN.into()),
        ],
        Labels::Of(volume.labels.clone()),
    )
}
