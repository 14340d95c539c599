//! The transport without the rooms, for suites that try WebSocket servers: what
//! comes goes back.

use std::future::pending;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;

use super::{READ_BUFFER, WRITE_BUFFER, listen};

/// The longest message: suites send some of 16 MiB.
const LONGEST: usize = 32 * 1024 * 1024;
/// How long a header may take.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Echoes until it is dropped.
///
/// # Errors
/// Never: it has no end of its own.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let upgrade = async |upgrade: WebSocketUpgrade| {
        upgrade
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(LONGEST)
            .max_frame_size(LONGEST)
            .on_upgrade(echo)
    };
    listen::serve(listener, Router::new().route("/", get(upgrade)), HEADER_TIME, pending()).await
}

async fn echo(socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    while let Some(Ok(message)) = stream.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && sink.send(message).await.is_err() {
            return;
        }
    }
}
