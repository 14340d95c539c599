//! A client that costs next to nothing: what is measured has to be the server.
//! It speaks just enough of WebSocket, and of the protocol of NATS.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(30);
/// The room for what was not looked at yet, at first and at most.
const ROOM: usize = 512;
const MOST_ROOM: usize = 1024 * 1024;

/// How bytes are cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// RFC 6455.
    WebSocket,
    /// Lines, and payloads whose length a line tells.
    Nats,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A message, or a line that is none.
    Text(&'a [u8]),
    /// A question for a sign of life.
    Ping(&'a [u8]),
    /// The end, with its code.
    Close(Option<u16>),
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    framing: Framing,
    buffer: Vec<u8>,
    /// What of the buffer was looked at, and what holds bytes.
    seen: usize,
    filled: usize,
}

impl Wire {
    /// Opens a TCP connection to this machine.
    pub(crate) async fn open(port: u16, framing: Framing) -> Result<Self> {
        Self::open_at(here(port), framing).await
    }

    async fn open_at(address: SocketAddr, framing: Framing) -> Result<Self> {
        let stream = timeout(PATIENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, framing, buffer: vec![0; ROOM], seen: 0, filled: 0 })
    }

    /// Opens a WebSocket to this machine.
    pub(crate) async fn websocket(port: u16, path: &str, subprotocol: Option<&str>) -> Result<Self> {
        Self::websocket_at(here(port), path, subprotocol).await
    }

    /// Opens a WebSocket.
    pub(crate) async fn websocket_at(
        address: SocketAddr,
        path: &str,
        subprotocol: Option<&str>,
    ) -> Result<Self> {
        let mut wire = Self::open_at(address, Framing::WebSocket).await?;
        let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n{}\r\n",
            subprotocol.unwrap_or_default()
        );
        wire.stream.write_all(request.as_bytes()).await?;
        loop {
            timeout(PATIENCE, wire.receive()).await.context("no answer to the upgrade")??;
            let waiting = &wire.buffer[wire.seen..wire.filled];
            let Some(end) = waiting.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&waiting[..end]);
            let first = head.lines().next().unwrap_or_default();
            ensure!(first.starts_with("HTTP/1.1 101 "), "the upgrade is refused: {first}");
            wire.seen += end + 4;
            return Ok(wire);
        }
    }

    /// Sends a message as it is framed here.
    pub(crate) async fn send(&mut self, text: &[u8]) -> Result<()> {
        let mut bytes = Vec::with_capacity(text.len() + 14);
        frame(self.framing, text, &mut bytes);
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Answers a question for a sign of life.
    pub(crate) async fn pong(&mut self, payload: &[u8]) -> Result<()> {
        let bytes = match self.framing {
            Framing::WebSocket => {
                let mut bytes = Vec::new();
                masked(0x8a, payload, &mut bytes);
                bytes
            }
            Framing::Nats => b"PONG\r\n".to_vec(),
        };
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Waits for bytes, and tells when they came.
    pub(crate) async fn receive(&mut self) -> Result<Instant> {
        if self.seen == self.filled {
            (self.seen, self.filled) = (0, 0);
        } else if self.seen > 0 && self.filled == self.buffer.len() {
            self.buffer.copy_within(self.seen..self.filled, 0);
            self.filled -= self.seen;
            self.seen = 0;
        }
        if self.filled == self.buffer.len() {
            ensure!(self.filled < MOST_ROOM, "a message is longer than {MOST_ROOM} bytes");
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
        let at = Instant::now();
        if read == 0 {
            bail!("the connection has ended");
        }
        self.filled += read;
        if read == self.buffer.len() && read < 64 * 1024 {
            // More came than fits: the next read shall take it all at once.
            self.buffer.resize(read * 2, 0);
        }
        Ok(at)
    }

    /// The next message of what has come.
    pub(crate) fn next(&mut self) -> Result<Option<Heard<'_>>> {
        let waiting = &self.buffer[self.seen..self.filled];
        let Some((length, kind, payload)) = cut(self.framing, waiting)? else { return Ok(None) };
        let payload = &waiting[payload];
        self.seen += length;
        Ok(Some(match kind {
            Kind::Text => Heard::Text(payload),
            Kind::Ping => Heard::Ping(payload),
            Kind::Close => {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                Heard::Close(code)
            }
        }))
    }

    /// Waits for a message in which this holds, and returns it.
    pub(crate) async fn until(&mut self, is: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        let waiting = async {
            loop {
                let found = match self.next()? {
                    Some(Heard::Text(text)) if is(text) => return Ok(text.to_vec()),
                    Some(Heard::Text(_)) => continue,
                    Some(Heard::Ping(payload)) => Some(payload.to_vec()),
                    Some(Heard::Close(code)) => bail!("closed with {code:?}"),
                    None => None,
                };
                match found {
                    Some(payload) => self.pong(&payload).await?,
                    None => drop(self.receive().await?),
                }
            }
        };
        timeout(PATIENCE, waiting).await.context("no answer in time")?
    }

    /// Another handle to the same connection, to write to it from elsewhere.
    pub(crate) fn writer(self) -> Result<(Self, std::net::TcpStream)> {
        let Self { stream, framing, buffer, seen, filled } = self;
        let stream = stream.into_std()?;
        let writer = stream.try_clone()?;
        Ok((Self { stream: TcpStream::from_std(stream)?, framing, buffer, seen, filled }, writer))
    }
}

/// A port of this machine.
fn here(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Appends a message in its frame.
pub(crate) fn frame(framing: Framing, text: &[u8], out: &mut Vec<u8>) {
    match framing {
        Framing::WebSocket => masked(0x81, text, out),
        Framing::Nats => out.extend_from_slice(text),
    }
}

/// A frame of a client. The mask of zeros leaves the payload as it is, which
/// spares the work; proxies that it would protect from are not between us.
fn masked(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        long => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(long).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

enum Kind {
    Text,
    Ping,
    Close,
}

/// The length of the first message, what it is, and where its payload is.
type Cut = (usize, Kind, std::ops::Range<usize>);

fn cut(framing: Framing, bytes: &[u8]) -> Result<Option<Cut>> {
    match framing {
        Framing::WebSocket => cut_frame(bytes),
        Framing::Nats => cut_line(bytes),
    }
}

fn cut_frame(bytes: &[u8]) -> Result<Option<Cut>> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    let (start, length) = match second {
        126 => match bytes.get(2..4) {
            Some(&[a, b]) => (4, usize::from(u16::from_be_bytes([a, b]))),
            _ => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|length| length.first_chunk()) {
            Some(length) => (10, usize::try_from(u64::from_be_bytes(*length))?),
            None => return Ok(None),
        },
        short @ 0..=125 => (2, usize::from(short)),
        _ => bail!("a server must not mask"),
    };
    if bytes.len() < start + length {
        return Ok(None);
    }
    let kind = match first {
        0x81 | 0x82 | 0x8a => Kind::Text,
        0x88 => Kind::Close,
        0x89 => Kind::Ping,
        other => bail!("a frame that begins with {other:#x}"),
    };
    Ok(Some((start + length, kind, start..start + length)))
}

fn cut_line(bytes: &[u8]) -> Result<Option<Cut>> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = bytes[..end].trim_ascii_end();
    if line == b"PING" {
        return Ok(Some((end + 1, Kind::Ping, 0..0)));
    }
    if !line.starts_with(b"MSG ") {
        return Ok(Some((end + 1, Kind::Text, 0..line.len())));
    }
    let length = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let length: usize = std::str::from_utf8(length)?.parse()?;
    let start = end + 1;
    if bytes.len() < start + length + 2 {
        return Ok(None);
    }
    Ok(Some((start + length + 2, Kind::Text, start..start + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: Framing, bytes: &[u8]) -> (Vec<String>, usize) {
        let (mut found, mut seen) = (Vec::new(), 0);
        while let Some((length, kind, payload)) = cut(framing, &bytes[seen..]).expect("well-formed") {
            let text = String::from_utf8_lossy(&bytes[seen..][payload]).into_owned();
            found.push(match kind {
                Kind::Text => text,
                Kind::Ping => format!("ping {text}"),
                Kind::Close => "close".to_owned(),
            });
            seen += length;
        }
        (found, seen)
    }

    #[test]
    fn frames_are_cut_at_their_ends_and_a_part_waits() {
        let long = "x".repeat(300);
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x89, 1, b'p', 0x81, 126, 1, 44];
        bytes.extend(long.as_bytes());
        bytes.extend([0x88, 2, 16, 104, 0x81, 5, b'c']);
        let (found, seen) = all(Framing::WebSocket, &bytes);
        assert_eq!(found, ["hi", "ping p", long.as_str(), "close"]);
        assert_eq!(seen, bytes.len() - 3);
        assert!(cut(Framing::WebSocket, &[0x01, 0]).is_err(), "a part of a message");
    }

    #[test]
    fn lines_and_payloads_of_nats_are_told_apart() {
        let bytes = b"INFO {}\r\nPING\r\nMSG load 1 5\r\na\r\nbc\r\n+OK\r\nMSG load 1 9\r\nabc";
        let (found, seen) = all(Framing::Nats, bytes);
        assert_eq!(found, ["INFO {}", "ping ", "a\r\nbc", "+OK"]);
        assert_eq!(seen, bytes.len() - "MSG load 1 9\r\nabc".len());
    }

    #[test]
    fn what_is_sent_has_the_frame_of_a_client() {
        let mut bytes = Vec::new();
        frame(Framing::WebSocket, b"abc", &mut bytes);
        assert_eq!(bytes, [0x81, 0x83, 0, 0, 0, 0, b'a', b'b', b'c']);
        bytes.clear();
        frame(Framing::WebSocket, &[b'x'; 200], &mut bytes);
        assert_eq!(bytes[..4], [0x81, 0xfe, 0, 200]);
        assert_eq!(bytes.len(), 8 + 200);
    }
}
