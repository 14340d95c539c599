//! Connections to the engine that turn into another protocol: bollard keeps those that
//! builds need to itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::docker::connect::Wire;

/// The longest head of an answer, bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// A connection, whatever it goes through.
pub(crate) enum Upgraded {
    #[cfg(unix)]
    Socket(UnixStream),
    Port(TcpStream),
}

/// Opens a connection and asks for another protocol on it: `POST path`, with these headers.
///
/// # Errors
/// When the engine cannot be reached or does not agree.
pub(crate) async fn upgrade(wire: &Wire, path: &str, headers: &[(String, String)]) -> io::Result<Upgraded> {
    let mut stream = match wire {
        #[cfg(unix)]
        Wire::Unix(path) => Upgraded::Socket(UnixStream::connect(path).await?),
        Wire::Tcp(place) => Upgraded::Port(TcpStream::connect(place).await?),
        Wire::Client => return Err(io::ErrorKind::Unsupported.into()),
    };
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Content-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    // Not a byte more than the head is read: what follows belongs to the other protocol.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > LONGEST_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer has no end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let first = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    if first.split(' ').nth(1) != Some("101") {
        return Err(io::Error::other(format!("the engine answers {first:?}")));
    }
    Ok(stream)
}

impl Upgraded {
    fn either(&mut self) -> &mut (dyn Duplex + Send) {
        match self {
            #[cfg(unix)]
            Self::Socket(stream) => stream,
            Self::Port(stream) => stream,
        }
    }
}

/// What can be read and written.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.either()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.either()).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.either()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.either()).poll_shutdown(cx)
    }
}

impl tonic::transport::server::Connected for Upgraded {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}
