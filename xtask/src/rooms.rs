//! A client of the server's protocol, `rooms.v1`: just enough to see that values arrive.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

/// How long anything may take: the stack is healthy before it is spoken to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A published port of a service.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) service: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Door {
    /// `host:port`.
    pub(crate) fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Where WebSockets are opened.
    pub(crate) fn address(&self) -> String {
        format!("ws://{}/ws", self.place())
    }
}

/// A connection on which `hello` has been said.
pub(crate) struct Client {
    socket: WebSocket<TcpStream>,
    /// Whom the errors are about.
    through: String,
    next: u32,
    /// Pushes that came while a reply was waited for.
    pushed: Vec<Value>,
}

impl Client {
    /// Opens a connection and says `hello`.
    pub(crate) fn connect(door: &Door) -> Result<Self> {
        let through = format!("{} ({})", door.service, door.address());
        let socket = open(door).with_context(|| format!("{through} takes no WebSocket"))?;
        let mut client = Self { socket, through, next: 0, pushed: Vec::new() };
        client.ask(json!({ "t": "hello" }))?;
        Ok(client)
    }

    /// Sends a command and returns what its reply holds.
    pub(crate) fn ask(&mut self, mut command: Value) -> Result<Value> {
        self.next += 1;
        command["id"] = self.next.into();
        let sent = self.socket.send(Message::text(command.to_string()));
        sent.with_context(|| format!("{} takes no command", self.through))?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let frame = self.read()?;
            if frame["id"] != self.next {
                self.pushed.push(frame);
            } else if frame["ok"].is_object() {
                return Ok(frame["ok"].clone());
            } else {
                bail!("{} refuses {}: {frame}", self.through, command["t"]);
            }
        }
        bail!("{} does not reply to {}", self.through, command["t"]);
    }

    /// Waits until a room's document is pushed in this version.
    pub(crate) fn sees(&mut self, room: &str, version: &Value, doc: &Value) -> Result<()> {
        let begun = Instant::now();
        let mut before = std::mem::take(&mut self.pushed).into_iter();
        while begun.elapsed() < PATIENCE {
            let frame = match before.next() {
                Some(frame) => frame,
                None => self.read()?,
            };
            if frame["t"] == "state" && frame["room"] == room && frame["version"] == *version {
                if frame["doc"] != *doc {
                    bail!("{}: {} was set and {} arrived", self.through, doc, frame["doc"]);
                }
                return Ok(());
            }
        }
        bail!("{}: the value did not arrive within {} s", self.through, PATIENCE.as_secs());
    }

    fn read(&mut self) -> Result<Value> {
        loop {
            let message = self.socket.read();
            if let Message::Text(text) = message.with_context(|| format!("{} says nothing", self.through))? {
                return serde_json::from_str(&text).with_context(|| format!("{}: {text}", self.through));
            }
        }
    }
}

fn open(door: &Door) -> Result<WebSocket<TcpStream>> {
    let place =
        (door.host.as_str(), door.port).to_socket_addrs()?.next().context("the name has no address")?;
    let stream = TcpStream::connect_timeout(&place, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = door.address().into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", "rooms.v1".parse()?);
    let (socket, _) = tungstenite::client(request, stream).map_err(|error| match error {
        tungstenite::HandshakeError::Failure(error) => anyhow::Error::new(error),
        tungstenite::HandshakeError::Interrupted(_) => anyhow::anyhow!("no answer in time"),
    })?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use tungstenite::handshake::server::{Request, Response};

    use super::*;

    /// A server for one client: it answers each frame with these.
    fn serve(answers: Vec<Vec<Value>>) -> (Door, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut socket = accept(stream);
            for frames in answers {
                socket.read().expect("a command");
                for frame in frames {
                    socket.send(Message::text(frame.to_string())).expect("a frame");
                }
            }
        });
        (Door { service: "app2".to_owned(), host: "127.0.0.1".to_owned(), port }, thread)
    }

    #[expect(clippy::result_large_err, reason = "the library wants this signature")]
    fn accept(stream: TcpStream) -> WebSocket<TcpStream> {
        let with_protocol = |_: &Request, mut response: Response| {
            response.headers_mut().insert("Sec-WebSocket-Protocol", "rooms.v1".parse().expect("a word"));
            Ok(response)
        };
        tungstenite::accept_hdr(stream, with_protocol).expect("a handshake")
    }

    #[test]
    fn a_push_before_the_reply_is_seen() {
        let state = json!({ "t": "state", "room": "r", "version": 4, "doc": { "a": 1 } });
        let (door, server) = serve(vec![
            vec![json!({ "id": 1, "ok": {} })],
            vec![state, json!({ "id": 2, "ok": { "version": 3 } })],
        ]);
        let mut client = Client::connect(&door).expect("a connection");
        let joined = client.ask(json!({ "t": "join", "room": "r" })).expect("a reply");
        assert_eq!(joined["version"], 3);
        client.sees("r", &json!(4), &json!({ "a": 1 })).expect("a push");
        server.join().expect("a server");
    }

    #[test]
    fn a_refusal_and_another_value_are_errors() {
        let state = json!({ "t": "state", "room": "r", "version": 4, "doc": 2 });
        let (door, _server) = serve(vec![
            vec![json!({ "id": 1, "ok": {} })],
            vec![json!({ "id": 2, "error": { "code": "not_joined" } }), state],
        ]);
        let mut client = Client::connect(&door).expect("a connection");
        let error = client.ask(json!({ "t": "set", "room": "r" })).expect_err("a refusal").to_string();
        assert!(error.contains("app2") && error.contains("not_joined"), "{error}");
        let error = client.sees("r", &json!(4), &json!(1)).expect_err("another value").to_string();
        assert!(error.contains("1 was set and 2 arrived"), "{error}");
    }

    #[test]
    fn a_door_that_is_shut_is_named() {
        let door = Door { service: "nginx".to_owned(), host: "127.0.0.1".to_owned(), port: 1 };
        let error = format!("{:#}", Client::connect(&door).err().expect("no connection"));
        assert!(error.starts_with("nginx (ws://127.0.0.1:1/ws) takes no WebSocket: "), "{error}");
    }
}
