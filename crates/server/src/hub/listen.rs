//! Takes the store's notices. Those that have come together are told together,
//! so that a connection is written to once for all of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::room::Next;
use super::{Hub, SharedRoom, lock};
use crate::session::outbox::Frame;
use crate::store::{CONTROL, Notice};

/// The most notices that are taken at once.
const AT_ONCE: usize = 4096;
/// The time that one connection told adds to the pause before the next round.
/// A write to a socket takes about a fifth of it: what comes meanwhile shares
/// one write, so that writing never takes all of the processor. Rooms with few
/// members here need no pause, and what comes after a quiet moment waits for nothing.
const PAUSE_OF_ONE: Duration = Duration::from_micros(40);
/// Pauses shorter than this are none: the timer knows no shorter one.
const LEAST_PAUSE: Duration = Duration::from_millis(1);
const MOST_PAUSE: Duration = Duration::from_millis(20);

impl Hub {
    /// Takes notices for as long as there are any.
    pub async fn listen(self: Arc<Self>, feed: impl Stream<Item = Notice> + Unpin) {
        let mut rounds = feed.ready_chunks(AT_ONCE);
        while let Some(notices) = rounds.next().await {
            let begun = Instant::now();
            let told = self.take_notices(notices);
            let pause = PAUSE_OF_ONE.saturating_mul(u32::try_from(told).unwrap_or(u32::MAX)).min(MOST_PAUSE);
            if pause >= LEAST_PAUSE {
                sleep_until(begun + pause).await;
            }
        }
    }

    /// Takes notices; how many connections were told of them.
    fn take_notices(self: &Arc<Self>, notices: Vec<Notice>) -> usize {
        let mut rooms: Vec<SharedRoom> = Vec::new();
        for notice in notices {
            match notice {
                Notice::Event { room: name, epoch, event } => {
                    let Some(room) = self.held(&name) else { continue };
                    let (next, news) = {
                        let mut inside = lock(&room);
                        let before = inside.has_news();
                        (inside.take(epoch, event), inside.has_news() && !before)
                    };
                    if news {
                        rooms.push(Arc::clone(&room));
                    }
                    if next == Next::Fill {
                        self.start_fill(&name, &room, "hole");
                    }
                }
                Notice::Member { room, rev, payload } => {
                    let Some(room) = self.held(&room) else { continue };
                    let told = lock(&room).member(rev, &Frame::from(payload));
                    self.metrics.deliveries.inc_by(told);
                }
                Notice::Cast { room, payload } if room == CONTROL => self.obey(&payload),
                Notice::Cast { room, payload } => {
                    let Some(room) = self.held(&room) else { continue };
                    let told = lock(&room).cast(&Frame::from(payload));
                    self.metrics.deliveries.inc_by(told);
                }
                Notice::Resync => {
                    self.members_due.notify_one();
                    let hub = Arc::clone(self);
                    tokio::spawn(async move { hub.check_all().await });
                }
            }
        }
        let mut connections = 0;
        for room in rooms {
            let mut inside = lock(&room);
            connections += inside.tell();
            // Whoever came or went meanwhile may have had it told before.
            self.metrics.deliveries.inc_by(inside.take_told());
        }
        connections
    }

    fn held(&self, name: &str) -> Option<SharedRoom> {
        lock(&self.rooms).get(name).cloned()
    }
}
