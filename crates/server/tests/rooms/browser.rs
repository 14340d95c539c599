//! A real Chromium without a window, driven by its DevTools protocol.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{PATIENCE, eventually};

/// A browser, gone with the test.
pub(crate) struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    /// What the page has complained about.
    pub(crate) complaints: Vec<String>,
    /// What the page has loaded.
    pub(crate) loaded: Vec<String>,
}

impl Browser {
    /// Starts a browser with one empty page of 1000 × 1000 pixels.
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .args(["--disable-component-update", "--remote-debugging-port=0", "--window-size=1000,1000"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need chromium: cargo xtask test installs it");
        let address = eventually("chromium answers", async || address(profile.path())).await;
        let (socket, _) = connect_async(address).await.expect("a connection");
        let mut browser = Self {
            child,
            _profile: profile,
            socket,
            session: String::new(),
            next: 0,
            complaints: Vec::new(),
            loaded: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in
            ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable", "Accessibility.enable"]
        {
            browser.call(domain, json!({})).await;
        }
        browser
    }

    /// Calls a method of the protocol and returns its result.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut frame = json!({ "id": self.next, "method": method, "params": params });
        if !self.session.is_empty() {
            frame["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(frame.to_string())).await.expect("a connection");
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("an answer in time");
            let Some(Ok(Message::Text(text))) = message else { panic!("{method}: {message:?}") };
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame["id"] == self.next {
                assert!(frame["error"].is_null(), "{method}: {frame}");
                return frame["result"].clone();
            }
            self.hear(&frame);
        }
    }

    fn hear(&mut self, frame: &Value) {
        let params = &frame["params"];
        match frame["method"].as_str() {
            Some("Log.entryAdded") => self.complaints.push(params["entry"]["text"].to_string()),
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Network.requestWillBeSent") => {
                self.loaded.push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }

    /// Goes to a page.
    pub(crate) async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
    }

    /// What an expression of the page gives.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", params).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression of the page is true.
    pub(crate) async fn until(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.value(&format!("Boolean({expression})")).await != true {
            if begun.elapsed() > PATIENCE {
                let shown = self.value("document.body.innerText").await;
                panic!("{expression}: not within {PATIENCE:?}; {:?}\n{shown}", self.complaints);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Presses a key where the focus is.
    pub(crate) async fn press(&mut self, key: &str) {
        let text = if key == "Enter" { "\r" } else { "" };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            other => panic!("{other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    /// What a screen reader is told of the page: role and name of each thing.
    pub(crate) async fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().expect("nodes").iter().filter(|node| node["ignored"] != true);
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        nodes.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }

    /// A picture of the page, as PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        BASE64.decode(shot["data"].as_str().expect("data")).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the browser with this profile takes commands, once it does.
fn address(profile: &Path) -> Option<String> {
    let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
    let (port, path) = text.split_once('\n')?;
    Some(format!("ws://127.0.0.1:{port}{}", path.trim()))
}
