//! Who is here, across instances, and whatever becomes of them.

use std::time::Duration;

use serde_json::{Value, json};
use server::config::Config;

use crate::process::Process;
use crate::support::{Client, Redis, config, eventually, free_port, instance, ready};

fn quick(name: &str, redis: &Redis) -> Config {
    let mut config = config(name, Some(redis));
    config.timing.lease = Duration::from_millis(1200);
    config.timing.keep = Duration::from_millis(300);
    config.timing.sweep = Duration::from_millis(100);
    config
}

async fn enter(client: &mut Client, room: &str, info: Value) -> Value {
    let reply = client.call(json!({ "t": "join", "room": room, "presence": true, "info": info })).await;
    assert!(reply["ok"]["members"].is_array(), "{reply}");
    reply["ok"].clone()
}

#[tokio::test]
async fn members_of_all_instances_are_seen_with_their_servers() {
    let redis = Redis::start();
    let (a, b) = (instance(quick("a", &redis)).await, instance(quick("b", &redis)).await);
    let (mut ann, mut bob, mut shy) = (Client::at(&a).await, Client::at(&b).await, Client::at(&b).await);
    let joined = enter(&mut ann, "r", json!({ "name": "Ann" })).await;
    assert_eq!((&joined["count"], &joined["members"][0]["server"]), (&json!(1), &json!("a")));
    shy.join("r").await;
    let joined = enter(&mut bob, "r", json!(null)).await;
    assert_eq!((&joined["count"], &joined["rev"]), (&json!(2), &json!(2)));
    let push = ann.push_of("member").await;
    assert_eq!(
        (&push["ev"], &push["server"], &push["user"]),
        (&json!("join"), &json!("b"), &bob.hello["user"])
    );
    ann.call(json!({ "t": "here", "room": "r", "info": { "name": "Ann", "typing": true } })).await;
    let push = bob.push_of("member").await;
    assert_eq!(
        (&push["ev"], &push["info"]["typing"], &push["rev"]),
        (&json!("info"), &json!(true), &json!(3))
    );
    bob.call(json!({ "t": "leave", "room": "r" })).await;
    assert_eq!(ann.push(|push| push["ev"] == "leave").await["conn"], bob.hello["conn"]);
    enter(&mut bob, "r", json!(null)).await;
    let conn = bob.hello["conn"].clone();
    drop(bob);
    assert_eq!(ann.push(|push| push["ev"] == "leave").await["conn"], conn, "at once, without a word of it");
    // They stay for much longer than a lease, because their instance says so.
    tokio::time::sleep(Duration::from_millis(2000)).await;
    let reply = ann.call(json!({ "t": "get", "room": "r", "what": "members" })).await;
    assert_eq!((&reply["ok"]["count"], &reply["ok"]["rev"]), (&json!(1), &json!(6)));
    // Who does not want to be seen does not see.
    shy.publish("r", json!("still here")).await;
    assert_eq!(shy.push(|_| true).await["t"], "msg");
}

#[tokio::test]
async fn members_of_an_instance_that_is_killed_are_gone_when_their_lease_is() {
    let redis = Redis::start();
    let a = instance(quick("a", &redis)).await;
    let port = free_port();
    let (port_text, redis_text) = (port.to_string(), redis.port.to_string());
    let mut doomed = Process::server(&[
        ("SERVER_PORT", &port_text),
        ("SERVER_ID", "b"),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &redis_text),
        ("LEASE_SECONDS", "2"),
    ]);
    ready(port).await;
    let mut ann = Client::at(&a).await;
    enter(&mut ann, "r", json!(null)).await;
    let mut bob = Client::connect(port).await.expect("a connection");
    enter(&mut bob, "r", json!(null)).await;
    ann.push(|push| push["ev"] == "join").await;
    doomed.signal("-KILL");
    assert_eq!(doomed.ends_with(), -1);
    assert_eq!(ann.push(|push| push["ev"] == "leave").await["conn"], bob.hello["conn"]);
    let metrics = crate::support::get(a.address().port(), "/metrics").await.1;
    assert!(metrics.contains("rooms_presence_sweeps_total 1"), "{metrics}");
}

#[tokio::test]
async fn members_that_redis_forgets_are_there_again() {
    let mut redis = Redis::start();
    let a = instance(quick("a", &redis)).await;
    let mut ann = Client::at(&a).await;
    enter(&mut ann, "r", json!(null)).await;
    redis.kill();
    redis.forget();
    ann.push_of("degraded").await;
    redis.restart();
    ann.push_of("restored").await;
    eventually("the member is back", async || {
        let reply = ann.call(json!({ "t": "get", "room": "r", "what": "members" })).await;
        (reply["ok"]["count"] == 1).then_some(())
    })
    .await;
}
