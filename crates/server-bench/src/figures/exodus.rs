//! Everyone is sent away at once, or one node after the other: how long until
//! all are back, and whether anything was missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::idle::AT_ONCE;
use super::{Figure, FiguresArgs};
use crate::fleet::{Fleet, Redis, post};
use crate::load::wanderer::{News, Wanderer, number_after};
use crate::say::tell;
use crate::usage::processor;

/// Clients of one room.
const IN_A_ROOM: usize = 100;
const API_KEY: &str = "key-of-the-figures";
const KICKED: u64 = 10_000;
const KICKED_TIME: Duration = Duration::from_secs(5);
const DRAINED: u64 = 5_000;
const DRAINED_TIME: Duration = Duration::from_secs(10);
const WRITERS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the clients have told so far.
#[derive(Default)]
struct Told {
    sent_away: AtomicU64,
    back: AtomicU64,
    tries: AtomicU64,
    events: AtomicU64,
}

/// Many clients, and up to which offset each has to come before it may go.
struct Crowd {
    told: Arc<Told>,
    goals: watch::Sender<Option<u64>>,
    clients: Vec<JoinHandle<Result<()>>>,
}

fn room(number: usize) -> String {
    format!("exodus-{number}")
}

impl Crowd {
    /// Connects them; `ports` tells where each begins, and where it goes when it is sent away.
    async fn gather(count: usize, ports: impl Fn(usize) -> (u16, u16)) -> Result<Self> {
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
            .map(|(client, there)| tokio::spawn(wander(client, there, Arc::clone(&told), goal.clone())))
            .collect();
        Ok(Self { told, goals, clients })
    }

    /// Waits until so many are back, and tells how long that took.
    async fn all_back(&mut self, count: usize, begun: Instant) -> Result<Duration> {
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

    /// Lets everyone hear up to the last event of its room, and looks whether all did.
    async fn finish(self, last: u64) -> Result<u64> {
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
        match news {
            Ok(News::SentAway(Some(4200 | 4201))) => {}
            Ok(News::SentAway(code)) => bail!("closed with {code:?}"),
            Ok(_) => continue,
            Err(error) => return Err(error),
        }
        told.sent_away.fetch_add(1, Ordering::AcqRel);
        for attempt in 1.. {
            told.tries.fetch_add(1, Ordering::AcqRel);
            match client.return_to(there).await {
                Ok(()) => break,
                Err(error) if attempt == 20 => return Err(error.context("it does not come back")),
                Err(_) => sleep(Duration::from_millis(10 * attempt)).await,
            }
        }
        told.back.fetch_add(1, Ordering::AcqRel);
    }
}

/// Publishes to all rooms in turn until it is told to stop; each room gets the same number.
async fn speak(port: u16, rooms: usize, each_round: Duration, stop: Arc<AtomicBool>) -> Result<u64> {
    let mut speakers = Vec::new();
    for number in 0..rooms {
        speakers.push(Wanderer::arrive(port, &room(number)).await?);
    }
    let pause = each_round / u32::try_from(rooms)?;
    let mut round = 0;
    while !stop.load(Ordering::Acquire) {
        round += 1;
        for (number, speaker) in speakers.iter_mut().enumerate() {
            let name = room(number);
            speaker.send(&format!(r#"{{"t":"pub","id":{round},"room":"{name}","data":{round}}}"#)).await?;
            sleep(pause).await;
        }
    }
    for speaker in &mut speakers {
        while speaker.offset < round {
            ensure!(
                !matches!(speaker.hear(&mut |_| {}).await?, News::SentAway(_)),
                "a speaker was sent away"
            );
        }
    }
    Ok(round)
}

/// 10,000 clients are kicked in the same moment.
pub(super) async fn kicked(arguments: &FiguresArgs) -> Result<Vec<Figure>> {
    let clients = arguments.part_of(KICKED);
    let rooms = clients.div_ceil(IN_A_ROOM);
    let redis = Some(Redis::start(false).await?);
    let mut fleet = Fleet::start(&arguments.server, redis, &[("API_KEY", API_KEY)]).await?;
    // Who speaks is on a node of its own, which nobody is sent away from.
    fleet.add("speaker").await?;
    let ports = [fleet.port(0), fleet.port(1)];
    let mut crowd = Crowd::gather(clients, |number| (ports[number % 2], ports[(number + 1) % 2])).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let speaking = tokio::spawn(speak(fleet.port(2), rooms, Duration::from_secs(1), Arc::clone(&stop)));
    sleep(Duration::from_secs(2)).await;
    let before = processor(&fleet.processes());
    let begun = Instant::now();
    for server in ["s0", "s1"] {
        let order = format!(r#"{{"server":"{server}","code":4201}}"#);
        let status = post(fleet.port(2), "/api/disconnect", API_KEY, &order).await;
        ensure!(status == Some(202), "the order was answered with {status:?}");
    }
    let took = crowd.all_back(clients, begun).await?;
    let used = processor(&fleet.processes()) - before;
    stop.store(true, Ordering::Release);
    let last = speaking.await.context("the speaker has panicked")??;
    let tries = crowd.told.tries.load(Ordering::Acquire);
    let events = crowd.finish(last).await?;
    let seconds = took.as_secs_f64();
    tell(&format!(
        "{clients} clients in {rooms} rooms kicked: all back in {seconds:.2} s with {tries} connections, \
         {used:.1} s of processor; {events} events, no gap"
    ));
    Ok(vec![Figure::new(
        format!("{clients} kicked at once"),
        format!("all recovered in {seconds:.1} s, no gap"),
        format!("≤ {} s", KICKED_TIME.as_secs()),
        took <= KICKED_TIME,
    )])
}

/// A node with 5,000 clients gets SIGTERM, while some of its clients write.
pub(super) async fn drained(arguments: &FiguresArgs) -> Result<Vec<Figure>> {
    let clients = arguments.part_of(DRAINED);
    let redis = Some(Redis::start(false).await?);
    let mut fleet = Fleet::start(&arguments.server, redis, &[("HISTORY_EVENTS", "10000")]).await?;
    let ports = [fleet.port(0), fleet.port(1)];
    let mut crowd = Crowd::gather(clients, |_| (ports[0], ports[1])).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..WRITERS).map(|number| tokio::spawn(write(ports, number, Arc::clone(&stop)))).collect();
    // Sees everything, and is not sent away.
    let mut witness = Wanderer::arrive(ports[1], "written").await?;
    sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    fleet.servers[0].program.signal("-TERM")?;
    let took = crowd.all_back(clients, begun).await?;
    let exit = fleet.servers[0].program.ended().await?;
    ensure!(exit == Some(0), "it ended with {exit:?}");
    stop.store(true, Ordering::Release);
    let (mut acknowledged, mut last) = (0, 0);
    for writer in writers {
        let (count, offset) = writer.await.context("a writer has panicked")??;
        acknowledged += count;
        last = last.max(offset);
    }
    let seen = async {
        while witness.offset < last {
            witness.hear(&mut |_| {}).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    timeout(PATIENCE, seen).await.context("an acknowledged write is not seen")??;
    ensure!(witness.offset >= acknowledged, "{acknowledged} were acknowledged, {} seen", witness.offset);
    crowd.finish(0).await?;
    let seconds = took.as_secs_f64();
    tell(&format!(
        "{clients} clients of a node that ends: all on the other one after {seconds:.2} s; \
         {acknowledged} acknowledged writes, all seen"
    ));
    Ok(vec![Figure::new(
        format!("drain of {clients}"),
        format!("all elsewhere in {seconds:.1} s, no write lost"),
        format!("≤ {} s", DRAINED_TIME.as_secs()),
        took <= DRAINED_TIME,
    )])
}

/// Writes with keys, also across the end of its node; how many were
/// acknowledged, each once, and the last of their offsets.
async fn write(ports: [u16; 2], number: usize, stop: Arc<AtomicBool>) -> Result<(u64, u64)> {
    let mut client = Wanderer::arrive(ports[0], "written").await?;
    let (mut count, mut last, mut id) = (0, 0, 1);
    while !stop.load(Ordering::Acquire) {
        id += 1;
        let frame = format!(r#"{{"t":"pub","id":{id},"room":"written","data":1,"key":"w{number}-{id}"}}"#);
        let head = format!("{{\"id\":{id},\"ok\":");
        client.send(&frame).await?;
        let mut offset = None;
        while offset.is_none() {
            let mut look = |text: &[u8]| {
                if text.starts_with(head.as_bytes()) {
                    offset = number_after(text, "\"offset\":");
                }
            };
            match client.hear(&mut look).await {
                Ok(News::SentAway(Some(4200))) => {
                    client.return_to(ports[1]).await?;
                    // It may have been carried out; its key tells.
                    client.send(&frame).await?;
                }
                Ok(News::SentAway(code)) => bail!("closed with {code:?}"),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        count += 1;
        last = last.max(offset.unwrap_or_default());
        sleep(Duration::from_millis(20)).await;
    }
    Ok((count, last))
}
