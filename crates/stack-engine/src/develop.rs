//! What `develop.watch` needs of this machine: which files it is about, what is in them, and when
//! that changes.

mod changes;
mod delivery;
mod scope;
mod tree;
mod watcher;

pub use self::changes::{Change, Changes, Kind};
pub use self::delivery::Delivery;
pub use self::scope::{Scope, dockerignore};
pub use self::watcher::{WatchError, Watcher};
