//! How much is allowed: rates, and the number of connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A rate with room for bursts.
#[derive(Debug)]
pub struct Bucket {
    level: f64,
    size: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket of `size` that regains `per_second`.
    #[must_use]
    pub fn new(per_second: u32, size: u32) -> Self {
        Self {
            level: f64::from(size),
            size: f64::from(size),
            per_second: f64::from(per_second),
            at: Instant::now(),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long until there is one, if the bucket is empty.
    pub fn take(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        self.level = (self.level + (now - self.at).as_secs_f64() * self.per_second).min(self.size);
        self.at = now;
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.level) / self.per_second))
    }
}

/// Counts what exists at one time, up to a limit.
#[derive(Clone, Debug)]
pub struct Places {
    taken: Arc<Taken>,
    most: usize,
}

#[derive(Debug, Default)]
struct Taken {
    count: AtomicUsize,
    none: Notify,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Taken>);

impl Places {
    /// `most` free places.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// Takes a place, if one is free.
    #[must_use]
    pub fn take(&self) -> Option<Place> {
        let add = |taken| (taken < self.most).then_some(taken + 1);
        self.taken.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        Some(Place(Arc::clone(&self.taken)))
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.count.load(Ordering::Acquire)
    }

    /// Whether no place is free.
    #[must_use]
    pub fn full(&self) -> bool {
        self.taken() >= self.most
    }

    /// Waits until no place is taken.
    pub async fn empty(&self) {
        loop {
            let none = self.taken.none.notified();
            let mut none = std::pin::pin!(none);
            // Registered before the look, so that a change in between is not missed.
            none.as_mut().enable();
            if self.taken() == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

/// Counts the connections of each user, up to a limit.
#[derive(Clone, Debug)]
pub struct Users {
    counts: Arc<Mutex<HashMap<String, usize>>>,
    most: usize,
}

/// One connection of a user, forgotten when dropped.
#[derive(Debug)]
pub struct UserPlace {
    counts: Arc<Mutex<HashMap<String, usize>>>,
    user: String,
}

impl Users {
    /// `most` connections for each.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { counts: Arc::default(), most }
    }

    /// Takes a place of this user, if one is free.
    #[must_use]
    pub fn take(&self, user: &str) -> Option<UserPlace> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(user.to_owned()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(UserPlace { counts: Arc::clone(&self.counts), user: user.to_owned() })
    }
}

impl Drop for UserPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_allows_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(40, 80);
        for _ in 0..80 {
            bucket.take().expect("within the burst");
        }
        let wait = bucket.take().expect_err("empty");
        assert_eq!(wait.as_millis(), 25);
        tokio::time::advance(Duration::from_millis(26)).await;
        bucket.take().expect("one regained");
        bucket.take().expect_err("only one");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!((0..200).filter(|_| bucket.take().is_ok()).count(), 80, "never more than its size");
    }

    #[test]
    fn each_user_has_places_of_its_own() {
        let users = Users::new(1);
        let first = users.take("ann").expect("free");
        assert!(users.take("ann").is_none());
        let _other = users.take("bob").expect("another user");
        drop(first);
        assert!(users.take("ann").is_some());
    }

    #[test]
    fn a_place_is_free_again_when_dropped() {
        let places = Places::new(2);
        let first = places.take().expect("free");
        let _second = places.take().expect("free");
        assert!(places.full() && places.take().is_none());
        drop(first);
        assert_eq!(places.taken(), 1);
        assert!(places.take().is_some());
    }
}
