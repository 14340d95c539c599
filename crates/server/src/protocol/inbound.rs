//! Frames of clients.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Close, Fault, HISTORY_LIMIT, depth, is_name};
use crate::kinds::Kind;
use crate::kinds::doc::Patch;
use crate::store::Position;

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
    Hello {
        /// Says who the client is.
        token: Option<String>,
        /// The `guest_token` of an earlier connection.
        resume: Option<String>,
        /// What the client calls itself; only for the log.
        client: Option<String>,
    },
    /// Enters a room.
    Join {
        /// The room's name.
        room: &'a str,
        /// The kind that the room must have, and gets if it is new.
        kind: Option<Kind>,
        /// The last event that the client has.
        since: Option<Position>,
        /// Whether the client is shown to others, and others to it.
        presence: bool,
        /// What is shown of the client, as JSON text.
        info: Option<&'a str>,
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
    /// Does something in a room whose kind has rules.
    Act {
        /// The room's name.
        room: &'a str,
        /// The action's JSON text.
        action: &'a str,
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
    /// Asks who is there.
    GetMembers {
        /// The room's name.
        room: &'a str,
    },
    /// Changes what others are shown of the client.
    Here {
        /// The room's name.
        room: &'a str,
        /// The JSON text.
        info: &'a str,
    },
    /// Asks for a sign of life.
    Ping,
    /// A sign of life.
    Pong,
}

impl Command<'_> {
    /// Its name in the frame.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Set { .. } => "set",
            Self::Patch { .. } => "patch",
            Self::Act { .. } => "act",
            Self::Pub { .. } => "pub",
            Self::Cast { .. } => "cast",
            Self::GetDoc { .. } | Self::GetHistory { .. } | Self::GetMembers { .. } => "get",
            Self::Here { .. } => "here",
            Self::Ping => "ping",
            Self::Pong => "pong",
        }
    }
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
    token: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resume: Option<&'a RawValue>,
    #[serde(borrow, default)]
    client: Option<&'a RawValue>,
    #[serde(borrow, default)]
    room: Option<&'a RawValue>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    since: Option<&'a RawValue>,
    #[serde(borrow, default)]
    presence: Option<&'a RawValue>,
    #[serde(borrow, default)]
    info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    doc: Option<&'a RawValue>,
    #[serde(borrow, default)]
    merge: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ops: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Option<&'a RawValue>,
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

/// Reads one frame of a client, whose JSON may be nested `max_depth` deep.
///
/// # Errors
/// What to answer instead of carrying it out.
pub fn parse(text: &str, max_depth: usize) -> Result<Request<'_>, Refusal> {
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::Close(Close::BadProtocol));
    }
    let frame: Envelope<'_> = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            Refusal::Fault(None, Fault::bad(format!("{error}")))
        } else {
            Refusal::Close(Close::BadProtocol)
        }
    })?;
    let id = frame.id.and_then(|raw| serde_json::from_str::<u32>(raw.get()).ok());
    if depth(text) > max_depth {
        return Err(Refusal::Fault(id, Fault::bad(format!("nested deeper than {max_depth}"))));
    }
    let command = frame.command().map_err(|fault| Refusal::Fault(id, fault))?;
    let needs_id = !matches!(command, Command::Ping | Command::Pong | Command::Cast { .. });
    if id.is_none() && (needs_id || frame.id.is_some_and(|raw| raw.get() != "null")) {
        return Err(Refusal::Fault(None, Fault::bad("id must be a whole number from 0 to 4294967295")));
    }
    Ok(Request { id, command })
}

impl<'a> Envelope<'a> {
    fn command(&self) -> Result<Command<'a>, Fault> {
        let name = self
            .t
            .and_then(|raw| string(raw))
            .ok_or_else(|| Fault::bad("t must be the name of a command"))?;
        Ok(match name {
            "hello" => Command::Hello {
                token: text("token", self.token)?,
                resume: text("resume", self.resume)?,
                client: text("client", self.client)?,
            },
            "join" => Command::Join {
                room: self.room()?,
                kind: self.kind()?,
                since: self.since()?,
                presence: flag("presence", self.presence)?,
                info: optional_json("info", self.info)?,
            },
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
                    _ => return Err(Fault::bad("a patch has either merge or ops")),
                },
                if_version: whole("if_version", self.if_version)?,
                key: self.key()?,
            },
            "act" => {
                Command::Act { room: self.room()?, action: json("action", self.action)?, key: self.key()? }
            }
            "pub" => Command::Pub { room: self.room()?, data: json("data", self.data)?, key: self.key()? },
            "cast" => Command::Cast { room: self.room()?, data: json("data", self.data)? },
            "get" => self.get()?,
            "here" => Command::Here { room: self.room()?, info: json("info", self.info)? },
            "ping" => Command::Ping,
            "pong" => Command::Pong,
            _ => return Err(Fault::bad("t is not a command of this server")),
        })
    }

    fn get(&self) -> Result<Command<'a>, Fault> {
        let room = self.room()?;
        match self.what.and_then(|raw| string(raw)) {
            Some("doc") => Ok(Command::GetDoc { room }),
            Some("members") => Ok(Command::GetMembers { room }),
            Some("history") => {
                let limit = whole("limit", self.limit)?.unwrap_or(HISTORY_LIMIT as u64);
                let limit = usize::try_from(limit)
                    .ok()
                    .filter(|limit| (1..=HISTORY_LIMIT).contains(limit))
                    .ok_or_else(|| Fault::bad(format!("limit must be from 1 to {HISTORY_LIMIT}")))?;
                Ok(Command::GetHistory { room, since: self.since()?, limit })
            }
            _ => Err(Fault::bad("what must be \"doc\", \"history\" or \"members\"")),
        }
    }

    fn room(&self) -> Result<&'a str, Fault> {
        self.room
            .and_then(|raw| string(raw))
            .filter(|name| is_name(name))
            .ok_or_else(|| Fault::bad("room must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -"))
    }

    fn kind(&self) -> Result<Option<Kind>, Fault> {
        let Some(raw) = given(self.kind) else { return Ok(None) };
        let kind = string(raw).and_then(Kind::named);
        kind.map(Some).ok_or_else(|| Fault::bad(format!("kind must be {}", Kind::names())))
    }

    fn key(&self) -> Result<Option<&'a str>, Fault> {
        match given(self.key) {
            None => Ok(None),
            Some(raw) => string(raw)
                .filter(|key| is_name(key))
                .map(Some)
                .ok_or_else(|| Fault::bad("key must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -")),
        }
    }

    fn since(&self) -> Result<Option<Position>, Fault> {
        let Some(raw) = given(self.since) else { return Ok(None) };
        match serde_json::from_str::<Since>(raw.get()) {
            Ok(Since { epoch, offset }) if epoch.len() <= 64 => Ok(Some(Position { epoch, offset })),
            _ => Err(Fault::bad("since must be {\"epoch\":\"…\",\"offset\":n}")),
        }
    }
}

/// A field that is there and not null.
fn given(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// The text between the quotes. A string with escapes is none of our names.
fn string(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'))
}

fn text(name: &str, raw: Option<&RawValue>) -> Result<Option<String>, Fault> {
    match given(raw) {
        None => Ok(None),
        Some(raw) => serde_json::from_str::<String>(raw.get())
            .map(Some)
            .map_err(|_| Fault::bad(format!("{name} must be a string"))),
    }
}

fn flag(name: &str, raw: Option<&RawValue>) -> Result<bool, Fault> {
    match given(raw).map(RawValue::get) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Fault::bad(format!("{name} must be true or false"))),
    }
}

fn whole(name: &str, raw: Option<&RawValue>) -> Result<Option<u64>, Fault> {
    match given(raw) {
        None => Ok(None),
        Some(raw) => match serde_json::from_str::<u64>(raw.get()) {
            Ok(number) if number < 1 << 53 => Ok(Some(number)),
            _ => Err(Fault::bad(format!("{name} must be a whole number"))),
        },
    }
}

fn optional_json<'a>(name: &str, raw: Option<&'a RawValue>) -> Result<Option<&'a str>, Fault> {
    raw.map(|raw| json(name, Some(raw))).transpose()
}

/// A value that every JSON reader can read: no lone surrogates, no endless numbers.
fn json<'a>(name: &str, raw: Option<&'a RawValue>) -> Result<&'a str, Fault> {
    let raw = raw.ok_or_else(|| Fault::bad(format!("{name} is missing")))?;
    serde_json::from_str::<Value>(raw.get()).map_err(|error| Fault::bad(format!("{name}: {error}")))?;
    Ok(raw.get())
}
