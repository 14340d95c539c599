//! The server with its real parts: instances, a real Redis, a real nginx.

mod faults;
mod process;
mod rooms;
mod stores;
mod support;
mod wire;
