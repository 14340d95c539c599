//! What goes wrong with Redis and with clients, and what must come of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, PATIENCE, Redis, assert_no_gap, config, eventually, get, instance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_restarts_is_never_a_silent_fork() {
    for forgets in [false, true] {
        let mut redis = Redis::start();
        let (a, b) = (instance(config("a", Some(&redis))).await, instance(config("b", Some(&redis))).await);
        let (mut one, mut two) = (Client::at(&a).await, Client::at(&b).await);
        let before = one.join("r").await;
        two.join("r").await;
        one.call(json!({ "t": "set", "room": "r", "doc": "kept" })).await;
        one.publish("r", json!("last")).await;
        two.events_to(2).await;

        redis.kill();
        for client in [&mut one, &mut two] {
            client.push_of("degraded").await;
        }
        let reply = one.call(json!({ "t": "pub", "room": "r", "data": 1 })).await;
        assert_eq!(
            (&reply["err"]["code"], &reply["err"]["temporary"]),
            (&json!("unavailable"), &json!(true))
        );
        let (status, body) = get(a.address().port(), "/readyz").await;
        assert!(status == 503 && body.contains("redis: connection refused"), "{status} {body}");
        assert_eq!(get(a.address().port(), "/healthz").await.0, 200);
        if forgets {
            redis.forget();
        }
        redis.restart();

        // The history starts anew for everyone, with the same epoch and content.
        let (first, second) = (one.push_of("reset").await, two.push_of("reset").await);
        assert_eq!(first, second);
        assert_ne!(first["epoch"], before["epoch"]);
        assert_eq!(first["doc"], if forgets { Value::Null } else { json!("kept") });
        one.push_of("restored").await;
        two.push_of("restored").await;
        let offset = one.publish("r", json!("after")).await;
        assert_eq!(two.push_of("msg").await["offset"], offset);
        assert_eq!(one.push_of("msg").await["offset"], offset);
        assert_eq!(get(a.address().port(), "/readyz").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_that_are_lost_are_filled_from_the_stream() {
    let redis = Redis::start();
    let (a, b) = (instance(config("a", Some(&redis))).await, instance(config("b", Some(&redis))).await);
    let (mut writer, mut reader) = (Client::at(&a).await, Client::at(&b).await);
    writer.join("r").await;
    reader.join("r").await;
    let writing = async {
        for number in 0..200 {
            writer.publish("r", json!(number)).await;
            if number % 50 == 25 {
                redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
        }
    };
    let (events, ()) = futures_util::future::join(reader.events_to(200), writing).await;
    assert_eq!(events.len(), 200);
    assert_no_gap(&events);
}

#[tokio::test]
async fn the_loss_of_the_last_notice_is_found_by_the_check() {
    let redis = Redis::start();
    let mut settings = config("a", Some(&redis));
    settings.timing.check = Duration::from_millis(100);
    let a = instance(settings).await;
    let mut client = Client::at(&a).await;
    let joined = client.join("r").await;
    // What another instance would write, without the notice.
    let payload = r#"{"t":"msg","room":"r","offset":1,"data":"silent"}"#;
    redis.ask(&["XADD", "rt:{r}:s", "1-0", "d", payload]);
    redis.ask(&["HSET", "rt:{r}:m", "o", "1"]);
    assert_eq!(joined["offset"], 0);
    assert_eq!(client.push_of("msg").await["data"], "silent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_repeated_with_its_key_and_counts_once() {
    let redis = Redis::start();
    let a = instance(config("a", Some(&redis))).await;
    let mut client = Client::at(&a).await;
    client.join("r").await;
    redis.signal("-STOP");
    let frame = json!({ "t": "pub", "room": "r", "data": 1, "key": "k" });
    let reply = client.call(frame.clone()).await;
    assert_eq!(
        (&reply["err"]["code"], &reply["err"]["temporary"]),
        (&json!("unknown_outcome"), &json!(true))
    );
    redis.signal("-CONT");
    let reply = eventually("the write is known", async || {
        let reply = client.call(frame.clone()).await;
        reply["ok"].is_object().then_some(reply)
    })
    .await;
    assert_eq!(reply["ok"]["offset"], 1, "{reply}");
    assert_eq!(client.publish("r", json!("next")).await, 2);
}

#[tokio::test]
async fn an_instance_starts_without_redis_and_waits_for_it() {
    let mut redis = Redis::start();
    redis.kill();
    let a = server::instance::Instance::start(config("a", Some(&redis))).await.expect("it starts");
    let port = a.address().port();
    let (status, _) = eventually("the reason is known", async || {
        let found = get(port, "/readyz").await;
        found.1.contains("connection refused").then_some(found)
    })
    .await;
    assert_eq!(status, 503);
    let mut early = Client::at(&a).await;
    early.push_of("degraded").await;
    let reply = early.call(json!({ "t": "join", "room": "r" })).await;
    assert_eq!(reply["err"]["code"], "unavailable");
    redis.restart();
    early.push_of("restored").await;
    early.join("r").await;
}

#[tokio::test]
async fn a_store_that_stays_away_sends_clients_elsewhere() {
    let mut redis = Redis::start();
    let mut settings = config("a", Some(&redis));
    settings.timing.store_patience = Duration::from_millis(300);
    let a = instance(settings).await;
    let port = a.address().port();
    let mut client = Client::at(&a).await;
    redis.kill();
    client.push_of("degraded").await;
    assert_eq!(client.closed_with().await, 4104);
    let refused = Client::open(port).await.err().expect("refused").to_string();
    assert!(refused.contains("503"), "{refused}");
    redis.restart();
    let mut back = eventually("it takes clients again", async || Client::connect(port).await.ok()).await;
    back.join("r").await;
}

#[tokio::test]
async fn a_header_that_does_not_come_ends_its_connection() {
    let mut settings = config("a", None);
    settings.timing.hello = Duration::from_millis(200);
    let a = instance(settings).await;
    let begun = crate::support::raw(a.address().port(), "GET /healthz HTTP/1.1\r\nHost: ").await;
    assert!(begun.is_empty() || begun.starts_with("HTTP/1.1 408"), "{begun}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_closed_and_nobody_waits_for_it() {
    let mut settings = config("a", None);
    settings.limits.queue_bytes = 256 * 1024;
    settings.timing.write = Duration::from_millis(300);
    let a = instance(settings).await;
    let mut slow = Client::at(&a).await;
    let (mut writer, mut reader) = (Client::at(&a).await, Client::at(&a).await);
    for client in [&mut slow, &mut writer, &mut reader] {
        client.join("r").await;
    }
    let long = "x".repeat(60_000);
    for _ in 0..200 {
        writer.publish("r", json!(long)).await;
        reader.push_of("msg").await;
        writer.push_of("msg").await;
    }
    eventually("only two are left", async || (a.app().places.taken() == 2).then_some(())).await;
    assert_eq!(a.app().hub.members(), 2);
}

#[tokio::test]
async fn who_is_silent_is_asked_and_then_closed() {
    let mut settings = config("a", None);
    settings.timing.hello = Duration::from_millis(100);
    settings.timing.ping = Duration::from_millis(150);
    settings.timing.pong = Duration::from_millis(150);
    let a = instance(settings).await;
    let mute = Client::open(a.address().port()).await.expect("a connection");
    assert_eq!(mute.closed_with().await, 4004);

    let mut alive = Client::at(&a).await;
    for _ in 0..3 {
        alive.push_of("ping").await;
        alive.send(r#"{"t":"pong"}"#).await;
    }
    assert_eq!(alive.closed_with().await, 4101);
}

#[tokio::test]
async fn who_sends_too_much_is_slowed_and_then_closed() {
    let mut settings = config("a", None);
    settings.limits.commands_per_second = 1;
    settings.limits.command_burst = 3;
    let a = instance(settings).await;
    let mut client = Client::at(&a).await;
    client.join("r").await;
    client.publish("r", json!(1)).await;
    let reply = client.call(json!({ "t": "pub", "room": "r", "data": 2 })).await;
    assert_eq!(reply["err"]["code"], "rate_limited");
    assert!(reply["err"]["retry_ms"].as_u64().is_some_and(|ms| (1..=1001).contains(&ms)), "{reply}");
    for id in 0..110 {
        if client.try_call(json!({ "t": "leave", "room": "r", "id": id })).await.is_err() {
            break;
        }
    }
    eventually("it is closed", async || (a.app().places.taken() == 0).then_some(())).await;
}

#[tokio::test]
async fn who_does_not_slow_down_is_closed_after_so_many_strikes() {
    let mut settings = config("a", None);
    settings.limits.commands_per_second = 1;
    settings.limits.command_burst = 2;
    settings.limits.strikes = 3;
    let a = instance(settings).await;
    let mut client = Client::at(&a).await;
    client.join("r").await;
    for _ in 0..2 {
        let reply = client.call(json!({ "t": "leave", "room": "r" })).await;
        assert_eq!(reply["err"]["code"], "rate_limited", "{reply}");
    }
    client.send(r#"{"t":"leave","id":9,"room":"r"}"#).await;
    assert_eq!(client.closed_with().await, 4103);
}

#[tokio::test]
async fn a_drain_ends_at_its_cap_whoever_is_left() {
    let mut settings = config("a", None);
    settings.timing.drain_wait = PATIENCE;
    settings.timing.drain_cap = Duration::from_millis(300);
    let a = instance(settings).await;
    let _client = Client::at(&a).await;
    let begun = std::time::Instant::now();
    a.drain().await;
    assert!(begun.elapsed() < PATIENCE / 2, "it took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_kept_for_so_many_events_and_so_long() {
    let redis = Redis::start();
    for store in [None, Some(&redis)] {
        let mut settings = config("a", store);
        settings.limits.history.events = 4;
        settings.limits.history.time = Duration::from_millis(400);
        let a = instance(settings).await;
        let mut writer = Client::at(&a).await;
        let epoch = writer.join("r").await["epoch"].clone();
        let back = async |offset: u64| {
            let mut client = Client::at(&a).await;
            let since = json!({ "epoch": epoch, "offset": offset });
            client.call(json!({ "t": "join", "room": "r", "since": since })).await["ok"].clone()
        };
        // Redis cuts its streams by whole nodes of 100 entries.
        for number in 0..300 {
            writer.publish("r", json!(number)).await;
        }
        let (old, new) = (back(1).await, back(298).await);
        assert_eq!((&old["recovered"], &old["events"]), (&json!(false), &json!([])), "{old}");
        assert_eq!((&new["recovered"], new["events"].as_array().map(Vec::len)), (&json!(true), Some(2)));
        eventually("it is forgotten", async || (back(298).await["recovered"] == false).then_some(())).await;
    }
}

#[tokio::test]
async fn a_document_that_a_patch_makes_too_long_is_refused() {
    let mut settings = config("a", None);
    settings.limits.doc_bytes = 100;
    let a = instance(settings).await;
    let mut client = Client::at(&a).await;
    client.join("r").await;
    let set = client.call(json!({ "t": "set", "room": "r", "doc": { "list": ["0123456789012345"] } })).await;
    assert!(set["ok"].is_object(), "{set}");
    let copy = json!({ "op": "copy", "from": "/list/0", "path": "/list/-" });
    let merge = json!({ "t": "patch", "room": "r", "merge": { "more": "x".repeat(90) } });
    let ops = |count: usize| json!({ "t": "patch", "room": "r", "ops": vec![copy.clone(); count] });
    for frame in [merge, ops(5), ops(50)] {
        let reply = client.call(frame).await;
        assert_eq!(reply["err"]["code"], "too_large", "{reply}");
    }
    let reply = client.call(ops(2)).await;
    assert_eq!(reply["ok"]["version"], 2, "{reply}");
}

#[tokio::test]
async fn places_and_rooms_are_limited() {
    let mut settings = config("a", None);
    settings.limits.connections = 2;
    settings.limits.rooms = 1;
    settings.limits.doc_bytes = 10;
    let a = instance(settings).await;
    let (mut one, _two) = (Client::at(&a).await, Client::at(&a).await);
    let refused = Client::connect(a.address().port()).await.err().expect("refused").to_string();
    assert!(refused.contains("503"), "{refused}");
    assert_eq!(get(a.address().port(), "/readyz").await.0, 503);
    one.join("r").await;
    let code = |reply: Value| reply["err"]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(code(one.call(json!({ "t": "join", "room": "s" })).await), "limit_exceeded");
    assert_eq!(code(one.call(json!({ "t": "join", "room": "r" })).await), "already_joined");
    assert_eq!(code(one.call(json!({ "t": "leave", "room": "s" })).await), "not_joined");
    assert_eq!(code(one.call(json!({ "t": "pub", "room": "s", "data": 1 })).await), "not_joined");
    assert_eq!(code(one.call(json!({ "t": "set", "room": "r", "doc": "more than ten" })).await), "too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_sends_everyone_elsewhere_and_loses_no_acknowledged_write() {
    let redis = Redis::start();
    let (a, b) = (instance(config("a", Some(&redis))).await, instance(config("b", Some(&redis))).await);
    let mut writer = Client::at(&a).await;
    let joined = writer.join("r").await;
    let port = a.address().port();
    let mut idle = Client::at(&a).await;
    let drain = tokio::spawn(a.drain());
    let mut acknowledged = 0;
    while let Ok(reply) = writer.try_call(json!({ "t": "pub", "room": "r", "data": 1 })).await {
        acknowledged = reply["ok"]["offset"].as_u64().unwrap_or_else(|| panic!("{reply}"));
    }
    let told = idle.push_of("drain").await;
    assert!(told["in_ms"].is_u64() && told["retry_ms"].is_u64(), "{told}");
    assert_eq!(idle.closed_with().await, 4200);
    tokio::time::timeout(PATIENCE, drain).await.expect("in time").expect("no panic");
    assert!(Client::open(port).await.is_err());

    let since = json!({ "epoch": joined["epoch"], "offset": joined["offset"] });
    let mut back = Client::at(&b).await;
    let reply = back.call(json!({ "t": "join", "room": "r", "since": since })).await;
    assert!(reply["ok"]["offset"].as_u64() >= Some(acknowledged) && acknowledged > 0, "{reply}");
}

#[tokio::test]
async fn a_draining_instance_refuses_new_connections_and_says_so() {
    let mut settings = config("a", None);
    settings.timing.drain_wait = Duration::from_secs(1);
    let a = instance(settings).await;
    let port = a.address().port();
    let client = Client::at(&a).await;
    let drain = tokio::spawn(a.drain());
    let (status, body) = eventually("it drains", async || {
        let found = get(port, "/readyz").await;
        (found.0 == 503).then_some(found)
    })
    .await;
    assert!(body.contains("draining"), "{status} {body}");
    let refused = Client::open(port).await.err().expect("refused").to_string();
    assert!(refused.contains("503"), "{refused}");
    assert_eq!(client.closed_with().await, 4200);
    drain.await.expect("no panic");
}
