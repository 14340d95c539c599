//! The life of one connection: frames in, one reply each, pushes out.

mod commands;
pub mod connection;
pub mod outbox;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use self::connection::Connection;
use self::outbox::{Frame, Outbox};
use crate::auth::{Identity, Rights};
use crate::http::App;
use crate::kinds::Kind;
use crate::limits::{Bucket, Place, UserPlace};
use crate::protocol::outbound::{PING, fault_reply};
use crate::protocol::{self, Close, Command, Fault, Refusal, Request};

/// How long the close frame may take to be answered.
const CLOSE_ANSWER: Duration = Duration::from_secs(2);

struct Session {
    app: Arc<App>,
    connection: Arc<Connection>,
    number: u64,
    /// Who the client is by the token of the upgrade, until `hello`.
    identity: Option<Identity>,
    user: String,
    rights: Rights,
    expires: Option<Instant>,
    rooms: HashMap<String, Kind>,
    bucket: Bucket,
    casts: Bucket,
    strikes: u32,
    greeted: bool,
    user_place: Option<UserPlace>,
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// When it will be so long since 1970.
fn instant_of(time: Duration) -> Instant {
    // A token may be valid for longer than a clock can tell.
    const LONG: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + time.saturating_sub(now()).min(LONG)
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

/// Serves one connection until it ends. `identity` is what the upgrade has told.
pub(crate) async fn run(socket: WebSocket, app: Arc<App>, identity: Option<Identity>, _place: Place) {
    let limits = &app.config.limits;
    let connection = Arc::new(Connection::new(Outbox::new(limits.queue_frames, limits.queue_bytes)));
    let (sink, stream) = socket.split();
    let outbox = Arc::clone(&connection.outbox);
    let mut writer = tokio::spawn(writer::write(sink, outbox, app.config.timing.write));
    let number = app.hub.register(&connection);
    let mut session = Session {
        bucket: Bucket::new(limits.commands_per_second, limits.command_burst),
        casts: Bucket::new(limits.casts_per_second, limits.casts_per_second.saturating_mul(2)),
        app,
        connection,
        number,
        identity,
        user: String::new(),
        rights: Rights::default(),
        expires: None,
        rooms: HashMap::new(),
        strikes: 0,
        greeted: false,
        user_place: None,
    };
    tracing::debug!(conn = session.connection.conn, "connected");
    let start = Instant::now();
    session.serve(stream, &mut writer).await;
    session.app.hub.remove(session.number, session.rooms.keys()).await;
    let close = session.connection.outbox.closed_with();
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (conn, user) = (&session.connection.conn, &session.user);
    match close {
        None => tracing::debug!(conn, user, ms, "disconnected"),
        Some(close) => {
            session.app.metrics.close(close);
            tracing::info!(conn, user, code = close.code(), reason = close.reason(), ms, "closed");
        }
    }
    session.connection.outbox.abandon();
    if !writer.is_finished() {
        // It ends at once, because its outbox has.
        let _ = writer.await;
    }
}

impl Session {
    async fn serve(&mut self, mut stream: SplitStream<WebSocket>, writer: &mut JoinHandle<()>) {
        let timing = self.app.config.timing.clone();
        let mut alarm = Alarm { at: Instant::now() + timing.hello, kind: AlarmKind::Hello, pushed: 0 };
        loop {
            let expires = self.expires;
            tokio::select! {
                () = self.connection.outbox.closing() => break,
                () = sleep_until(expires.unwrap_or(alarm.at)), if expires.is_some() => {
                    self.connection.outbox.close(Close::TokenExpired);
                }
                () = sleep_until(alarm.at) => self.ring(&mut alarm),
                message = stream.next() => {
                    let message = match message {
                        None | Some(Ok(Message::Close(_))) => return,
                        Some(Err(error)) => {
                            let Some(close) = broken_frame(&error) else { return };
                            self.connection.outbox.close(close);
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
            AlarmKind::Hello => self.connection.outbox.close(Close::NoHello),
            AlarmKind::Pong => self.connection.outbox.close(Close::NoPong),
            AlarmKind::Ping if self.connection.outbox.pushed() != alarm.pushed => *alarm = self.next_ping(),
            AlarmKind::Ping => {
                self.connection.outbox.push(PING.into());
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
        Alarm { at, kind: AlarmKind::Ping, pushed: self.connection.outbox.pushed() }
    }

    fn push(&self, text: String) {
        self.connection.outbox.push(Frame::from(text));
    }

    async fn take(&mut self, message: Message) {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return self.connection.outbox.close(Close::BadProtocol),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return,
        };
        for room in self.connection.take_kicked() {
            self.rooms.remove(&room);
        }
        let request = protocol::parse(&text, self.app.config.limits.depth);
        if !self.greeted {
            let hello = matches!(request, Ok(Request { command: Command::Hello { .. }, .. }));
            // A `hello` without an id is told what it lacks; anything else is not our protocol.
            if !hello && !text.contains("\"hello\"") {
                return self.connection.outbox.close(Close::BadProtocol);
            }
        }
        let taken = match request {
            Ok(Request { command: Command::Pong, .. }) => Ok(()),
            Ok(Request { command: Command::Cast { .. }, .. }) => self.casts.take(),
            _ => self.bucket.take(),
        };
        if let Err(wait) = taken {
            return self.slow_down(&request, wait);
        }
        match request {
            Err(Refusal::Close(close)) => self.connection.outbox.close(close),
            Err(Refusal::Fault(id, fault)) => {
                self.app.metrics.command("?", fault.code(), Duration::ZERO);
                self.push(fault_reply(id, &fault));
            }
            Ok(Request { id, command }) => {
                let (name, begun) = (command.name(), Instant::now());
                let done = self.carry_out(id, command).await;
                let outcome = done.as_ref().map_or_else(Fault::code, |()| "ok");
                self.app.metrics.command(name, outcome, begun.elapsed());
                if let Err(fault) = done {
                    self.push(fault_reply(id, &fault));
                }
            }
        }
    }

    /// Refuses a command that came too soon, and closes who does not learn.
    fn slow_down(&mut self, request: &Result<Request<'_>, Refusal>, wait: Duration) {
        self.strikes += 1;
        if self.strikes >= self.app.config.limits.strikes {
            return self.connection.outbox.close(Close::RateAbuse);
        }
        let id = match request {
            // What nobody waits for is dropped without a word.
            Ok(Request { command: Command::Cast { .. }, .. }) => return,
            Ok(Request { id, .. }) | Err(Refusal::Fault(id, _)) => *id,
            Err(Refusal::Close(close)) => return self.connection.outbox.close(*close),
        };
        let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) + 1;
        let fault = Fault::RateLimited(retry_ms);
        self.app.metrics.command("?", fault.code(), Duration::ZERO);
        self.push(fault_reply(id, &fault));
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
