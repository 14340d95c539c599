//! Redis and instances that go away, and what must be true afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::{try_join, try_join_all};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Setting;
use crate::client::{Client, Ended, place};
use crate::fleet::{Fleet, Redis};

fn code(reply: &Value) -> &str {
    reply["err"]["code"].as_str().unwrap_or_default()
}

/// Redis is killed under load, and comes back with all that it had acknowledged.
pub(super) async fn redis_comes_back(setting: &Setting<'_>) -> Result<String> {
    redis_restarts(setting, false).await
}

/// Redis is killed under load, and comes back without anything.
pub(super) async fn redis_comes_back_empty(setting: &Setting<'_>) -> Result<String> {
    redis_restarts(setting, true).await
}

async fn redis_restarts(setting: &Setting<'_>, forget: bool) -> Result<String> {
    let redis = Redis::start(true).await?;
    let mut fleet = Fleet::start(setting.server, Some(redis), &[]).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for number in 0..4 {
        let mut client = Client::connect(fleet.port(number)).await?;
        client.join("phoenix").await?;
        let stop = Arc::clone(&stop);
        writers.push(tokio::spawn(async move {
            let (mut acknowledged, mut refused) = (Vec::new(), 0);
            for round in 0.. {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let data = format!("{number}-{round}");
                let frame = json!({ "t": "pub", "room": "phoenix", "data": data, "key": data });
                let reply = client.call(frame).await?;
                if reply["ok"].is_object() {
                    acknowledged.push((place(&reply["ok"])?, data));
                } else {
                    ensure!(["unavailable", "unknown_outcome"].contains(&code(&reply)), "{reply}");
                    refused += 1;
                }
                sleep(Duration::from_millis(2)).await;
            }
            Ok((client, acknowledged, refused))
        }));
    }
    sleep(Duration::from_millis(300)).await;
    fleet.redis()?.restart(forget, Duration::from_millis(300)).await?;
    sleep(Duration::from_millis(1200)).await;
    stop.store(true, Ordering::Release);
    let mut all = Vec::new();
    for writer in writers {
        all.push(writer.await.context("it has panicked")??);
    }
    let last = {
        let (client, ..) = &mut all[0];
        place(&client.ok(json!({ "t": "pub", "room": "phoenix", "data": "end" })).await?)?
    };
    let (mut writes, mut refusals, mut told_anew) = (0, 0, 0);
    for (client, ..) in &mut all {
        client.reach(&last).await?;
        ensure!(client.resets > 0, "the epoch has changed, and the client was not told");
        told_anew += client.resets;
    }
    // Every acknowledged write was seen by all in its epoch, or that epoch is over and all were told.
    for (_, acknowledged, refused) in &all {
        refusals += refused;
        for ((epoch, offset), data) in acknowledged {
            writes += 1;
            for (client, ..) in &all {
                let Some(seen) = client.seen.get(&(epoch.clone(), *offset)) else {
                    ensure!(*epoch != last.0 || !after_first(client, epoch, *offset), "{data} is not seen");
                    continue;
                };
                ensure!(seen.contains(&format!("\"{data}\"")), "at {epoch}:{offset} is {seen}, not {data}");
            }
        }
    }
    ensure!(refusals > 0, "nothing was refused, so nothing was tried");
    Ok(format!("{writes} acknowledged, {refusals} refused, {told_anew} resets, no fork"))
}

/// Whether a client saw something of the epoch before this offset.
fn after_first(client: &Client, epoch: &str, offset: u64) -> bool {
    client.seen.keys().any(|(seen, at)| seen == epoch && *at < offset)
}

/// The connections for notices are cut, again and again.
pub(super) async fn notices_are_cut(setting: &Setting<'_>) -> Result<String> {
    const EVENTS: u64 = 500;
    let fleet = setting.fleet(&[("HISTORY_EVENTS", "2000")]).await?;
    let mut writer = Client::connect(fleet.port(0)).await?;
    writer.join("cuts").await?;
    let last = (writer.at.clone().map(|at| at.0).unwrap_or_default(), EVENTS);
    let readers = try_join_all((0..8).map(async |number| {
        let mut client = Client::connect(fleet.port(number)).await?;
        client.join("cuts").await?;
        Ok::<_, anyhow::Error>(client)
    }))
    .await?;
    let writing = async {
        let mut cuts = 0;
        for number in 0..EVENTS {
            writer.ok(json!({ "t": "pub", "room": "cuts", "data": number })).await?;
            if number % 60 == 30 {
                fleet.redis.as_ref().context("no Redis")?.ask(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
                cuts += 1;
            }
        }
        Ok(cuts)
    };
    let reading = try_join_all(readers.into_iter().map(async |mut client| {
        client.reach(&last).await?;
        ensure!(client.resets == 0 && client.seen.len() as u64 == EVENTS, "{} seen", client.seen.len());
        Ok(())
    }));
    let (cuts, _) = try_join(writing, reading).await?;
    Ok(format!("{cuts} cuts in {EVENTS} events, no gap"))
}

/// Redis stops to answer in the middle of writes; they are repeated with their keys.
pub(super) async fn a_write_without_an_answer_counts_once(setting: &Setting<'_>) -> Result<String> {
    let fleet = setting.fleet(&[]).await?;
    let redis = fleet.redis.as_ref().context("no Redis")?;
    let mut client = Client::connect(fleet.port(0)).await?;
    client.join("silence").await?;
    redis.signal("-STOP")?;
    let frame = json!({ "t": "pub", "room": "silence", "data": 1, "key": "k" });
    let first = client.call(frame.clone()).await?;
    redis.signal("-CONT")?;
    ensure!(code(&first) == "unknown_outcome", "{first}");
    let mut tries = 0;
    let done = loop {
        tries += 1;
        let reply = client.call(frame.clone()).await?;
        if reply["ok"].is_object() {
            break reply;
        }
        ensure!(reply["err"]["temporary"] == true, "{reply}");
        sleep(Duration::from_millis(100)).await;
    };
    ensure!(done["ok"]["offset"] == 1, "{done}");
    let next = client.ok(json!({ "t": "pub", "room": "silence", "data": 2 })).await?;
    ensure!(next["offset"] == 2, "{next}");
    Ok(format!("known after {tries} more, and counted once"))
}

/// An instance gets SIGTERM under load: everyone goes to the other one and nothing is lost.
pub(super) async fn a_drain_loses_nothing(setting: &Setting<'_>) -> Result<String> {
    const CLIENTS: usize = 60;
    let mut fleet = setting.fleet(&[("HISTORY_EVENTS", "10000")]).await?;
    let ports = [fleet.port(0), fleet.port(1)];
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(ports[0]).await?;
        client.join("exodus").await?;
        clients.push(client);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let moving = clients.into_iter().enumerate().map(|(number, mut client)| {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            let (mut moved, mut round) = (None, 0);
            while !stop.load(Ordering::Acquire) {
                round += 1;
                let key = format!("{number}-{round}");
                let frame = json!({ "t": "pub", "room": "exodus", "data": key, "key": key });
                match client.call(frame.clone()).await {
                    Ok(reply) => {
                        ensure!(reply["ok"].is_object(), "{reply}");
                        acknowledged.push((place(&reply["ok"])?, key));
                    }
                    Err(error) if error.to_string().contains("4200") => {
                        let begun = Instant::now();
                        client.again(ports[1]).await?;
                        client.join("exodus").await?;
                        moved = Some(begun);
                        // It may have been carried out; its key tells.
                        let ok = client.ok(frame).await?;
                        acknowledged.push((place(&ok)?, key));
                    }
                    Err(error) => return Err(error),
                }
                sleep(Duration::from_millis(20)).await;
            }
            ensure!(moved.is_some(), "a client was not sent away");
            ensure!(client.resets == 0, "a client has lost its place");
            Ok((client, acknowledged, moved))
        })
    });
    let moving: Vec<_> = moving.collect();
    sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    fleet.servers[0].program.signal("-TERM")?;
    let exit = fleet.servers[0].program.ended().await?;
    ensure!(exit == Some(0), "it ended with {exit:?}");
    sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Release);
    let mut all = Vec::new();
    for client in moving {
        all.push(client.await.context("it has panicked")??);
    }
    let took = all.iter().filter_map(|(_, _, moved)| *moved).max().map(|last| last.duration_since(begun));
    let last = {
        let (client, ..) = &mut all[0];
        place(&client.ok(json!({ "t": "pub", "room": "exodus", "data": "end" })).await?)?
    };
    let mut writes = 0;
    for (client, ..) in &mut all {
        client.reach(&last).await?;
    }
    for (_, acknowledged, _) in &all {
        for (place, data) in acknowledged {
            writes += 1;
            for (client, ..) in &all {
                // Nobody sees what came before its own join.
                if let Some(seen) = client.seen.get(place) {
                    ensure!(seen.contains(&format!("\"{data}\"")), "at {place:?} is {seen}, not {data}");
                } else {
                    ensure!(!after_first(client, &place.0, place.1), "{data} is lost to one");
                }
            }
        }
    }
    let took = took.unwrap_or_default().as_secs_f64();
    Ok(format!(
        "{CLIENTS} clients elsewhere in {took:.1} s (10 s allowed), {writes} acknowledged writes kept"
    ))
}

/// An instance is killed: the other one tells that its members are gone, by itself.
pub(super) async fn members_of_a_killed_node_are_gone(setting: &Setting<'_>) -> Result<String> {
    let fleet = setting.fleet(&[]).await?;
    let mut stays = Client::connect(fleet.port(0)).await?;
    stays.ok(json!({ "t": "join", "room": "here", "presence": true })).await?;
    let mut doomed = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(fleet.port(1)).await?;
        client.ok(json!({ "t": "join", "room": "here", "presence": true })).await?;
        doomed.push(client);
    }
    let begun = Instant::now();
    fleet.servers[1].program.signal("-KILL")?;
    for client in &mut doomed {
        ensure!(client.end().await? == Ended(None), "it said goodbye");
    }
    let mut gone = 0;
    while gone < doomed.len() {
        gone += usize::from(stays.push().await?["ev"] == "leave");
    }
    let took = begun.elapsed().as_secs_f64();
    let members = stays.ok(json!({ "t": "get", "room": "here", "what": "members" })).await?;
    ensure!(members["count"] == 1, "{members}");
    Ok(format!("5 members gone {took:.1} s after the kill (35 s allowed)"))
}
