//! The store that instances share. Every change is one run of a script; its
//! event reaches the other instances by PUBLISH (SPUBLISH on a cluster), and by
//! the room's stream when that was missed. Writes are never sent twice.

mod address;
mod answer;
mod clients;
mod link;
mod script;
mod writes;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fred::interfaces::{ClientLike, KeysInterface, PubsubInterface};
use fred::prelude::{Error as FredError, SetOptions, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use self::address::Address;
use self::answer::Answer;
use self::clients::at_once;
use self::link::{Link, channel};
use self::script::Name;
use self::writes::{Call, Writes};
use super::{
    Attendance, Change, Event, Health, History, Lease, Members, Notice, Outcome, Read, Recent, Snapshot,
    Store, StoreError, Write, fresh_epoch, fresh_secret,
};
use crate::kinds::Kind;
use crate::metrics::Metrics;
use crate::protocol::outbound::{member_head, now_micros};

const NOTICES: usize = 4096;
/// What all instances sign the identities of guests with.
const SECRET: &str = "rt:secret";

/// What a [`RedisStore`] needs to know.
#[derive(Clone)]
pub struct RedisOptions {
    /// Where Redis is.
    pub address: Address,
    /// How much of a room's history is kept.
    pub history: History,
    /// How many notices may wait inside this process before some are dropped
    /// and every room is looked at again.
    pub notice_capacity: usize,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

/// Rooms in Redis.
pub struct RedisStore {
    link: Arc<Link>,
    writes: Writes,
    tasks: Vec<JoinHandle<()>>,
}

impl RedisStore {
    /// Starts to connect, and keeps trying for ever; until it succeeds the
    /// store is not [`Health::Up`].
    ///
    /// # Errors
    /// If the options contradict each other.
    pub fn start(options: RedisOptions) -> Result<(Self, mpsc::Receiver<Notice>), StoreError> {
        let (notices, feed) = mpsc::channel(NOTICES.min(options.notice_capacity.max(1)));
        let (link, mut tasks) = Link::new(options, notices)?;
        let (writes, gathering) = Writes::new(Arc::clone(&link));
        tasks.push(gathering);
        Ok((Self { link, writes, tasks }, feed))
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn keys(room: &str) -> [String; 2] {
    [format!("rt:{{{room}}}:m"), format!("rt:{{{room}}}:s")]
}

fn number(value: usize) -> Value {
    Value::from(value.to_string())
}

fn millis(time: Duration) -> Value {
    Value::from(time.as_millis().to_string())
}

impl Store for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn commit<'a>(&'a self, room: &'a str, write: Write) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        async move {
            let [meta, stream] = keys(room);
            let key = write.idempotency.map(|key| format!("rt:{{{room}}}:i:{key}"));
            let (change, version, doc) = match write.change {
                Change::State { doc, if_version } => {
                    ("state", if_version.map(|version| version.to_string()).unwrap_or_default(), doc)
                }
                Change::Message => ("msg", String::new(), String::new()),
            };
            let call = Call {
                keys: [meta, stream],
                key,
                args: [
                    fresh_epoch().into(),
                    change.into(),
                    version.into(),
                    doc.into(),
                    write.head.into(),
                    write.tail.into(),
                    number(self.link.options.history.events),
                    channel(room).into(),
                    write.kind.map(Kind::name).unwrap_or_default().into(),
                    millis(self.link.options.history.time),
                    now_micros().to_string().into(),
                ],
            };
            let mut answer = Answer::new(self.writes.write(&self.link, call).await?);
            match answer.text()?.as_str() {
                "conflict" => {
                    Ok(Outcome::Conflict { version: answer.number()?, doc: answer.optional_text()? })
                }
                "kind" => Ok(Outcome::OtherKind(answer.text()?)),
                done @ ("ok" | "dup") => {
                    Ok(Outcome::Done { position: answer.position()?, repeated: done == "dup" })
                }
                "error" => Err(self.link.refused(&answer.text()?)),
                other => Err(StoreError::Broken(format!("outcome {other}"))),
            }
        }
        .boxed()
    }

    fn cast<'a>(&'a self, room: &'a str, payload: String) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.link.must_be_up()?;
            let commands = self.link.clients().commands.with_options(&at_once());
            let payload = format!("!{payload}");
            let sent: Result<Value, FredError> = if self.link.is_cluster() {
                commands.spublish(channel(room), payload).await
            } else {
                commands.publish(channel(room), payload).await
            };
            sent.map(drop).map_err(|error| self.link.failure(&error, false))
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
                read.kind.name().into(),
            ];
            let mut answer =
                Answer::new(self.link.run(Name::Commit, keys(room).to_vec(), args, false).await?);
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
            let mut answer =
                Answer::new(self.link.run(Name::Commit, keys(room).to_vec(), args, false).await?);
            let position = answer.position()?;
            let mut payloads = answer.texts()?;
            payloads.reverse();
            Ok(Recent { position, payloads })
        }
        .boxed()
    }

    fn attend<'a>(
        &'a self,
        room: &'a str,
        attendance: Attendance,
        lease: Lease,
    ) -> BoxFuture<'a, Result<Members, StoreError>> {
        async move {
            let (name, rest) = match attendance {
                Attendance::Enter { conn, fields } => ("enter", vec![conn, fields]),
                Attendance::Leave { conn } => ("leave", vec![conn]),
                Attendance::Keep { conns } => ("keep", conns),
                Attendance::Look => ("look", Vec::new()),
            };
            let mut args: Vec<Value> = vec![
                name.into(),
                millis(lease.time),
                channel(room).into(),
                member_head(room).into(),
                number(lease.listed),
            ];
            args.extend(rest.into_iter().map(Value::from));
            let keys = ["p", "x", "r"].map(|part| format!("rt:{{{room}}}:{part}")).to_vec();
            let mut answer = Answer::new(self.link.run(Name::Presence, keys, args, false).await?);
            let (rev, count) = (answer.number()?, answer.number()?);
            let listed = answer.texts()?.into_iter().map(|fields| format!("{{{fields}}}")).collect();
            Ok(Members { rev, count, listed, missing: answer.texts()?, swept: answer.number()? })
        }
        .boxed()
    }

    fn secret(&self) -> BoxFuture<'_, Result<String, StoreError>> {
        async move {
            self.link.must_be_up()?;
            let commands = self.link.clients().commands.with_options(&at_once());
            let asked = async {
                let absent = Some(SetOptions::NX);
                let _: Value = commands.set(SECRET, fresh_secret(), None, absent, false).await?;
                commands.get::<String, _>(SECRET).await
            };
            asked.await.map_err(|error| self.link.failure(&error, false))
        }
        .boxed()
    }

    fn subscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.link.must_be_up()?;
            let room = room.to_owned();
            // Known before it is sent, so that a reconnection in between subscribes again.
            self.link.subscribed.lock().unwrap_or_else(PoisonError::into_inner).insert(room.clone());
            self.link.subscribe_to(&[room]).await.map_err(|error| {
                self.link.look.notify_one();
                StoreError::Unavailable(self.link.shown(&error))
            })
        }
        .boxed()
    }

    fn unsubscribe<'a>(&'a self, room: &'a str) -> BoxFuture<'a, ()> {
        async move {
            self.link.subscribed.lock().unwrap_or_else(PoisonError::into_inner).remove(room);
            let subscriber = self.link.clients().subscriber.with_options(&at_once());
            // Without a connection there is no subscription that could end.
            let _ = if self.link.is_cluster() {
                subscriber.sunsubscribe(channel(room)).await
            } else {
                subscriber.unsubscribe(channel(room)).await
            };
        }
        .boxed()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.link.health.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            for task in &self.tasks {
                task.abort();
            }
            self.link.clients().quit().await;
        }
        .boxed()
    }
}
