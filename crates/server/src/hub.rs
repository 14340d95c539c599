//! The rooms of this instance: takes the store's notices, keeps every member in
//! step, and fills from the store what the notices left out.

mod room;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{interval, sleep};

use self::room::{Admission, Next, Room};
use crate::protocol::{DEGRADED, Fault, RESTORED, reset_push};
use crate::session::outbox::{Frame, Outbox};
use crate::store::{Health, Notice, Position, Read, Snapshot, Store, StoreError};

/// The most that one reply or one page of a fill holds.
const PAGE_EVENTS: usize = 512;
const PAGE_BYTES: usize = 256 * 1024;
/// Rooms that are checked at the same time.
const CHECKS_AT_ONCE: usize = 64;
/// How often rooms without members are let go.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// How often somebody looks whether another one's fill has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const RETRY_FILL: Duration = Duration::from_millis(250);
const JOIN_TRIES: usize = 16;
const GATES: usize = 64;

type SharedRoom = Arc<Mutex<Room>>;

/// All rooms and connections of this instance.
pub struct Hub {
    store: Arc<dyn Store>,
    rooms: Mutex<HashMap<String, SharedRoom>>,
    connections: Mutex<HashMap<u64, Arc<Outbox>>>,
    /// Subscribing to a room and letting go of it happen one after the other.
    gates: Vec<tokio::sync::Mutex<()>>,
    next_connection: AtomicU64,
    check: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A hub without rooms, that checks the positions of its rooms every `check`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, check: Duration) -> Arc<Self> {
        Arc::new(Self {
            store,
            rooms: Mutex::default(),
            connections: Mutex::default(),
            gates: (0..GATES).map(|_| tokio::sync::Mutex::default()).collect(),
            next_connection: AtomicU64::new(1),
            check,
        })
    }

    /// Makes a connection known; the number names it here.
    pub fn register(&self, outbox: &Arc<Outbox>) -> u64 {
        let conn = self.next_connection.fetch_add(1, Ordering::Relaxed);
        lock(&self.connections).insert(conn, Arc::clone(outbox));
        conn
    }

    /// Forgets a connection and takes it out of these rooms.
    pub fn remove<'a>(&self, conn: u64, rooms: impl Iterator<Item = &'a String>) {
        lock(&self.connections).remove(&conn);
        for room in rooms {
            self.leave(room, conn);
        }
    }

    /// Every connection there is.
    #[must_use]
    pub fn connections(&self) -> Vec<Arc<Outbox>> {
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
        for outbox in self.connections() {
            outbox.push(frame.clone());
        }
    }

    /// Brings a connection into a room. Its outbox gets the reply and, from
    /// then on, every event after the reply's position.
    ///
    /// # Errors
    /// If the store does not answer; the connection is then not in the room.
    pub async fn join(
        self: &Arc<Self>,
        name: &str,
        conn: u64,
        outbox: &Arc<Outbox>,
        since: Option<Position>,
        reply: impl Fn(&Snapshot) -> Frame,
    ) -> Result<(), Fault> {
        let room = self.enter(name, conn, outbox).await?;
        let read = Read { since, max_events: PAGE_EVENTS, max_bytes: PAGE_BYTES, part: false, doc: false };
        for _ in 0..JOIN_TRIES {
            let snapshot = match self.store.read(name, read.clone()).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    lock(&room).leave(conn);
                    return Err(logged(name, error).into());
                }
            };
            let admission = lock(&room).admit(conn, &snapshot, || reply(&snapshot));
            match admission {
                Admission::Joined(next) => {
                    if next == Next::Fill {
                        self.start_fill(name, &room);
                    }
                    return Ok(());
                }
                Admission::ReadAgain => {}
                Admission::RoomBehind => self.fill(name, &room).await,
                Admission::Gone => return Err(Fault::Internal),
            }
        }
        lock(&room).leave(conn);
        Err(Fault::Unavailable)
    }

    /// Takes a connection out of a room; false if it was not in it.
    pub fn leave(&self, name: &str, conn: u64) -> bool {
        let room = lock(&self.rooms).get(name).cloned();
        room.is_some_and(|room| lock(&room).leave(conn))
    }

    async fn enter(&self, name: &str, conn: u64, outbox: &Arc<Outbox>) -> Result<SharedRoom, Fault> {
        let known = lock(&self.rooms).get(name).cloned();
        if let Some(room) = known {
            let mut inside = lock(&room);
            if inside.subscribed && !inside.closed {
                inside.enter(conn, outbox);
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
        inside.enter(conn, outbox);
        drop(inside);
        Ok(room)
    }

    fn gate(&self, name: &str) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % GATES as u64).unwrap_or_default();
        &self.gates[index]
    }

    /// Takes one notice of the store.
    pub fn notice(self: &Arc<Self>, notice: Notice) {
        match notice {
            Notice::Event { room: name, epoch, event } => {
                let Some(room) = lock(&self.rooms).get(&name).cloned() else { return };
                let next = lock(&room).take(epoch, event);
                if next == Next::Fill {
                    self.start_fill(&name, &room);
                }
            }
            Notice::Cast { room, payload } => {
                let Some(room) = lock(&self.rooms).get(&room).cloned() else { return };
                lock(&room).cast(&Frame::from(payload));
            }
            Notice::Resync => {
                let hub = Arc::clone(self);
                tokio::spawn(async move { hub.check_all().await });
            }
        }
    }

    fn start_fill(self: &Arc<Self>, name: &str, room: &SharedRoom) {
        if std::mem::replace(&mut lock(room).filling, true) {
            return;
        }
        let (hub, name, room) = (Arc::clone(self), name.to_owned(), Arc::clone(room));
        tokio::spawn(async move { hub.run_fill(&name, &room).await });
    }

    /// Compares a room with the store and delivers what is missing.
    async fn fill(&self, name: &str, room: &SharedRoom) {
        let under_way = {
            let mut inside = lock(room);
            inside.again = inside.filling;
            std::mem::replace(&mut inside.filling, true)
        };
        if under_way {
            // It looks once more by itself, and what follows relies on its outcome.
            while lock(room).filling {
                sleep(LOOK_AGAIN).await;
            }
        } else {
            self.run_fill(name, room).await;
        }
    }

    async fn run_fill(&self, name: &str, room: &SharedRoom) {
        loop {
            let (since, held_before) = {
                let mut inside = lock(room);
                inside.again = false;
                match inside.position() {
                    Some(position) if !inside.closed && !inside.is_empty() => (position, inside.held()),
                    _ => {
                        inside.filling = false;
                        return;
                    }
                }
            };
            let read = Read {
                since: Some(since),
                max_events: PAGE_EVENTS,
                max_bytes: PAGE_BYTES,
                part: true,
                doc: false,
            };
            match self.store.read(name, read).await {
                Ok(snapshot) => {
                    let mut inside = lock(room);
                    let next = inside.fill(snapshot, held_before, |reason, snapshot| {
                        tracing::info!(room = name, reason, "room reset");
                        Frame::from(reset_push(name, reason, snapshot))
                    });
                    if next == Next::Settled && !inside.again {
                        inside.filling = false;
                        return;
                    }
                }
                Err(error) => {
                    logged(name, error);
                    if matches!(*self.store.health().borrow(), Health::Down(_)) {
                        // All rooms are checked when the store is back.
                        lock(room).filling = false;
                        return;
                    }
                    sleep(RETRY_FILL).await;
                }
            }
        }
    }

    async fn check_all(&self) {
        let rooms: Vec<(String, SharedRoom)> =
            lock(&self.rooms).iter().map(|(name, room)| (name.clone(), Arc::clone(room))).collect();
        stream::iter(rooms)
            .for_each_concurrent(CHECKS_AT_ONCE, |(name, room)| async move { self.fill(&name, &room).await })
            .await;
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

    /// Does what has to be done by the clock, for as long as the instance lives.
    pub async fn tend(self: Arc<Self>) {
        let mut health = self.store.health();
        let mut check = interval(self.check);
        let mut tidy = interval(TIDY_EVERY);
        let mut degraded = false;
        loop {
            tokio::select! {
                _ = check.tick() => self.check_all().await,
                _ = tidy.tick() => self.tidy().await,
                changed = health.changed() => if changed.is_err() { return },
            }
            degraded = self.follow_health(&mut health, degraded).await;
        }
    }

    async fn follow_health(&self, health: &mut watch::Receiver<Health>, degraded: bool) -> bool {
        let present = health.borrow_and_update().clone();
        match present {
            Health::Down(reason) if !degraded => {
                tracing::error!(reason, "store lost");
                self.broadcast(&Frame::from(DEGRADED));
                true
            }
            Health::Up if degraded => {
                self.check_all().await;
                tracing::info!("store restored");
                self.broadcast(&Frame::from(RESTORED));
                false
            }
            _ => degraded,
        }
    }

    /// Whether the store is lost now.
    #[must_use]
    pub fn degraded(&self) -> bool {
        matches!(*self.store.health().borrow(), Health::Down(_))
    }
}

fn logged(room: &str, error: StoreError) -> StoreError {
    match &error {
        StoreError::Unavailable(_) => tracing::debug!(room, error = %error, "store refused"),
        _ => tracing::warn!(room, error = %error, "store failed"),
    }
    error
}
