//! What a connection costs that does nothing.

use std::time::Duration;

use anyhow::Result;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::sleep;

use super::{Figure, FiguresArgs};
use crate::fleet::Fleet;
use crate::load::dialect::{greeted, join};
use crate::load::wire::Wire;
use crate::say::tell;
use crate::usage::resident;

const CLIENTS: u64 = 10_000;
const MOST_KIB: f64 = 12.0;
/// Connections that are made at the same time.
pub(super) const AT_ONCE: usize = 100;

pub(super) async fn measure(arguments: &FiguresArgs) -> Result<Vec<Figure>> {
    let clients = arguments.part_of(CLIENTS);
    let fleet = Fleet::start(&arguments.server, None, &[]).await?;
    let (port, process) = (fleet.port(0), fleet.servers[0].program.id());
    // The first connections make what all of them share.
    let first: Vec<Wire> = connected(port, 200).await?;
    drop(first);
    sleep(Duration::from_secs(1)).await;
    let before = resident(process)?;
    let mut wires = connected(port, clients).await?;
    sleep(Duration::from_secs(1)).await;
    let each = |now: u64| now.saturating_sub(before) as f64 / clients as f64;
    let greeted = each(resident(process)?);
    for (number, wire) in wires.iter_mut().enumerate() {
        join(wire, &format!("r{}", number / 10)).await?;
    }
    sleep(Duration::from_secs(1)).await;
    let joined = each(resident(process)?);
    tell(&format!(
        "{clients} connections: {greeted:.1} KiB each after hello, {joined:.1} KiB each in rooms of ten, rooms included"
    ));
    Ok(vec![Figure::new(
        "memory of an idle connection",
        format!("{greeted:.1} KiB"),
        format!("≤ {MOST_KIB} KiB"),
        greeted <= MOST_KIB,
    )])
}

/// So many connections that have said hello.
pub(super) async fn connected(port: u16, count: usize) -> Result<Vec<Wire>> {
    stream::iter((0..count).map(|_| greeted(port))).buffer_unordered(AT_ONCE).try_collect().await
}
