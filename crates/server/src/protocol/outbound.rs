//! Frames of the server. They are put together as text: what they hold is JSON
//! text already, or names that need no escape.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Fault, quote};
use crate::kinds::Kind;
use crate::kinds::doc::Patch;
use crate::store::{Change, Members, Position, Recent, Snapshot, Write};

/// Microseconds since 1970.
pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// What a client is told at the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Greeting<'a> {
    /// The connection's name.
    pub conn: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// The instance's name.
    pub server: &'a str,
    /// How often a quiet connection is pinged, in milliseconds.
    pub ping_ms: u128,
    /// The longest frame of a client, in bytes.
    pub max_bytes: usize,
    /// Makes a guest the same user again, on any instance.
    pub guest_token: Option<&'a str>,
}

/// Milliseconds since 1970.
fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn id_text(id: Option<u32>) -> String {
    id.map_or_else(|| "null".to_owned(), |id| id.to_string())
}

fn doc_text(doc: Option<&String>) -> &str {
    doc.map_or("null", String::as_str)
}

/// The reply to `hello`.
#[must_use]
pub fn hello_reply(id: Option<u32>, greeting: &Greeting<'_>) -> String {
    let Greeting { conn, user, server, ping_ms, max_bytes, guest_token } = *greeting;
    let mut text = format!(
        r#"{{"id":{},"ok":{{"conn":"{conn}","user":"{user}","server":{},"ping_ms":{ping_ms},"max_bytes":{max_bytes},"proto":1"#,
        id_text(id),
        quote(server),
    );
    if let Some(token) = guest_token {
        // Writing to a string cannot fail.
        let _ = write!(text, r#","guest_token":"{token}""#);
    }
    text.push_str("}}");
    text
}

/// The reply to `join`.
#[must_use]
pub fn join_reply(
    id: Option<u32>,
    snapshot: &Snapshot,
    members: Option<&Members>,
    conn: &str,
    user: &str,
) -> String {
    let mut text = format!(r#"{{"id":{},"ok":{{"#, id_text(id));
    push_snapshot(&mut text, snapshot);
    // Writing to a string cannot fail.
    let _ = write!(text, r#","recovered":{},"events":["#, snapshot.recovered);
    push_list(&mut text, snapshot.events.iter().map(|event| event.payload.as_str()));
    text.push(']');
    if let Some(members) = members {
        text.push(',');
        push_members(&mut text, members);
    }
    let _ = write!(text, r#","you":{{"conn":"{conn}","user":"{user}"}}}}}}"#);
    text
}

/// The reply to `get` with `what` = `members`, and to `here`.
#[must_use]
pub fn members_reply(id: Option<u32>, members: &Members) -> String {
    let mut text = format!(r#"{{"id":{},"ok":{{"#, id_text(id));
    push_members(&mut text, members);
    text.push_str("}}");
    text
}

/// `"rev":…,"count":…,"members":[…]`.
pub(crate) fn push_members(text: &mut String, members: &Members) {
    // Writing to a string cannot fail.
    let _ = write!(text, r#""rev":{},"count":{},"members":["#, members.rev, members.count);
    push_list(text, members.listed.iter().map(String::as_str));
    text.push(']');
}

/// How a member is shown: the fields of a JSON object, without the braces.
#[must_use]
pub fn member_fields(conn: &str, user: &str, server: &str, info: Option<&str>) -> String {
    format!(r#""conn":"{conn}","user":"{user}","server":{},"info":{}"#, quote(server), info.unwrap_or("null"))
}

/// The beginning of a `member` push, up to the name of what has happened.
#[must_use]
pub fn member_head(room: &str) -> String {
    format!(r#"{{"t":"member","room":"{room}","ev":""#)
}

/// The reply to `get` with `what` = `doc`.
#[must_use]
pub fn doc_reply(id: Option<u32>, snapshot: &Snapshot) -> String {
    let mut text = format!(r#"{{"id":{},"ok":{{"#, id_text(id));
    push_snapshot(&mut text, snapshot);
    text.push_str("}}");
    text
}

fn push_snapshot(text: &mut String, snapshot: &Snapshot) {
    let Position { epoch, offset } = &snapshot.position;
    let _ = write!(
        text,
        r#""epoch":"{epoch}","offset":{offset},"version":{},"kind":"{}""#,
        snapshot.version, snapshot.kind
    );
    if !snapshot.recovered {
        let _ = write!(text, r#","doc":{}"#, doc_text(snapshot.doc.as_ref()));
    }
}

fn push_list<'a>(text: &mut String, items: impl Iterator<Item = &'a str>) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
}

/// The reply to `get` with `what` = `history`.
#[must_use]
pub fn history_reply(id: Option<u32>, recent: &Recent) -> String {
    let Position { epoch, offset } = &recent.position;
    let mut text = format!(r#"{{"id":{},"ok":{{"epoch":"{epoch}","offset":{offset},"events":["#, id_text(id));
    push_list(&mut text, recent.payloads.iter().map(String::as_str));
    text.push_str("]}}");
    text
}

/// The reply to `set` (with its version) or `pub`.
#[must_use]
pub fn write_reply(id: Option<u32>, position: &Position, state: bool, repeated: bool) -> String {
    let Position { epoch, offset } = position;
    let version = if state { format!(r#","version":{offset}"#) } else { String::new() };
    let repeated = if repeated { r#","repeated":true"# } else { "" };
    format!(r#"{{"id":{},"ok":{{"epoch":"{epoch}","offset":{offset}{version}{repeated}}}}}"#, id_text(id))
}

/// The reply to `leave`.
#[must_use]
pub fn empty_reply(id: Option<u32>) -> String {
    format!(r#"{{"id":{},"ok":{{}}}}"#, id_text(id))
}

/// The reply to `ping`.
#[must_use]
pub fn pong_reply(id: Option<u32>) -> String {
    id.map_or_else(|| r#"{"t":"pong"}"#.to_owned(), |id| format!(r#"{{"t":"pong","id":{id}}}"#))
}

/// An error reply; `id` is null if the frame had no valid one.
#[must_use]
pub fn fault_reply(id: Option<u32>, fault: &Fault) -> String {
    format!(r#"{{"id":{},"err":{}}}"#, id_text(id), fault.json())
}

/// The push that starts a room anew for a client. Members are given where the room has some.
#[must_use]
pub fn reset_push(room: &str, reason: &str, snapshot: &Snapshot, members: Option<&Members>) -> String {
    let Position { epoch, offset } = &snapshot.position;
    let mut text = format!(
        r#"{{"t":"reset","room":"{room}","reason":"{reason}","epoch":"{epoch}","offset":{offset},"version":{},"kind":"{}","doc":{}"#,
        snapshot.version,
        snapshot.kind,
        doc_text(snapshot.doc.as_ref()),
    );
    if let Some(members) = members {
        text.push(',');
        push_members(&mut text, members);
    }
    text.push('}');
    text
}

/// The push that takes a client out of a room.
#[must_use]
pub fn kicked_push(room: &str, code: &str) -> String {
    format!(r#"{{"t":"kicked","room":"{room}","code":"{code}"}}"#)
}

/// The push that tells of a lost store.
pub const DEGRADED: &str = r#"{"t":"degraded","reason":"redis"}"#;
/// The push that tells that the store is back and positions are right.
pub const RESTORED: &str = r#"{"t":"restored","reason":"redis"}"#;
/// The push that wants a sign of life.
pub const PING: &str = r#"{"t":"ping"}"#;

/// The push before a close with [`Close::Draining`](super::close::Close::Draining): when it comes, and how
/// long to wait before connecting again, in milliseconds.
#[must_use]
pub fn drain_push(in_ms: u128, retry_ms: u128) -> String {
    format!(r#"{{"t":"drain","in_ms":{in_ms},"retry_ms":{retry_ms}}}"#)
}

/// The push of a `cast`.
#[must_use]
pub fn cast_push(room: &str, by: &str, data: &str) -> String {
    format!(r#"{{"t":"cast","room":"{room}","by":"{by}","data":{data}}}"#)
}

/// Names a write of this user, so that a second try is recognised.
fn idempotency(by: &str, key: Option<&str>) -> Option<String> {
    key.map(|key| format!("{by}:{key}"))
}

fn state_head(room: &str) -> String {
    format!(r#"{{"t":"state","room":"{room}","epoch":""#)
}

/// A write that replaces the document of a room of this kind.
#[must_use]
pub fn set_write(
    room: &str,
    kind: Kind,
    by: &str,
    doc: &str,
    if_version: Option<u64>,
    key: Option<&str>,
) -> Write {
    Write {
        change: Change::State { doc: doc.to_owned(), if_version },
        kind: Some(kind),
        head: state_head(room),
        tail: format!(r#","by":"{by}","doc":{doc}}}"#),
        idempotency: idempotency(by, key),
    }
}

/// A write that replaces the document by what a patch has made of another version of it;
/// the event has whichever is shorter.
#[must_use]
pub fn patch_write(
    room: &str,
    by: &str,
    doc: String,
    patch: Patch<'_>,
    version: u64,
    key: Option<&str>,
) -> Write {
    let (name, text) = match patch {
        Patch::Merge(text) => ("merge", text),
        Patch::Ops(text) => ("ops", text),
    };
    let (name, text) = if text.len() < doc.len() { (name, text) } else { ("doc", doc.as_str()) };
    Write {
        head: state_head(room),
        tail: format!(r#","by":"{by}","{name}":{text}}}"#),
        change: Change::State { doc, if_version: Some(version) },
        kind: Some(Kind::Doc),
        idempotency: idempotency(by, key),
    }
}

/// A write that adds a message.
#[must_use]
pub fn pub_write(room: &str, by: &str, data: &str, key: Option<&str>) -> Write {
    let ts = now_ms();
    Write {
        change: Change::Message,
        kind: None,
        head: format!(r#"{{"t":"msg","room":"{room}","epoch":""#),
        tail: format!(r#","by":"{by}","data":{data},"ts":{ts}}}"#),
        idempotency: idempotency(by, key),
    }
}
