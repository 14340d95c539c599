//! The two clients of Redis: one sends commands, the other hears of rooms.

use std::sync::Mutex;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::{ClientLike, ClusterInterface};
use fred::prelude::{Builder, Error as FredError, FromValue};
use fred::types::config::{Options, ReconnectPolicy, Server, ServerConfig};
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, RespVersion};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::RedisOptions;
use super::link::lock;
use crate::store::StoreError;

/// The longest that a command may take.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the goodbye may take: a lost Redis answers nothing.
const GOODBYE: Duration = Duration::from_secs(1);

/// Both clients, and the tasks that keep them connected.
pub(super) struct Clients {
    pub(super) commands: Client,
    pub(super) subscriber: Client,
    connecting: Mutex<[Option<ConnectHandle>; 2]>,
}

impl Clients {
    /// Clients that are not connected yet. `known` are nodes of a cluster
    /// beside those of its address.
    pub(super) fn new(options: &RedisOptions, known: &[Server]) -> Result<Self, StoreError> {
        Ok(Self {
            commands: build(options, known, RespVersion::RESP2)?,
            // RESP3 lets the subscriber ask for a PONG, which confirms what it subscribed to before.
            subscriber: build(options, known, RespVersion::RESP3)?,
            connecting: Mutex::default(),
        })
    }

    fn both(&self) -> [&Client; 2] {
        [&self.commands, &self.subscriber]
    }

    /// Has both connect, and connect again, unless they do so already.
    pub(super) fn connect(&self) {
        for (client, handle) in self.both().into_iter().zip(lock(&self.connecting).iter_mut()) {
            if handle.as_ref().is_none_or(JoinHandle::is_finished) {
                *handle = Some(client.connect());
            }
        }
    }

    /// Asks the cluster anew which node has what: one that is lost may have been replaced.
    pub(super) async fn learn_cluster(&self) {
        let learning = async {
            for client in self.both() {
                // Where nobody knows, the next round asks again.
                let _ = client.sync_cluster().await;
            }
        };
        let _ = timeout(COMMAND_TIMEOUT, learning).await;
    }

    /// Ends both connections.
    pub(super) async fn quit(&self) {
        // QUIT waits for the answers of what was sent before.
        for client in self.both() {
            let _ = timeout(GOODBYE, client.quit()).await;
        }
        for handle in lock(&self.connecting).iter().flatten() {
            handle.abort();
        }
    }
}

fn build(options: &RedisOptions, known: &[Server], version: RespVersion) -> Result<Client, StoreError> {
    let mut config = options.address.config.clone();
    // The server starts without Redis and waits for it.
    config.fail_fast = false;
    config.version = version;
    if let ServerConfig::Clustered { hosts, .. } = &mut config.server {
        for server in known {
            if !hosts.contains(server) {
                hosts.push(server.clone());
            }
        }
    }
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
pub(super) fn at_once() -> Options {
    Options { fail_fast: true, max_attempts: Some(1), timeout: Some(COMMAND_TIMEOUT), ..Options::default() }
}

/// Runs a command at the node that has these slots. fred's own option for that,
/// `cluster_node`, does not reach every command.
pub(super) async fn at_node<R: FromValue>(
    client: &Client,
    slots: &ClusterHash,
    name: &'static str,
    args: Vec<String>,
) -> Result<R, FredError> {
    let command = CustomCommand::new_static(name, slots.clone(), false);
    client.with_options(&at_once()).custom(command, args).await
}
