//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

use crate::protocol::Close;

/// A frame that any number of connections share.
#[derive(Clone, Debug)]
pub struct Frame(Utf8Bytes);

impl Frame {
    /// The text as the WebSocket takes it.
    #[must_use]
    pub fn into_text(self) -> Utf8Bytes {
        self.0
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Frame {
    fn from(text: String) -> Self {
        Self(Utf8Bytes::from(text))
    }
}

impl From<&'static str> for Frame {
    fn from(text: &'static str) -> Self {
        Self(Utf8Bytes::from_static(text))
    }
}

/// A bounded queue in front of one connection. A client that lets it overflow
/// is closed with [`Close::Slow`], so that nobody waits for it.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    wake: Notify,
    closing: Notify,
    most_frames: usize,
    most_bytes: usize,
    pushed: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    close: Option<Close>,
    gone: bool,
}

/// What the writer has to do next.
#[derive(Debug)]
pub struct Batch {
    /// Frames to write, in order.
    pub frames: VecDeque<Frame>,
    /// The close frame that follows them.
    pub close: Option<Close>,
}

impl Outbox {
    /// An empty queue for so many frames and bytes.
    #[must_use]
    pub fn new(most_frames: usize, most_bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            wake: Notify::new(),
            closing: Notify::new(),
            most_frames,
            most_bytes,
            pushed: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a frame, unless the connection is closing.
    pub fn push(&self, frame: Frame) {
        self.push_all(std::iter::once(frame));
    }

    /// Adds frames, in one go: whoever writes them sees them together.
    pub fn push_all(&self, frames: impl IntoIterator<Item = Frame>) {
        let mut queue = self.lock();
        if queue.close.is_some() || queue.gone {
            return;
        }
        let mut taken = 0;
        for frame in frames {
            queue.bytes += frame.as_str().len();
            // One frame alone is always taken: a reply may be longer than the queue.
            let alone = queue.frames.is_empty();
            if !alone && (queue.frames.len() >= self.most_frames || queue.bytes > self.most_bytes) {
                queue.frames.clear();
                queue.close = Some(Close::Slow);
                drop(queue);
                self.closing.notify_waiters();
                self.wake.notify_one();
                return;
            }
            queue.frames.push_back(frame);
            taken += 1;
        }
        drop(queue);
        self.pushed.fetch_add(taken, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Ends the connection after what is queued, unless it is ending already.
    pub fn close(&self, close: Close) {
        let mut queue = self.lock();
        if queue.close.is_some() || queue.gone {
            return;
        }
        if close == Close::Slow {
            queue.frames.clear();
        }
        queue.close = Some(close);
        drop(queue);
        self.closing.notify_waiters();
        self.wake.notify_one();
    }

    /// Ends the queue without a close frame: the peer is gone, or closed first.
    pub fn abandon(&self) {
        let mut queue = self.lock();
        queue.gone = true;
        queue.frames.clear();
        drop(queue);
        self.closing.notify_waiters();
        self.wake.notify_one();
    }

    /// The code with which this side closes the connection.
    #[must_use]
    pub fn closed_with(&self) -> Option<Close> {
        self.lock().close
    }

    /// How many bytes wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().bytes
    }

    /// How many frames were ever taken.
    #[must_use]
    pub fn pushed(&self) -> u64 {
        self.pushed.load(Ordering::Relaxed)
    }

    /// Waits for something to write; false when the peer is gone.
    pub async fn ready(&self) -> bool {
        loop {
            {
                let queue = self.lock();
                if queue.gone {
                    return false;
                }
                if !queue.frames.is_empty() || queue.close.is_some() {
                    return true;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Waits for something to write and takes it; `None` when the peer is gone.
    pub async fn next(&self) -> Option<Batch> {
        while self.ready().await {
            let mut queue = self.lock();
            if !queue.gone {
                queue.bytes = 0;
                return Some(Batch { frames: std::mem::take(&mut queue.frames), close: queue.close });
            }
        }
        None
    }

    /// Waits until the connection is to end.
    pub async fn closing(&self) {
        self.ending(|queue| queue.close.is_some() || queue.gone).await;
    }

    /// Waits until what is being written is no longer worth finishing.
    pub async fn hopeless(&self) {
        self.ending(|queue| queue.close == Some(Close::Slow) || queue.gone).await;
    }

    async fn ending(&self, is: impl Fn(&Queue) -> bool) {
        loop {
            let notified = self.closing.notified();
            let mut notified = std::pin::pin!(notified);
            // Registered before the look, so that a change in between is not missed.
            notified.as_mut().enable();
            if is(&self.lock()) {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_in_order_and_then_the_close() {
        let outbox = Outbox::new(4, 100);
        outbox.push("one".into());
        outbox.push("two".into());
        outbox.close(Close::Draining);
        outbox.push("late".into());
        let batch = outbox.next().await.expect("not gone");
        let texts: Vec<&str> = batch.frames.iter().map(Frame::as_str).collect();
        assert_eq!((texts, batch.close), (vec!["one", "two"], Some(Close::Draining)));
        outbox.closing().await;
    }

    #[tokio::test]
    async fn too_many_frames_or_bytes_close_a_slow_reader() {
        for (frames, bytes) in [(3, 1000), (100, 11)] {
            let outbox = Outbox::new(frames, bytes);
            for _ in 0..4 {
                outbox.push("1234".into());
            }
            outbox.hopeless().await;
            let batch = outbox.next().await.expect("not gone");
            assert!(batch.frames.is_empty());
            assert_eq!(batch.close, Some(Close::Slow));
        }
        let outbox = Outbox::new(3, 10);
        outbox.push("one frame longer than the queue".into());
        assert_eq!(outbox.closed_with(), None);
    }
}
