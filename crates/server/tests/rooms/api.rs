//! The server-side API, metrics and the log.

use serde_json::{Value, json};
use server::config::{Config, Secret};

use crate::process::Process;
use crate::support::{Client, Redis, config, eventually, free_port, get, instance, raw, ready};

const KEY: &str = "the key of the tests";

fn settings(name: &str, redis: Option<&Redis>) -> Config {
    let mut config = config(name, redis);
    config.api_key = Some(Secret::new(KEY));
    config
}

async fn call(port: u16, method: &str, path: &str, key: &str, body: &str) -> (u16, Value) {
    let text = raw(
        port,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    )
    .await;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

async fn post(port: u16, path: &str, body: Value) -> (u16, Value) {
    call(port, "POST", path, KEY, &body.to_string()).await
}

#[tokio::test]
async fn the_api_is_off_without_a_key_and_closed_to_a_wrong_one() {
    let off = instance(config("a", None)).await;
    let on = instance(settings("a", None)).await;
    for (method, path) in
        [("GET", "/api/rooms/r"), ("POST", "/api/publish"), ("POST", "/api/act"), ("POST", "/api/disconnect")]
    {
        assert_eq!(call(off.address().port(), method, path, KEY, "{}").await.0, 404);
        assert_eq!(call(on.address().port(), method, path, "another key, no less", "{}").await.0, 401);
    }
    let (status, info) = call(on.address().port(), "GET", "/api/info", "", "").await;
    assert_eq!((status, &info["server_id"], &info["store"]), (200, &json!("a"), &json!("memory")));
    assert!(info["version"].is_string() && info["uptime_seconds"].is_u64(), "{info}");
}

#[tokio::test]
async fn what_the_application_writes_reaches_clients_of_all_instances() {
    let redis = Redis::start();
    let (a, b) = (instance(settings("a", Some(&redis))).await, instance(settings("b", Some(&redis))).await);
    let port = a.address().port();
    let mut client = Client::at(&b).await;
    client.call(json!({ "t": "join", "room": "r", "presence": true })).await;
    let message = json!({ "room": "r", "data": { "n": 1 }, "key": "k" });
    let (status, body) = post(port, "/api/publish", message.clone()).await;
    assert_eq!((status, &body["offset"]), (200, &json!(1)));
    assert_eq!(post(port, "/api/publish", message).await.1["repeated"], true);
    let push = client.push_of("msg").await;
    assert_eq!((&push["data"]["n"], &push["by"]), (&json!(1), &json!("@api")));

    let act = json!({ "room": "game", "user": "ann", "action": { "do": "sit" } });
    assert_eq!(post(port, "/api/act", act.clone()).await.0, 200);
    let (status, body) = post(port, "/api/act", act).await;
    assert_eq!((status, &body["err"]["reason"]), (409, &json!("already_seated")));
    let (status, body) = call(port, "GET", "/api/rooms/game", KEY, "").await;
    assert_eq!((status, &body["kind"], &body["doc"]["seats"]["x"]), (200, &json!("ttt"), &json!("ann")));
    let (_, body) = call(port, "GET", "/api/rooms/r", KEY, "").await;
    assert_eq!((&body["count"], &body["members"][0]["server"]), (&json!(1), &json!("b")));

    for (path, body) in [
        ("/api/publish", json!({ "room": "a b", "data": 1 })),
        ("/api/publish", json!({ "room": "r" })),
        ("/api/publish", json!({ "room": "r", "data": 1, "dat": 2 })),
        ("/api/publish", json!({ "room": "r", "data": 1, "user": "a b" })),
        ("/api/act", json!({ "room": "r", "user": "u", "action": {}, "kind": "chess" })),
        ("/api/disconnect", json!({})),
        ("/api/disconnect", json!({ "user": "u", "code": 4000 })),
    ] {
        let (status, answer) = post(port, path, body.clone()).await;
        assert_eq!((status, &answer["err"]["code"]), (400, &json!("bad_request")), "{path} {body}");
    }
    assert_eq!(post(port, "/api/publish", json!({ "room": "r", "data": "x".repeat(70_000) })).await.0, 413);
}

#[tokio::test]
async fn connections_on_any_instance_are_sent_away() {
    let redis = Redis::start();
    let (a, b) = (instance(settings("a", Some(&redis))).await, instance(settings("b", Some(&redis))).await);
    let port = a.address().port();
    let (user, elsewhere, mut member, mut stays) =
        (Client::at(&b).await, Client::at(&b).await, Client::at(&a).await, Client::at(&a).await);
    assert_eq!(post(port, "/api/disconnect", json!({ "user": user.hello["user"] })).await.0, 202);
    assert_eq!(user.closed_with().await, 4003);
    post(port, "/api/disconnect", json!({ "server": "b", "code": 4201 })).await;
    assert_eq!(elsewhere.closed_with().await, 4201);

    for client in [&mut member, &mut stays] {
        client.call(json!({ "t": "join", "room": "r", "presence": true })).await;
    }
    post(port, "/api/disconnect", json!({ "conn": member.hello["conn"], "room": "r" })).await;
    assert_eq!(member.push_of("kicked").await["code"], "forbidden");
    assert_eq!(stays.push(|push| push["ev"] == "leave").await["conn"], member.hello["conn"]);
    let reply = member.call(json!({ "t": "pub", "room": "r", "data": 1 })).await;
    assert_eq!(reply["err"]["code"], "not_joined");
    member.join("r").await;
    post(port, "/api/disconnect", json!({ "room": "r" })).await;
    assert_eq!(stays.push_of("kicked").await["code"], "closed");
    assert_eq!(member.push_of("kicked").await["code"], "closed");
    assert_eq!(a.app().hub.members(), 0);
}

#[tokio::test]
async fn what_happens_is_counted() {
    let redis = Redis::start();
    let a = instance(settings("a", Some(&redis))).await;
    let mut client = Client::at(&a).await;
    let joined = client.join("r").await;
    client.publish("r", json!(1)).await;
    client.push_of("msg").await;
    client.call(json!({ "t": "set", "room": "r", "doc": 1, "if_version": 9 })).await;
    let mut back = Client::at(&a).await;
    let since = json!({ "epoch": joined["epoch"], "offset": joined["offset"] });
    back.call(json!({ "t": "join", "room": "r", "since": since })).await;
    let (status, text) = get(a.address().port(), "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "rooms_connections 2",
        "rooms_joins_total 2",
        "rooms_deliveries_total 1",
        "rooms_commands_total{t=\"pub\",outcome=\"ok\"} 1",
        "rooms_commands_total{t=\"set\",outcome=\"conflict\"} 1",
        "rooms_recoveries_total{result=\"recovered\"} 1",
        "rooms_cas_conflicts_total 1",
        "rooms_pubsub_lag_seconds_count 1",
        "rooms_redis_up 1",
        "rooms_draining 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn no_payload_and_no_token_gets_into_the_log() {
    let port = free_port();
    let text = port.to_string();
    let mut child = Process::server(&[
        ("SERVER_PORT", &text),
        ("SERVER_ID", "s"),
        ("LOG_LEVEL", "trace"),
        ("API_KEY", "planted-key-0123456789"),
    ]);
    ready(port).await;
    let mut client = Client::connect(port).await.expect("a connection");
    let token = client.hello["guest_token"].as_str().expect("a token").to_owned();
    let mut back = Client::open(port).await.expect("a connection");
    back.call(json!({ "t": "hello", "resume": token, "client": "planted\nname" })).await;
    client.call(json!({ "t": "join", "room": "r", "presence": true, "info": "planted" })).await;
    client.publish("r", json!("planted")).await;
    client.call(json!({ "t": "set", "room": "r", "doc": { "planted": 1 } })).await;
    client.send(r#"{"t":"cast","room":"r","data":"planted"}"#).await;
    get(port, "/ws?token=planted").await;
    call(port, "POST", "/api/publish", "planted-key-0123456789", r#"{"room":"r","data":"planted"}"#).await;
    child.signal("-TERM");
    assert_eq!(child.ends_with(), 0);
    let log = child.log();
    let signature = token.rsplit('.').next().expect("a signature");
    assert!(!log.contains(signature), "{log}");
    let planted: Vec<&str> = log.lines().filter(|line| line.contains("planted")).collect();
    assert!(planted.iter().all(|line| line.contains("\"client\":\"planted\\nname\"")), "{planted:?}");
    eventually("it is gone", async || Client::open(port).await.is_err().then_some(())).await;
}
