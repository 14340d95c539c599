//! Carrying out what the server-side API orders.

use std::sync::Arc;

use super::{Hub, lock};
use crate::drain::chance;
use crate::order::Order;
use crate::protocol::outbound::kicked_push;
use crate::session::connection::Connection;

impl Hub {
    /// Carries out an order that was told to all instances.
    pub(super) fn obey(self: &Arc<Self>, text: &str) {
        let Ok(order) = serde_json::from_str::<Order>(text) else {
            // A newer version may know orders that this one does not.
            return tracing::warn!("an order is not understood");
        };
        let meant: Vec<(u64, Arc<Connection>)> = lock(&self.connections)
            .iter()
            .filter(|(_, connection)| {
                order.means(connection.user(), &connection.conn, &self.server_id, chance())
            })
            .map(|(number, connection)| (*number, Arc::clone(connection)))
            .collect();
        let Some(room) = &order.room else {
            for (_, connection) in meant {
                connection.outbox.close(order.close());
            }
            return;
        };
        let inside = lock(&self.rooms).get(room).map(|room| lock(room).numbers()).unwrap_or_default();
        for (number, connection) in meant.into_iter().filter(|(number, _)| inside.contains(number)) {
            connection.kick(room);
            let (hub, room, push) = (Arc::clone(self), room.clone(), kicked_push(room, order.kick_code()));
            tokio::spawn(async move {
                if hub.leave(&room, number).await {
                    connection.outbox.push(push.into());
                }
            });
        }
    }
}
