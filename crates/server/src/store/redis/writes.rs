//! Writes on their way to Redis. While some are under way others gather, and go
//! together in one call: each is atomic by itself, and what a call costs they share.

use std::sync::Arc;

use fred::prelude::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::link::Link;
use super::script::Name;
use crate::store::StoreError;

/// The most writes of one call. Redis does nothing else meanwhile.
const TOGETHER: usize = 64;
/// The most bytes of one call; one write is always taken.
const BYTES: usize = 512 * 1024;
/// Writes that may wait; each belongs to a session that waits for it.
const WAITING: usize = 1024;

/// One write, as the script takes it.
pub(super) struct Call {
    /// The room's meta hash and its stream.
    pub(super) keys: [String; 2],
    /// Where it is remembered that it was done.
    pub(super) key: Option<String>,
    pub(super) args: [Value; 11],
}

type Answers = Result<Vec<Value>, StoreError>;

struct Waiting {
    call: Call,
    reply: oneshot::Sender<Answers>,
}

/// The queue in front of Redis.
pub(super) struct Writes(mpsc::Sender<Waiting>);

impl Call {
    fn bytes(&self) -> usize {
        self.args.iter().filter_map(|arg| arg.as_bytes().map(<[u8]>::len)).sum()
    }
}

impl Writes {
    /// The queue, and the task that empties it.
    pub(super) fn new(link: Arc<Link>) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), tokio::spawn(gather(link, receiver)))
    }

    /// Carries out a write; the answer is that of the script.
    pub(super) async fn write(&self, link: &Link, call: Call) -> Answers {
        if link.is_cluster() {
            // Keys of one call would have to be on one node.
            let mut args = vec!["write".into()];
            args.extend(call.args);
            return link.run(Name::Commit, call.keys.into_iter().chain(call.key).collect(), args, true).await;
        }
        link.must_be_up()?;
        let (reply, answer) = oneshot::channel();
        if self.0.send(Waiting { call, reply }).await.is_err() {
            return Err(StoreError::Unavailable("this instance is stopping".to_owned()));
        }
        answer.await.unwrap_or(Err(StoreError::UnknownOutcome))
    }
}

async fn gather(link: Arc<Link>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let (mut bytes, mut together) = (first.call.bytes(), vec![first]);
        while together.len() < TOGETHER {
            let Ok(more) = waiting.try_recv() else { break };
            bytes += more.call.bytes();
            if bytes > BYTES {
                next = Some(more);
                break;
            }
            together.push(more);
        }
        carry_out(&link, together).await;
    }
}

async fn carry_out(link: &Link, together: Vec<Waiting>) {
    let mut keys = Vec::with_capacity(together.len() * 3);
    let mut args: Vec<Value> = Vec::with_capacity(together.len() * 11 + 1);
    args.push("writes".into());
    let mut replies = Vec::with_capacity(together.len());
    for Waiting { call: Call { keys: [meta, stream], key, args: own }, reply } in together {
        let key = key.unwrap_or_else(|| meta.clone());
        keys.extend([meta, stream, key]);
        args.extend(own);
        replies.push(reply);
    }
    let answers = link.run(Name::Commit, keys, args, true).await;
    let mut each = match &answers {
        Ok(answers) => answers.clone().into_iter(),
        Err(_) => Vec::new().into_iter(),
    };
    for reply in replies {
        let answer = match (&answers, each.next()) {
            (Err(error), _) => Err(error.clone()),
            (Ok(_), Some(Value::Array(values))) => Ok(values),
            (Ok(_), _) => Err(StoreError::Broken("fewer answers than writes".to_owned())),
        };
        // Whoever does not wait any more has ended.
        let _ = reply.send(answer);
    }
}
