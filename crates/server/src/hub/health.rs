//! What the hub does by the clock, and when the store goes and comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until};

use super::Hub;
use crate::protocol::Close;
use crate::protocol::outbound::{DEGRADED, RESTORED};
use crate::session::outbox::Frame;
use crate::store::Health;

/// How often rooms without members are let go.
const TIDY_EVERY: Duration = Duration::from_secs(5);

impl Hub {
    /// Does what has to be done by the clock, for as long as the instance lives.
    pub async fn tend(self: Arc<Self>) {
        let mut health = self.store.health();
        let mut check = interval(self.check);
        let mut tidy = interval(TIDY_EVERY);
        let mut lost: Option<Instant> = None;
        loop {
            let patience = lost.map(|since| since + self.store_patience);
            let waiting = !self.given_up.load(Ordering::Acquire);
            tokio::select! {
                _ = check.tick() => self.check_all().await,
                _ = tidy.tick() => self.tidy().await,
                changed = health.changed() => if changed.is_err() { return },
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() && waiting => {
                    self.give_up();
                }
            }
            lost = self.follow_health(&mut health, lost).await;
        }
    }

    /// Sends everyone elsewhere: another instance may still reach the store.
    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        tracing::error!("store lost for too long");
        for connection in self.connections() {
            connection.outbox.close(Close::StoreAway);
        }
    }

    /// Whether the store has been away for so long that clients are sent elsewhere.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    async fn follow_health(
        &self,
        health: &mut watch::Receiver<Health>,
        lost: Option<Instant>,
    ) -> Option<Instant> {
        let present = health.borrow_and_update().clone();
        match present {
            Health::Down(reason) if lost.is_none() => {
                tracing::error!(reason, "store lost");
                self.broadcast(&Frame::from(DEGRADED));
                Some(Instant::now())
            }
            Health::Up if lost.is_some() => {
                self.given_up.store(false, Ordering::Release);
                self.check_all().await;
                tracing::info!("store restored");
                self.broadcast(&Frame::from(RESTORED));
                None
            }
            _ => lost,
        }
    }

    /// Whether the store is lost now.
    #[must_use]
    pub fn degraded(&self) -> bool {
        matches!(*self.store.health().borrow(), Health::Down(_))
    }
}
