//! The connections to Redis: made, watched over, and made again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use fred::interfaces::{ClientLike, ClusterInterface, EventInterface, LuaInterface, PubsubInterface};
use fred::prelude::{Error as FredError, ErrorKind, Value};
use fred::types::cluster::ClusterRouting;
use fred::types::{ClusterHash, Message};
use fred::util::redis_keyslot;
use futures_util::future::try_join_all;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::RedisOptions;
use super::clients::{Clients, at_node, at_once};
use super::script::{Loaded, Name, Node, Scripts, run_id};
use crate::protocol::outbound::now_micros;
use crate::store::{CONTROL, Event, Health, Notice, StoreError};

/// How often Redis is asked for its run id while all is well.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often a lost Redis is looked for.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// How long a cluster that cannot be used is asked by the same clients. They do
/// not always find their way after a failover; new ones do.
const SAME_CLIENTS: Duration = Duration::from_secs(4);
/// Channels per SUBSCRIBE after a reconnection.
const SUBSCRIBE_BATCH: usize = 512;
/// Sharded subscriptions under way at one time.
const SUBSCRIBE_AT_ONCE: usize = 256;

pub(super) struct Link {
    pub(super) options: RedisOptions,
    clients: RwLock<Arc<Clients>>,
    pub(super) subscribed: Mutex<HashSet<String>>,
    scripts: Mutex<Loaded>,
    /// Which node has which keys, on a cluster.
    routing: Mutex<Option<Arc<ClusterRouting>>>,
    pub(super) health: watch::Sender<Health>,
    notices: mpsc::Sender<Notice>,
    pub(super) look: Notify,
    last_error: Mutex<Option<String>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(
        options: RedisOptions,
        notices: mpsc::Sender<Notice>,
    ) -> Result<(Arc<Self>, Vec<JoinHandle<()>>), StoreError> {
        let clients = Arc::new(Clients::new(&options, &[])?);
        let link = Arc::new(Self {
            options,
            clients: RwLock::new(clients),
            subscribed: Mutex::new(HashSet::from([CONTROL.to_owned()])),
            scripts: Mutex::default(),
            routing: Mutex::default(),
            health: watch::Sender::new(Health::Starting),
            notices,
            look: Notify::new(),
            last_error: Mutex::default(),
        });
        let tasks = vec![tokio::spawn(Arc::clone(&link).supervise())];
        Ok((link, tasks))
    }

    /// The clients there are now.
    pub(super) fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Passes on what the subscriber hears, and tells when it was too slow.
    async fn forward(self: Arc<Self>, mut messages: tokio::sync::broadcast::Receiver<Message>) {
        loop {
            let notice = match messages.recv().await {
                Ok(message) => match self.parse(message) {
                    Some(notice) => notice,
                    None => continue,
                },
                Err(RecvError::Lagged(lost)) => {
                    tracing::warn!(lost, "notices lagged");
                    Notice::Resync
                }
                Err(RecvError::Closed) => return,
            };
            if self.notices.send(notice).await.is_err() {
                return;
            }
        }
    }

    /// `rt:{room}:c`, and `epoch:offset:µs:payload`, `@rev:payload` or `!payload`;
    /// anything else is none of ours.
    fn parse(&self, message: Message) -> Option<Notice> {
        let room = message.channel.strip_prefix("rt:{")?.strip_suffix("}:c")?.to_owned();
        let text = message.value.into_string()?;
        if let Some(payload) = text.strip_prefix('!') {
            return Some(Notice::Cast { room, payload: payload.to_owned() });
        }
        if let Some((rev, payload)) = text.strip_prefix('@').and_then(|text| text.split_once(':')) {
            return Some(Notice::Member { room, rev: rev.parse().ok()?, payload: payload.to_owned() });
        }
        let mut parts = text.splitn(4, ':');
        let epoch = parts.next()?.to_owned();
        let offset = parts.next()?.parse().ok()?;
        let sent: u64 = parts.next()?.parse().ok()?;
        let payload = parts.next()?.to_owned();
        // Clocks of two machines may differ, and then nothing is as good as it looks.
        let lag = Duration::from_micros(now_micros().saturating_sub(sent));
        self.options.metrics.pubsub_lag_seconds.observe(lag.as_secs_f64());
        Some(Notice::Event { room, epoch, event: Event { offset, payload } })
    }

    /// Keeps the last error of either connection, and has it looked at.
    async fn note_errors(self: Arc<Self>, clients: Arc<Clients>) {
        let mut commands = clients.commands.error_rx();
        let mut subscriber = clients.subscriber.error_rx();
        loop {
            let error = tokio::select! {
                error = commands.recv() => error,
                error = subscriber.recv() => error,
            };
            match error {
                Ok((error, _)) => {
                    *lock(&self.last_error) = Some(error.details().to_owned());
                    self.look.notify_one();
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Watches over the clients for as long as the store lives.
    async fn supervise(self: Arc<Self>) {
        loop {
            let clients = self.clients();
            // They end with this round, or with the store.
            let mut listening = JoinSet::new();
            listening.spawn(Arc::clone(&self).forward(clients.subscriber.message_rx()));
            listening.spawn(Arc::clone(&self).note_errors(Arc::clone(&clients)));
            self.watch(&clients).await;
            let routing = lock(&self.routing).clone();
            let known = routing.map(|routing| routing.unique_primary_nodes()).unwrap_or_default();
            match Clients::new(&self.options, &known) {
                Ok(new) => {
                    tracing::warn!("cluster lost for long, connecting anew");
                    *self.clients.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                    tokio::spawn(async move { clients.quit().await });
                }
                Err(error) => tracing::error!(error = %error, "no new clients of redis"),
            }
        }
    }

    /// Keeps the clients connected and the store usable; returns when others
    /// have to be tried.
    async fn watch(&self, clients: &Clients) {
        let mut reconnected = clients.subscriber.reconnect_rx();
        let mut moved = clients.subscriber.cluster_change_rx();
        let mut subscriptions_lost = true;
        let mut usable = Instant::now();
        loop {
            clients.connect();
            while let Ok(_) | Err(TryRecvError::Lagged(_)) = reconnected.try_recv() {
                self.options.metrics.redis_reconnects.inc();
                subscriptions_lost = true;
            }
            while let Ok(_) | Err(TryRecvError::Lagged(_)) = moved.try_recv() {
                subscriptions_lost = true;
            }
            if !clients.commands.is_connected() {
                // Either way it is known at once, and nothing is asked of Redis in vain.
                tokio::select! {
                    _ = clients.commands.wait_for_connect() => {}
                    () = self.look.notified() => {}
                    () = sleep(CHECK_EVERY) => {}
                }
            }
            let found = self.check(clients, &mut subscriptions_lost).await;
            let up = found.is_ok();
            if up {
                usable = Instant::now();
            } else if self.is_cluster() {
                subscriptions_lost = true;
                clients.learn_cluster().await;
            }
            let health = match found {
                Ok(()) => Health::Up,
                // The plainest cause there is: whether anybody listens there at all.
                Err(reason) => Health::Down(self.options.address.fault().await.unwrap_or(reason)),
            };
            self.health.send_if_modified(|present| {
                let changed = *present != health;
                *present = health;
                changed
            });
            if self.is_cluster() && usable.elapsed() > SAME_CLIENTS {
                return;
            }
            tokio::select! {
                () = sleep(if up { CHECK_EVERY } else { RETRY_EVERY }) => {}
                () = self.look.notified(), if up => {}
                event = reconnected.recv() => if event.is_ok() {
                    self.options.metrics.redis_reconnects.inc();
                    subscriptions_lost = true;
                },
                change = moved.recv(), if self.is_cluster() => if change.is_ok() { subscriptions_lost = true },
            }
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.options.address.is_cluster()
    }

    /// Makes the store usable, or says why it is not.
    async fn check(&self, clients: &Clients, subscriptions_lost: &mut bool) -> Result<(), String> {
        self.load_scripts().await?;
        let subscriber = &clients.subscriber;
        if !*subscriptions_lost && subscriber.is_connected() {
            return Ok(());
        }
        // A short loss of the subscriber alone is no outage: the streams fill the gap.
        if !subscriber.is_connected()
            && timeout(Duration::from_secs(1), subscriber.wait_for_connect()).await.is_err()
        {
            return Err(format!("no connection for notices ({})", self.options.address));
        }
        let rooms: Vec<String> = lock(&self.subscribed).iter().cloned().collect();
        self.subscribe_to(&rooms).await.map_err(|e| self.shown(&e))?;
        *subscriptions_lost = false;
        self.resync().await
    }

    async fn resync(&self) -> Result<(), String> {
        self.notices.send(Notice::Resync).await.map_err(|_| "closed".to_owned())
    }

    /// Subscribes to the channels of these rooms, and waits until Redis has done so.
    pub(super) async fn subscribe_to(&self, rooms: &[String]) -> Result<(), FredError> {
        let clients = self.clients();
        let subscriber = clients.subscriber.with_options(&at_once());
        if self.is_cluster() {
            // Channels of one command would have to be on one node.
            for some in rooms.chunks(SUBSCRIBE_AT_ONCE) {
                let subscribing: Vec<_> =
                    some.iter().map(|room| subscriber.ssubscribe(channel(room))).collect();
                try_join_all(subscribing).await?;
            }
            // Each node has handled every SSUBSCRIBE that was sent to it before.
            for (_, slots) in self.nodes().unwrap_or_default() {
                at_node::<Value>(&clients.subscriber, &slots, "PING", Vec::new()).await?;
            }
            return Ok(());
        }
        for batch in rooms.chunks(SUBSCRIBE_BATCH) {
            let channels: Vec<String> = batch.iter().map(|room| channel(room)).collect();
            subscriber.subscribe(channels).await?;
        }
        // Redis has handled every SUBSCRIBE that was sent before.
        subscriber.ping::<Value>(None).await.map(drop)
    }

    /// Makes sure that every Redis process there is now has its scripts.
    async fn load_scripts(&self) -> Result<(), String> {
        let clients = self.clients();
        if !clients.commands.is_connected() {
            return Err(self.lost());
        }
        let nodes = self.nodes().ok_or_else(|| self.lost())?;
        *lock(&self.routing) = clients.commands.cached_cluster_state().map(Arc::new);
        lock(&self.scripts).retain(|known, _| nodes.iter().any(|(node, _)| node == known));
        let mut restarted = false;
        for (node, slots) in &nodes {
            restarted |= self.load_at(node, slots).await?;
        }
        if restarted {
            tracing::warn!("redis is another process than before");
            self.resync().await?;
        }
        Ok(())
    }

    /// Every node that takes writes, and some slots of each; `None` if they are not known.
    fn nodes(&self) -> Option<Vec<(Node, ClusterHash)>> {
        if !self.is_cluster() {
            return Some(vec![(None, ClusterHash::Random)]);
        }
        let routing = self.clients().commands.cached_cluster_state()?;
        let slots = routing.unique_hash_slots().into_iter();
        let nodes = slots.map(|slot| (routing.get_server(slot).cloned(), ClusterHash::Custom(slot)));
        Some(nodes.filter(|(node, _)| node.is_some()).collect())
    }

    /// Loads the scripts of one process; true if it is another one than before.
    async fn load_at(&self, node: &Node, slots: &ClusterHash) -> Result<bool, String> {
        let clients = self.clients();
        let ask = async |name, args| {
            at_node::<String>(&clients.commands, slots, name, args).await.map_err(|error| self.shown(&error))
        };
        let info = ask("INFO", vec!["server".to_owned()]).await?;
        let run_id = run_id(&info).ok_or_else(|| "Redis tells no run id".to_owned())?;
        let known = lock(&self.scripts).get(node).cloned();
        if known.as_ref().is_some_and(|known| known.run_id == run_id) {
            return Ok(false);
        }
        let (scripts, texts) = Scripts::of(run_id, self.is_cluster());
        for text in texts {
            ask("SCRIPT", vec!["LOAD".to_owned(), text]).await?;
        }
        lock(&self.scripts).insert(node.clone(), scripts);
        Ok(known.is_some_and(|known| !known.run_id.is_empty()))
    }

    /// The node that has this key.
    fn node_of(&self, key: &str) -> Node {
        let routing = lock(&self.routing).clone()?;
        routing.get_server(redis_keyslot(key.as_bytes())).cloned()
    }

    /// What is known of a connection that is not there.
    fn lost(&self) -> String {
        match lock(&self.last_error).clone() {
            Some(error) => format!("{error} ({})", self.options.address),
            None => format!("not connected yet ({})", self.options.address),
        }
    }

    pub(super) fn shown(&self, error: &FredError) -> String {
        let reason = match error.kind() {
            ErrorKind::Timeout => "no answer in time",
            ErrorKind::Canceled | ErrorKind::IO | ErrorKind::Routing => "connection lost",
            _ => error.details(),
        };
        format!("{reason} ({})", self.options.address)
    }

    /// What Redis refused to a write, by its error reply.
    pub(super) fn refused(&self, reply: &str) -> StoreError {
        self.look.notify_one();
        StoreError::Unavailable(format!("{reply} ({})", self.options.address))
    }

    /// Refuses at once while the store is known to be away.
    pub(super) fn must_be_up(&self) -> Result<(), StoreError> {
        match self.health.borrow().reason() {
            Some(reason) => Err(StoreError::Unavailable(reason.to_owned())),
            None => Ok(()),
        }
    }

    /// Runs a script once. Only an answer that proves that it did not run
    /// (NOSCRIPT) leads to a second try.
    pub(super) async fn run(
        &self,
        name: Name,
        keys: Vec<String>,
        args: Vec<Value>,
        writes: bool,
    ) -> Result<Vec<Value>, StoreError> {
        self.must_be_up()?;
        let begun = Instant::now();
        let mut reloaded = false;
        let answer = loop {
            let node = keys.first().and_then(|key| self.node_of(key));
            let sha = lock(&self.scripts).get(&node).map(|scripts| scripts.sha(name).to_owned());
            // An empty name is as good as one that Redis does not know.
            let sha = sha.unwrap_or_else(|| "0".repeat(40));
            let commands = self.clients().commands.with_options(&at_once());
            let answer: Result<Value, FredError> = commands.evalsha(sha, keys.clone(), args.clone()).await;
            match answer {
                Ok(Value::Array(values)) => break Ok(values),
                Ok(_) => break Err(StoreError::Broken("not an array".to_owned())),
                Err(error) if error.details().starts_with("NOSCRIPT") && !reloaded => {
                    reloaded = true;
                    if let Some(scripts) = lock(&self.scripts).get_mut(&node) {
                        // So that it counts as another process, whatever its run id.
                        scripts.run_id.push('?');
                    }
                    self.load_scripts().await.map_err(StoreError::Unavailable)?;
                }
                Err(error) => break Err(self.failure(&error, writes)),
            }
        };
        self.options.metrics.redis_seconds.observe(begun.elapsed().as_secs_f64());
        answer
    }

    pub(super) fn failure(&self, error: &FredError, writes: bool) -> StoreError {
        self.look.notify_one();
        let refused = match error.kind() {
            ErrorKind::Backpressure => true,
            // The check before sending; after sending a lost connection is an I/O error.
            ErrorKind::Canceled => !self.clients().commands.is_connected(),
            // An error reply of Redis starts with its code in capitals.
            _ => {
                let code = error.details().split(' ').next().unwrap_or_default();
                code.len() >= 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
            }
        };
        if refused || !writes {
            StoreError::Unavailable(self.shown(error))
        } else {
            StoreError::UnknownOutcome
        }
    }
}

/// The channel of a room.
pub(super) fn channel(room: &str) -> String {
    format!("rt:{{{room}}}:c")
}
