//! Frames that no client should send, each with its documented end.

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{connect_async, tungstenite};

use crate::support::{Client, config, instance, raw};

#[tokio::test]
async fn every_malformed_frame_has_its_close_code() {
    let mut settings = config("a", None);
    settings.limits.frame_bytes = 2048;
    let a = instance(settings).await;
    let text = |text: &str| Message::text(text.to_owned());
    let frame = |opcode, bytes: &[u8]| Message::Frame(Frame::message(bytes.to_vec(), opcode, true));
    let cases = [
        ("not JSON", text("hello"), 4000),
        ("not an object", text("[]"), 4000),
        ("half an object", text("{\"t\":"), 4000),
        ("binary", Message::binary(vec![1, 2, 3]), 4000),
        ("too big", text(&format!("{{\"x\":\"{}\"}}", "x".repeat(3000))), 1009),
        ("no UTF-8", frame(OpCode::Data(Data::Text), b"{\"t\":\"\xff\xfe\"}"), 1007),
        ("a reserved opcode", frame(OpCode::Data(Data::Reserved(5)), b"x"), 1002),
        ("a continuation of nothing", frame(OpCode::Data(Data::Continue), b"x"), 1002),
    ];
    for (what, message, code) in cases {
        for greeted in [true, false] {
            let mut client = if greeted {
                Client::at(&a).await
            } else {
                Client::open(a.address().port()).await.expect("a connection")
            };
            client.socket.send(message.clone()).await.expect("it is sent");
            client.socket.flush().await.expect("it is sent");
            assert_eq!(client.closed_with().await, code, "{what}, greeted: {greeted}");
        }
    }
}

#[tokio::test]
async fn the_first_command_must_be_hello() {
    let a = instance(config("a", None)).await;
    for first in [r#"{"t":"join","id":1,"room":"r"}"#, r#"{"t":"ping"}"#, r#"{"t":"pong"}"#] {
        let mut client = Client::open(a.address().port()).await.expect("a connection");
        client.send(first).await;
        assert_eq!(client.closed_with().await, 4000, "{first}");
    }
    let mut twice = Client::at(&a).await;
    assert_eq!(twice.call(json!({ "t": "hello" })).await["err"]["code"], "bad_request");
    let mut client = Client::open(a.address().port()).await.expect("a connection");
    client.send(r#"{"t":"hello"}"#).await;
    assert_eq!(client.read().await.expect("a reply")["err"]["code"], "bad_request", "it has no id");
}

#[tokio::test]
async fn a_faulty_command_is_answered_and_the_connection_goes_on() {
    let a = instance(config("a", None)).await;
    let mut client = Client::at(&a).await;
    client.join("r").await;
    for (frame, id) in [
        (json!({ "t": "fly", "id": 7 }), json!(7)),
        (json!({ "t": "set", "id": 8, "room": "r" }), json!(8)),
        (json!({ "t": "pub", "room": "r", "data": 1 }), json!(null)),
    ] {
        client.send(frame.to_string()).await;
        let reply = client.read().await.expect("a reply");
        assert_eq!((&reply["id"], &reply["err"]["code"]), (&id, &json!("bad_request")), "{frame}");
    }
    assert_eq!(client.publish("r", json!(1)).await, 1);
    client.send(r#"{"t":"ping","id":99}"#).await;
    let pong = client.push_of("pong").await;
    assert_eq!(pong["id"], 99);
}

#[tokio::test]
async fn an_upgrade_is_refused_with_the_reason() {
    let mut settings = config("a", None);
    settings.limits.connects_per_second = 1;
    let a = instance(settings).await;
    let port = a.address().port();
    let connect = async |name: &'static str, value: &'static str| {
        let mut request = format!("ws://127.0.0.1:{port}/ws").into_client_request().expect("a request");
        request.headers_mut().insert(name, value.parse().expect("a header"));
        match connect_async(request).await {
            Ok(_) => 101,
            Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(connect("Origin", "http://evil.example").await, 403);
    assert_eq!(connect("Sec-WebSocket-Protocol", "chat.v9").await, 400);
    let answer = raw(port, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Ten may come at once; refused ones did not count.
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(Client::connect(port).await.expect("a connection"));
    }
    assert_eq!(connect("Origin", "http://127.0.0.1").await, 403, "another port is another origin");
    assert_eq!(connect("X-Test", "x").await, 429);
}
