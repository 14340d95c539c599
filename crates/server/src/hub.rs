//! The rooms of this instance: takes the store's notices, keeps every member in
//! step, and fills from the store what the notices left out.

mod fill;
mod health;
mod listen;
mod orders;
mod room;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use self::room::{Admission, Next, Room};
use crate::config::Config;
use crate::kinds::Kind;
use crate::metrics::{Metrics, ResultLabels};
use crate::presence::Shown;
use crate::protocol::Fault;
use crate::session::connection::Connection;
use crate::session::outbox::Frame;
use crate::store::{Attendance, Lease, Members, Position, Read, Snapshot, Store, StoreError};

/// The most that one reply or one page of a fill holds.
const PAGE_EVENTS: usize = 512;
const PAGE_BYTES: usize = 256 * 1024;
const JOIN_TRIES: usize = 16;
const GATES: usize = 64;

type SharedRoom = Arc<Mutex<Room>>;

/// All rooms and connections of this instance.
pub struct Hub {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    server_id: String,
    rooms: Mutex<HashMap<String, SharedRoom>>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Subscribing to a room and letting go of it happen one after the other.
    gates: Vec<tokio::sync::Mutex<()>>,
    next_connection: AtomicU64,
    check: Duration,
    store_patience: Duration,
    lease: Lease,
    members_due: Notify,
    given_up: AtomicBool,
}

/// What a connection wants of a room.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The kind that the room must have.
    pub kind: Option<Kind>,
    /// The last event that the client has.
    pub since: Option<Position>,
    /// How it is to be shown to others.
    pub shown: Option<Shown>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A hub without rooms.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            store,
            metrics,
            server_id: config.server_id.clone(),
            rooms: Mutex::default(),
            connections: Mutex::default(),
            gates: (0..GATES).map(|_| tokio::sync::Mutex::default()).collect(),
            next_connection: AtomicU64::new(1),
            check: config.timing.check,
            store_patience: config.timing.store_patience,
            lease: config.limits.lease(&config.timing),
            members_due: Notify::new(),
            given_up: AtomicBool::new(false),
        })
    }

    /// Makes a connection known; the number names it here.
    pub fn register(&self, connection: &Arc<Connection>) -> u64 {
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        lock(&self.connections).insert(number, Arc::clone(connection));
        number
    }

    /// Forgets a connection and takes it out of these rooms.
    pub async fn remove(&self, conn: u64, rooms: impl Iterator<Item = &String>) {
        lock(&self.connections).remove(&conn);
        for room in rooms {
            self.leave(room, conn).await;
        }
    }

    /// Every connection there is.
    #[must_use]
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).values().cloned().collect()
    }

    /// How many rooms are held, with and without members.
    #[must_use]
    pub fn rooms(&self) -> usize {
        lock(&self.rooms).len()
    }

    /// How many members all rooms have together.
    #[must_use]
    pub fn members(&self) -> usize {
        let rooms: Vec<SharedRoom> = lock(&self.rooms).values().cloned().collect();
        rooms.iter().map(|room| lock(room).len()).sum()
    }

    fn broadcast(&self, frame: &Frame) {
        for connection in self.connections() {
            connection.outbox.push(frame.clone());
        }
    }

    /// Brings a connection into a room, and tells the room's kind. Its outbox
    /// gets the reply and, from then on, every event after the reply's position.
    ///
    /// # Errors
    /// If the store does not answer or the room is of another kind; the
    /// connection is then not in the room.
    pub async fn join(
        self: &Arc<Self>,
        name: &str,
        conn: u64,
        connection: &Connection,
        wish: Wish,
        reply: impl Fn(&Snapshot, Option<&Members>) -> Frame,
    ) -> Result<Kind, Fault> {
        let room = self.enter(name, conn, connection, wish.shown.clone()).await?;
        match self.admit(name, &room, conn, wish, reply).await {
            Ok((kind, next)) => {
                if next == Next::Fill {
                    self.start_fill(name, &room, "hole");
                }
                Ok(kind)
            }
            Err(fault) => {
                self.leave(name, conn).await;
                Err(fault)
            }
        }
    }

    async fn admit(
        self: &Arc<Self>,
        name: &str,
        room: &SharedRoom,
        conn: u64,
        wish: Wish,
        reply: impl Fn(&Snapshot, Option<&Members>) -> Frame,
    ) -> Result<(Kind, Next), Fault> {
        let read = Read {
            since: wish.since,
            max_events: PAGE_EVENTS,
            max_bytes: PAGE_BYTES,
            part: false,
            doc: false,
            kind: wish.kind.unwrap_or_default(),
        };
        let mut members = None;
        for _ in 0..JOIN_TRIES {
            let snapshot = self.store.read(name, read.clone()).await.map_err(|error| logged(name, error))?;
            let kind = Kind::named(&snapshot.kind)
                .filter(|kind| wish.kind.is_none_or(|wanted| wanted == *kind))
                .ok_or_else(|| Fault::bad(format!("the room is of the kind \"{}\"", snapshot.kind)))?;
            if let (Some(Shown { conn, fields }), None) = (&wish.shown, &members) {
                let enter = Attendance::Enter { conn: conn.clone(), fields: fields.clone() };
                members = Some(self.attend(name, enter, self.lease).await?);
            }
            let rev = members.as_ref().map_or(0, |members| members.rev);
            let admission = {
                let mut inside = lock(room);
                inside.kind = kind;
                inside.admit(conn, &snapshot, rev, || reply(&snapshot, members.as_ref()))
            };
            match admission {
                Admission::Joined(next) => {
                    self.metrics.joins.inc();
                    if read.since.is_some() {
                        let result = if snapshot.recovered { "recovered" } else { "document" };
                        self.metrics.recoveries.get_or_create(&ResultLabels { result }).inc();
                    }
                    return Ok((kind, next));
                }
                Admission::ReadAgain => {}
                Admission::RoomBehind => self.fill(name, room, "check").await,
                Admission::Gone => return Err(Fault::Internal),
            }
        }
        Err(Fault::Unavailable)
    }

    /// Takes a connection out of a room; false if it was not in it.
    pub async fn leave(&self, name: &str, conn: u64) -> bool {
        let room = lock(&self.rooms).get(name).cloned();
        let Some(left) = room.and_then(|room| lock(&room).leave(conn)) else { return false };
        if let Some(Shown { conn, .. }) = left {
            let lease = Lease { listed: 0, ..self.lease };
            if let Err(error) = self.attend(name, Attendance::Leave { conn }, lease).await {
                // Its lease will end.
                tracing::debug!(room = name, error = %error, "leave not told");
            }
        }
        true
    }

    /// Shows a member differently to the others in a room.
    ///
    /// # Errors
    /// If it joined without being shown, or the store does not answer.
    pub async fn show(&self, name: &str, conn: u64, shown: Shown) -> Result<Members, Fault> {
        let room = lock(&self.rooms).get(name).cloned().ok_or(Fault::NotJoined)?;
        if !lock(&room).show(conn, shown.clone()) {
            return Err(Fault::bad("join with presence to be shown"));
        }
        let Shown { conn, fields } = shown;
        Ok(self.attend(name, Attendance::Enter { conn, fields }, self.lease).await?)
    }

    /// Who is in a room, on all instances.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn members_of(&self, name: &str) -> Result<Members, StoreError> {
        self.attend(name, Attendance::Look, self.lease).await
    }

    /// The rooms with members of this instance that are shown to others.
    pub(crate) fn shown(&self) -> Vec<(String, Vec<Shown>)> {
        let rooms: Vec<(String, SharedRoom)> =
            lock(&self.rooms).iter().map(|(name, room)| (name.clone(), Arc::clone(room))).collect();
        let shown = rooms.into_iter().map(|(name, room)| (name, lock(&room).shown().cloned().collect()));
        shown.filter(|(_, shown): &(String, Vec<Shown>)| !shown.is_empty()).collect()
    }

    /// Whether a connection is still shown in a room.
    pub(crate) fn shows(&self, name: &str, conn: &str) -> bool {
        let room = lock(&self.rooms).get(name).cloned();
        room.is_some_and(|room| lock(&room).shown().any(|shown| shown.conn == conn))
    }

    /// Changes members in the store, and counts those that were swept.
    pub(crate) async fn attend(
        &self,
        name: &str,
        attendance: Attendance,
        lease: Lease,
    ) -> Result<Members, StoreError> {
        let members =
            self.store.attend(name, attendance, lease).await.map_err(|error| logged(name, error))?;
        self.metrics.presence_sweeps.inc_by(members.swept);
        Ok(members)
    }

    /// Waits until all members have to be kept at once, because they may be lost.
    pub(crate) async fn members_due(&self) {
        self.members_due.notified().await;
    }

    async fn enter(
        &self,
        name: &str,
        conn: u64,
        connection: &Connection,
        shown: Option<Shown>,
    ) -> Result<SharedRoom, Fault> {
        let outbox = &connection.outbox;
        let known = lock(&self.rooms).get(name).cloned();
        if let Some(room) = known {
            let mut inside = lock(&room);
            if inside.subscribed && !inside.closed {
                inside.enter(conn, outbox, shown);
                drop(inside);
                return Ok(room);
            }
        }
        let _gate = self.gate(name).lock().await;
        let room = Arc::clone(lock(&self.rooms).entry(name.to_owned()).or_default());
        let subscribed = lock(&room).subscribed;
        if !subscribed {
            self.store.subscribe(name).await.map_err(|error| logged(name, error))?;
        }
        let mut inside = lock(&room);
        inside.subscribed = true;
        inside.enter(conn, outbox, shown);
        drop(inside);
        Ok(room)
    }

    fn gate(&self, name: &str) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % GATES as u64).unwrap_or_default();
        &self.gates[index]
    }

    /// Lets go of rooms without members.
    async fn tidy(&self) {
        let empty: Vec<String> = lock(&self.rooms)
            .iter()
            .filter(|(_, room)| lock(room).is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        for name in empty {
            let _gate = self.gate(&name).lock().await;
            {
                let mut rooms = lock(&self.rooms);
                let Some(room) = rooms.get(&name).cloned() else { continue };
                let mut inside = lock(&room);
                if !inside.is_empty() {
                    continue;
                }
                inside.closed = true;
                rooms.remove(&name);
            }
            self.store.unsubscribe(&name).await;
        }
    }
}

fn logged(room: &str, error: StoreError) -> StoreError {
    match &error {
        StoreError::Unavailable(_) => tracing::debug!(room, error = %error, "store refused"),
        _ => tracing::warn!(room, error = %error, "store failed"),
    }
    error
}
