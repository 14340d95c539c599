//! The store of a single instance: everything in this process, gone with it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::{
    Change, Event, HISTORY_TTL_MS, Health, IDEMPOTENCY_TTL_MS, Notice, Outcome, Position, ROOM_TTL_MS, Read,
    Recent, Snapshot, Store, StoreError, Write, fresh_epoch,
};

/// How often rooms and keys that have outlived their time are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Rooms in the memory of this process.
pub struct MemoryStore {
    rooms: Mutex<Rooms>,
    history: usize,
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
    doc: Option<String>,
    history: VecDeque<Event>,
    keys: HashMap<String, (Position, Instant)>,
    touched: Instant,
    changed: Instant,
}

impl MemoryStore {
    /// A store without rooms that keeps the last `history` events of each, and
    /// the feed of its notices.
    #[must_use]
    pub fn new(history: usize) -> (Self, mpsc::UnboundedReceiver<Notice>) {
        let (notices, feed) = mpsc::unbounded_channel();
        let rooms = Rooms { rooms: HashMap::new(), subscribed: HashSet::new(), swept: Instant::now() };
        (Self { rooms: Mutex::new(rooms), history, notices, health: watch::Sender::new(Health::Up) }, feed)
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, name: &str, write: &Write) -> Outcome {
        let mut rooms = self.lock();
        let room = rooms.room(name);
        if let Some((position, _)) = write.idempotency.as_ref().and_then(|key| room.keys.get(key)) {
            return Outcome::Done { position: position.clone(), repeated: true };
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
        while room.history.len() > self.history {
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

    fn look(&self, name: &str, read: &Read) -> Snapshot {
        let mut rooms = self.lock();
        let room = rooms.room(name);
        let events = read.since.as_ref().and_then(|since| room.events_since(since, read));
        let recovered = events.is_some();
        Snapshot {
            position: room.position.clone(),
            version: room.version,
            kind: "doc".to_owned(),
            doc: if read.doc || !recovered { room.doc.clone() } else { None },
            recovered,
            events: events.unwrap_or_default(),
        }
    }
}

impl Rooms {
    fn room(&mut self, name: &str) -> &mut Room {
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
            doc: None,
            history: VecDeque::new(),
            keys: HashMap::new(),
            touched: now,
            changed: now,
        });
        room.touched = now;
        if now - room.changed > Duration::from_millis(HISTORY_TTL_MS) {
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
            let room = rooms.room(room);
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
