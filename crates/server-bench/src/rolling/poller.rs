//! Requests through the proxy, one after the other, each of which should be answered well.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Phase;
use crate::fleet::get_at;

/// How many ask at the same time.
const POLLERS: usize = 4;
/// The pause between an answer and the next request.
const PAUSE: Duration = Duration::from_millis(25);

/// What became of the requests.
#[derive(Default)]
pub(super) struct Polled {
    pub(super) requests: u64,
    /// The answers that were not 200, by their status.
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) slowest: Duration,
}

/// Programs that ask.
pub(super) struct Polling(Vec<JoinHandle<Polled>>);

/// Begins to ask, until the clients are to be quiet.
pub(super) fn start(door: SocketAddr, phases: watch::Receiver<Phase>) -> Polling {
    Polling((0..POLLERS).map(|_| tokio::spawn(poll(door, phases.clone()))).collect())
}

async fn poll(door: SocketAddr, phases: watch::Receiver<Phase>) -> Polled {
    let mut polled = Polled::default();
    while *phases.borrow() == Phase::Writing {
        let begun = Instant::now();
        let answer = get_at(door, "/healthz").await;
        polled.requests += 1;
        polled.slowest = polled.slowest.max(begun.elapsed());
        match answer {
            Some((200, _)) => {}
            Some((status, _)) => *polled.failures.entry(status.to_string()).or_default() += 1,
            None => *polled.failures.entry("no answer".to_owned()).or_default() += 1,
        }
        sleep(PAUSE).await;
    }
    polled
}

impl Polling {
    /// Waits for the last answers, and tells of all of them.
    pub(super) async fn end(self) -> Result<Polled> {
        let mut all = Polled::default();
        for poller in self.0 {
            let polled = poller.await.context("a poller has panicked")?;
            all.requests += polled.requests;
            all.slowest = all.slowest.max(polled.slowest);
            for (status, count) in polled.failures {
                *all.failures.entry(status).or_default() += count;
            }
        }
        Ok(all)
    }
}
