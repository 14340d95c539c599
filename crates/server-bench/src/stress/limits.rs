//! What clients do wrong, and that nobody else suffers from it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::Setting;
use crate::client::{Client, Ended};
use crate::fleet::{eventually, metric};

/// Each frame with its documented close code or error.
pub(super) async fn malformed_frames(setting: &Setting<'_>) -> Result<String> {
    let fleet = setting.fleet(&[("MAX_FRAME_BYTES", "2048")]).await?;
    let frame = |opcode, bytes: &[u8]| Message::Frame(Frame::message(bytes.to_vec(), opcode, true));
    let text = |text: &str| Message::text(text.to_owned());
    let closes = [
        (text("hello"), 4000),
        (text(""), 4000),
        (text("[]"), 4000),
        (text("null"), 4000),
        (text("{\"t\":"), 4000),
        (text("{}{}"), 4000),
        (Message::binary(vec![0; 3]), 4000),
        (text(&format!("{{\"x\":\"{}\"}}", "x".repeat(3000))), 1009),
        (frame(OpCode::Data(Data::Text), b"{\"t\":\"\xff\"}"), 1007),
        (frame(OpCode::Data(Data::Reserved(5)), b"x"), 1002),
        (frame(OpCode::Data(Data::Continue), b"x"), 1002),
    ];
    for (number, (message, code)) in closes.iter().enumerate() {
        let mut client = Client::connect(fleet.port(number)).await?;
        client.send_message(message.clone()).await?;
        let ended = client.end().await?;
        ensure!(ended == Ended(Some(*code)), "{message:?}: {ended:?}, and {code} is documented");
    }
    let faults = [
        (r#"{"id":1}"#, "bad_request"),
        (r#"{"t":"fly","id":1}"#, "bad_request"),
        (r#"{"t":"join","id":1}"#, "bad_request"),
        (r#"{"t":"join","id":1,"room":"a b"}"#, "bad_request"),
        (r#"{"t":"join","id":-1,"room":"r"}"#, "bad_request"),
        (r#"{"t":"set","id":1,"room":"r","doc":"\ud800"}"#, "bad_request"),
        (r#"{"t":"ping","t":"ping","id":1}"#, "bad_request"),
        (r#"{"t":"hello","id":1}"#, "bad_request"),
        (r#"{"t":"pub","id":1,"room":"r","data":1}"#, "not_joined"),
        (r#"{"t":"leave","id":1,"room":"r"}"#, "not_joined"),
        (r#"{"t":"get","id":1,"room":"r","what":"doc"}"#, "not_joined"),
    ];
    let mut client = Client::connect(fleet.port(0)).await?;
    for (text, code) in &faults {
        client.send((*text).to_owned()).await?;
        let reply = client.until(|frame| frame["err"].is_object()).await?;
        ensure!(reply["err"]["code"] == *code, "{text}: {reply}, and {code} is documented");
    }
    Ok(format!("{} frames, each with its code", closes.len() + faults.len()))
}

/// One does not read: it is closed with 4102, and the others wait no longer for their frames.
pub(super) async fn a_slow_reader_is_closed(setting: &Setting<'_>) -> Result<String> {
    const EVENTS: usize = 1000;
    let mut fleet = setting.fleet(&[("MAX_QUEUE_BYTES", "262144"), ("WRITE_SECONDS", "2")]).await?;
    let mut quiet = Histogram::<u64>::new(3)?;
    let mut beside = Histogram::<u64>::new(3)?;
    for (room, times, slow) in [("quiet", &mut quiet, false), ("beside", &mut beside, true)] {
        let mut sloth = Client::connect(fleet.port(0)).await?;
        if slow {
            sloth.join(room).await?;
        }
        let mut writer = Client::connect(fleet.port(0)).await?;
        let mut reader = Client::connect(fleet.port(1)).await?;
        writer.join(room).await?;
        reader.join(room).await?;
        let long = "x".repeat(8_000);
        for _ in 0..EVENTS {
            let begun = Instant::now();
            writer.ok(json!({ "t": "pub", "room": room, "data": long })).await?;
            reader.until(|push| push["t"] == "msg").await?;
            times.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
        if slow {
            let ended = sloth.end().await?;
            if !matches!(ended, Ended(Some(4102) | None)) {
                bail!("it ended with {ended:?}");
            }
        }
    }
    let port = fleet.servers[0].port;
    let closes = eventually("the slow one is closed", async || {
        metric(port, "rooms_slow_closes_total").await.filter(|count| *count >= 1.0)
    })
    .await?;
    ensure!(closes == 1.0, "{closes} were closed as slow");
    fleet.servers.clear();
    let ms = |times: &Histogram<u64>| times.value_at_quantile(0.99) as f64 / 1000.0;
    Ok(format!("closed; p99 of the others {:.1} ms, without it {:.1} ms", ms(&beside), ms(&quiet)))
}

/// After many have come and gone, nothing of them is held.
pub(super) async fn hubs_drain_to_zero(setting: &Setting<'_>) -> Result<String> {
    let fleet = setting.fleet(&[]).await?;
    for wave in 0..5 {
        let mut clients = Vec::new();
        for number in 0..20 {
            let mut client = Client::connect(fleet.port(number)).await?;
            for room in 0..3 {
                let frame = json!({ "t": "join", "room": format!("w{wave}-{room}"), "presence": true });
                client.ok(frame).await?;
            }
            if number % 3 == 0 {
                client.ok(json!({ "t": "leave", "room": format!("w{wave}-0") })).await?;
            }
            clients.push(client);
        }
        // They go without a word.
        drop(clients);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for server in &fleet.servers {
        eventually(&format!("{} holds nothing", server.name), async || {
            for name in ["rooms_connections", "rooms_held", "rooms_members", "rooms_queue_bytes"] {
                if metric(server.port, name).await != Some(0.0) {
                    return None;
                }
            }
            Some(())
        })
        .await?;
    }
    Ok("100 clients in 15 rooms, all gone".to_owned())
}
