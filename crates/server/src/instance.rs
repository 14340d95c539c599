//! One running instance: its store, its hub and its listener, from the start to the drained end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::Config;
use crate::drain;
use crate::http::{self, App};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::presence;
use crate::store::memory::MemoryStore;
use crate::store::redis::{RedisOptions, RedisStore};
use crate::store::{Notice, Store, StoreError};

/// Connections that may wait to be accepted. Those of another instance that ends
/// all come at once, and one that finds no room tries again only after a second.
const BACKLOG: u32 = 4096;
/// How long plain HTTP requests may take to end once the rooms are drained.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Why an instance cannot run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be listened on.
    #[error("port {port} cannot be opened: {source}; set SERVER_PORT to a free one")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The address of Redis cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running instance. Dropping it ends it at once.
pub struct Instance {
    app: Arc<App>,
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    listening: JoinHandle<io::Result<()>>,
    tending: Vec<JoinHandle<()>>,
}

impl Instance {
    /// Opens the port and starts to serve. Redis is not waited for: until it
    /// answers, the instance is not ready.
    ///
    /// # Errors
    /// If the port cannot be opened, or the address of Redis makes no sense.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let port = config.port;
        let listener = listen(port).map_err(|source| StartError::Port { port, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Port { port, source })?;
        let metrics = Arc::new(Metrics::default());
        let (store, feed) = store(&config, &metrics)?;
        let hub = Hub::new(Arc::clone(&store), Arc::clone(&metrics), &config);
        let (timing, lease) = (config.timing.clone(), config.limits.lease(&config.timing));
        let app = App::new(config, store, Arc::clone(&hub), metrics);
        let hearing = tokio::spawn(Arc::clone(&hub).listen(feed));
        let keeping = tokio::spawn(presence::tend(Arc::clone(&hub), timing, lease));
        let tending = vec![hearing, keeping, tokio::spawn(hub.tend())];
        let (end, ended) = oneshot::channel::<()>();
        let listening = tokio::spawn(http::serve(listener, Arc::clone(&app), ended.map(drop)));
        tracing::info!(port = address.port(), store = app.store.name(), "listening");
        Ok(Self { app, address, end: Some(end), listening, tending })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its parts share.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Sends every client elsewhere, lets what is under way end, and ends.
    pub async fn drain(mut self) {
        drain::run(&self.app).await;
        if let Some(end) = self.end.take() {
            // The listener may have ended by itself.
            let _ = end.send(());
        }
        let _ = timeout(LAST_REQUESTS, &mut self.listening).await;
        self.app.store.close().await;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.listening.abort();
        for task in &self.tending {
            task.abort();
        }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // After a restart the port may be in use by connections that are ending.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
    socket.listen(BACKLOG)
}

type Feed = BoxStream<'static, Notice>;

fn store(config: &Config, metrics: &Arc<Metrics>) -> Result<(Arc<dyn Store>, Feed), StoreError> {
    let history = config.limits.history;
    Ok(match &config.redis {
        Some(address) => {
            let options = RedisOptions {
                address: address.clone(),
                history,
                notice_capacity: config.limits.notices,
                metrics: Arc::clone(metrics),
            };
            let (store, mut feed) = RedisStore::start(options)?;
            (Arc::new(store), stream::poll_fn(move |context| feed.poll_recv(context)).boxed())
        }
        None => {
            let (store, mut feed) = MemoryStore::new(history);
            (Arc::new(store), stream::poll_fn(move |context| feed.poll_recv(context)).boxed())
        }
    })
}
