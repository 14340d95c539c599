//! Everyone is sent away at once, or one node after the other: how long until
//! all are back, and whether anything was missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::{sleep, timeout};

use super::{Figure, FiguresArgs};
use crate::fleet::{Fleet, PATIENCE, Redis, post};
use crate::load::crowd::{Crowd, Ends, IN_A_ROOM, WRITTEN, room, write};
use crate::load::wanderer::{News, Wanderer};
use crate::say::tell;
use crate::usage::processor;

const API_KEY: &str = "key-of-the-figures";
const KICKED: u64 = 10_000;
const KICKED_TIME: Duration = Duration::from_secs(5);
const DRAINED: u64 = 5_000;
const DRAINED_TIME: Duration = Duration::from_secs(10);
const WRITERS: usize = 20;

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
    let mut crowd =
        Crowd::gather(clients, Ends::Told, |number| (ports[number % 2], ports[(number + 1) % 2])).await?;
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
    let tries = crowd.tries();
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
    let mut crowd = Crowd::gather(clients, Ends::Told, |_| (ports[0], ports[1])).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write(ports, number, Ends::Told, Arc::clone(&stop))))
        .collect();
    // Sees everything, and is not sent away.
    let mut witness = Wanderer::arrive(ports[1], WRITTEN).await?;
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
