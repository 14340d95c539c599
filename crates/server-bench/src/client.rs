//! A client of `rooms.v1` that watches over what it was promised.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::fleet::PATIENCE;

/// Everything that one client was told of one room: (epoch, offset) → frame.
pub(crate) type Seen = BTreeMap<(String, u64), String>;

/// A connection, and the room that it is in.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    pub(crate) hello: Value,
    next: u32,
    /// Pushes that came while a reply was waited for.
    pushed: VecDeque<String>,
    /// Whether pushes are of no interest.
    pub(crate) deaf: bool,
    /// Where the client stands in its room.
    pub(crate) at: Option<(String, u64)>,
    /// What it was told.
    pub(crate) seen: Seen,
    /// How often its room started anew.
    pub(crate) resets: usize,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended(pub(crate) Option<u16>);

impl Client {
    /// Connects without a word.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut request = format!("ws://{address}/ws").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "rooms.v1".parse()?);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = timeout(PATIENCE, client_async(request, stream)).await??;
        Ok(Self {
            socket,
            hello: Value::Null,
            next: 0,
            pushed: VecDeque::new(),
            deaf: false,
            at: None,
            seen: Seen::new(),
            resets: 0,
        })
    }

    /// Connects and says hello.
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let mut client = Self::open(port).await?;
        client.hello = client.ok(json!({ "t": "hello" })).await?;
        Ok(client)
    }

    /// Connects somewhere else, as a client that remembers what it saw.
    pub(crate) async fn again(&mut self, port: u16) -> Result<()> {
        while !self.pushed.is_empty() {
            self.push_known()?;
        }
        let mut fresh = Self::open(port).await?;
        fresh.hello = fresh.ok(json!({ "t": "hello", "resume": self.hello["guest_token"] })).await?;
        std::mem::swap(&mut fresh.at, &mut self.at);
        std::mem::swap(&mut fresh.seen, &mut self.seen);
        fresh.resets = self.resets;
        *self = fresh;
        Ok(())
    }

    /// Sends a text as it is.
    pub(crate) async fn send(&mut self, text: String) -> Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// Sends any message.
    pub(crate) async fn send_message(&mut self, message: Message) -> Result<()> {
        Ok(self.socket.send(message).await?)
    }

    /// Sends a command and returns its reply.
    pub(crate) async fn call(&mut self, mut frame: Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        frame["id"] = id.into();
        self.send(frame.to_string()).await?;
        loop {
            let text = self.read().await?;
            // Replies begin with their id; reading every push twice would cost more than the server does.
            if text.starts_with("{\"id\":") {
                let frame: Value = serde_json::from_str(&text)?;
                if frame["id"] == id {
                    return Ok(frame);
                }
            }
            if !self.deaf {
                self.pushed.push_back(text);
            }
        }
    }

    /// Sends a command, which must succeed, and returns what its reply holds.
    pub(crate) async fn ok(&mut self, frame: Value) -> Result<Value> {
        let shown = frame.to_string();
        let reply = self.call(frame).await?;
        if reply["ok"].is_object() { Ok(reply["ok"].clone()) } else { bail!("{shown}: {reply}") }
    }

    /// Joins a room, from where it stands if it was there before.
    pub(crate) async fn join(&mut self, room: &str) -> Result<Value> {
        let mut frame = json!({ "t": "join", "room": room });
        if let Some((epoch, offset)) = &self.at {
            frame["since"] = json!({ "epoch": epoch, "offset": offset });
        }
        let ok = self.ok(frame).await?;
        let position = place(&ok)?;
        if ok["recovered"] == true {
            for event in ok["events"].as_array().into_iter().flatten() {
                self.note(event)?;
            }
            if self.at.as_ref() != Some(&position) {
                bail!("recovered to {:?}, and the room is at {position:?}", self.at);
            }
        } else {
            self.resets += usize::from(self.at.is_some());
            self.at = Some(position);
        }
        Ok(ok)
    }

    /// The next push, with the promise checked.
    pub(crate) async fn push(&mut self) -> Result<Value> {
        if self.pushed.is_empty() {
            let text = self.read().await?;
            self.pushed.push_back(text);
        }
        let frame = self.push_known()?;
        if frame["t"] == "ping" {
            self.send(r#"{"t":"pong"}"#.to_owned()).await?;
        }
        Ok(frame)
    }

    /// The first of the pushes that have come, with the promise checked.
    fn push_known(&mut self) -> Result<Value> {
        let text = self.pushed.pop_front().context("no push has come")?;
        let frame: Value = serde_json::from_str(&text)?;
        if frame["t"] == "reset" {
            self.resets += 1;
            self.at = Some(place(&frame)?);
        } else if frame["offset"].is_u64() && frame["id"].is_null() {
            self.note(&frame)?;
        }
        Ok(frame)
    }

    /// Reads pushes until this one.
    pub(crate) async fn until(&mut self, is: impl Fn(&Value) -> bool) -> Result<Value> {
        loop {
            let push = self.push().await?;
            if is(&push) {
                return Ok(push);
            }
        }
    }

    /// Reads pushes until it stands at this offset of an epoch, or later.
    pub(crate) async fn reach(&mut self, (epoch, offset): &(String, u64)) -> Result<()> {
        while self.at.as_ref().is_none_or(|at| at.0 != *epoch || at.1 < *offset) {
            self.push().await?;
        }
        Ok(())
    }

    /// Takes an event: it must be the one after where the client stands.
    fn note(&mut self, event: &Value) -> Result<()> {
        let at = place(event)?;
        match &self.at {
            Some((epoch, offset)) if *epoch == at.0 && at.1 == offset + 1 => {}
            before => bail!("after {before:?} comes {at:?}: a gap or a repetition"),
        }
        self.seen.insert(at.clone(), event.to_string());
        self.at = Some(at);
        Ok(())
    }

    async fn read(&mut self) -> Result<String> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.context("no frame in time")?;
            match message {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(anyhow!("closed: {:?}", frame.map(|frame| u16::from(frame.code))));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Error::ConnectionClosed.into()),
            }
        }
    }

    /// Reads to the end, and tells how it came.
    pub(crate) async fn end(&mut self) -> Result<Ended> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.context("it does not end")? {
                Some(Ok(Message::Close(frame))) => {
                    return Ok(Ended(frame.map(|frame| frame.code.into())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(Ended(None)),
            }
        }
    }
}

/// Epoch and offset of a frame.
pub(crate) fn place(frame: &Value) -> Result<(String, u64)> {
    let epoch = frame["epoch"].as_str().with_context(|| format!("no epoch: {frame}"))?;
    let offset = frame["offset"].as_u64().with_context(|| format!("no offset: {frame}"))?;
    Ok((epoch.to_owned(), offset))
}
