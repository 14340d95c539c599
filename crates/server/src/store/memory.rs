//! The store of a single instance: everything in this process, gone with it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::{
    Attendance, Change, Event, Health, History, IDEMPOTENCY_TTL_MS, Lease, Members, Notice, Outcome,
    Position, ROOM_TTL_MS, Read, Recent, Snapshot, Store, StoreError, Write, fresh_epoch, fresh_secret,
};
use crate::kinds::Kind;
use crate::protocol::outbound::member_head;

/// How often rooms and keys that have outlived their time are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Rooms in the memory of this process.
pub struct MemoryStore {
    rooms: Mutex<Rooms>,
    history: History,
    secret: String,
    notices: mpsc::UnboundedSender<Notice>,
    health: watch::Sender<Health>,
}

struct Rooms {
    rooms: HashMap<String, Room>,
    subscribed: HashSet<String>,
    swept: Instant,
}

struct Room {
    position: Position,
    version: u64,
    kind: Kind,
    doc: Option<String>,
    history: VecDeque<Event>,
    keys: HashMap<String, (Position, Instant)>,
    members: Vec<Member>,
    rev: u64,
    touched: Instant,
    changed: Instant,
}

struct Member {
    conn: String,
    fields: String,
    until: Instant,
}

impl MemoryStore {
    /// A store without rooms that keeps so much of each one's history, and the
    /// feed of its notices.
    #[must_use]
    pub fn new(history: History) -> (Self, mpsc::UnboundedReceiver<Notice>) {
        let (notices, feed) = mpsc::unbounded_channel();
        let rooms = Rooms { rooms: HashMap::new(), subscribed: HashSet::new(), swept: Instant::now() };
        let health = watch::Sender::new(Health::Up);
        (Self { rooms: Mutex::new(rooms), history, secret: fresh_secret(), notices, health }, feed)
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, name: &str, write: &Write) -> Outcome {
        let mut rooms = self.lock();
        let room = rooms.room(name, write.kind.unwrap_or_default(), self.history.time);
        if let Some((position, _)) = write.idempotency.as_ref().and_then(|key| room.keys.get(key)) {
            return Outcome::Done { position: position.clone(), repeated: true };
        }
        if write.kind.is_some_and(|kind| kind != room.kind) {
            return Outcome::OtherKind(room.kind.name().to_owned());
        }
        if let Change::State { doc, if_version } = &write.change {
            if if_version.is_some_and(|wanted| wanted != room.version) {
                return Outcome::Conflict { version: room.version, doc: room.doc.clone() };
            }
            room.doc = Some(doc.clone());
            room.version = room.position.offset + 1;
        }
        room.position.offset += 1;
        room.changed = Instant::now();
        let event = Event { offset: room.position.offset, payload: write.payload(&room.position) };
        room.history.push_back(event.clone());
        while room.history.len() > self.history.events {
            room.history.pop_front();
        }
        let position = room.position.clone();
        if let Some(key) = &write.idempotency {
            room.keys.insert(key.clone(), (position.clone(), Instant::now()));
        }
        if rooms.subscribed.contains(name) {
            // The feed only ends with the process.
            let _ = self.notices.send(Notice::Event {
                room: name.to_owned(),
                epoch: position.epoch.clone(),
                event,
            });
        }
        Outcome::Done { position, repeated: false }
    }

    fn change_members(&self, name: &str, attendance: Attendance, lease: Lease) -> Members {
        let mut rooms = self.lock();
        let subscribed = rooms.subscribed.contains(name);
        let room = rooms.room(name, Kind::Doc, self.history.time);
        let now = Instant::now();
        let mut told: Vec<(&str, String)> = Vec::new();
        let (gone, here) = std::mem::take(&mut room.members)
            .into_iter()
            .partition::<Vec<_>, _>(|member| member.until <= now);
        room.members = here;
        let swept = gone.len() as u64;
        told.extend(gone.into_iter().map(|member| ("leave", member.fields)));
        let mut missing = Vec::new();
        let until = now + lease.time;
        match attendance {
            Attendance::Enter { conn, fields } => {
                match room.members.iter_mut().find(|member| member.conn == conn) {
                    None => {
                        told.push(("join", fields.clone()));
                        room.members.push(Member { conn, fields, until });
                    }
                    Some(member) => {
                        member.until = until;
                        if member.fields != fields {
                            told.push(("info", fields.clone()));
                            member.fields = fields;
                        }
                    }
                }
            }
            Attendance::Leave { conn } => {
                if let Some(index) = room.members.iter().position(|member| member.conn == conn) {
                    told.push(("leave", room.members.remove(index).fields));
                }
            }
            Attendance::Keep { conns } => {
                for conn in conns {
                    match room.members.iter_mut().find(|member| member.conn == conn) {
                        Some(member) => member.until = until,
                        None => missing.push(conn),
                    }
                }
            }
            Attendance::Look => {}
        }
        for (event, fields) in told {
            room.rev += 1;
            let payload = format!("{}{event}\",{fields},\"rev\":{}}}", member_head(name), room.rev);
            if subscribed {
                // The feed only ends with the process.
                let _ = self.notices.send(Notice::Member { room: name.to_owned(), rev: room.rev, payload });
            }
        }
        let listed = room.members.iter().take(lease.listed);
        Members {
            rev: room.rev,
            count: room.members.len() as u64,
            listed: listed.map(|member| format!("{{{}}}", member.fields)).collect(),
            missing,
            swept,
        }
    }

    fn look(&self, name: &str, read: &Read) -> Snapshot {
        let mut rooms = self.lock();
        let room = rooms.room(name, read.kind, self.history.time);
        let events = read.since.as_ref().and_then(|since| room.events_since(since, read));
        let recovered = events.is_some();
        Snapshot {
            position: room.position.clone(),
            version: room.version,
            kind: room.kind.name().to_owned(),
            doc: if read.doc || !recovered { room.doc.clone() } else { None },
            recovered,
            events: events.unwrap_or_default(),
        }
    }
}

impl Rooms {
    fn room(&mut self, name: &str, kind: Kind, history: Duration) -> &mut Room {
        let now = Instant::now();
        if now - self.swept > SWEEP_EVERY {
            self.swept = now;
            self.rooms.retain(|name, room| {
                room.keys.retain(|_, (_, since)| now - *since < Duration::from_millis(IDEMPOTENCY_TTL_MS));
                self.subscribed.contains(name) || now - room.touched < Duration::from_millis(ROOM_TTL_MS)
            });
        }
        let room = self.rooms.entry(name.to_owned()).or_insert_with(|| Room {
            position: Position { epoch: fresh_epoch(), offset: 0 },
            version: 0,
            kind,
            doc: None,
            history: VecDeque::new(),
            keys: HashMap::new(),
            members: Vec::new(),
            rev: 0,
            touched: now,
            changed: now,
        });
        room.touched = now;
        if now - room.changed > history {
            room.history.clear();
        }
        room
    }
}

impl Room {
    /// The events after a position, or `None` if they cannot be given.
    fn events_since(&self, since: &Position, read: &Read) -> Option<Vec<Event>> {
        if since.epoch != self.position.epoch || since.offset > self.position.offset {
            return None;
        }
        let missing = self.position.offset - since.offset;
        let first = (self.history.len() as u64).checked_sub(missing)?;
        let mut bytes = 0;
        let mut events = Vec::new();
        for event in self.history.iter().skip(usize::try_from(first).ok()?) {
            bytes += event.payload.len();
            if events.len() >= read.max_events || (bytes > read.max_bytes && !events.is_empty()) {
                return read.part.then_some(events);
            }
            events.push(event.clone());
        }
        Some(events)
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn commit<'a>(&'a self, room: &'a str, write: Write) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        async move { Ok(self.write(room, &write)) }.boxed()
    }

    fn cast<'a>(&'a self, room: &'a str, payload: String) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            if self.lock().subscribed.contains(room) {
                // The feed only ends with the process.
                let _ = self.notices.send(Notice::Cast { room: room.to_owned(), payload });
            }
            Ok(())
        }
        .boxed()
    }

    fn read<'a>(&'a self, room: &'a str, read: Read) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move { Ok(self.look(room, &read)) }.boxed()
    }

    fn recent<'a>(
        &'a self,
        room: &'a str,
        max_events: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Recent, StoreError>> {
        async move {
            let mut rooms = self.lock();
            let room = rooms.room(room, Kind::Doc, self.history.time);
            let mut bytes = 0;
            let mut payloads: Vec<String> = Vec::new();
            for event in room.history.iter().rev().take(max_events) {
                bytes += event.payload.len();
                if bytes > max_bytes && !payloads.is_empty() {
                    break;
                }
                payloads.push(event.payload.clone());
            }
            payloads.reverse();
            Ok(Recent { position: room.position.clone(), payloads })
        }
        .boxed()
    }

    fn attend<'a>(
        &'a self,
        room: &'a str,
        attendance: Attendance,
        lease: Lease,
    ) -> BoxFuture<'a, Result<Members, StoreError>> {
        async move { Ok(self.change_members(room, attendance, lease)) }.boxed()
    }

    fn secret(&self) -> BoxFuture<'_, Result<String, StoreError>> {
        async { Ok(self.secret.clone()) }.boxed()
    }

    fn subscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.lock().subscribed.insert(room.to_owned());
            Ok(())
        }
        .boxed()
    }

    fn unsubscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, ()> {
        async move {
            self.lock().subscribed.remove(room);
        }
        .boxed()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
