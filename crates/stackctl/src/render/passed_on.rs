//! What a process in a container writes, passed on as it is.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use stack_engine::engine::EngineError;
use tokio::io::{AsyncWriteExt, Stderr, Stdout};

/// Our standard output and standard error. A reader who is slow stops nothing but the output.
pub(crate) struct Outputs {
    out: Stdout,
    err: Stderr,
}

impl Outputs {
    pub(crate) fn new() -> Self {
        Self { out: tokio::io::stdout(), err: tokio::io::stderr() }
    }

    /// Writes to standard output; a prompt has no end of a line that would let it through by itself.
    pub(crate) async fn out(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).await?;
        self.out.flush().await
    }

    /// Writes to standard error.
    pub(crate) async fn err(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write_all(bytes).await?;
        self.err.flush().await
    }
}

/// Passes an archive on to standard output.
pub(crate) async fn archive(pieces: impl Stream<Item = Result<Bytes, EngineError>>) -> anyhow::Result<()> {
    let mut pieces = std::pin::pin!(pieces);
    let mut outputs = Outputs::new();
    while let Some(piece) = pieces.next().await {
        outputs.out(&piece?).await?;
    }
    Ok(())
}
