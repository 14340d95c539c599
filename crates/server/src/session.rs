//! The life of one connection: frames in, one reply each, pushes out.

pub mod outbox;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::outbox::{Frame, Outbox};
use crate::http::App;
use crate::kinds::doc::{self, Patch};
use crate::limits::{Bucket, Place};
use crate::protocol::{
    self, Close, Command, DEGRADED, Fault, PING, Refusal, Request, doc_reply, empty_reply, fault_reply,
    hello_reply, history_reply, join_reply, pong_reply, write_reply,
};
use crate::store::{Outcome, Read, Recent, StoreError, Write};

/// Refused commands after which a connection is closed.
const MOST_STRIKES: u32 = 100;
/// The most bytes of events in one reply.
const REPLY_BYTES: usize = 512 * 1024;
/// How often a patch is tried on documents that change meanwhile.
const PATCH_TRIES: u32 = 8;
/// The longest pause before the second try, at random; each further one is longer by the same.
const PATCH_PAUSE: Duration = Duration::from_millis(4);
/// A version that no document ever has.
const NO_VERSION: u64 = (1 << 53) - 1;
/// How long the close frame may take to be written, and to be answered.
const CLOSE_WRITE: Duration = Duration::from_secs(5);
const CLOSE_ANSWER: Duration = Duration::from_secs(2);

struct Session {
    app: Arc<App>,
    outbox: Arc<Outbox>,
    number: u64,
    conn: String,
    user: String,
    rooms: HashSet<String>,
    bucket: Bucket,
    casts: Bucket,
    strikes: u32,
    greeted: bool,
}

/// When a connection has to be looked at, and why.
struct Alarm {
    at: Instant,
    kind: AlarmKind,
    pushed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AlarmKind {
    Hello,
    Ping,
    Pong,
}

/// Serves one connection until it ends.
pub(crate) async fn run(socket: WebSocket, app: Arc<App>, _place: Place) {
    let limits = &app.config.limits;
    let outbox = Arc::new(Outbox::new(limits.queue_frames, limits.queue_bytes));
    let (sink, stream) = socket.split();
    let mut writer = tokio::spawn(write(sink, Arc::clone(&outbox), app.config.timing.write));
    let number = app.hub.register(&outbox);
    let mut conn = uuid::Uuid::new_v4().simple().to_string();
    conn.truncate(16);
    let mut user = format!("guest-{}", uuid::Uuid::new_v4().simple());
    user.truncate(22);
    let mut session = Session {
        bucket: Bucket::new(limits.commands_per_second, limits.command_burst),
        casts: Bucket::new(limits.casts_per_second, limits.casts_per_second.saturating_mul(2)),
        app,
        outbox,
        number,
        conn,
        user,
        rooms: HashSet::new(),
        strikes: 0,
        greeted: false,
    };
    tracing::debug!(conn = session.conn, user = session.user, "connected");
    let start = Instant::now();
    session.serve(stream, &mut writer).await;
    session.app.hub.remove(session.number, session.rooms.iter());
    let close = session.outbox.closed_with();
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    match close {
        None => tracing::debug!(conn = session.conn, ms, "disconnected"),
        Some(close) => {
            tracing::info!(conn = session.conn, code = close.code(), reason = close.reason(), ms, "closed");
        }
    }
    session.outbox.abandon();
    if !writer.is_finished() {
        // It ends at once, because its outbox has.
        let _ = writer.await;
    }
}

async fn write(mut sink: SplitSink<WebSocket, Message>, outbox: Arc<Outbox>, patience: Duration) {
    while let Some(batch) = outbox.next().await {
        let writing = async {
            for frame in batch.frames {
                sink.feed(Message::Text(frame.into_text())).await?;
            }
            sink.flush().await
        };
        tokio::select! {
            written = timeout(patience, writing) => match written {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return outbox.abandon(),
                Err(_) => outbox.close(Close::Slow),
            },
            () = outbox.hopeless() => {}
        }
        let close = if outbox.closed_with() == Some(Close::Slow) { Some(Close::Slow) } else { batch.close };
        if let Some(close) = close {
            let frame = CloseFrame { code: close.code(), reason: close.reason().into() };
            // A peer that does not take the close frame is gone all the same.
            let _ = timeout(CLOSE_WRITE, sink.send(Message::Close(Some(frame)))).await;
            return;
        }
    }
}

impl Session {
    async fn serve(&mut self, mut stream: SplitStream<WebSocket>, writer: &mut JoinHandle<()>) {
        let timing = self.app.config.timing.clone();
        let mut alarm = Alarm { at: Instant::now() + timing.hello, kind: AlarmKind::Hello, pushed: 0 };
        loop {
            tokio::select! {
                () = self.outbox.closing() => break,
                () = sleep_until(alarm.at) => self.ring(&mut alarm),
                message = stream.next() => {
                    let message = match message {
                        None | Some(Ok(Message::Close(_))) => return,
                        Some(Err(error)) => {
                            let Some(close) = broken_frame(&error) else { return };
                            self.outbox.close(close);
                            // Dropping a socket with unread bytes would take the close frame with it.
                            sleep(CLOSE_ANSWER / 2).await;
                            return;
                        }
                        Some(Ok(message)) => message,
                    };
                    self.take(message).await;
                    if self.greeted && alarm.kind != AlarmKind::Ping {
                        alarm = self.next_ping();
                    }
                }
            }
        }
        // Wait for the peer's answer to the close frame, without listening to it.
        let farewell = async {
            while let Some(Ok(message)) = stream.next().await {
                if matches!(message, Message::Close(_)) {
                    break;
                }
            }
        };
        let patience = async {
            // The close frame is written then, or never will be.
            let _ = writer.await;
            sleep(CLOSE_ANSWER).await;
        };
        tokio::select! {
            () = farewell => {}
            () = patience => {}
        }
    }

    fn ring(&self, alarm: &mut Alarm) {
        match alarm.kind {
            AlarmKind::Hello => self.outbox.close(Close::NoHello),
            AlarmKind::Pong => self.outbox.close(Close::NoPong),
            AlarmKind::Ping if self.outbox.pushed() != alarm.pushed => *alarm = self.next_ping(),
            AlarmKind::Ping => {
                self.outbox.push(PING.into());
                *alarm = Alarm {
                    at: Instant::now() + self.app.config.timing.pong,
                    kind: AlarmKind::Pong,
                    pushed: 0,
                };
            }
        }
    }

    fn next_ping(&self) -> Alarm {
        let jitter = 0.9 + 0.2 * crate::drain::chance();
        let at = Instant::now() + self.app.config.timing.ping.mul_f64(jitter);
        Alarm { at, kind: AlarmKind::Ping, pushed: self.outbox.pushed() }
    }

    fn push(&self, text: String) {
        self.outbox.push(Frame::from(text));
    }

    async fn take(&mut self, message: Message) {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return self.outbox.close(Close::BadProtocol),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return,
        };
        let request = protocol::parse(&text);
        if !self.greeted {
            let hello = matches!(request, Ok(Request { command: Command::Hello, .. }));
            // A `hello` without an id is told what it lacks; anything else is not our protocol.
            if !hello && !text.contains("\"hello\"") {
                return self.outbox.close(Close::BadProtocol);
            }
        }
        let taken = match request {
            Ok(Request { command: Command::Pong, .. }) => Ok(()),
            Ok(Request { command: Command::Cast { .. }, .. }) => self.casts.take(),
            _ => self.bucket.take(),
        };
        if let Err(wait) = taken {
            self.strikes += 1;
            if self.strikes >= MOST_STRIKES {
                return self.outbox.close(Close::RateAbuse);
            }
            let id = match request {
                // What nobody waits for is dropped without a word.
                Ok(Request { command: Command::Cast { .. }, .. }) => return,
                Ok(Request { id, .. }) | Err(Refusal::Fault(id, _)) => id,
                Err(Refusal::Close(close)) => return self.outbox.close(close),
            };
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) + 1;
            return self.push(fault_reply(id, &Fault::RateLimited(retry_ms)));
        }
        match request {
            Err(Refusal::Close(close)) => self.outbox.close(close),
            Err(Refusal::Fault(id, fault)) => self.push(fault_reply(id, &fault)),
            Ok(Request { id, command }) => {
                if let Err(fault) = self.carry_out(id, command).await {
                    self.push(fault_reply(id, &fault));
                }
            }
        }
    }

    async fn carry_out(&mut self, id: Option<u32>, command: Command<'_>) -> Result<(), Fault> {
        match command {
            Command::Hello => self.hello(id)?,
            Command::Join { room, since } => {
                if self.rooms.contains(room) {
                    return Err(Fault::AlreadyJoined);
                }
                let most = self.app.config.limits.rooms;
                if self.rooms.len() >= most {
                    return Err(Fault::LimitExceeded(most));
                }
                let (conn, user) = (&self.conn, &self.user);
                let reply = |snapshot: &_| Frame::from(join_reply(id, snapshot, conn, user));
                self.app.hub.join(room, self.number, &self.outbox, since, reply).await?;
                self.rooms.insert(room.to_owned());
            }
            Command::Leave { room } => {
                if !self.rooms.remove(room) {
                    return Err(Fault::NotJoined);
                }
                self.app.hub.leave(room, self.number);
                self.push(empty_reply(id));
            }
            Command::Set { room, doc, if_version, key } => {
                let most = self.app.config.limits.doc_bytes;
                if doc.len() > most {
                    return Err(Fault::TooLarge(most));
                }
                self.commit(id, room, protocol::set_write(room, &self.user, doc, if_version, key), true)
                    .await?;
            }
            Command::Patch { room, patch, if_version, key } => {
                self.must_be_in(room)?;
                self.patch(id, room, patch, if_version, key).await?;
            }
            Command::Pub { room, data, key } => {
                self.commit(id, room, protocol::pub_write(room, &self.user, data, key), false).await?;
            }
            Command::Cast { room, data } => {
                self.must_be_in(room)?;
                let frame = protocol::cast_push(room, &self.user, data);
                if let Err(error) = self.app.store.cast(room, frame).await {
                    // Nobody was promised that it arrives.
                    tracing::debug!(conn = self.conn, room, error = %error, "cast lost");
                }
            }
            Command::GetDoc { room } => {
                self.must_be_in(room)?;
                let read = Read { since: None, max_events: 0, max_bytes: 0, part: false, doc: true };
                let snapshot = self.app.store.read(room, read).await?;
                self.push(doc_reply(id, &snapshot));
            }
            Command::GetHistory { room, since, limit } => {
                self.must_be_in(room)?;
                let recent = match since {
                    None => self.app.store.recent(room, limit, REPLY_BYTES).await?,
                    Some(since) => {
                        let read = Read {
                            since: Some(since),
                            max_events: limit,
                            max_bytes: REPLY_BYTES,
                            part: true,
                            doc: false,
                        };
                        let snapshot = self.app.store.read(room, read).await?;
                        if !snapshot.recovered {
                            return Err(Fault::NotFound("the history since then is gone"));
                        }
                        let payloads = snapshot.events.into_iter().map(|event| event.payload).collect();
                        Recent { position: snapshot.position, payloads }
                    }
                };
                self.push(history_reply(id, &recent));
            }
            Command::Ping => self.push(pong_reply(id)),
            Command::Pong => {}
        }
        Ok(())
    }

    fn hello(&mut self, id: Option<u32>) -> Result<(), Fault> {
        if self.greeted {
            return Err(Fault::BadRequest("hello was said already".into()));
        }
        self.greeted = true;
        let config = &self.app.config;
        self.push(hello_reply(
            id,
            &self.conn,
            &self.user,
            &config.server_id,
            config.timing.ping.as_millis(),
            config.limits.frame_bytes,
        ));
        if self.app.hub.degraded() {
            self.outbox.push(DEGRADED.into());
        }
        Ok(())
    }

    fn must_be_in(&self, room: &str) -> Result<(), Fault> {
        if self.rooms.contains(room) { Ok(()) } else { Err(Fault::NotJoined) }
    }

    /// Applies a patch to the present document, and again if that was changed meanwhile.
    async fn patch(
        &self,
        id: Option<u32>,
        room: &str,
        patch: Patch<'_>,
        if_version: Option<u64>,
        key: Option<&str>,
    ) -> Result<(), Fault> {
        let most = self.app.config.limits.doc_bytes;
        let read = Read { since: None, max_events: 0, max_bytes: 0, part: false, doc: true };
        let snapshot = self.app.store.read(room, read).await?;
        let (mut version, mut doc) = (snapshot.version, snapshot.doc);
        for attempt in 1..=PATCH_TRIES {
            let next = match if_version {
                Some(wanted) if wanted != version => Err(Fault::Conflict { version, doc: doc.clone() }),
                _ => match doc::apply(doc.as_deref(), patch) {
                    Ok(next) if next.len() > most => Err(Fault::TooLarge(most)),
                    Ok(next) => Ok(next),
                    Err(misfit) => Err(Fault::Rejected(misfit)),
                },
            };
            let fault = match next {
                Ok(next) => {
                    let write = protocol::patch_write(room, &self.user, next, patch, version, key);
                    match self.app.store.commit(room, write).await? {
                        Outcome::Done { position, repeated } => {
                            self.push(write_reply(id, &position, true, repeated));
                            return Ok(());
                        }
                        Outcome::Conflict { version: now, doc: text } => {
                            (version, doc) = (now, text);
                            sleep(PATCH_PAUSE.mul_f64(crate::drain::chance() * f64::from(attempt))).await;
                            continue;
                        }
                    }
                }
                Err(fault) => fault,
            };
            // It may not fit because it was applied before: the store knows by its key.
            if key.is_some() {
                let probe = protocol::patch_write(room, &self.user, String::new(), patch, NO_VERSION, key);
                if let Outcome::Done { position, .. } = self.app.store.commit(room, probe).await? {
                    self.push(write_reply(id, &position, true, true));
                    return Ok(());
                }
            }
            return Err(fault);
        }
        Err(Fault::Unavailable)
    }

    async fn commit(&self, id: Option<u32>, room: &str, write: Write, state: bool) -> Result<(), Fault> {
        self.must_be_in(room)?;
        match self.app.store.commit(room, write).await {
            Ok(Outcome::Done { position, repeated }) => {
                self.push(write_reply(id, &position, state, repeated));
                Ok(())
            }
            Ok(Outcome::Conflict { version, doc }) => Err(Fault::Conflict { version, doc }),
            Err(error) => {
                if matches!(error, StoreError::Broken(_)) {
                    tracing::error!(conn = self.conn, room, error = %error, "write failed");
                }
                Err(error.into())
            }
        }
    }
}

/// The close code for a frame that could not be read; `None` if the peer is gone.
fn broken_frame(error: &axum::Error) -> Option<Close> {
    // The library under axum is not named here, so its words have to do; tests hold them.
    let text = error.to_string();
    if text.starts_with("Space limit exceeded") {
        Some(Close::TooBig)
    } else if text.starts_with("UTF-8") {
        Some(Close::BadText)
    } else if text.starts_with("WebSocket protocol error") && !text.contains("without closing handshake") {
        Some(Close::Rfc)
    } else {
        None
    }
}
