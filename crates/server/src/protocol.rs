//! `rooms.v1`: every frame in and out, every error and close code, in one place.
//!
//! One JSON object per text frame. A command carries an `id` (0 to 4294967295)
//! that its one reply repeats; what the server says unasked has none. Unknown
//! fields are ignored. The first command is `hello`, within 10 s.
//!
//! | command | fields | reply `ok` |
//! |---|---|---|
//! | `hello` | `id` | `conn, user, server, ping_ms, max_bytes, proto` |
//! | `join` | `id, room, kind?` (`"doc"`)`, since?:{epoch,offset}` | `epoch, offset, version, kind, doc` (unless recovered)`, recovered, events, you:{conn,user}` |
//! | `leave` | `id, room` | `{}` |
//! | `set` | `id, room, doc, if_version?, key?` | `epoch, offset, version, repeated?` |
//! | `patch` | `id, room`, and `merge` (RFC 7396) or `ops` (RFC 6902)`, if_version?, key?` | as `set` |
//! | `pub` | `id, room, data, key?` | `epoch, offset, repeated?` |
//! | `cast` | `room, data` | none, and no error if it is lost; kept nowhere |
//! | `get` | `id, room, what` (`"doc"` or `"history"`)`, since?:{epoch,offset}, limit?` (1 to 256) | doc: `epoch, offset, version, kind, doc`; history: `epoch, offset, events` |
//! | `ping` | `id?` | the frame `{"t":"pong"}`, with the `id` if there was one |
//! | `pong` | | none; answers the server's `ping` |
//!
//! | push | fields |
//! |---|---|
//! | `state` | `room, epoch, offset, version, by`, and `doc`, or the shorter `merge` or `ops` that leads to it |
//! | `msg` | `room, epoch, offset, by, data, ts` (ms since 1970) |
//! | `cast` | `room, by, data` |
//! | `reset` | `room, reason` (`"epoch"` or `"trimmed"`)`, epoch, offset, version, doc` |
//! | `degraded`, `restored` | `reason` (`"redis"`) |
//! | `drain` | `in_ms, retry_ms` |
//! | `ping` | |
//!
//! Within one room and epoch a client that joined sees every offset once, in
//! order, or a `reset` that starts anew. Its own writes come back to it like
//! everyone's; a reply may come before or after the push of the same write.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::kinds::doc::{Misfit, Patch};
use crate::store::{Change, Position, Recent, Snapshot, StoreError, Write};

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "rooms.v1";
/// The most events that `get history` gives.
pub const HISTORY_LIMIT: usize = 256;
/// How deep a frame's JSON may be nested.
pub const MAX_DEPTH: usize = 64;

/// Why the server closes a connection. 4000 to 4099: do not reconnect; 4100 to
/// 4199: reconnect with back-off; 4200 to 4299: reconnect at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Close {
    /// A breach of RFC 6455.
    Rfc = 1002,
    /// A text frame that is not UTF-8.
    BadText = 1007,
    /// A frame longer than `max_bytes`.
    TooBig = 1009,
    /// Not JSON, not an object, binary, or a first frame other than `hello`.
    BadProtocol = 4000,
    /// No `hello` in time.
    NoHello = 4004,
    /// No sign of life after a `ping`.
    NoPong = 4101,
    /// The client does not read fast enough.
    Slow = 4102,
    /// A hundred commands were refused because of their rate.
    RateAbuse = 4103,
    /// This instance is about to end.
    Draining = 4200,
}

impl Close {
    /// The code of the close frame.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The text of the close frame.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Rfc => "not a WebSocket frame",
            Self::BadText => "text that is not UTF-8",
            Self::TooBig => "frame too big",
            Self::BadProtocol => "not a rooms.v1 frame, or the first was not hello",
            Self::NoHello => "no hello in time",
            Self::NoPong => "no pong",
            Self::Slow => "reading too slowly",
            Self::RateAbuse => "too many commands",
            Self::Draining => "this instance is stopping",
        }
    }
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command is malformed.
    BadRequest(Cow<'static, str>),
    /// The connection is not in the room.
    NotJoined,
    /// The connection is in the room already.
    AlreadyJoined,
    /// What was asked for is not there (any more).
    NotFound(&'static str),
    /// The document has another version than `if_version`.
    Conflict {
        /// Its version.
        version: u64,
        /// Its JSON text, if it was ever set.
        doc: Option<String>,
    },
    /// The patch does not fit the document.
    Rejected(Misfit),
    /// The document is longer than this many bytes.
    TooLarge(usize),
    /// Too many commands; the next one may come after so many milliseconds.
    RateLimited(u64),
    /// The connection is in as many rooms as it may be.
    LimitExceeded(usize),
    /// The store cannot be reached; the command was not carried out.
    Unavailable,
    /// The store did not answer; try again with the same `key`.
    UnknownOutcome,
    /// A fault of the server.
    Internal,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::UnknownOutcome => Self::UnknownOutcome,
            StoreError::Broken(_) => Self::Internal,
        }
    }
}

impl Fault {
    /// The `code` of the error reply.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::NotJoined => "not_joined",
            Self::AlreadyJoined => "already_joined",
            Self::NotFound(_) => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Rejected(_) => "rejected",
            Self::TooLarge(_) => "too_large",
            Self::RateLimited(_) => "rate_limited",
            Self::LimitExceeded(_) => "limit_exceeded",
            Self::Unavailable => "unavailable",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Internal => "internal",
        }
    }

    fn msg(&self) -> Cow<'static, str> {
        match self {
            Self::BadRequest(reason) => reason.clone(),
            Self::NotJoined => "join the room first".into(),
            Self::AlreadyJoined => "this connection is in the room already".into(),
            Self::NotFound(what) => (*what).into(),
            Self::Conflict { version, .. } => format!("the document has version {version}").into(),
            Self::Rejected(Misfit::NoPatch) => "merge or ops is no patch".into(),
            Self::Rejected(Misfit::NoSuchPath) => "the document has no such path".into(),
            Self::Rejected(Misfit::TestFailed) => "a test of the patch has failed".into(),
            Self::Rejected(Misfit::TooDeep) => "the document would be nested too deep".into(),
            Self::TooLarge(most) => format!("a document may have {most} bytes").into(),
            Self::RateLimited(_) => "too many commands".into(),
            Self::LimitExceeded(most) => format!("a connection may be in {most} rooms").into(),
            Self::Unavailable => "rooms cannot be reached now, nothing was changed".into(),
            Self::UnknownOutcome => {
                "no answer in time, the write may have happened: try again with the same key".into()
            }
            Self::Internal => "a fault of the server".into(),
        }
    }

    fn temporary(&self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Unavailable | Self::UnknownOutcome)
    }
}

/// A command with its id; `id` is `None` only where it may be left out.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the reply repeats.
    pub id: Option<u32>,
    /// What is asked for.
    pub command: Command<'a>,
}

/// What a client asks for.
#[derive(Debug)]
pub enum Command<'a> {
    /// Opens the conversation.
    Hello,
    /// Enters a room.
    Join {
        /// The room's name.
        room: &'a str,
        /// The last event that the client has.
        since: Option<Position>,
    },
    /// Leaves a room.
    Leave {
        /// The room's name.
        room: &'a str,
    },
    /// Replaces the document.
    Set {
        /// The room's name.
        room: &'a str,
        /// The document's JSON text.
        doc: &'a str,
        /// The version that the document must have; 0 if it must not be set yet.
        if_version: Option<u64>,
        /// Names the write, to make a second try safe.
        key: Option<&'a str>,
    },
    /// Changes a part of the document.
    Patch {
        /// The room's name.
        room: &'a str,
        /// The change.
        patch: Patch<'a>,
        /// The version that the document must have; without it, any will do.
        if_version: Option<u64>,
        /// Names the write, to make a second try safe.
        key: Option<&'a str>,
    },
    /// Sends a message to the room.
    Pub {
        /// The room's name.
        room: &'a str,
        /// The message's JSON text.
        data: &'a str,
        /// Names the write, to make a second try safe.
        key: Option<&'a str>,
    },
    /// Sends something to whoever is in the room now, and to nobody later.
    Cast {
        /// The room's name.
        room: &'a str,
        /// The JSON text.
        data: &'a str,
    },
    /// Reads the document.
    GetDoc {
        /// The room's name.
        room: &'a str,
    },
    /// Reads past events.
    GetHistory {
        /// The room's name.
        room: &'a str,
        /// Gives what follows this position; without it, the newest events.
        since: Option<Position>,
        /// The most events.
        limit: usize,
    },
    /// Asks for a sign of life.
    Ping,
    /// A sign of life.
    Pong,
}

/// A frame that is no valid command.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection ends.
    Close(Close),
    /// The command fails. The id is `None` if the frame has no valid one.
    Fault(Option<u32>, Fault),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    t: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    room: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    since: Option<&'a RawValue>,
    #[serde(borrow, default)]
    doc: Option<&'a RawValue>,
    #[serde(borrow, default)]
    merge: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ops: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    if_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    what: Option<&'a RawValue>,
    #[serde(borrow, default)]
    limit: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Since {
    epoch: String,
    offset: u64,
}

/// Reads one frame of a client.
///
/// # Errors
/// What to answer instead of carrying it out.
pub fn parse(text: &str) -> Result<Request<'_>, Refusal> {
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::Close(Close::BadProtocol));
    }
    let frame: Envelope<'_> = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            Refusal::Fault(None, bad(format!("{error}")))
        } else {
            Refusal::Close(Close::BadProtocol)
        }
    })?;
    let id = frame.id.and_then(|raw| serde_json::from_str::<u32>(raw.get()).ok());
    let command = frame.command(text).map_err(|fault| Refusal::Fault(id, fault))?;
    let needs_id = !matches!(command, Command::Ping | Command::Pong | Command::Cast { .. });
    if id.is_none() && (needs_id || frame.id.is_some_and(|raw| raw.get() != "null")) {
        return Err(Refusal::Fault(None, bad("id must be a whole number from 0 to 4294967295")));
    }
    Ok(Request { id, command })
}

fn bad(reason: impl Into<Cow<'static, str>>) -> Fault {
    Fault::BadRequest(reason.into())
}

impl<'a> Envelope<'a> {
    fn command(&self, text: &str) -> Result<Command<'a>, Fault> {
        if depth(text) > MAX_DEPTH {
            return Err(bad(format!("nested deeper than {MAX_DEPTH}")));
        }
        let name =
            self.t.and_then(|raw| string(raw)).ok_or_else(|| bad("t must be the name of a command"))?;
        Ok(match name {
            "hello" => Command::Hello,
            "join" => {
                let room = self.room()?;
                match self.kind.filter(|raw| raw.get() != "null").map(string) {
                    None | Some(Some("doc")) => {}
                    _ => return Err(bad("kind must be \"doc\"")),
                }
                Command::Join { room, since: self.since()? }
            }
            "leave" => Command::Leave { room: self.room()? },
            "set" => Command::Set {
                room: self.room()?,
                doc: json("doc", self.doc)?,
                if_version: whole("if_version", self.if_version)?,
                key: self.key()?,
            },
            "patch" => Command::Patch {
                room: self.room()?,
                patch: match (self.merge, self.ops) {
                    (Some(_), None) => Patch::Merge(json("merge", self.merge)?),
                    (None, Some(_)) => Patch::Ops(json("ops", self.ops)?),
                    _ => return Err(bad("a patch has either merge or ops")),
                },
                if_version: whole("if_version", self.if_version)?,
                key: self.key()?,
            },
            "pub" => Command::Pub { room: self.room()?, data: json("data", self.data)?, key: self.key()? },
            "cast" => Command::Cast { room: self.room()?, data: json("data", self.data)? },
            "get" => {
                let room = self.room()?;
                match self.what.and_then(|raw| string(raw)) {
                    Some("doc") => Command::GetDoc { room },
                    Some("history") => {
                        let limit = whole("limit", self.limit)?.unwrap_or(HISTORY_LIMIT as u64);
                        let limit = usize::try_from(limit)
                            .ok()
                            .filter(|limit| (1..=HISTORY_LIMIT).contains(limit))
                            .ok_or_else(|| bad(format!("limit must be from 1 to {HISTORY_LIMIT}")))?;
                        Command::GetHistory { room, since: self.since()?, limit }
                    }
                    _ => return Err(bad("what must be \"doc\" or \"history\"")),
                }
            }
            "ping" => Command::Ping,
            "pong" => Command::Pong,
            _ => return Err(bad("t is not a command of this server")),
        })
    }

    fn room(&self) -> Result<&'a str, Fault> {
        self.room
            .and_then(|raw| string(raw))
            .filter(|name| is_name(name))
            .ok_or_else(|| bad("room must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -"))
    }

    fn key(&self) -> Result<Option<&'a str>, Fault> {
        match self.key.filter(|raw| raw.get() != "null") {
            None => Ok(None),
            Some(raw) => string(raw)
                .filter(|key| is_name(key))
                .map(Some)
                .ok_or_else(|| bad("key must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -")),
        }
    }

    fn since(&self) -> Result<Option<Position>, Fault> {
        let Some(raw) = self.since.filter(|raw| raw.get() != "null") else { return Ok(None) };
        match serde_json::from_str::<Since>(raw.get()) {
            Ok(Since { epoch, offset }) if epoch.len() <= 64 => Ok(Some(Position { epoch, offset })),
            _ => Err(bad("since must be {\"epoch\":\"…\",\"offset\":n}")),
        }
    }
}

/// The text between the quotes. A string with escapes is none of our names.
fn string(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'))
}

fn whole(name: &str, raw: Option<&RawValue>) -> Result<Option<u64>, Fault> {
    match raw.filter(|raw| raw.get() != "null") {
        None => Ok(None),
        Some(raw) => match serde_json::from_str::<u64>(raw.get()) {
            Ok(number) if number < 1 << 53 => Ok(Some(number)),
            _ => Err(bad(format!("{name} must be a whole number"))),
        },
    }
}

/// A value that every JSON reader can read: no lone surrogates, no endless numbers.
fn json<'a>(name: &str, raw: Option<&'a RawValue>) -> Result<&'a str, Fault> {
    let raw = raw.ok_or_else(|| bad(format!("{name} is missing")))?;
    serde_json::from_str::<Value>(raw.get()).map_err(|error| bad(format!("{name}: {error}")))?;
    Ok(raw.get())
}

/// Whether this may name a room or a key.
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
fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

fn id_text(id: Option<u32>) -> String {
    id.map_or_else(|| "null".to_owned(), |id| id.to_string())
}

fn doc_text(doc: Option<&String>) -> &str {
    doc.map_or("null", String::as_str)
}

/// The reply to `hello`. Times are in milliseconds.
#[must_use]
pub fn hello_reply(
    id: Option<u32>,
    conn: &str,
    user: &str,
    server: &str,
    ping_ms: u128,
    max_bytes: usize,
) -> String {
    format!(
        r#"{{"id":{},"ok":{{"conn":"{conn}","user":"{user}","server":{},"ping_ms":{ping_ms},"max_bytes":{max_bytes},"proto":1}}}}"#,
        id_text(id),
        quote(server),
    )
}

/// The reply to `join`.
#[must_use]
pub fn join_reply(id: Option<u32>, snapshot: &Snapshot, conn: &str, user: &str) -> String {
    let mut text = format!(r#"{{"id":{},"ok":{{"#, id_text(id));
    push_snapshot(&mut text, snapshot);
    // Writing to a string cannot fail.
    let _ = write!(text, r#","recovered":{},"events":["#, snapshot.recovered);
    push_list(&mut text, snapshot.events.iter().map(|event| event.payload.as_str()));
    let _ = write!(text, r#"],"you":{{"conn":"{conn}","user":"{user}"}}}}}}"#);
    text
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
    let extra = match fault {
        Fault::RateLimited(retry_ms) => format!(r#","retry_ms":{retry_ms}"#),
        Fault::Conflict { version, doc } => {
            format!(r#","version":{version},"doc":{}"#, doc_text(doc.as_ref()))
        }
        Fault::Rejected(misfit) => format!(r#","reason":"{}""#, misfit.reason()),
        _ => String::new(),
    };
    format!(
        r#"{{"id":{},"err":{{"code":"{}","msg":{},"temporary":{}{extra}}}}}"#,
        id_text(id),
        fault.code(),
        quote(&fault.msg()),
        fault.temporary(),
    )
}

/// The push that starts a room anew for a client.
#[must_use]
pub fn reset_push(room: &str, reason: &str, snapshot: &Snapshot) -> String {
    let Position { epoch, offset } = &snapshot.position;
    format!(
        r#"{{"t":"reset","room":"{room}","reason":"{reason}","epoch":"{epoch}","offset":{offset},"version":{},"doc":{}}}"#,
        snapshot.version,
        doc_text(snapshot.doc.as_ref()),
    )
}

/// The push that tells of a lost store.
pub const DEGRADED: &str = r#"{"t":"degraded","reason":"redis"}"#;
/// The push that tells that the store is back and positions are right.
pub const RESTORED: &str = r#"{"t":"restored","reason":"redis"}"#;
/// The push that wants a sign of life.
pub const PING: &str = r#"{"t":"ping"}"#;

/// The push before a close with [`Close::Draining`]: when it comes, and how
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

/// A write that replaces the document.
#[must_use]
pub fn set_write(room: &str, by: &str, doc: &str, if_version: Option<u64>, key: Option<&str>) -> Write {
    Write {
        change: Change::State { doc: doc.to_owned(), if_version },
        head: format!(r#"{{"t":"state","room":"{room}","epoch":""#),
        tail: format!(r#","by":"{by}","doc":{doc}}}"#),
        idempotency: key.map(|key| format!("{by}:{key}")),
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
        head: format!(r#"{{"t":"state","room":"{room}","epoch":""#),
        tail: format!(r#","by":"{by}","{name}":{text}}}"#),
        change: Change::State { doc, if_version: Some(version) },
        idempotency: key.map(|key| format!("{by}:{key}")),
    }
}

/// A write that adds a message.
#[must_use]
pub fn pub_write(room: &str, by: &str, data: &str, key: Option<&str>) -> Write {
    let ts = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Write {
        change: Change::Message,
        head: format!(r#"{{"t":"msg","room":"{room}","epoch":""#),
        tail: format!(r#","by":"{by}","data":{data},"ts":{ts}}}"#),
        idempotency: key.map(|key| format!("{by}:{key}")),
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
