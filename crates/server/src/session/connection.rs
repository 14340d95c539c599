//! What the rest of the instance knows of one connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::outbox::Outbox;

/// One connection, as its instance sees it.
#[derive(Debug)]
pub struct Connection {
    /// What waits to be written to it.
    pub outbox: Arc<Outbox>,
    /// Its name, 16 hexadecimal digits.
    pub conn: String,
    user: OnceLock<String>,
    kicked: Mutex<Vec<String>>,
    any_kicked: AtomicBool,
}

impl Connection {
    /// A connection whose user is not known yet.
    #[must_use]
    pub fn new(outbox: Outbox) -> Self {
        let mut conn = uuid::Uuid::new_v4().simple().to_string();
        conn.truncate(16);
        Self {
            outbox: Arc::new(outbox),
            conn,
            user: OnceLock::new(),
            kicked: Mutex::default(),
            any_kicked: AtomicBool::new(false),
        }
    }

    /// The user, once `hello` was said.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.get().map(String::as_str)
    }

    /// Makes the user known; the first one stays.
    pub(super) fn set_user(&self, user: &str) {
        // A connection says hello only once.
        let _ = self.user.set(user.to_owned());
    }

    /// Tells the session that it is no longer in a room.
    pub fn kick(&self, room: &str) {
        self.kicked.lock().unwrap_or_else(PoisonError::into_inner).push(room.to_owned());
        self.any_kicked.store(true, Ordering::Release);
    }

    /// The rooms that it was taken out of since this was last asked.
    pub(super) fn take_kicked(&self) -> Vec<String> {
        if !self.any_kicked.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.kicked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
