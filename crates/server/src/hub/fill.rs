//! Filling from the store what the notices left out.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::room::Next;
use super::{Hub, PAGE_BYTES, PAGE_EVENTS, SharedRoom, lock, logged};
use crate::metrics::CauseLabels;
use crate::protocol::outbound::reset_push;
use crate::session::outbox::Frame;
use crate::store::{Health, Members, Read};

/// Rooms that are checked at the same time.
const CHECKS_AT_ONCE: usize = 64;
/// How often somebody looks whether another one's fill has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const RETRY_FILL: Duration = Duration::from_millis(250);

impl Hub {
    pub(super) fn start_fill(self: &Arc<Self>, name: &str, room: &SharedRoom, cause: &'static str) {
        if std::mem::replace(&mut lock(room).filling, true) {
            return;
        }
        let (hub, name, room) = (Arc::clone(self), name.to_owned(), Arc::clone(room));
        tokio::spawn(async move { hub.run_fill(&name, &room, cause).await });
    }

    /// Compares a room with the store and delivers what is missing.
    pub(super) async fn fill(&self, name: &str, room: &SharedRoom, cause: &'static str) {
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
            self.run_fill(name, room, cause).await;
        }
    }

    async fn run_fill(&self, name: &str, room: &SharedRoom, cause: &'static str) {
        loop {
            let (since, held_before, kind) = {
                let mut inside = lock(room);
                inside.again = false;
                match inside.position() {
                    Some(position) if !inside.closed && !inside.is_empty() => {
                        (position, inside.held(), inside.kind)
                    }
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
                kind,
            };
            match self.store.read(name, read).await {
                Ok(snapshot) => {
                    let members = match snapshot.recovered {
                        true => None,
                        false => self.members_for_reset(name, room).await,
                    };
                    let found = snapshot.events.len() as u64;
                    let mut inside = lock(room);
                    let next = inside.fill(snapshot, held_before, |reason, snapshot| {
                        tracing::info!(room = name, reason, "room reset");
                        if reason == "epoch" {
                            self.metrics.epoch_rotations.inc();
                        }
                        Frame::from(reset_push(name, reason, snapshot, members.as_ref()))
                    });
                    self.metrics.deliveries.inc_by(inside.take_told());
                    self.metrics.gaps.get_or_create(&CauseLabels { cause }).inc_by(found);
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

    pub(super) async fn check_all(&self) {
        let rooms: Vec<(String, SharedRoom)> =
            lock(&self.rooms).iter().map(|(name, room)| (name.clone(), Arc::clone(room))).collect();
        stream::iter(rooms)
            .for_each_concurrent(CHECKS_AT_ONCE, |(name, room)| async move {
                self.fill(&name, &room, "check").await
            })
            .await;
    }

    /// Who is in a room that starts anew, if anybody there is shown to others.
    async fn members_for_reset(&self, name: &str, room: &SharedRoom) -> Option<Members> {
        let nobody = lock(room).shown().next().is_none();
        if nobody {
            return None;
        }
        // Without an answer the client asks by itself.
        self.members_of(name).await.ok()
    }
}
