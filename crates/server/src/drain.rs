//! The orderly end: clients are told to go elsewhere, a few at a time, so that
//! they do not all reach the other instances in the same moment.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::http::App;
use crate::protocol::Close;
use crate::protocol::outbound::drain_push;
use crate::session::outbox::Outbox;

/// The time that one connection adds to the spread: no more come to the others each second than
/// these take by default.
const SPREAD_OF_ONE: Duration = Duration::from_millis(2);
/// Within which a client should wait before it connects again, at random.
const RETRY: Duration = Duration::from_millis(200);

/// A number from 0 (inclusive) to 1 (exclusive).
pub(crate) fn chance() -> f64 {
    // The first 48 bits of a random UUID are all random; an f64 holds them exactly.
    let bits = u64::try_from(uuid::Uuid::new_v4().as_u128() >> 80).unwrap_or_default();
    bits as f64 / (1_u64 << 48) as f64
}

/// Refuses new connections, ends those there are, and returns when none is
/// left, or after `drain_cap`.
pub async fn run(app: &Arc<App>) {
    let timing = app.config.timing.clone();
    app.start_draining();
    tracing::info!(connections = app.places.taken(), "draining");
    let all = async {
        if app.places.taken() > 0 {
            // Whoever balances load has to see that this instance takes no more.
            sleep(timing.drain_wait).await;
        }
        let connections = app.hub.connections();
        let count = u32::try_from(connections.len()).unwrap_or(u32::MAX);
        let spread = timing.drain_spread.min(SPREAD_OF_ONE.saturating_mul(count));
        join_all(connections.iter().map(|connection| send_away(&connection.outbox, spread))).await;
        app.places.empty().await;
    };
    if timeout(timing.drain_cap, all).await.is_err() {
        tracing::warn!(connections = app.places.taken(), "not every connection ended in time");
    }
    tracing::info!("drained");
}

async fn send_away(outbox: &Outbox, spread: Duration) {
    let wait = spread.mul_f64(chance());
    let retry = RETRY.mul_f64(chance());
    outbox.push(drain_push(wait.as_millis(), retry.as_millis()).into());
    sleep(wait).await;
    outbox.close(Close::Draining);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_spread_over_the_whole_range() {
        let chances: Vec<f64> = (0..1000).map(|_| chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..1.0).contains(chance)));
        assert!(chances.iter().any(|chance| *chance < 0.1) && chances.iter().any(|chance| *chance > 0.9));
    }
}
