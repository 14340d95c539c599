//! The protocol as its table tells it, spoken to an instance.

use serde_json::{Value, json};
use server::protocol::table::{COMMANDS, PUSHES};

use crate::support::{Client, Redis, config, instance};

fn code(reply: &Value) -> &str {
    reply["err"]["code"].as_str().unwrap_or_default()
}

/// Fails unless an object has the fields of a row and no others.
fn assert_fields(what: &str, object: &Value, row: &[&str], besides: &[&str]) {
    let object = object.as_object().unwrap_or_else(|| panic!("{what}: {object}"));
    let words = |field: &&str| field.split(" or ").map(str::to_owned).collect::<Vec<_>>();
    let known: Vec<String> = row.iter().flat_map(words).collect();
    for name in object.keys().filter(|name| !besides.contains(&name.as_str())) {
        assert!(known.iter().any(|field| field.trim_end_matches('?') == name), "{what}: {name} is not told");
    }
    for field in known.iter().filter(|field| !field.ends_with('?')) {
        assert!(object.contains_key(field), "{what}: {field} is missing in {object:?}");
    }
}

#[tokio::test]
async fn every_command_is_answered_as_the_table_says() {
    let redis = Redis::start();
    for settings in [config("memory", None), config("redis", Some(&redis))] {
        let one = instance(settings).await;
        let mut client = Client::open(one.address().port()).await.expect("a connection");
        let mut other = Client::at(&one).await;
        other.call(json!({ "t": "join", "room": "lobby", "presence": true })).await;
        for row in &COMMANDS {
            if row.name == "act" {
                client.call(json!({ "t": "join", "room": "game", "kind": "ttt" })).await;
            }
            client.send(row.example).await;
            if row.replies {
                let id = serde_json::from_str::<Value>(row.example).expect("JSON")["id"].clone();
                let reply = client.push(|frame| frame["id"] == id && frame["t"].is_null()).await;
                assert_fields(row.name, &reply["ok"], row.reply, &[]);
            }
        }
        for what in ["history", "members"] {
            let reply = other.call(json!({ "t": "get", "room": "lobby", "what": what })).await;
            let row = COMMANDS.iter().find(|row| row.name == "get").expect("a row");
            assert_fields(what, &reply["ok"], row.reply, &[]);
        }
        // What the other one saw of it, up to the leave.
        loop {
            let push = other.push(|frame| frame["id"].is_null()).await;
            let name = push["t"].as_str().expect("a name").to_owned();
            let row = PUSHES.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name}"));
            assert_fields(&name, &push, row.fields, &["t"]);
            if push["ev"] == "leave" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn kinds_are_fixed_and_have_their_own_way_of_changing() {
    let redis = Redis::start();
    for settings in [config("memory", None), config("redis", Some(&redis))] {
        let one = instance(settings).await;
        let (mut ann, mut bob) = (Client::at(&one).await, Client::at(&one).await);
        ann.call(json!({ "t": "join", "room": "g", "kind": "ttt" })).await;
        let reply = bob.call(json!({ "t": "join", "room": "g", "kind": "doc" })).await;
        assert_eq!(code(&reply), "bad_request", "{reply}");
        assert_eq!(bob.join("g").await["kind"], "ttt");
        for raw in [
            json!({ "t": "set", "room": "g", "doc": 1 }),
            json!({ "t": "patch", "room": "g", "merge": { "turn": "o" } }),
        ] {
            assert_eq!(code(&bob.call(raw).await), "forbidden");
        }
        let act = async |client: &mut Client, action: Value| {
            client.call(json!({ "t": "act", "room": "g", "action": action })).await
        };
        assert_eq!(act(&mut ann, json!({ "do": "sit" })).await["ok"]["version"], 1);
        let reply = act(&mut ann, json!({ "do": "move", "cell": 0 })).await;
        assert_eq!((code(&reply), &reply["err"]["reason"]), ("rejected", &json!("no_opponent")));
        act(&mut bob, json!({ "do": "sit" })).await;
        let keyed = json!({ "t": "act", "room": "g", "action": { "do": "move", "cell": 4 }, "key": "m1" });
        let first = ann.call(keyed.clone()).await;
        let again = ann.call(keyed).await;
        assert_eq!(
            (&again["ok"]["version"], &again["ok"]["repeated"]),
            (&first["ok"]["version"], &json!(true))
        );
        let reply = act(&mut ann, json!({ "do": "move", "cell": 5 })).await;
        assert_eq!(reply["err"]["reason"], "not_your_turn");
        assert_eq!(act(&mut bob, json!({ "do": "move", "cell": 4 })).await["err"]["reason"], "cell_taken");
        bob.call(json!({ "t": "join", "room": "d" })).await;
        let reply = bob.call(json!({ "t": "act", "room": "d", "action": { "do": "sit" } })).await;
        assert_eq!(code(&reply), "forbidden");
    }
}

#[tokio::test]
async fn a_guest_that_comes_back_is_the_same_user_on_any_instance() {
    let redis = Redis::start();
    let (a, b) = (instance(config("a", Some(&redis))).await, instance(config("b", Some(&redis))).await);
    let first = Client::at(&a).await;
    let token = first.hello["guest_token"].clone();
    let mut back = Client::open(b.address().port()).await.expect("a connection");
    let reply = back.call(json!({ "t": "hello", "resume": token })).await;
    assert_eq!(reply["ok"]["user"], first.hello["user"]);
    assert_ne!(reply["ok"]["conn"], first.hello["conn"]);
    let forged = token.as_str().expect("text").replace("guest-", "guest-0");
    let mut other = Client::open(b.address().port()).await.expect("a connection");
    let reply = other.call(json!({ "t": "hello", "resume": forged })).await;
    assert!(reply["ok"]["user"].is_string() && reply["ok"]["user"] != first.hello["user"], "{reply}");
    let mut token = Client::open(b.address().port()).await.expect("a connection");
    let reply = token.call(json!({ "t": "hello", "token": "a.b.c" })).await;
    assert_eq!(code(&reply), "unauthorized", "no secret, no tokens");
    assert_eq!(token.closed_with().await, 4001);
}

#[tokio::test]
async fn info_and_members_have_their_bounds() {
    let mut settings = config("a", None);
    settings.limits.info_bytes = 20;
    settings.limits.members = 2;
    settings.limits.depth = 6;
    let a = instance(settings).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::at(&a).await;
        client.call(json!({ "t": "join", "room": "r", "presence": true })).await;
        clients.push(client);
    }
    let client = &mut clients[0];
    let reply = client.call(json!({ "t": "get", "room": "r", "what": "members" })).await;
    assert_eq!(reply["ok"]["count"], 3);
    assert_eq!(reply["ok"]["members"].as_array().map(Vec::len), Some(2));
    let reply = client.call(json!({ "t": "here", "room": "r", "info": "x".repeat(30) })).await;
    assert_eq!(code(&reply), "bad_request");
    let reply = client.call(json!({ "t": "pub", "room": "r", "data": [[[[[[1]]]]]] })).await;
    assert_eq!(code(&reply), "bad_request", "nested too deep");
    client.call(json!({ "t": "join", "room": "hidden" })).await;
    let reply = client.call(json!({ "t": "here", "room": "hidden", "info": 1 })).await;
    assert_eq!(code(&reply), "bad_request", "joined without presence");
}
