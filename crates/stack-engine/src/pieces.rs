//! What a thread writes, as a stream for the engine.

use std::io::{self, Write};

use bytes::Bytes;
use tokio::sync::mpsc;

/// How many pieces wait for the receiver at most.
pub(crate) const AHEAD: usize = 8;
/// How large a piece is, bytes.
pub(crate) const SIZE: usize = 128 * 1024;

/// Hands on in pieces what is written; the last one with `flush`.
pub(crate) struct Pieces<E> {
    sender: mpsc::Sender<Result<Bytes, E>>,
    buffer: Vec<u8>,
}

/// What `write` writes in another thread, never more than a few pieces ahead of the receiver. When
/// that is dropped the next write fails. An error is the last thing that comes.
pub(crate) fn stream<E: Send + 'static>(
    write: impl FnOnce(Pieces<E>) -> Result<(), E> + Send + 'static,
) -> mpsc::Receiver<Result<Bytes, E>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let pieces = Pieces { sender: sender.clone(), buffer: Vec::with_capacity(SIZE) };
        if let Err(error) = write(pieces) {
            // Nobody is there to hear it when the receiver is the reason.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

impl<E> Write for Pieces<E> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= SIZE {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(SIZE));
        self.sender
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes it any more"))
    }
}
