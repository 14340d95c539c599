//! What each system wants to hear before a connection hears of the others.

use anyhow::{Result, bail};

use super::wire::{Framing, Wire};

/// The one room, channel or subject of a load.
pub(crate) const ROOM: &str = "load";

/// How a system is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `rooms.v1`.
    Rooms,
    /// Socket.IO 4 over WebSocket, with the events `join`, `pub` and `msg`.
    SocketIo,
    /// Every message is for everyone: bun's server and nchan's publisher-subscriber.
    Plain,
    /// The protocol of NATS.
    Nats,
}

fn contains(text: &[u8], wanted: &str) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

impl Dialect {
    /// How its bytes are cut into messages.
    pub(crate) fn framing(self) -> Framing {
        if self == Self::Nats { Framing::Nats } else { Framing::WebSocket }
    }

    /// A connection that hears of every message.
    pub(crate) async fn join(self, port: u16) -> Result<Wire> {
        match self {
            Self::Rooms => {
                let mut wire = greeted(port).await?;
                join(&mut wire, ROOM).await?;
                Ok(wire)
            }
            Self::SocketIo => {
                let mut wire = Wire::websocket(port, "/socket.io/?EIO=4&transport=websocket", None).await?;
                wire.until(|text| text.starts_with(b"0{")).await?;
                wire.send(b"40").await?;
                wire.until(|text| text.starts_with(b"40")).await?;
                wire.send(br#"420["join"]"#).await?;
                wire.until(|text| text.starts_with(b"430")).await?;
                Ok(wire)
            }
            Self::Plain => Wire::websocket(port, &format!("/{ROOM}"), None).await,
            Self::Nats => {
                let mut wire = Wire::open(port, Framing::Nats).await?;
                wire.until(|line| line.starts_with(b"INFO ")).await?;
                wire.send(format!("CONNECT {{\"verbose\":false}}\r\nSUB {ROOM} 1\r\nPING\r\n").as_bytes())
                    .await?;
                wire.until(|line| line == b"PONG").await?;
                Ok(wire)
            }
        }
    }

    /// Appends what publishes a payload, framed.
    pub(crate) fn publish(self, number: u64, payload: &str, out: &mut Vec<u8>) {
        let text = match self {
            Self::Rooms => {
                format!(r#"{{"t":"pub","id":{},"room":"{ROOM}","data":"{payload}"}}"#, number % (1 << 32))
            }
            Self::SocketIo => format!(r#"42["pub","{payload}"]"#),
            Self::Plain => payload.to_owned(),
            Self::Nats => format!("PUB {ROOM} {}\r\n{payload}\r\n", payload.len()),
        };
        super::wire::frame(self.framing(), text.as_bytes(), out);
    }

    /// Whether a message asks for a sign of life.
    pub(crate) fn asks(self, text: &[u8]) -> bool {
        match self {
            Self::Rooms => text == br#"{"t":"ping"}"#,
            Self::SocketIo => text == b"2",
            Self::Plain | Self::Nats => false,
        }
    }

    /// What answers such a message.
    pub(crate) fn sign_of_life(self) -> &'static [u8] {
        if self == Self::SocketIo { b"3" } else { br#"{"t":"pong"}"# }
    }

    /// Whether a message says that something was refused.
    pub(crate) fn refuses(self, text: &[u8]) -> bool {
        match self {
            Self::Rooms => text.starts_with(b"{\"id\":") && contains(text, "\"err\":"),
            Self::Nats => text.starts_with(b"-ERR"),
            Self::SocketIo | Self::Plain => false,
        }
    }
}

/// A connection to the server that has said hello.
pub(crate) async fn greeted(port: u16) -> Result<Wire> {
    let mut wire = Wire::websocket(port, "/ws", Some("rooms.v1")).await?;
    wire.send(br#"{"t":"hello","id":0}"#).await?;
    replied(&mut wire, 0).await?;
    Ok(wire)
}

/// Joins a room; the reply.
pub(crate) async fn join(wire: &mut Wire, room: &str) -> Result<Vec<u8>> {
    wire.send(format!(r#"{{"t":"join","id":1,"room":"{room}"}}"#).as_bytes()).await?;
    replied(wire, 1).await
}

/// Waits for the reply to a command, which must not be a refusal.
pub(crate) async fn replied(wire: &mut Wire, id: u64) -> Result<Vec<u8>> {
    let head = format!("{{\"id\":{id},");
    let reply = wire.until(|text| text.starts_with(head.as_bytes())).await?;
    if Dialect::Rooms.refuses(&reply) {
        bail!("refused: {}", String::from_utf8_lossy(&reply));
    }
    Ok(reply)
}
