//! What must hold for any text whatever, one function per fuzz target: the
//! targets below `fuzz/` call these with what a fuzzer makes up, the tests with
//! what fuzzers kept.

#[cfg(test)]
mod replay;

use serde_json::Value;

use crate::kinds::doc::{Bounds, Patch, apply};
use crate::kinds::{Kind, tictactoe};
use crate::protocol::inbound::Refusal;
use crate::protocol::outbound::{cast_push, fault_reply, member_fields, patch_write, pub_write, set_write};
use crate::protocol::{Command, Request, depth, is_name, parse};
use crate::store::{Position, Write};

const DEPTH: usize = 64;
const BYTES: usize = 16 * 1024;
const BOUNDS: Bounds = Bounds { depth: DEPTH, bytes: BYTES };
/// A line of this text parts a document from its patches.
const PART: &str = "=====\n";

/// Reads a text as a frame of a client: what the server would say to it, or to
/// others because of it, is one JSON object.
///
/// # Panics
///
/// When that does not hold, as the functions below do.
pub fn frame(text: &str) {
    let request = match parse(text, DEPTH) {
        Ok(request) => request,
        Err(Refusal::Close(close)) => return assert!(close.code() >= 1000),
        Err(Refusal::Fault(id, fault)) => {
            let reply = object(&fault_reply(id, &fault));
            assert_eq!(reply["id"], id.map_or(Value::Null, Value::from));
            assert!(reply["err"]["code"].is_string(), "{reply}");
            return;
        }
    };
    assert!(depth(text) <= DEPTH && !request.command.name().is_empty());
    let Request { command, .. } = request;
    match command {
        Command::Set { room, doc, key, if_version } => {
            told(&set_write(room, Kind::Doc, "ann", doc, if_version, key), room, doc, "doc");
        }
        Command::Patch { room, patch, key, .. } => {
            let Ok(next) = apply(None, patch, BOUNDS) else { return };
            let write = patch_write(room, "ann", next.clone(), patch, 1, key);
            let push = pushed(&write, room);
            assert!(["doc", "merge", "ops"].iter().filter(|name| !push[**name].is_null()).count() <= 1);
        }
        Command::Pub { room, data, key } => told(&pub_write(room, "ann", data, key), room, data, "data"),
        Command::Cast { room, data } => {
            let push = object(&cast_push(room, "ann", data));
            assert_eq!(push["data"], value(data));
        }
        Command::Here { room, info } => {
            named(room);
            let fields = member_fields("c", "ann", "s", Some(info));
            assert_eq!(object(&format!("{{{fields}}}"))["info"], value(info));
        }
        Command::Act { room, action, .. } => {
            named(room);
            played(tictactoe::reduce(None, "ann", action));
        }
        Command::Join { room, info, .. } => {
            named(room);
            info.map(value);
        }
        Command::Leave { room }
        | Command::GetDoc { room }
        | Command::GetHistory { room, .. }
        | Command::GetMembers { room } => named(room),
        Command::Hello { .. } | Command::Ping | Command::Pong => {}
    }
}

/// Applies the parts of a text after the first to the first, as merge patches
/// and as operations: a document stays one that can be sent, and merging the
/// same again changes nothing.
///
/// # Panics
///
/// When that does not hold.
pub fn patch(text: &str) {
    let mut parts = text.split(PART);
    let first = parts.next().unwrap_or_default();
    let first = serde_json::from_str::<Value>(first).ok().map(|value| value.to_string());
    let mut doc = first.filter(|doc| depth(doc) < DEPTH);
    for part in parts {
        for change in [Patch::Merge(part), Patch::Ops(part)] {
            let Ok(next) = apply(doc.as_deref(), change, BOUNDS) else { continue };
            assert!(depth(&next) < DEPTH, "{next}");
            let before = doc.as_ref().map_or(4, String::len);
            // A letter may be written longer than it came, but not without end.
            assert!(next.len() <= 6 * (before + part.len() + BYTES), "{before} became {}", next.len());
            assert_eq!(value(&next).to_string(), next);
            if matches!(change, Patch::Merge(_)) {
                assert_eq!(apply(Some(&next), change, BOUNDS).as_deref(), Ok(next.as_str()));
            }
            doc = Some(next);
        }
    }
}

/// Plays a game: each line is a user, a space, and an action. Whatever is
/// asked, the board is one that could have come about.
///
/// # Panics
///
/// When that does not hold.
pub fn game(text: &str) {
    let mut doc: Option<String> = None;
    for line in text.lines() {
        let (user, action) = line.split_once(' ').unwrap_or((line, "null"));
        let reduced = tictactoe::reduce(doc.as_deref(), user, action);
        assert_eq!(reduced, tictactoe::reduce(doc.as_deref(), user, action), "the same comes of the same");
        if let Some(next) = played(reduced) {
            doc = Some(next);
        }
        // A document that is no game never makes one of it.
        let _ = tictactoe::reduce(Some(line), user, action);
    }
}

fn played(reduced: Result<String, tictactoe::Foul>) -> Option<String> {
    let doc = match reduced {
        Ok(doc) => doc,
        Err(foul) => {
            assert!(!foul.reason().is_empty() && !foul.msg().is_empty());
            return None;
        }
    };
    let game = value(&doc);
    let marks = |mark: &str| {
        let cells = game["board"].as_array().into_iter().flatten();
        cells.filter(|cell| *cell == mark).count()
    };
    assert!((0..=1).contains(&(marks("x") as i64 - marks("o") as i64)), "{doc}");
    let seats = &game["seats"];
    assert!(seats["x"].is_null() || seats["x"] != seats["o"], "{doc}");
    let won = game["winner"] == "x" || game["winner"] == "o";
    assert!(won || game["line"].is_null(), "{doc}");
    Some(doc)
}

fn named(room: &str) {
    assert!(is_name(room), "{room}");
}

/// The frame of a write says what was asked for, and nothing else.
fn told(write: &Write, room: &str, wanted: &str, field: &str) {
    assert_eq!(pushed(write, room)[field], value(wanted));
}

fn pushed(write: &Write, room: &str) -> Value {
    named(room);
    let push = object(&write.payload(&Position { epoch: "0123456789abcdef".to_owned(), offset: 7 }));
    assert_eq!((&push["room"], &push["offset"], &push["by"]), (&room.into(), &7.into(), &"ann".into()));
    push
}

fn object(text: &str) -> Value {
    let value = value(text);
    assert!(value.is_object(), "{text}");
    value
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
