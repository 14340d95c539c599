//! The server with its real parts: instances, a real Redis, a real nginx.

mod api;
mod autobahn;
mod browser;
mod faults;
mod page;
mod presence;
mod process;
mod protocol;
mod redis_kinds;
mod rooms;
mod stores;
mod support;
mod tokens;
mod wire;
