//! Both ends of what is attached to a process: a connection that was taken over from HTTP.
//!
//! The output of a terminal comes as it is, any other in frames that say where it was written.
//! bollard tells the two apart by the first byte, and takes a terminal's NUL for a frame; so
//! wherever the bytes can be had, they are read here, by one who knows which of them it asked for.

use std::io::Cursor;
use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::docker::answered;
use crate::docker::connect::{Connection, Wire};
use crate::engine::{Channel, EngineError};

/// The head of an answer, at most, bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// The body of a refusal that is read, at most, bytes.
const LONGEST_REFUSAL: u64 = 64 * 1024;
/// How much is read at once, bytes.
const PIECE: usize = 32 * 1024;

/// Both ends of a process in a container.
pub struct Session {
    /// What it writes, until its end or that of the connection.
    pub output: Pin<Box<dyn Stream<Item = Result<Part, EngineError>> + Send>>,
    /// What it reads. Shutting it down is the end of its input, and leaves the output open.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it was written; a terminal knows only standard output.
    pub channel: Channel,
    /// The bytes.
    pub bytes: Bytes,
}

type Source = Box<dyn AsyncRead + Send + Unpin>;
type Sink = Pin<Box<dyn AsyncWrite + Send>>;

/// Asks the engine to hand the connection over; `None` where only bollard has the bytes.
pub(super) async fn take_over(
    connection: &Connection,
    path: &str,
    body: &str,
    terminal: bool,
) -> Result<Option<Session>, EngineError> {
    let (source, mut sink): (Source, Sink) = match &connection.wire {
        #[cfg(unix)]
        Wire::Unix(path) => {
            let (source, sink) = UnixStream::connect(path).await.map_err(lost)?.into_split();
            (Box::new(source), Box::pin(sink))
        }
        Wire::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(lost)?;
            // A key that is pressed must not wait for the next one.
            stream.set_nodelay(true).map_err(lost)?;
            let (source, sink) = stream.into_split();
            (Box::new(source), Box::pin(sink))
        }
        Wire::Client => return Ok(None),
    };
    let (major, minor) = connection.api_version;
    let request = format!(
        "POST /v{major}.{minor}{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    sink.write_all(request.as_bytes()).await.map_err(lost)?;
    sink.flush().await.map_err(lost)?;
    let source = agreed(source).await?;
    let output = if terminal { raw(source) } else { framed(source) };
    Ok(Some(Session { output, input: sink }))
}

/// Reads the head of the answer; what comes after it is the process's.
async fn agreed(mut source: Source) -> Result<Source, EngineError> {
    let mut head = BytesMut::with_capacity(1024);
    let end = loop {
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if head.len() > LONGEST_HEAD || source.read_buf(&mut head).await.map_err(lost)? == 0 {
            return Err(EngineError::Lost("the connection was closed before an answer".to_owned()));
        }
    };
    let rest = head.split_off(end).freeze();
    let head = String::from_utf8_lossy(&head).into_owned();
    let status: u16 = head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    if matches!(status, 101 | 200) {
        return Ok(Box::new(AsyncReadExt::chain(Cursor::new(rest), source)));
    }
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(LONGEST_REFUSAL);
    let mut body = Vec::new();
    let mut source = AsyncReadExt::chain(Cursor::new(rest), source).take(length.min(LONGEST_REFUSAL));
    source.read_to_end(&mut body).await.map_err(lost)?;
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let message = match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => refusal.message.trim().to_owned(),
        Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    Err(EngineError::Refused { status, message })
}

/// The output of a terminal.
fn raw(source: Source) -> Pin<Box<dyn Stream<Item = Result<Part, EngineError>> + Send>> {
    Box::pin(stream::unfold(Some(source), |source| async move {
        let mut source = source?;
        let mut bytes = BytesMut::with_capacity(PIECE);
        match source.read_buf(&mut bytes).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Part { channel: Channel::Stdout, bytes: bytes.freeze() }), Some(source))),
            Err(error) => Some((Err(lost(error)), None)),
        }
    }))
}

/// Output in frames: one byte that says where, three of nothing, four of length, and the bytes.
fn framed(source: Source) -> Pin<Box<dyn Stream<Item = Result<Part, EngineError>> + Send>> {
    let frames = Frames { source, buffer: BytesMut::new(), channel: Channel::Stdout, left: 0 };
    Box::pin(stream::unfold(Some(frames), |frames| async move {
        let mut frames = frames?;
        match frames.next().await {
            Ok(Some(part)) => Some((Ok(part), Some(frames))),
            Ok(None) => None,
            Err(error) => Some((Err(lost(error)), None)),
        }
    }))
}

struct Frames {
    source: Source,
    buffer: BytesMut,
    channel: Channel,
    /// How much of the frame is still to come.
    left: usize,
}

impl Frames {
    /// The next piece, which need not be a whole frame.
    async fn next(&mut self) -> std::io::Result<Option<Part>> {
        loop {
            if self.left > 0 && !self.buffer.is_empty() {
                let bytes = self.buffer.split_to(self.left.min(self.buffer.len())).freeze();
                self.left -= bytes.len();
                return Ok(Some(Part { channel: self.channel, bytes }));
            }
            if self.left == 0 && self.buffer.len() >= 8 {
                // 3 is what the engine itself has to say.
                let stderr = matches!(self.buffer[0], 2 | 3);
                self.channel = if stderr { Channel::Stderr } else { Channel::Stdout };
                self.buffer.advance(4);
                self.left = self.buffer.get_u32() as usize;
                continue;
            }
            self.buffer.reserve(PIECE);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// What bollard has taken over.
pub(super) fn of_client(
    output: impl Stream<Item = Result<LogOutput, Error>> + Send + 'static,
    input: Pin<Box<dyn AsyncWrite + Send>>,
) -> Session {
    let output = output.map(|part| match part {
        Ok(LogOutput::StdErr { message }) => Ok(Part { channel: Channel::Stderr, bytes: message }),
        Ok(other) => Ok(Part { channel: Channel::Stdout, bytes: other.into_bytes() }),
        Err(error) => Err(answered(error)),
    });
    Session { output: Box::pin(output), input }
}

fn lost(error: std::io::Error) -> EngineError {
    EngineError::Lost(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parts(mut output: Pin<Box<dyn Stream<Item = Result<Part, EngineError>> + Send>>) -> Vec<Part> {
        let mut all = Vec::new();
        while let Some(part) = output.next().await {
            all.push(part.expect("a part"));
        }
        all
    }

    fn part(channel: Channel, bytes: &'static [u8]) -> Part {
        Part { channel, bytes: Bytes::from_static(bytes) }
    }

    #[tokio::test]
    async fn a_terminals_bytes_are_no_frames() {
        let bytes = b"\x01\x00\x00\x00\x00\x00\x00\x02hi and more";
        let all = parts(raw(Box::new(Cursor::new(bytes.to_vec())))).await;
        assert_eq!(all, [part(Channel::Stdout, bytes)]);
    }

    #[tokio::test]
    async fn frames_are_told_apart_wherever_they_are_cut() {
        let bytes = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x02no\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        let whole = parts(framed(Box::new(Cursor::new(bytes.to_vec())))).await;
        let wanted =
            [part(Channel::Stdout, b"one"), part(Channel::Stderr, b"no"), part(Channel::Stdout, b"!")];
        assert_eq!(whole, wanted);
        for cut in 0..bytes.len() {
            let (before, after) = bytes.split_at(cut);
            let source = AsyncReadExt::chain(Cursor::new(before.to_vec()), Cursor::new(after.to_vec()));
            let mut joined: Vec<Part> = Vec::new();
            for next in parts(framed(Box::new(source))).await {
                match joined.last_mut().filter(|last| last.channel == next.channel) {
                    Some(last) => last.bytes = [last.bytes.as_ref(), next.bytes.as_ref()].concat().into(),
                    None => joined.push(next),
                }
            }
            assert_eq!(joined, wanted, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_engines_words() {
        let answer =
            b"HTTP/1.1 409 Conflict\r\nContent-Length: 29\r\n\r\n{\"message\":\"it is not up\\n\"}\n";
        match agreed(Box::new(Cursor::new(answer.to_vec()))).await {
            Err(EngineError::Refused { status: 409, message }) => assert_eq!(message, "it is not up"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was agreed"),
        }
        let cut = b"HTTP/1.1 101 UPGRADED\r\n".to_vec();
        assert!(matches!(agreed(Box::new(Cursor::new(cut))).await, Err(EngineError::Lost(_))));
    }
}
