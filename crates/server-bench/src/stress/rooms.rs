//! Many clients in one room: one order, one winner, one count.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Setting;
use crate::chance::Chance;
use crate::client::{Client, Seen, place};
use crate::fleet::Fleet;

async fn clients(fleet: &Fleet, count: usize) -> Result<Vec<Client>> {
    try_join_all((0..count).map(|number| Client::connect(fleet.port(number)))).await
}

fn reason(reply: &Value) -> &str {
    reply["err"]["reason"].as_str().unwrap_or_default()
}

async fn act(client: &mut Client, room: &str, action: Value) -> Result<Value> {
    client.call(json!({ "t": "act", "room": room, "action": action })).await
}

/// Everybody sits down at once: one is X, one is O, the rest is told why not.
pub(super) async fn one_x_and_one_o(setting: &Setting<'_>) -> Result<String> {
    let fleet = setting.fleet(&[]).await?;
    let mut all = clients(&fleet, 12).await?;
    let rounds = 10;
    for round in 0..rounds {
        let room = format!("seats-{round}");
        let racing = all.iter_mut().map(async |client| {
            client.ok(json!({ "t": "join", "room": room, "kind": "ttt" })).await?;
            act(client, &room, json!({ "do": "sit" })).await
        });
        let replies = try_join_all(racing).await?;
        let seated = replies.iter().filter(|reply| reply["ok"].is_object()).count();
        ensure!(seated == 2, "{seated} have a seat");
        ensure!(replies.iter().filter(|reply| reason(reply) == "seats_full").count() == 10, "{replies:?}");
        let doc = all[0].ok(json!({ "t": "get", "room": room, "what": "doc" })).await?;
        let (x, o) = (&doc["doc"]["seats"]["x"], &doc["doc"]["seats"]["o"]);
        ensure!(x.is_string() && o.is_string() && x != o && doc["version"] == 2, "{doc}");
    }
    Ok(format!("{rounds} × 12 clients, 2 seats each"))
}

/// Everybody moves at once, out of turn too: what was accepted is what has changed.
pub(super) async fn accepted_moves_are_versions(setting: &Setting<'_>) -> Result<String> {
    let fleet = setting.fleet(&[]).await?;
    let (mut accepted, mut tried) = (0, 0);
    for round in 0..8_u64 {
        let room = format!("moves-{round}");
        let mut players = Vec::new();
        // Each player has several connections, on both instances.
        for player in 0..2 {
            let mut first = Client::connect(fleet.port(player)).await?;
            let token = first.hello["guest_token"].clone();
            first.ok(json!({ "t": "join", "room": room, "kind": "ttt" })).await?;
            ensure!(act(&mut first, &room, json!({ "do": "sit" })).await?["ok"].is_object(), "no seat");
            players.push(first);
            for number in 0..2 {
                let mut more = Client::open(fleet.port(number)).await?;
                more.hello = more.ok(json!({ "t": "hello", "resume": token })).await?;
                more.ok(json!({ "t": "join", "room": room })).await?;
                players.push(more);
            }
        }
        let racing = players.iter_mut().enumerate().map(async |(number, client)| {
            let mut chance = Chance::new(setting.seed, round * 100 + number as u64);
            let (mut won, mut tried) = (0, 0);
            for _ in 0..40 {
                let cell = chance.below(10);
                tried += 1;
                let reply = act(client, &room, json!({ "do": "move", "cell": cell })).await?;
                match (reply["ok"].is_object(), reason(&reply)) {
                    (true, _) => won += 1,
                    (false, "game_over") => break,
                    (false, "not_your_turn" | "cell_taken" | "out_of_range") => {}
                    _ if reply["err"]["code"] == "unavailable" => {}
                    _ => bail!("{reply}"),
                }
            }
            Ok((won, tried))
        });
        let counts = try_join_all(racing).await?;
        let won: u64 = counts.iter().map(|count| count.0).sum();
        let doc = players[0].ok(json!({ "t": "get", "room": room, "what": "doc" })).await?;
        let marks =
            doc["doc"]["board"].as_array().into_iter().flatten().filter(|cell| cell.is_string()).count();
        ensure!(doc["version"] == won + 2, "{won} moves were accepted, and {doc}");
        ensure!(marks as u64 == won, "{won} moves were accepted, and {marks} marks are there");
        accepted += won;
        tried += counts.iter().map(|count| count.1).sum::<u64>();
    }
    Ok(format!("{accepted} of {tried} racing moves accepted, each of them a version"))
}

/// Two instances, 100 clients, 100 increments each, by compare-and-set.
pub(super) async fn a_counter_is_exact(setting: &Setting<'_>) -> Result<String> {
    const CLIENTS: usize = 100;
    let each = setting.increments;
    let fleet = setting.fleet(&[("MAX_QUEUE_FRAMES", "100000"), ("MAX_QUEUE_BYTES", "100000000")]).await?;
    let all = clients(&fleet, CLIENTS).await?;
    let counting = all.into_iter().enumerate().map(async |(number, mut client)| {
        let mut chance = Chance::new(setting.seed, number as u64);
        client.deaf = true;
        let ok = client.ok(json!({ "t": "join", "room": "counter" })).await?;
        let (mut version, mut count) = (ok["version"].as_u64(), ok["doc"].as_u64().unwrap_or(0));
        let (mut won, mut lost) = (0, 0_u64);
        while won < each {
            let set = json!({ "t": "set", "room": "counter", "doc": count + 1, "if_version": version });
            let reply = client.call(set).await?;
            if let Some(next) = reply["ok"]["version"].as_u64() {
                (version, count, won) = (Some(next), count + 1, won + 1);
                continue;
            }
            ensure!(reply["err"]["code"] == "conflict", "{reply}");
            lost += 1;
            sleep(Duration::from_millis(1 + chance.below(800))).await;
            let now = client.ok(json!({ "t": "get", "room": "counter", "what": "doc" })).await?;
            (version, count) = (now["version"].as_u64(), now["doc"].as_u64().unwrap_or(0));
        }
        Ok((lost, client))
    });
    let done = try_join_all(counting).await?;
    let lost: u64 = done.iter().map(|(lost, _)| lost).sum();
    let (_, mut client) = done.into_iter().next().ok_or_else(|| anyhow::anyhow!("no client"))?;
    let now = client.ok(json!({ "t": "get", "room": "counter", "what": "doc" })).await?;
    let expected = CLIENTS as u64 * each;
    ensure!(now["doc"] == expected && now["version"] == expected, "{now}, and {expected} were counted");
    Ok(format!("{expected} exact, {lost} conflicts"))
}

/// Fails unless all saw the same frame at each place that they share.
fn same(maps: &[Seen]) -> Result<usize> {
    let mut all = Seen::new();
    for map in maps {
        for (place, frame) in map {
            let known = all.entry(place.clone()).or_insert_with(|| frame.clone());
            ensure!(known == frame, "at {place:?} one saw {known}, another {frame}");
        }
    }
    Ok(all.len())
}

/// Writers on all instances, documents and messages mixed: one order for all.
pub(super) async fn everyone_sees_the_same(setting: &Setting<'_>) -> Result<String> {
    const EACH: usize = 60;
    let fleet = setting.fleet(&[]).await?;
    let all = clients(&fleet, 10).await?;
    let joined = try_join_all(all.into_iter().map(async |mut client| {
        client.join("order").await?;
        Ok::<_, anyhow::Error>(client)
    }))
    .await?;
    let maps = try_join_all(joined.into_iter().enumerate().map(async |(number, mut client)| {
        let mut chance = Chance::new(setting.seed, number as u64);
        for round in 0..EACH {
            let frame = if chance.below(3) == 0 {
                json!({ "t": "set", "room": "order", "doc": [number, round] })
            } else {
                json!({ "t": "pub", "room": "order", "data": [number, round] })
            };
            client.ok(frame).await?;
        }
        let epoch = client.at.clone().map(|at| at.0).unwrap_or_default();
        client.reach(&(epoch, 10 * EACH as u64)).await?;
        Ok::<_, anyhow::Error>(client.seen)
    }))
    .await?;
    ensure!(maps.iter().all(|map| map.len() == 10 * EACH), "not everyone saw everything");
    let events = same(&maps)?;
    Ok(format!("{events} events, 10 maps alike"))
}

/// Clients drop and come back, here and there, while others write.
pub(super) async fn a_storm_of_recoveries(setting: &Setting<'_>) -> Result<String> {
    const EVENTS: u64 = 600;
    let fleet = setting.fleet(&[("HISTORY_EVENTS", "2000")]).await?;
    let mut writer = Client::connect(fleet.port(0)).await?;
    writer.join("storm").await?;
    let epoch = writer.at.clone().map(|at| at.0).unwrap_or_default();
    let last = (epoch, EVENTS);
    let readers = try_join_all((0..20).map(async |number| {
        let mut client = Client::connect(fleet.port(number)).await?;
        client.join("storm").await?;
        Ok::<_, anyhow::Error>(client)
    }))
    .await?;
    let storm = try_join_all(readers.into_iter().enumerate().map(async |(number, mut client)| {
        let mut chance = Chance::new(setting.seed, number as u64);
        let mut drops = 0;
        while client.at.as_ref().is_none_or(|at| at.1 < EVENTS) {
            let until = client.at.as_ref().map_or(0, |at| at.1) + 1 + chance.below(60);
            client.reach(&(last.0.clone(), until.min(EVENTS))).await?;
            if client.at.as_ref().is_some_and(|at| at.1 < EVENTS) {
                client.again(fleet.port(usize::try_from(chance.below(2))?)).await?;
                sleep(Duration::from_millis(chance.below(20))).await;
                client.join("storm").await?;
                drops += 1;
            }
        }
        ensure!(client.resets == 0, "the history was there, and not given");
        ensure!(client.seen.len() as u64 == EVENTS, "{} of {EVENTS} were seen", client.seen.len());
        Ok::<_, anyhow::Error>((drops, client.seen))
    }));
    let writing = async {
        for number in 0..EVENTS {
            writer.ok(json!({ "t": "pub", "room": "storm", "data": number })).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let (storm, ()) = futures_util::future::try_join(storm, writing).await?;
    let maps: Vec<Seen> = storm.iter().map(|(_, map)| map.clone()).collect();
    same(&maps)?;
    let drops: usize = storm.iter().map(|(drops, _)| drops).sum();
    Ok(format!("{drops} recoveries of 20 clients, no gap, no repetition"))
}

/// The same write from many connections of one user, on all instances.
pub(super) async fn racing_writes_with_one_key_count_once(setting: &Setting<'_>) -> Result<String> {
    let fleet = setting.fleet(&[]).await?;
    let first = Client::connect(fleet.port(0)).await?;
    let token = first.hello["guest_token"].clone();
    let mut all = Vec::new();
    for number in 0..8 {
        let mut client = Client::open(fleet.port(number)).await?;
        client.hello = client.ok(json!({ "t": "hello", "resume": token })).await?;
        client.join("keys").await?;
        all.push(client);
    }
    for round in 0..50 {
        let frame = json!({ "t": "pub", "room": "keys", "data": round, "key": format!("k{round}") });
        let racing = all.iter_mut().map(|client| client.ok(frame.clone()));
        let replies = try_join_all(racing).await?;
        let fresh = replies.iter().filter(|reply| reply["repeated"].is_null()).count();
        ensure!(fresh == 1, "{fresh} of 8 were the first");
        for reply in &replies {
            ensure!(place(reply)?.1 == round + 1, "{reply} in round {round}");
        }
    }
    Ok("50 keys × 8 connections, each once".to_owned())
}
