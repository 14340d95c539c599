//! Who is here, for as long as their instance says so: members are leases that
//! it keeps up; of an instance that is gone, the others sweep them away.

use std::sync::Arc;

use tokio::time::{Instant, interval};

use crate::config::Timing;
use crate::hub::Hub;
use crate::store::{Attendance, Lease};

/// Members that one call keeps.
const KEPT_AT_ONCE: usize = 500;

/// How a connection is shown to the others in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The connection's name.
    pub conn: String,
    /// The fields of a JSON object, without the braces.
    pub fields: String,
}

/// Keeps up the members of this instance and sweeps those of others, for as
/// long as the instance lives.
pub(crate) async fn tend(hub: Arc<Hub>, timing: Timing, lease: Lease) {
    let mut looks = interval(timing.sweep);
    let mut kept = Instant::now();
    loop {
        let lost = tokio::select! {
            _ = looks.tick() => false,
            () = hub.members_due() => true,
        };
        let keep = lost || kept.elapsed() >= timing.keep;
        if keep {
            kept = Instant::now();
        }
        for (room, shown) in hub.shown() {
            if let Err(error) = look_after(&hub, &room, &shown, keep, lease).await {
                // The next look comes soon, and leases outlast several.
                tracing::debug!(room, error = %error, "members not kept");
            }
        }
    }
}

async fn look_after(
    hub: &Hub,
    room: &str,
    shown: &[Shown],
    keep: bool,
    lease: Lease,
) -> Result<(), crate::store::StoreError> {
    let lease_only = Lease { listed: 0, ..lease };
    if !keep {
        return hub.attend(room, Attendance::Look, lease_only).await.map(drop);
    }
    for some in shown.chunks(KEPT_AT_ONCE) {
        let conns = some.iter().map(|shown| shown.conn.clone()).collect();
        let members = hub.attend(room, Attendance::Keep { conns }, lease_only).await?;
        // The store has lost them, or this instance was too slow: they are here all the same.
        for Shown { conn, fields } in some.iter().filter(|shown| members.missing.contains(&shown.conn)) {
            let enter = Attendance::Enter { conn: conn.clone(), fields: fields.clone() };
            hub.attend(room, enter, lease_only).await?;
            if !hub.shows(room, conn) {
                // It left in between, and its leave came first.
                hub.attend(room, Attendance::Leave { conn: conn.clone() }, lease_only).await?;
            }
        }
    }
    Ok(())
}
