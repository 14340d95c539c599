//! Takes connections. A header that does not come in time ends its connection,
//! so that many slow ones do not hold up the rest.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long nothing is accepted after the system has refused to.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `end` comes and the requests under way are answered. A header
/// may take `header_time`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    header_time: Duration,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut end = pin!(end);
    let ended = watch::Sender::new(false);
    let mut open: JoinSet<Result<(), Infallible>> = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.spawn(connection(stream, router.clone(), header_time, ended.subscribe()));
                }
                Err(error) if of_the_peer(&error) => {}
                Err(error) => {
                    tracing::error!(error = %error, "no connection can be accepted");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    ended.send_replace(true);
    while open.join_next().await.is_some() {}
    Ok(())
}

fn of_the_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection(
    stream: TcpStream,
    router: Router,
    header_time: Duration,
    mut ended: watch::Receiver<bool>,
) -> Result<(), Infallible> {
    // Frames are small and wanted at once; they are gathered before they are written.
    // Without it the connection is slower, and works.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(header_time);
    let service = TowerToHyperService::new(router);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let served = tokio::select! {
        served = serving.as_mut() => served,
        _ = ended.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        // What a peer does wrong is its own affair.
        tracing::debug!(error = %error, "connection broken");
    }
    Ok(())
}
