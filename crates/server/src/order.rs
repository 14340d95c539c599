//! What the server-side API tells every instance to do with its connections.

use serde::{Deserialize, Serialize};

use crate::protocol::{Close, is_name};

/// Ends connections, or takes them out of a room. What is given must all hold
/// of a connection for it to be meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Order {
    /// The connections of this user.
    pub user: Option<String>,
    /// This connection.
    pub conn: Option<String>,
    /// Those of this instance.
    pub server: Option<String>,
    /// This part of them, at random; 0 to 1.
    pub fraction: Option<f64>,
    /// Only out of this room; the connections stay open.
    pub room: Option<String>,
    /// The close code: 4003, or 4201 to have them connect again elsewhere.
    pub code: Option<u16>,
}

impl Order {
    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        if self.user.is_none() && self.conn.is_none() && self.server.is_none() && self.room.is_none() {
            return Some("user, conn, server or room must say who is meant");
        }
        if self.fraction.is_some_and(|part| !(0.0..=1.0).contains(&part)) {
            return Some("fraction must be from 0 to 1");
        }
        if self.code.is_some_and(|code| ![4003, 4201].contains(&code)) {
            return Some("code must be 4003 or 4201");
        }
        if self.room.as_deref().is_some_and(|room| !is_name(room)) {
            return Some("room must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -");
        }
        None
    }

    /// Whether this connection is meant; `chance` is a number from 0 to 1.
    #[must_use]
    pub fn means(&self, user: Option<&str>, conn: &str, server: &str, chance: f64) -> bool {
        self.user.as_deref().is_none_or(|wanted| Some(wanted) == user)
            && self.conn.as_deref().is_none_or(|wanted| wanted == conn)
            && self.server.as_deref().is_none_or(|wanted| wanted == server)
            && self.fraction.is_none_or(|part| chance < part)
    }

    /// How the connections end.
    #[must_use]
    pub fn close(&self) -> Close {
        if self.code == Some(Close::Rebalanced.code()) { Close::Rebalanced } else { Close::Forbidden }
    }

    /// What those who are taken out of the room are told.
    #[must_use]
    pub fn kick_code(&self) -> &'static str {
        let all = self.user.is_none() && self.conn.is_none() && self.server.is_none();
        if all { "closed" } else { "forbidden" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_given_must_hold() {
        let order = Order { user: Some("ann".into()), server: Some("a".into()), ..Order::default() };
        assert!(order.means(Some("ann"), "c1", "a", 0.9));
        assert!(!order.means(Some("ann"), "c1", "b", 0.9) && !order.means(None, "c1", "a", 0.9));
        let half =
            Order { server: Some("a".into()), fraction: Some(0.5), code: Some(4201), ..Order::default() };
        assert!(half.means(None, "c", "a", 0.4) && !half.means(None, "c", "a", 0.5));
        assert_eq!((half.close(), half.fault()), (Close::Rebalanced, None));
        assert!(Order::default().fault().is_some());
        assert!(Order { code: Some(4000), ..order }.fault().is_some());
    }
}
