//! Many clients that are sent away and come back, and some that write meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::wanderer::{News, Wanderer, number_after};
use crate::fleet::PATIENCE;

/// Clients of one room.
pub(crate) const IN_A_ROOM: usize = 100;
/// The room of those who write with keys.
pub(crate) const WRITTEN: &str = "written";
/// Connections that are made at the same time.
const AT_ONCE: usize = 100;
/// How often a client tries to come back, and the longest pause between two tries.
const TRIES: u32 = 120;
const MOST_PAUSE: Duration = Duration::from_millis(100);

/// Which ends of a connection a client takes for the order to go elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Only those with a close code that says so.
    Told,
    /// Any: a proxy in between may end, too.
    Any,
}

impl Ends {
    /// Fails if the end of a connection is none that was to be expected.
    fn expects(self, code: Option<u16>) -> Result<()> {
        if self == Self::Told && !matches!(code, Some(4200 | 4201)) {
            bail!("closed with {code:?}");
        }
        Ok(())
    }
}

/// What the clients have told so far.
#[derive(Default)]
struct Told {
    sent_away: AtomicU64,
    back: AtomicU64,
    tries: AtomicU64,
    events: AtomicU64,
    /// When the last one was back that the server itself had sent away.
    last_back: Mutex<Option<Instant>>,
}

/// Many clients, and up to which offset each has to come before it may go.
pub(crate) struct Crowd {
    told: Arc<Told>,
    goals: watch::Sender<Option<u64>>,
    clients: Vec<JoinHandle<Result<()>>>,
}

/// The name of a room.
pub(crate) fn room(number: usize) -> String {
    format!("exodus-{number}")
}

impl Crowd {
    /// Connects them; `ports` tells where each begins, and where it goes when it is sent away.
    pub(crate) async fn gather(
        count: usize,
        ends: Ends,
        ports: impl Fn(usize) -> (u16, u16),
    ) -> Result<Self> {
        let arrivals = (0..count).map(|number| {
            let (here, there) = ports(number);
            async move {
                Ok::<_, anyhow::Error>((Wanderer::arrive(here, &room(number / IN_A_ROOM)).await?, there))
            }
        });
        let arrived: Vec<_> = stream::iter(arrivals).buffer_unordered(AT_ONCE).try_collect().await?;
        let told = Arc::new(Told::default());
        let (goals, goal) = watch::channel(None);
        let clients = arrived
            .into_iter()
            .map(|(client, there)| tokio::spawn(wander(client, there, ends, Arc::clone(&told), goal.clone())))
            .collect();
        Ok(Self { told, goals, clients })
    }

    /// Waits until so many are back, and tells how long that took.
    pub(crate) async fn all_back(&mut self, count: usize, begun: Instant) -> Result<Duration> {
        while self.told.back.load(Ordering::Acquire) < count as u64 {
            let back = self.told.back.load(Ordering::Acquire);
            ensure!(begun.elapsed() < PATIENCE, "{back} of {count} are back after {} s", PATIENCE.as_secs());
            if let Some(index) = self.clients.iter().position(JoinHandle::is_finished) {
                self.clients.swap_remove(index).await.context("a client has panicked")??;
                bail!("a client has ended before its time");
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(begun.elapsed())
    }

    /// How many connections they have tried to make when they were sent away.
    pub(crate) fn tries(&self) -> u64 {
        self.told.tries.load(Ordering::Acquire)
    }

    /// How many were sent away, and how many of them are back.
    pub(crate) fn moves(&self) -> (u64, u64) {
        (self.told.sent_away.load(Ordering::Acquire), self.told.back.load(Ordering::Acquire))
    }

    /// When the last one was back that the server itself had sent away.
    pub(crate) fn last_back(&self) -> Option<Instant> {
        *self.told.last_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everyone hear up to the last event of its room, and looks whether all did.
    pub(crate) async fn finish(self, last: u64) -> Result<u64> {
        self.goals.send_replace(Some(last));
        let ended = async {
            for client in self.clients {
                client.await.context("a client has panicked")??;
            }
            Ok::<_, anyhow::Error>(())
        };
        timeout(PATIENCE, ended).await.context("not everyone has heard the last event")??;
        Ok(self.told.events.load(Ordering::Acquire))
    }
}

/// The life of one client: it listens, goes elsewhere when it is sent, and ends at its goal.
async fn wander(
    mut client: Wanderer,
    there: u16,
    ends: Ends,
    told: Arc<Told>,
    mut goal: watch::Receiver<Option<u64>>,
) -> Result<()> {
    loop {
        if goal.borrow().is_some_and(|goal| client.offset >= goal) {
            told.events.fetch_add(client.told, Ordering::AcqRel);
            return Ok(());
        }
        let mut look = |_: &[u8]| {};
        let news = tokio::select! {
            news = client.hear(&mut look) => news,
            changed = goal.changed() => {
                changed?;
                continue;
            }
        };
        let by_server = match news {
            Ok(News::SentAway(code)) => {
                ends.expects(code)?;
                code.is_some()
            }
            Ok(_) => continue,
            Err(error) if ends == Ends::Told => return Err(error),
            Err(_) => false,
        };
        told.sent_away.fetch_add(1, Ordering::AcqRel);
        for attempt in 1.. {
            told.tries.fetch_add(1, Ordering::AcqRel);
            match client.return_to(there).await {
                Ok(()) => break,
                Err(error) if attempt == TRIES => return Err(error.context("it does not come back")),
                Err(_) => sleep((Duration::from_millis(10) * attempt).min(MOST_PAUSE)).await,
            }
        }
        if by_server {
            *told.last_back.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        told.back.fetch_add(1, Ordering::AcqRel);
    }
}

/// Writes with keys, also across the end of its node; how many were
/// acknowledged, each once, and the last of their offsets.
pub(crate) async fn write(
    ports: [u16; 2],
    number: usize,
    ends: Ends,
    stop: Arc<AtomicBool>,
) -> Result<(u64, u64)> {
    let mut client = Wanderer::arrive(ports[0], WRITTEN).await?;
    let (mut count, mut last, mut id) = (0, 0, 1);
    while !stop.load(Ordering::Acquire) {
        id += 1;
        let frame = format!(r#"{{"t":"pub","id":{id},"room":"{WRITTEN}","data":1,"key":"w{number}-{id}"}}"#);
        let head = format!("{{\"id\":{id},\"ok\":");
        let (mut offset, mut said) = (None, client.send(&frame).await.is_ok());
        while offset.is_none() {
            let mut look = |text: &[u8]| {
                if text.starts_with(head.as_bytes()) {
                    offset = number_after(text, "\"offset\":");
                }
            };
            let news = if said { client.hear(&mut look).await } else { Ok(News::SentAway(None)) };
            match news {
                Ok(News::SentAway(code)) => ends.expects(code)?,
                Ok(_) => continue,
                Err(error) if ends == Ends::Told => return Err(error),
                Err(_) => {}
            }
            for attempt in 1.. {
                match client.return_to(ports[1]).await {
                    Ok(()) => break,
                    Err(error) if attempt == TRIES => return Err(error.context("it does not come back")),
                    Err(_) => sleep((Duration::from_millis(10) * attempt).min(MOST_PAUSE)).await,
                }
            }
            // It may have been carried out; its key tells.
            said = client.send(&frame).await.is_ok();
        }
        count += 1;
        last = last.max(offset.unwrap_or_default());
        // Fewer than a server allows by default.
        sleep(Duration::from_millis(40)).await;
    }
    Ok((count, last))
}
