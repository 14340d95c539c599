//! Rooms across instances: one order, one winner, nothing lost on the way.

use futures_util::future::join_all;
use serde_json::{Value, json};
use server::instance::Instance;

use crate::support::{Client, Redis, assert_no_gap, config, eventually, instance};

async fn two(redis: &Redis) -> [Instance; 2] {
    [instance(config("a", Some(redis))).await, instance(config("b", Some(redis))).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_two_instances_see_one_order_without_a_gap() {
    let redis = Redis::start();
    let instances = two(&redis).await;
    let mut clients = Vec::new();
    for number in 0..8 {
        let mut client = Client::at(&instances[number % 2]).await;
        assert_eq!(client.hello["server"], ["a", "b"][number % 2]);
        client.join("r").await;
        clients.push(client);
    }
    let seen = join_all(clients.into_iter().enumerate().map(async |(number, mut client)| {
        for round in 0..50 {
            client.publish("r", json!([number, round])).await;
        }
        client.events_to(400).await
    }))
    .await;
    for events in &seen {
        assert_eq!((events.first().map(|(offset, _)| *offset), events.len()), (Some(1), 400));
        assert_no_gap(events);
        assert_eq!(events, &seen[0], "the same frame at the same offset");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_by_compare_and_set_is_exact() {
    let redis = Redis::start();
    let instances = two(&redis).await;
    let increments = (0..10).map(async |number: usize| {
        let mut client = Client::at(&instances[number % 2]).await;
        let joined = client.join("counter").await;
        let (mut version, mut count) = (joined["version"].clone(), joined["doc"].as_u64().unwrap_or(0));
        let mut won = 0;
        while won < 20 {
            let frame = json!({ "t": "set", "room": "counter", "doc": count + 1, "if_version": version });
            let reply = client.call(frame).await;
            if reply["ok"].is_object() {
                won += 1;
                (version, count) = (reply["ok"]["version"].clone(), count + 1);
            } else {
                assert_eq!(reply["err"]["code"], "conflict", "{reply}");
                (version, count) =
                    (reply["err"]["version"].clone(), reply["err"]["doc"].as_u64().unwrap_or(0));
            }
        }
    });
    join_all(increments).await;
    let mut reader = Client::at(&instances[0]).await;
    let joined = reader.join("counter").await;
    assert_eq!(
        (&joined["doc"], &joined["version"]),
        (&json!(200), &json!(200)),
        "every accepted write counts once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_while_others_write_loses_nothing_and_repeats_nothing() {
    let redis = Redis::start();
    let instances = two(&redis).await;
    let mut writer = Client::at(&instances[0]).await;
    writer.join("busy").await;
    let writing = async {
        for number in 0..300 {
            writer.publish("busy", json!(number)).await;
        }
    };
    let joining = join_all((0..20).map(async |number: usize| {
        let mut client = Client::at(&instances[number % 2]).await;
        let joined = client.join("busy").await;
        let from = joined["offset"].as_u64().expect("an offset");
        let events = if from < 300 { client.events_to(300).await } else { Vec::new() };
        assert_eq!(events.len() as u64, 300 - from);
        assert!(events.first().is_none_or(|(offset, _)| *offset == from + 1));
        assert_no_gap(&events);
    }));
    futures_util::future::join(writing, joining).await;
}

#[tokio::test]
async fn a_client_that_comes_back_elsewhere_gets_what_it_missed() {
    let redis = Redis::start();
    let [a, b] = two(&redis).await;
    let mut here = Client::at(&a).await;
    let joined = here.join("r").await;
    let since = json!({ "epoch": joined["epoch"], "offset": joined["offset"] });
    drop(here);
    let mut other = Client::at(&b).await;
    other.join("r").await;
    for number in 0..5 {
        other.publish("r", json!(number)).await;
    }
    let mut back = Client::at(&b).await;
    let reply = back.call(json!({ "t": "join", "room": "r", "since": since })).await;
    assert_eq!(reply["ok"]["recovered"], true, "{reply}");
    let data: Vec<Value> =
        reply["ok"]["events"].as_array().expect("events").iter().map(|event| event["data"].clone()).collect();
    assert_eq!(data, [0, 1, 2, 3, 4].map(Value::from));
    assert!(reply["ok"].get("doc").is_none());

    let history = back.call(json!({ "t": "get", "room": "r", "what": "history", "limit": 2 })).await;
    assert_eq!(history["ok"]["events"][1]["data"], 4, "{history}");
    let stale = json!({ "epoch": "0000000000000000", "offset": 1 });
    let reply = back.call(json!({ "t": "get", "room": "r", "what": "history", "since": stale })).await;
    assert_eq!(reply["err"]["code"], "not_found");
}

#[tokio::test]
async fn rooms_are_let_go_when_everyone_has_left() {
    let redis = Redis::start();
    let a = instance(config("a", Some(&redis))).await;
    let mut client = Client::at(&a).await;
    for room in ["one", "two", "three"] {
        client.join(room).await;
    }
    assert_eq!((a.app().hub.rooms(), a.app().hub.members()), (3, 3));
    // One more is for all instances.
    assert_eq!(redis.ask(&["PUBSUB", "CHANNELS"]).lines().count(), 4);
    client.call(json!({ "t": "leave", "room": "one" })).await;
    assert_eq!(a.app().hub.members(), 2);
    drop(client);
    eventually("rooms and subscriptions are gone", async || {
        let left = (a.app().hub.rooms(), a.app().hub.members(), a.app().places.taken());
        (left == (0, 0, 0) && redis.ask(&["PUBSUB", "CHANNELS"]) == "rt:{*}:c").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_instance_without_redis_keeps_its_own_rooms() {
    let alone = instance(config("alone", None)).await;
    let (mut one, mut two) = (Client::at(&alone).await, Client::at(&alone).await);
    one.join("r").await;
    two.join("r").await;
    let reply = one.call(json!({ "t": "set", "room": "r", "doc": { "a": 1 }, "if_version": 0 })).await;
    assert_eq!(reply["ok"]["version"], 1, "{reply}");
    let push = two.push_of("state").await;
    assert_eq!((&push["doc"]["a"], &push["by"]), (&json!(1), &one.hello["user"]));
    let reply = two.call(json!({ "t": "set", "room": "r", "doc": 2, "if_version": 0 })).await;
    assert_eq!((&reply["err"]["code"], &reply["err"]["doc"]["a"]), (&json!("conflict"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_of_two_instances_all_hold_and_everyone_can_follow() {
    let redis = Redis::start();
    let instances = two(&redis).await;
    let mut watcher = Client::at(&instances[0]).await;
    watcher.join("board").await;
    let patching = (0..6).map(async |number: usize| {
        let mut client = Client::at(&instances[number % 2]).await;
        client.join("board").await;
        for round in 0..10 {
            let merge = json!({ format!("c{number}"): { format!("r{round}"): "x".repeat(200) } });
            let frame = json!({ "t": "patch", "room": "board", "merge": merge });
            loop {
                let reply = client.call(frame.clone()).await;
                if reply["ok"]["version"].is_u64() {
                    break;
                }
                // Too many tries in a row lost the race; nothing was changed.
                assert_eq!(reply["err"]["code"], "unavailable", "{reply}");
            }
        }
    });
    join_all(patching).await;
    let mut doc = Value::Null;
    for (_, event) in watcher.events_to(60).await {
        if let Some(merge) = event.get("merge") {
            json_patch::merge(&mut doc, merge);
        } else {
            doc = event["doc"].clone();
        }
    }
    let mut late = Client::at(&instances[1]).await;
    let joined = late.join("board").await;
    assert_eq!(joined["doc"], doc, "the events lead to the document");
    assert_eq!(
        (0..6)
            .map(|number| doc[format!("c{number}")].as_object().map_or(0, |rounds| rounds.len()))
            .sum::<usize>(),
        60
    );
}

#[tokio::test]
async fn a_patch_that_does_not_fit_changes_nothing_and_a_repeated_one_counts_once() {
    let redis = Redis::start();
    for settings in [config("memory", None), config("redis", Some(&redis))] {
        let one = instance(settings).await;
        let mut client = Client::at(&one).await;
        client.join("r").await;
        client.call(json!({ "t": "set", "room": "r", "doc": { "list": [] } })).await;
        let add = json!([{ "op": "test", "path": "/list", "value": [] }, { "op": "add", "path": "/list/-", "value": 1 }]);
        let patch = json!({ "t": "patch", "room": "r", "ops": add, "key": "k" });
        let first = client.call(patch.clone()).await;
        assert_eq!(first["ok"]["version"], 2, "{first}");
        let again = client.call(patch).await;
        assert_eq!((&again["ok"]["version"], &again["ok"]["repeated"]), (&json!(2), &json!(true)), "{again}");
        let mut without_key = json!({ "t": "patch", "room": "r", "ops": add });
        let reply = client.call(without_key.clone()).await;
        assert_eq!(
            (&reply["err"]["code"], &reply["err"]["reason"]),
            (&json!("rejected"), &json!("test_failed"))
        );
        without_key["if_version"] = 1.into();
        let reply = client.call(without_key).await;
        assert_eq!((&reply["err"]["code"], &reply["err"]["version"]), (&json!("conflict"), &json!(2)));
        let reply = client
            .call(json!({ "t": "patch", "room": "r", "ops": [{ "op": "remove", "path": "/x" }] }))
            .await;
        assert_eq!(reply["err"]["reason"], "no_such_path");
        let reply = client.call(json!({ "t": "patch", "room": "r" })).await;
        assert_eq!(reply["err"]["code"], "bad_request");
        let reply = client.call(json!({ "t": "get", "room": "r", "what": "doc" })).await;
        assert_eq!((&reply["ok"]["doc"], &reply["ok"]["offset"]), (&json!({ "list": [1] }), &json!(2)));
    }
}

#[tokio::test]
async fn a_cast_reaches_who_is_there_on_any_instance_and_is_kept_nowhere() {
    let redis = Redis::start();
    let mut settings = config("a", Some(&redis));
    settings.limits.casts_per_second = 2;
    let (a, b) = (instance(settings).await, instance(config("b", Some(&redis))).await);
    let (mut sender, mut reader) = (Client::at(&a).await, Client::at(&b).await);
    sender.join("r").await;
    let before = reader.join("r").await;
    for number in 0..10 {
        sender.send(json!({ "t": "cast", "room": "r", "data": { "x": number } }).to_string()).await;
    }
    let last = sender.publish("r", json!("end")).await;
    let mut casts = Vec::new();
    loop {
        let push = reader.push(|_| true).await;
        if push["t"] == "msg" {
            break;
        }
        assert_eq!((&push["t"], &push["by"]), (&json!("cast"), &sender.hello["user"]));
        casts.push(push["data"]["x"].as_u64().expect("a number"));
    }
    assert_eq!(casts, [0, 1, 2, 3], "four at once, the rest is dropped");
    assert_eq!(Some(last), before["offset"].as_u64().map(|offset| offset + 1), "casts take no place");
    // The next one is allowed again.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    sender.send(r#"{"t":"cast","room":"elsewhere","data":1}"#).await;
    let reply = sender.push(|frame| frame.get("err").is_some()).await;
    assert_eq!((&reply["err"]["code"], &reply["id"]), (&json!("not_joined"), &Value::Null));
}
