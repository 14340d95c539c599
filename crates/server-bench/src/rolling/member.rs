//! A client that writes and reads in one room, and comes back whatever happens to its server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::room::Room;
use super::{Phase, Told};
use crate::load::dialect::{Dialect, replied};
use crate::load::wanderer::number_after;
use crate::load::wire::{Heard, Wire};

/// How long one try to come back may take, and the pauses between two: twice as long each time.
const TRY: Duration = Duration::from_secs(5);
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];
/// After a refusal, a write is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// The numbers of one client's writes.
const WRITES: u64 = 1_000_000;

/// A client in its room.
pub(super) struct Member {
    door: SocketAddr,
    number: u64,
    room: Arc<Room>,
    told: Arc<Told>,
    wire: Wire,
    /// What makes it the same guest again.
    token: String,
    /// The last event that it was told.
    at: (String, u64),
    /// How much it has written.
    written: u64,
    /// The write that is not answered.
    pending: Option<u64>,
}

/// What a client has to do after it has heard something.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Listen,
    /// The server asks for a sign of life.
    Answer,
    /// A ping of the protocol below, with what it holds.
    Pong(Vec<u8>),
    /// The write was refused.
    Refused,
    /// The connection is over.
    Return,
}

impl Member {
    /// Comes to its room for the first time.
    pub(super) async fn arrive(
        door: SocketAddr,
        number: u64,
        room: Arc<Room>,
        told: Arc<Told>,
    ) -> Result<Self> {
        let (mut wire, token) = greeted(door, None).await?;
        let joined = join(&mut wire, &room.name, None).await?;
        let at = place(&joined)?;
        Ok(Self { door, number, room, told, wire, token, at, written: 0, pending: None })
    }

    /// Writes with this pause between two writes, and listens, until it is to leave and has
    /// heard all that was acknowledged.
    pub(super) async fn live(mut self, pause: Duration, mut phases: watch::Receiver<Phase>) {
        // They do not all write in the same moment.
        let first = pause.mul_f64((self.number % 1000) as f64 / 1000.0);
        let mut due = Instant::now() + first;
        loop {
            let phase = *phases.borrow_and_update();
            if phase == Phase::Leaving && self.room.is_heard_at(&self.at.0, self.at.1) {
                return;
            }
            match self.heard() {
                Some(Next::Listen) => continue,
                Some(Next::Answer) => {
                    if self.wire.send(Dialect::Rooms.sign_of_life()).await.is_err() {
                        self.come_back().await;
                    }
                    continue;
                }
                Some(Next::Pong(payload)) => {
                    if self.wire.pong(&payload).await.is_err() {
                        self.come_back().await;
                    }
                    continue;
                }
                Some(Next::Refused) => {
                    sleep(AGAIN).await;
                    if !self.send_pending().await {
                        self.come_back().await;
                    }
                    continue;
                }
                Some(Next::Return) => {
                    self.come_back().await;
                    continue;
                }
                None => {}
            }
            let may_write = phase == Phase::Writing && self.pending.is_none();
            tokio::select! {
                received = self.wire.receive() => {
                    if received.is_err() {
                        self.come_back().await;
                    }
                }
                () = sleep_until(due), if may_write => {
                    // They may have been told to be quiet in the same moment.
                    if *phases.borrow() != Phase::Writing {
                        continue;
                    }
                    due = Instant::now() + pause;
                    self.written += 1;
                    self.pending = Some(self.number * WRITES + self.written);
                    self.told.open.fetch_add(1, Ordering::AcqRel);
                    if !self.send_pending().await {
                        self.come_back().await;
                    }
                }
                changed = phases.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Sends the write that is not answered; `false` where the connection does not take it.
    async fn send_pending(&mut self) -> bool {
        let Some(write) = self.pending else { return true };
        let id = write % WRITES + 1;
        let name = &self.room.name;
        let frame = format!(r#"{{"t":"pub","id":{id},"room":"{name}","data":{write},"key":"w{write}"}}"#);
        self.wire.send(frame.as_bytes()).await.is_ok()
    }

    /// Looks at the next frame that has come; `None` when there is none.
    fn heard(&mut self) -> Option<Next> {
        let (room, told) = (&self.room, &self.told);
        let text = match self.wire.next() {
            Ok(Some(Heard::Text(text))) => text,
            Ok(Some(Heard::Ping(payload))) => return Some(Next::Pong(payload.to_vec())),
            Ok(Some(Heard::Close(_))) | Err(_) => return Some(Next::Return),
            Ok(None) => return None,
        };
        if text.starts_with(b"{\"id\":") {
            let Some(write) = self.pending else { return Some(Next::Listen) };
            if number_after(text, "\"id\":") != Some(write % WRITES + 1) {
                return Some(Next::Listen);
            }
            let Ok(reply) = serde_json::from_slice::<Value>(text) else { return Some(Next::Return) };
            let Ok((epoch, offset)) = place(&reply["ok"]) else {
                told.refused(reply["err"]["code"].as_str().unwrap_or("no code"));
                return Some(Next::Refused);
            };
            room.acknowledge(write, &epoch, offset);
            self.pending = None;
            told.open.fetch_sub(1, Ordering::AcqRel);
            return Some(Next::Listen);
        }
        if Dialect::Rooms.asks(text) {
            return Some(Next::Answer);
        }
        if text.starts_with(b"{\"t\":\"reset\"") {
            told.gaps.fetch_add(1, Ordering::AcqRel);
            let reset = serde_json::from_slice::<Value>(text).ok();
            match reset.and_then(|reset| place(&reset).ok()) {
                Some(at) => self.at = at,
                None => return Some(Next::Return),
            }
            return Some(Next::Listen);
        }
        if let Some(offset) = number_after(text, "\"offset\":") {
            let write = number_after(text, "\"data\":");
            note(&mut self.at, offset, write, room, told);
        }
        Some(Next::Listen)
    }

    /// Tries to come back until it is in its room again, and repeats the write that was not answered.
    async fn come_back(&mut self) {
        self.told.left(self.number);
        let mut pause = PAUSES[0];
        loop {
            if let Ok(Ok(())) = timeout(TRY, self.try_to_come_back()).await
                && self.send_pending().await
            {
                break;
            }
            sleep(pause).await;
            pause = (2 * pause).min(PAUSES[1]);
        }
        self.told.back(self.number);
    }

    async fn try_to_come_back(&mut self) -> Result<()> {
        let (mut wire, token) = greeted(self.door, Some(&self.token)).await?;
        let joined = join(&mut wire, &self.room.name, Some(&self.at)).await?;
        let at = place(&joined)?;
        if joined["recovered"] == true {
            for event in joined["events"].as_array().into_iter().flatten() {
                let offset = event["offset"].as_u64().context("an event without an offset")?;
                note(&mut self.at, offset, event["data"].as_u64(), &self.room, &self.told);
            }
        }
        if self.at != at {
            self.told.gaps.fetch_add(1, Ordering::AcqRel);
            self.at = at;
        }
        (self.wire, self.token) = (wire, token);
        Ok(())
    }
}

/// Takes an event: it must be the one after where the client stands.
fn note(at: &mut (String, u64), offset: u64, write: Option<u64>, room: &Room, told: &Told) {
    if offset != at.1 + 1 {
        told.gaps.fetch_add(1, Ordering::AcqRel);
    }
    at.1 = offset;
    if let Some(write) = write {
        room.hear(write, &at.0, offset);
    }
}

/// A connection that has said hello, and what makes it the same guest again.
async fn greeted(door: SocketAddr, token: Option<&str>) -> Result<(Wire, String)> {
    let mut wire = Wire::websocket_at(door, "/ws", Some("rooms.v1")).await?;
    let resume = token.map(|token| format!(r#","resume":"{token}""#)).unwrap_or_default();
    wire.send(format!(r#"{{"t":"hello","id":0{resume}}}"#).as_bytes()).await?;
    let reply: Value = serde_json::from_slice(&replied(&mut wire, 0).await?)?;
    // Who is known already may be told nothing new.
    let token = reply["ok"]["guest_token"].as_str().or(token).context("no token of a guest")?;
    Ok((wire, token.to_owned()))
}

/// Enters a room, from a place in it if there is one; what the reply holds.
async fn join(wire: &mut Wire, room: &str, since: Option<&(String, u64)>) -> Result<Value> {
    let since = since.map(|(epoch, offset)| format!(r#","since":{{"epoch":"{epoch}","offset":{offset}}}"#));
    let since = since.unwrap_or_default();
    wire.send(format!(r#"{{"t":"join","id":1,"room":"{room}"{since}}}"#).as_bytes()).await?;
    let mut reply: Value = serde_json::from_slice(&replied(wire, 1).await?)?;
    Ok(reply["ok"].take())
}

fn place(frame: &Value) -> Result<(String, u64)> {
    let epoch = frame["epoch"].as_str().context("no epoch")?;
    Ok((epoch.to_owned(), frame["offset"].as_u64().context("no offset")?))
}
