//! The page, in a real browser, through a real nginx, on two instances.

use std::path::Path;

use serde_json::Value;

use crate::browser::Browser;
use crate::process::nginx;
use crate::support::{Redis, config, eventually, free_port, get, instance};

/// The picture that the docs show; written anew where it is missing.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/page.png");

/// Clicks something of a side.
async fn click(browser: &mut Browser, side: &str, part: &str) {
    browser.value(&format!("document.querySelector('#pane-{side} {part}').click()")).await;
}

fn text(side: &str, part: &str) -> String {
    format!("document.querySelector('#pane-{side} [data-of={part}]').textContent")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sides_play_across_two_servers_and_come_back_after_a_drop() {
    let redis = Redis::start();
    let (a, b) =
        (instance(config("server-a", Some(&redis))).await, instance(config("server-b", Some(&redis))).await);
    let directory = tempfile::tempdir().expect("a directory");
    let door = free_port();
    let _nginx = nginx(directory.path(), door, [a.address().port(), b.address().port()]);
    eventually("nginx answers", async || (get(door, "/healthz").await.0 == 200).then_some(())).await;

    let mut browser = Browser::start().await;
    browser.open(&format!("http://127.0.0.1:{door}/?room=demo")).await;
    for side in ["left", "right"] {
        browser.until(&format!("document.querySelectorAll('#pane-{side} .members li').length === 2")).await;
    }
    let servers =
        [browser.value(&text("left", "server")).await, browser.value(&text("right", "server")).await];
    assert_ne!(servers[0], servers[1], "two sides, two servers");

    // By keyboard alone: take the seat, go into the board, move.
    browser.value("document.querySelector('#pane-left [data-of=sit]').focus()").await;
    browser.press("Enter").await;
    browser.until(&format!("{}.includes('you are x')", text("left", "status"))).await;
    click(&mut browser, "right", "[data-of=sit]").await;
    browser.until(&format!("{}.includes('your move')", text("left", "status"))).await;
    browser.value("document.querySelector('#pane-left .board button').focus()").await;
    for key in ["ArrowRight", "ArrowDown", "Enter"] {
        browser.press(key).await;
    }
    let marks = |side: &str| {
        format!(
            "[...document.querySelectorAll('#pane-{side} .board button')].map(b => b.textContent || '-').join('')"
        )
    };
    browser.until(&format!("{} === '----x----'", marks("right"))).await;
    browser.until("document.getElementById('latency').textContent.includes('ms')").await;

    // A move out of turn is refused by the server and said.
    click(&mut browser, "left", ".board button:nth-of-type(1)").await;
    browser.until(&format!("{}.includes(\"other player's move\")", text("left", "status"))).await;

    // A side that drops its socket is back by itself, as the same user, with what it missed.
    let user = browser.value(&text("left", "user")).await;
    click(&mut browser, "left", "[data-of=drop]").await;
    click(&mut browser, "right", ".board button").await;
    browser.until(&format!("{} === 'o---x----'", marks("left"))).await;
    browser.until(&format!("{}.includes('all there')", text("left", "log"))).await;
    assert_eq!(browser.value(&text("left", "user")).await, user);
    assert_eq!(browser.value(&text("left", "offset")).await, browser.value(&text("right", "offset")).await);

    for (side, cell) in [("left", 3), ("right", 1), ("left", 5)] {
        let before = browser.value(&marks(side)).await;
        browser.until(&format!("{}.includes('your move')", text(side, "status"))).await;
        let cell = format!("document.querySelectorAll('#pane-{side} .board button')[{cell}].click()");
        browser.value(&cell).await;
        browser.until(&format!("{} !== {before}", marks("left"))).await;
        browser.until(&format!("{} === {}", marks("left"), marks("right"))).await;
    }
    browser.until(&format!("{} === 'x has won'", text("right", "status"))).await;
    assert_eq!(browser.value("document.querySelectorAll('#pane-right .won').length").await, 3);

    let told = browser.accessible().await;
    for (role, name) in [
        ("heading", "rooms"),
        ("textbox", "room"),
        ("grid", "tic-tac-toe board"),
        ("gridcell", "row 2, column 2: x"),
        ("button", "drop my socket"),
        ("region", "left server-a"),
        ("region", "right server-b"),
    ] {
        let name_of_side = role == "region";
        let found = told.iter().any(|(found_role, found_name)| {
            let side = name.split(' ').next().unwrap_or(name);
            found_role == role && (found_name == name || (name_of_side && found_name == side))
        });
        assert!(found, "{role} {name} is not told: {told:?}");
    }
    let own = format!("http://127.0.0.1:{door}/");
    let foreign: Vec<&String> =
        browser.loaded.iter().filter(|url| !url.starts_with(&own) && !url.starts_with("data:")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    let picture = browser.picture().await;
    assert!(picture.starts_with(b"\x89PNG"));
    if !Path::new(PICTURE).exists() {
        std::fs::write(PICTURE, picture).expect("a file");
    }
}

#[tokio::test]
async fn a_page_of_another_place_can_neither_connect_nor_be_injected() {
    let a = instance(config("a", None)).await;
    let mut browser = Browser::start().await;
    browser.open(&format!("http://localhost:{}/", a.address().port())).await;
    browser.until("document.querySelectorAll('.badge.on').length === 2").await;
    let blocked = "new Promise(done => {
        addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
        const script = document.createElement('script');
        script.textContent = 'window.injected = 1';
        document.body.append(script);
    })";
    assert_eq!(browser.value(blocked).await, "script-src-elem");
    assert_eq!(browser.value("window.injected ?? null").await, Value::Null);
    // The same machine under another name is another origin.
    browser.open("data:text/html,<title>elsewhere</title>").await;
    browser.until("document.title === 'elsewhere'").await;
    let refused = format!(
        "new Promise(done => {{
            const socket = new WebSocket('ws://localhost:{}/ws', 'rooms.v1');
            socket.onopen = () => done('open');
            socket.onerror = () => done('refused');
        }})",
        a.address().port()
    );
    assert_eq!(browser.value(&refused).await, "refused");
}
