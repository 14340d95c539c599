//! `rooms.v1`: every frame in and out, every error and close code.
//!
//! What there is stands in [`table`], once: `docs/protocol.md` is written from
//! it, and tests hold the code to it. [`inbound`] reads frames, [`outbound`]
//! writes them, [`fault`] and [`close`] are the ways in which things fail.

pub mod close;
pub mod fault;
pub mod inbound;
pub mod outbound;
pub mod table;

pub use close::Close;
pub use fault::Fault;
pub use inbound::{Command, Refusal, Request, parse};

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "rooms.v1";
/// The most events that `get history` gives.
pub const HISTORY_LIMIT: usize = 256;

/// Whether this may name a room, a key or a user.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-'))
}

/// How deep a JSON text is nested.
pub(crate) fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A JSON string with its quotes.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
