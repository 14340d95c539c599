//! Where rooms live: one atomic step for every change, and a feed of what
//! changed. [`memory`] serves one instance alone, [`redis`] any number of them.

pub mod memory;
pub mod redis;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::kinds::Kind;

/// How long a room without any access is kept, in milliseconds.
pub(crate) const ROOM_TTL_MS: u64 = 86_400_000;
/// How long an idempotency key is remembered, in milliseconds.
pub(crate) const IDEMPOTENCY_TTL_MS: u64 = 300_000;

/// The name under which every instance listens for what concerns them all. No
/// client can name it.
pub const CONTROL: &str = "*";

/// How much of a room's history is kept.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// Events, about.
    pub events: usize,
    /// How long after the room's last change.
    pub time: Duration,
}

/// A place in the history of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Sixteen hexadecimal digits; changes when the history starts anew.
    pub epoch: String,
    /// Counts the events of the epoch; grows by exactly one with each.
    pub offset: u64,
}

/// One event of a room's history: the exact text that clients get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's place in its epoch.
    pub offset: u64,
    /// The frame, one JSON object.
    pub payload: String,
}

/// What a reader wants to know about a room.
#[derive(Clone, Debug)]
pub struct Read {
    /// The last event that the reader has; `None` asks for the document.
    pub since: Option<Position>,
    /// The most events to give.
    pub max_events: usize,
    /// The most bytes of events to give; one event is always given.
    pub max_bytes: usize,
    /// Whether the first part of what is missing is of use, when all of it is too much.
    pub part: bool,
    /// Whether the document is wanted even when the missing events are given.
    pub doc: bool,
    /// The kind that the room gets if it does not exist.
    pub kind: Kind,
}

/// A room at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest event of the room.
    pub position: Position,
    /// The offset of the document's last change, 0 if it was never set.
    pub version: u64,
    /// The name of the room's kind. Another instance may know more kinds than this one.
    pub kind: String,
    /// The document's JSON text; given if asked for or if not recovered.
    pub doc: Option<String>,
    /// Whether `events` continue the reader's position without a gap.
    pub recovered: bool,
    /// The events after the reader's position, oldest first.
    pub events: Vec<Event>,
}

/// The newest part of a room's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The newest event of the room.
    pub position: Position,
    /// The frames, oldest first.
    pub payloads: Vec<String>,
}

/// What a write changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// Replaces the document.
    State {
        /// The new document's JSON text.
        doc: String,
        /// The version that the document must have for the write to happen.
        if_version: Option<u64>,
    },
    /// Adds a message and leaves the document alone.
    Message,
}

/// One write. The event's frame is `head`, the epoch, `","offset":`, the
/// offset, for a state also `,"version":` and the offset, and `tail`.
#[derive(Clone, Debug)]
pub struct Write {
    /// What changes.
    pub change: Change,
    /// The kind that the room must have; without one, any will do.
    pub kind: Option<Kind>,
    /// The frame up to the epoch.
    pub head: String,
    /// The frame after offset and version.
    pub tail: String,
    /// Names the write, so that a second try is recognised; unique per room.
    pub idempotency: Option<String>,
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The write has its place in the history.
    Done {
        /// Where the event stands.
        position: Position,
        /// Whether an earlier write with the same key was found instead.
        repeated: bool,
    },
    /// The document has another version than the one wanted; nothing changed.
    Conflict {
        /// The version of the document.
        version: u64,
        /// The document's JSON text, if it was ever set.
        doc: Option<String>,
    },
    /// The room is of this other kind; nothing changed.
    OtherKind(String),
}

/// Who comes to a room, stays or goes.
#[derive(Clone, Debug)]
pub enum Attendance {
    /// A connection comes, or is shown differently from now on.
    Enter {
        /// The connection's name.
        conn: String,
        /// How it is shown: the fields of a JSON object, without the braces.
        fields: String,
    },
    /// A connection goes.
    Leave {
        /// The connection's name.
        conn: String,
    },
    /// These connections are still there.
    Keep {
        /// Their names.
        conns: Vec<String>,
    },
    /// Only a look.
    Look,
}

/// Who is in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Grows by one with every change.
    pub rev: u64,
    /// How many there are.
    pub count: u64,
    /// The first of them, as JSON objects.
    pub listed: Vec<String>,
    /// Of the connections that [`Attendance::Keep`] named, those that are not there.
    pub missing: Vec<String>,
    /// How many were found to be gone without a word.
    pub swept: u64,
}

/// How long connections are members without being kept, and how many are listed.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// From one sign of life to the end.
    pub time: Duration,
    /// The most members to list.
    pub listed: usize,
}

/// Why the store did not answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing was done and nothing will be.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The write may or may not have happened.
    #[error("the store did not answer in time")]
    UnknownOutcome,
    /// The store answered something that it never should.
    #[error("unexpected answer of the store: {0}")]
    Broken(String),
}

/// Whether the store can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// No connection was made yet, and none has failed.
    Starting,
    /// Reads and writes are served.
    Up,
    /// They fail, for the reason given, such as `connection refused (redis:6379)`.
    Down(String),
}

impl Health {
    /// Why reads and writes are not served.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Starting => Some("not connected yet"),
            Self::Up => None,
            Self::Down(reason) => Some(reason),
        }
    }
}

/// What the store tells without being asked.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An event of a subscribed room. May be lost, never reordered.
    Event {
        /// The room's name.
        room: String,
        /// The epoch of the event.
        epoch: String,
        /// The event.
        event: Event,
    },
    /// The members of a subscribed room have changed. May be lost.
    Member {
        /// The room's name.
        room: String,
        /// The revision after the change.
        rev: u64,
        /// The frame.
        payload: String,
    },
    /// Something for whoever is in a subscribed room now. May be lost.
    Cast {
        /// The room's name.
        room: String,
        /// The frame.
        payload: String,
    },
    /// Events may have been lost: every subscribed room has to be looked at.
    Resync,
}

/// The contract of a store. Every call is one atomic step on one room; a room
/// that does not exist is made by the first call that names it.
pub trait Store: Send + Sync + 'static {
    /// `memory` or `redis`.
    fn name(&self) -> &'static str;
    /// Writes one event, and tells it to every subscriber of the room.
    fn commit<'a>(&'a self, room: &'a str, write: Write) -> BoxFuture<'a, Result<Outcome, StoreError>>;
    /// Tells something to every subscriber of the room, and keeps it nowhere.
    fn cast<'a>(&'a self, room: &'a str, payload: String) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Reads the room's document, or what happened since a position.
    fn read<'a>(&'a self, room: &'a str, read: Read) -> BoxFuture<'a, Result<Snapshot, StoreError>>;
    /// Reads the newest `max_events` events, at most `max_bytes` of them.
    fn recent<'a>(
        &'a self,
        room: &'a str,
        max_events: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Recent, StoreError>>;
    /// Changes who is in a room and tells who is; whoever has outlived their
    /// lease is taken out on the way.
    fn attend<'a>(
        &'a self,
        room: &'a str,
        attendance: Attendance,
        lease: Lease,
    ) -> BoxFuture<'a, Result<Members, StoreError>>;
    /// A secret that all instances share, made when it is first asked for.
    fn secret(&self) -> BoxFuture<'_, Result<String, StoreError>>;
    /// Asks for a room's notices. Once it returns, no later event is missed
    /// without a [`Notice::Resync`].
    fn subscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Ends the notices of a room.
    fn unsubscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, ()>;
    /// Whether the store can be used, and every change of that.
    fn health(&self) -> watch::Receiver<Health>;
    /// Sends what is still under way and closes all connections.
    fn close(&self) -> BoxFuture<'_, ()>;
}

impl Write {
    /// The frame of this write at a position, as `commit.lua` builds it, too.
    pub(crate) fn payload(&self, position: &Position) -> String {
        let Position { epoch, offset } = position;
        match self.change {
            Change::State { .. } => {
                format!("{}{epoch}\",\"offset\":{offset},\"version\":{offset}{}", self.head, self.tail)
            }
            Change::Message => format!("{}{epoch}\",\"offset\":{offset}{}", self.head, self.tail),
        }
    }
}

/// A new epoch, 16 hexadecimal digits. Each write carries one, in case that its
/// room does not exist, so the system is asked for randomness only once.
pub(crate) fn fresh_epoch() -> String {
    static START: LazyLock<u64> = LazyLock::new(|| {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        high ^ low.rotate_left(32)
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // An odd factor makes every number come once before any comes again.
    let step = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:016x}", START.wrapping_add(step))
}

/// A new secret, 64 hexadecimal digits.
pub(crate) fn fresh_secret() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}
