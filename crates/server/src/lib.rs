//! A WebSocket server that keeps rooms in step on any number of instances.
//!
//! A frame goes from the [`session`] to the [`store`], which gives it its place
//! in the room's history in one atomic step; the [`hub`] of every instance
//! hears of it and passes it on to the sessions that are in the room. An
//! instance holds nothing that another could not rebuild.

pub mod auth;
pub mod config;
pub mod drain;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod http;
pub mod hub;
pub mod instance;
pub mod kinds;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod order;
pub mod presence;
pub mod protocol;
pub mod session;
pub mod store;
pub mod writes;
