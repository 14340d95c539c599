//! The store that instances share. Every change is one run of `commit.lua`;
//! its event reaches the other instances by PUBLISH, and by the room's stream
//! when that was missed. Writes are never sent twice.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, EventInterface, LuaInterface, PubsubInterface};
use fred::prelude::{Builder, Config as FredConfig, Error as FredError, ErrorKind, Value};
use fred::types::config::{Options, ReconnectPolicy, ServerConfig};
use fred::types::{ConnectHandle, InfoKind, Message, RespVersion};
use fred::util::sha1_hash;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{
    Change, Event, Health, Notice, Outcome, Position, Read, Recent, Snapshot, Store, StoreError, Write,
    fresh_epoch,
};

const SCRIPT: &str = include_str!("commit.lua");
/// The longest that a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// How often Redis is asked for its run id while all is well.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often a lost Redis is looked for.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// Channels per SUBSCRIBE after a reconnection.
const SUBSCRIBE_BATCH: usize = 512;
const NOTICES: usize = 4096;

/// Where Redis is, with its credentials.
#[derive(Clone)]
pub struct Address {
    config: FredConfig,
    shown: String,
    hosts: Vec<(String, u16)>,
}

/// What a [`RedisStore`] needs to know.
#[derive(Clone)]
pub struct RedisOptions {
    /// Where Redis is.
    pub address: Address,
    /// How many events of a room's history are kept, about.
    pub history: usize,
    /// How many notices may wait inside this process before some are dropped
    /// and every room is looked at again.
    pub notice_capacity: usize,
}

/// Rooms in Redis.
pub struct RedisStore {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    options: RedisOptions,
    commands: Client,
    subscriber: Client,
    subscribed: Mutex<HashSet<String>>,
    script: Mutex<Script>,
    health: watch::Sender<Health>,
    notices: mpsc::Sender<Notice>,
    look: Notify,
    last_error: Mutex<Option<String>>,
}

/// The script as the present Redis process knows it.
#[derive(Clone, Default)]
struct Script {
    run_id: String,
    sha: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Address {
    /// A single Redis without a password.
    #[must_use]
    pub fn host(host: &str, port: u16) -> Self {
        let server = ServerConfig::new_centralized(host, port);
        Self::of(FredConfig { server, ..FredConfig::default() })
    }

    /// Reads a URL: `redis://[user:password@]host[:port][/database]`, or
    /// `redis-sentinel://…?sentinelServiceName=NAME&node=host:port`.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it, because it may hold a password.
    pub fn url(url: &str) -> Result<Self, String> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("redis" | "redis-sentinel") => {}
            Some("rediss" | "rediss-sentinel") => return Err("TLS is not supported".to_owned()),
            Some("redis-cluster") => return Err("a Redis Cluster is not supported".to_owned()),
            _ => return Err("not a Redis URL".to_owned()),
        }
        let config = FredConfig::from_url(url).map_err(|_| "not a well-formed URL".to_owned())?;
        Ok(Self::of(config))
    }

    fn of(config: FredConfig) -> Self {
        let hosts: Vec<(String, u16)> =
            config.server.hosts().iter().map(|server| (server.host.to_string(), server.port)).collect();
        let shown: Vec<String> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        Self { config, shown: shown.join(","), hosts }
    }

    /// Why no connection can be made, or `None` if one can.
    async fn fault(&self) -> Option<String> {
        let mut last = None;
        for (host, port) in &self.hosts {
            last = match timeout(COMMAND_TIMEOUT, TcpStream::connect((host.as_str(), *port))).await {
                Ok(Ok(_)) => return None,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    Some("connection refused")
                }
                Ok(Err(error)) if error.raw_os_error().is_none() => Some("host name not found"),
                Ok(Err(_)) => Some("host unreachable"),
                Err(_) => Some("connection timed out"),
            };
        }
        last.map(|reason| format!("{reason} ({self})"))
    }
}

impl RedisStore {
    /// Starts to connect, and keeps trying for ever; until it succeeds the
    /// store is not [`Health::Up`].
    ///
    /// # Errors
    /// If the options contradict each other.
    pub fn start(options: RedisOptions) -> Result<(Self, mpsc::Receiver<Notice>), StoreError> {
        let (notices, feed) = mpsc::channel(NOTICES.min(options.notice_capacity.max(1)));
        let commands = build(&options, RespVersion::RESP2)?;
        // RESP3 lets the subscriber ask for a PONG, which confirms what it subscribed to before.
        let subscriber = build(&options, RespVersion::RESP3)?;
        let shared = Arc::new(Shared {
            options,
            commands,
            subscriber,
            subscribed: Mutex::default(),
            script: Mutex::default(),
            health: watch::Sender::new(Health::Starting),
            notices,
            look: Notify::new(),
            last_error: Mutex::default(),
        });
        let tasks = vec![
            tokio::spawn(Arc::clone(&shared).forward(shared.subscriber.message_rx())),
            tokio::spawn(Arc::clone(&shared).note_errors()),
            tokio::spawn(Arc::clone(&shared).supervise()),
        ];
        Ok((Self { shared, tasks }, feed))
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn build(options: &RedisOptions, version: RespVersion) -> Result<Client, StoreError> {
    let mut config = options.address.config.clone();
    // The server starts without Redis and waits for it.
    config.fail_fast = false;
    config.version = version;
    let mut policy = ReconnectPolicy::new_exponential(0, 50, 2_000, 2);
    policy.set_jitter(50);
    Builder::from_config(config)
        .with_performance_config(|performance| {
            performance.default_command_timeout = COMMAND_TIMEOUT;
            performance.broadcast_channel_capacity = options.notice_capacity;
        })
        .with_connection_config(|connection| {
            connection.connection_timeout = COMMAND_TIMEOUT;
            connection.internal_command_timeout = COMMAND_TIMEOUT;
            // A command whose connection broke may have run already.
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = 10_000;
            connection.unresponsive.max_timeout = Some(Duration::from_secs(3));
            connection.unresponsive.interval = Duration::from_secs(1);
            connection.tcp.nodelay = Some(true);
        })
        .set_policy(policy)
        .build()
        .map_err(|error| StoreError::Broken(error.details().to_owned()))
}

/// Commands fail at once while there is no connection.
fn at_once() -> Options {
    Options { fail_fast: true, max_attempts: Some(1), timeout: Some(COMMAND_TIMEOUT), ..Options::default() }
}

impl Shared {
    /// Passes on what the subscriber hears, and tells when it was too slow.
    async fn forward(self: Arc<Self>, mut messages: tokio::sync::broadcast::Receiver<Message>) {
        loop {
            let notice = match messages.recv().await {
                Ok(message) => match parse_message(message) {
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

    /// Keeps the last error of either connection, and has it looked at.
    async fn note_errors(self: Arc<Self>) {
        let mut commands = self.commands.error_rx();
        let mut subscriber = self.subscriber.error_rx();
        loop {
            let error = tokio::select! {
                error = commands.recv() => error,
                error = subscriber.recv() => error,
            };
            match error {
                Ok((error, _)) => {
                    *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(error.details().to_owned());
                    self.look.notify_one();
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Watches over both connections for as long as the store lives.
    async fn supervise(self: Arc<Self>) {
        let mut reconnected = self.subscriber.reconnect_rx();
        let mut handles: [Option<ConnectHandle>; 2] = [None, None];
        let mut subscriptions_lost = true;
        loop {
            for (client, handle) in [&self.commands, &self.subscriber].into_iter().zip(&mut handles) {
                if handle.as_ref().is_none_or(JoinHandle::is_finished) {
                    *handle = Some(client.connect());
                }
            }
            while let Ok(_) | Err(TryRecvError::Lagged(_)) = reconnected.try_recv() {
                subscriptions_lost = true;
            }
            if !self.commands.is_connected() {
                // Either way it is known at once, and nothing is asked of Redis in vain.
                tokio::select! {
                    _ = self.commands.wait_for_connect() => {}
                    () = self.look.notified() => {}
                    () = sleep(CHECK_EVERY) => {}
                }
            }
            let found = self.check(&mut subscriptions_lost).await;
            let up = found.is_ok();
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
            tokio::select! {
                () = sleep(if up { CHECK_EVERY } else { RETRY_EVERY }) => {}
                () = self.look.notified(), if up => {}
                event = reconnected.recv() => if event.is_ok() { subscriptions_lost = true },
            }
        }
    }

    /// Makes the store usable, or says why it is not.
    async fn check(&self, subscriptions_lost: &mut bool) -> Result<(), String> {
        self.load_script().await?;
        if !*subscriptions_lost && self.subscriber.is_connected() {
            return Ok(());
        }
        // A short loss of the subscriber alone is no outage: the streams fill the gap.
        if !self.subscriber.is_connected()
            && timeout(Duration::from_secs(1), self.subscriber.wait_for_connect()).await.is_err()
        {
            return Err(format!("no connection for notices ({})", self.options.address));
        }
        let channels: Vec<String> = {
            let subscribed = self.subscribed.lock().unwrap_or_else(PoisonError::into_inner);
            subscribed.iter().map(|room| channel(room)).collect()
        };
        for batch in channels.chunks(SUBSCRIBE_BATCH) {
            self.subscriber
                .with_options(&at_once())
                .subscribe(batch.to_vec())
                .await
                .map_err(|e| self.shown(&e))?;
        }
        self.confirm().await.map_err(|e| self.shown(&e))?;
        *subscriptions_lost = false;
        if self.notices.send(Notice::Resync).await.is_err() {
            return Err("closed".to_owned());
        }
        Ok(())
    }

    /// Waits until Redis has handled every SUBSCRIBE sent so far.
    async fn confirm(&self) -> Result<(), FredError> {
        self.subscriber.with_options(&at_once()).ping::<Value>(None).await.map(|_| ())
    }

    /// Makes sure that the script of the present Redis process is loaded.
    async fn load_script(&self) -> Result<Script, String> {
        if !self.commands.is_connected() {
            return Err(self.lost());
        }
        let commands = self.commands.with_options(&at_once());
        let info: String = match commands.info(Some(InfoKind::Server)).await {
            Ok(info) => info,
            Err(error) => return Err(self.shown(&error)),
        };
        let run_id = info
            .lines()
            .find_map(|line| line.strip_prefix("run_id:"))
            .map(str::trim)
            .filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| "Redis tells no run id".to_owned())?;
        let known = self.script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.run_id == run_id {
            return Ok(known);
        }
        let text = format!("local RUN_ID = '{run_id}'\n{SCRIPT}");
        let script = Script { run_id: run_id.to_owned(), sha: sha1_hash(&text) };
        let _: Value = commands.script_load(text).await.map_err(|error| self.shown(&error))?;
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script.clone();
        if !known.run_id.is_empty() {
            tracing::warn!("redis is another process than before");
            if self.notices.send(Notice::Resync).await.is_err() {
                return Err("closed".to_owned());
            }
        }
        Ok(script)
    }

    /// What is known of a connection that is not there.
    fn lost(&self) -> String {
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match last {
            Some(error) => format!("{error} ({})", self.options.address),
            None => format!("not connected yet ({})", self.options.address),
        }
    }

    fn shown(&self, error: &FredError) -> String {
        let reason = match error.kind() {
            ErrorKind::Timeout => "no answer in time",
            ErrorKind::Canceled | ErrorKind::IO | ErrorKind::Routing => "connection lost",
            _ => error.details(),
        };
        format!("{reason} ({})", self.options.address)
    }

    /// Runs the script once. Only an answer that proves that it did not run
    /// (NOSCRIPT) leads to a second try.
    async fn run(&self, keys: Vec<String>, args: Vec<Value>, writes: bool) -> Result<Vec<Value>, StoreError> {
        if let Some(reason) = self.health.borrow().reason() {
            return Err(StoreError::Unavailable(reason.to_owned()));
        }
        let mut sha = self.script.lock().unwrap_or_else(PoisonError::into_inner).sha.clone();
        let mut reloaded = false;
        loop {
            let commands = self.commands.with_options(&at_once());
            let answer: Result<Value, FredError> = commands.evalsha(sha, keys.clone(), args.clone()).await;
            match answer {
                Ok(Value::Array(values)) => return Ok(values),
                Ok(_) => return Err(StoreError::Broken("not an array".to_owned())),
                Err(error) if error.details().starts_with("NOSCRIPT") && !reloaded => {
                    reloaded = true;
                    self.script.lock().unwrap_or_else(PoisonError::into_inner).run_id.clear();
                    sha = self.load_script().await.map_err(StoreError::Unavailable)?.sha;
                }
                Err(error) => return Err(self.failure(&error, writes)),
            }
        }
    }

    fn failure(&self, error: &FredError, writes: bool) -> StoreError {
        self.look.notify_one();
        let refused = match error.kind() {
            ErrorKind::Backpressure => true,
            // The check before sending; after sending a lost connection is an I/O error.
            ErrorKind::Canceled => !self.commands.is_connected(),
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

fn channel(room: &str) -> String {
    format!("rt:{{{room}}}:c")
}

fn keys(room: &str) -> Vec<String> {
    vec![format!("rt:{{{room}}}:m"), format!("rt:{{{room}}}:s")]
}

/// `rt:{room}:c`, and `epoch:offset:payload` or `!payload`; anything else is none of ours.
fn parse_message(message: Message) -> Option<Notice> {
    let room = message.channel.strip_prefix("rt:{")?.strip_suffix("}:c")?.to_owned();
    let text = message.value.into_string()?;
    if let Some(payload) = text.strip_prefix('!') {
        return Some(Notice::Cast { room, payload: payload.to_owned() });
    }
    let mut parts = text.splitn(3, ':');
    let epoch = parts.next()?.to_owned();
    let offset = parts.next()?.parse().ok()?;
    let payload = parts.next()?.to_owned();
    Some(Notice::Event { room, epoch, event: Event { offset, payload } })
}

/// The values of a script's answer, taken in order.
struct Answer(std::vec::IntoIter<Value>);

impl Answer {
    fn next(&mut self) -> Result<Value, StoreError> {
        self.0.next().ok_or_else(|| StoreError::Broken("an answer that is too short".to_owned()))
    }

    fn text(&mut self) -> Result<String, StoreError> {
        self.next()?.into_string().ok_or_else(|| StoreError::Broken("no text".to_owned()))
    }

    fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        Ok(match self.next()? {
            Value::Null => None,
            value => value.into_string(),
        })
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        self.next()?.as_u64().ok_or_else(|| StoreError::Broken("no number".to_owned()))
    }

    fn texts(&mut self) -> Result<Vec<String>, StoreError> {
        match self.next()? {
            Value::Array(values) => Ok(values.into_iter().filter_map(Value::into_string).collect()),
            Value::Null => Ok(Vec::new()),
            _ => Err(StoreError::Broken("no list".to_owned())),
        }
    }

    fn position(&mut self) -> Result<Position, StoreError> {
        Ok(Position { epoch: self.text()?, offset: self.number()? })
    }
}

fn number(value: usize) -> Value {
    Value::from(value.to_string())
}

impl Store for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn commit<'a>(&'a self, room: &'a str, write: Write) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        async move {
            let mut keys = keys(room);
            if let Some(key) = &write.idempotency {
                keys.push(format!("rt:{{{room}}}:i:{key}"));
            }
            let (operation, version, doc) = match write.change {
                Change::State { doc, if_version } => {
                    ("state", if_version.map(|version| version.to_string()).unwrap_or_default(), doc)
                }
                Change::Message => ("msg", String::new(), String::new()),
            };
            let args: Vec<Value> = vec![
                "write".into(),
                fresh_epoch().into(),
                operation.into(),
                version.into(),
                doc.into(),
                write.head.into(),
                write.tail.into(),
                number(self.shared.options.history),
                channel(room).into(),
            ];
            let mut answer = Answer(self.shared.run(keys, args, true).await?.into_iter());
            match answer.text()?.as_str() {
                "conflict" => {
                    Ok(Outcome::Conflict { version: answer.number()?, doc: answer.optional_text()? })
                }
                done @ ("ok" | "dup") => {
                    Ok(Outcome::Done { position: answer.position()?, repeated: done == "dup" })
                }
                other => Err(StoreError::Broken(format!("outcome {other}"))),
            }
        }
        .boxed()
    }

    fn cast<'a>(&'a self, room: &'a str, payload: String) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let shared = &self.shared;
            if let Some(reason) = shared.health.borrow().reason() {
                return Err(StoreError::Unavailable(reason.to_owned()));
            }
            let commands = shared.commands.with_options(&at_once());
            let sent: Result<Value, FredError> = commands.publish(channel(room), format!("!{payload}")).await;
            sent.map(drop).map_err(|error| shared.failure(&error, false))
        }
        .boxed()
    }

    fn read<'a>(&'a self, room: &'a str, read: Read) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async move {
            let flag = |set: bool| Value::from(if set { "1" } else { "0" });
            let (epoch, offset) = match &read.since {
                Some(since) => (since.epoch.clone(), since.offset),
                None => (String::new(), 0),
            };
            let args: Vec<Value> = vec![
                "read".into(),
                fresh_epoch().into(),
                epoch.into(),
                offset.to_string().into(),
                number(read.max_events),
                number(read.max_bytes),
                flag(read.part),
                flag(read.doc),
            ];
            let mut answer = Answer(self.shared.run(keys(room), args, false).await?.into_iter());
            let position = answer.position()?;
            let (version, kind, doc) = (answer.number()?, answer.text()?, answer.optional_text()?);
            let recovered = answer.number()? == 1;
            let events = (offset + 1..)
                .zip(answer.texts()?)
                .map(|(offset, payload)| Event { offset, payload })
                .collect();
            Ok(Snapshot { position, version, kind, doc, recovered, events })
        }
        .boxed()
    }

    fn recent<'a>(
        &'a self,
        room: &'a str,
        max_events: usize,
        max_bytes: usize,
    ) -> BoxFuture<'a, Result<Recent, StoreError>> {
        async move {
            let args: Vec<Value> =
                vec!["recent".into(), fresh_epoch().into(), number(max_events), number(max_bytes)];
            let mut answer = Answer(self.shared.run(keys(room), args, false).await?.into_iter());
            let position = answer.position()?;
            let mut payloads = answer.texts()?;
            payloads.reverse();
            Ok(Recent { position, payloads })
        }
        .boxed()
    }

    fn subscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let shared = &self.shared;
            if let Some(reason) = shared.health.borrow().reason() {
                return Err(StoreError::Unavailable(reason.to_owned()));
            }
            // Known before it is sent, so that a reconnection in between subscribes again.
            shared.subscribed.lock().unwrap_or_else(PoisonError::into_inner).insert(room.to_owned());
            let subscriber = shared.subscriber.with_options(&at_once());
            let sent = match subscriber.subscribe(channel(room)).await {
                Ok(()) => shared.confirm().await,
                Err(error) => Err(error),
            };
            sent.map_err(|error| {
                shared.look.notify_one();
                StoreError::Unavailable(shared.shown(&error))
            })
        }
        .boxed()
    }

    fn unsubscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, ()> {
        async move {
            self.shared.subscribed.lock().unwrap_or_else(PoisonError::into_inner).remove(room);
            // Without a connection there is no subscription that could end.
            let _ = self.shared.subscriber.with_options(&at_once()).unsubscribe(channel(room)).await;
        }
        .boxed()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            for task in &self.tasks {
                task.abort();
            }
            // QUIT waits for the answers of what was sent before; a lost Redis answers nothing.
            for client in [&self.shared.commands, &self.shared.subscriber] {
                let _ = timeout(Duration::from_secs(1), client.quit()).await;
            }
        }
        .boxed()
    }
}
