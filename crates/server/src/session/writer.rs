//! Writes what waits in an outbox.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::outbox::Outbox;
use crate::protocol::Close;

/// How long the close frame may take to be written.
const CLOSE_WRITE: Duration = Duration::from_secs(5);

/// Writes until the outbox or the connection ends. One write may take `patience`.
pub(super) async fn write(mut sink: SplitSink<WebSocket, Message>, outbox: Arc<Outbox>, patience: Duration) {
    while outbox.ready().await {
        // Whatever is about to be said, too, goes out in the same write.
        yield_now().await;
        let Some(batch) = outbox.next().await else { return };
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
