//! Who may do what: tokens, permissions and their ends.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use server::config::{Config, Secret};
use sha2::Sha256;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Client, config, instance};

const SECRET: &str = "a secret for tests, of 32 bytes or more";

fn settings() -> Config {
    let mut config = config("a", None);
    config.auth_secret = Some(Secret::new(SECRET));
    config
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

fn token(claims: &Value) -> String {
    let signed =
        format!("{}.{}", BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#), BASE64.encode(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

async fn with(port: u16, claims: &Value) -> (Client, Value) {
    let mut client = Client::open(port).await.expect("a connection");
    let reply = client.call(json!({ "t": "hello", "token": token(claims) })).await;
    (client, reply)
}

#[tokio::test]
async fn a_token_is_needed_and_must_be_right() {
    let a = instance(settings()).await;
    let port = a.address().port();
    let (_client, reply) = with(port, &json!({ "sub": "ann", "exp": now() + 60.0 })).await;
    assert_eq!(reply["ok"]["user"], "ann");
    assert!(reply["ok"].get("guest_token").is_none());

    let mut none = Client::open(port).await.expect("a connection");
    assert_eq!(none.call(json!({ "t": "hello" })).await["err"]["code"], "unauthorized");
    assert_eq!(none.closed_with().await, 4001);
    let (old, reply) = with(port, &json!({ "sub": "ann", "exp": now() - 1.0 })).await;
    assert_eq!(reply["err"]["code"], "token_expired");
    assert_eq!(old.closed_with().await, 4002);
}

#[tokio::test]
async fn a_token_that_ends_meanwhile_ends_the_connection() {
    let a = instance(settings()).await;
    let (client, reply) = with(a.address().port(), &json!({ "sub": "ann", "exp": now() + 0.3 })).await;
    assert_eq!(reply["ok"]["user"], "ann", "{reply}");
    assert_eq!(client.closed_with().await, 4002);
}

#[tokio::test]
async fn a_token_may_come_with_the_upgrade() {
    let a = instance(settings()).await;
    let port = a.address().port();
    let good = token(&json!({ "sub": "ann", "exp": now() + 60.0 }));
    for (query, bearer) in [(Some(good.as_str()), None), (None, Some(good.as_str()))] {
        let query = query.map(|token| format!("?x=1&token={token}")).unwrap_or_default();
        let mut request =
            format!("ws://127.0.0.1:{port}/ws{query}").into_client_request().expect("a request");
        if let Some(bearer) = bearer {
            let value = format!("Bearer {bearer}").parse().expect("a header");
            request.headers_mut().insert("Authorization", value);
        }
        let (socket, _) = connect_async(request).await.expect("a connection");
        let mut client = Client::over(socket);
        assert_eq!(client.call(json!({ "t": "hello" })).await["ok"]["user"], "ann");
    }
    for bad in ["x.y.z", &token(&json!({ "sub": "ann", "exp": 1 }))] {
        match connect_async(format!("ws://127.0.0.1:{port}/ws?token={bad}")).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 401),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn permissions_hold_per_room_and_per_deed() {
    let a = instance(settings()).await;
    let port = a.address().port();
    let claims = |perm: &str| json!({ "sub": "ann", "exp": now() + 60.0, "rooms": ["team-*"], "perm": perm });
    let attempts = [
        ("w", json!({ "t": "set", "room": "team-a", "doc": 1 })),
        ("w", json!({ "t": "patch", "room": "team-a", "merge": {} })),
        ("w", json!({ "t": "act", "room": "team-g", "action": { "do": "sit" } })),
        ("p", json!({ "t": "pub", "room": "team-a", "data": 1 })),
    ];
    for perm in ["r", "rw", "rp", "rwp"] {
        let (mut client, _) = with(port, &claims(perm)).await;
        let reply = client.call(json!({ "t": "join", "room": "other" })).await;
        assert_eq!(reply["err"]["code"], "forbidden");
        client.join("team-a").await;
        client.call(json!({ "t": "join", "room": "team-g", "kind": "ttt" })).await;
        for (needed, frame) in &attempts {
            let reply = client.call(frame.clone()).await;
            let refused = reply["err"]["code"] == "forbidden";
            assert_eq!(refused, !perm.contains(needed), "{perm}: {frame} {reply}");
        }
        client.send(r#"{"t":"cast","room":"team-a","data":"cast"}"#).await;
        if perm.contains('p') {
            client.push_of("cast").await;
        } else {
            let reply = client.push(|frame| frame["id"].is_null() && frame["err"].is_object()).await;
            assert_eq!(reply["err"]["code"], "forbidden");
        }
    }
    let (mut client, _) = with(port, &claims("wp")).await;
    assert_eq!(client.call(json!({ "t": "join", "room": "team-a" })).await["err"]["code"], "forbidden");
}

#[tokio::test]
async fn a_user_has_so_many_connections_and_no_more() {
    let mut settings = settings();
    settings.limits.user_connections = 2;
    let a = instance(settings).await;
    let port = a.address().port();
    let claims = |user: &str| json!({ "sub": user, "exp": now() + 60.0 });
    let (first, _) = with(port, &claims("ann")).await;
    let (_second, _) = with(port, &claims("ann")).await;
    let (third, reply) = with(port, &claims("ann")).await;
    assert_eq!(reply["err"]["code"], "limit_exceeded");
    assert_eq!(third.closed_with().await, 4005);
    let (_bob, reply) = with(port, &claims("bob")).await;
    assert!(reply["ok"].is_object());
    drop(first);
    crate::support::eventually("a place is free again", async || {
        let (_client, reply) = with(port, &claims("ann")).await;
        reply["ok"].is_object().then_some(())
    })
    .await;
}
