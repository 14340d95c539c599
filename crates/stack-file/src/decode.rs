//! The canonical tree as the typed model. The tree was checked when it was made
//! canonical, so nothing can fail here: what is absent was told or is optional.

mod deploy;
mod file;
mod hook;
mod mount;
mod network;
mod provider;
mod service;
mod update;
pub(crate) mod values;
mod volume;
mod watch;

use crate::attributes::Schema;

pub(crate) use self::mount::mount;
pub(crate) use self::network::network;
pub(crate) use self::provider::model;
pub(crate) use self::service::{port, service};
pub(crate) use self::volume::volume;

/// The row of the entries of `services`, `networks` or `volumes`.
fn row_of(kind: &str) -> Option<&'static Schema> {
    Schema::root().below(kind).and_then(|all| all.each.as_deref())
}
