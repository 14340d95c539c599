//! From a write on one node to its delivery on the other.

use anyhow::Result;

use super::{Figure, FiguresArgs};
use crate::fleet::{Fleet, Redis};
use crate::load::Load;
use crate::load::dialect::Dialect;
use crate::say::tell;
use crate::usage::processor;

const RATE: f64 = 1000.0;
const LISTENERS: usize = 10;

pub(super) async fn measure(arguments: &FiguresArgs) -> Result<Vec<Figure>> {
    let fleet = Fleet::start(&arguments.server, Some(Redis::start(false).await?), &[]).await?;
    let there = [fleet.port(1); LISTENERS];
    let mut load = Load::between(Dialect::Rooms, &[fleet.port(0)], false, &there).await?;
    let before = processor(&fleet.processes());
    let step = load.step(RATE, arguments.time(), 120).await?;
    let used = (processor(&fleet.processes()) - before) * 1e6 / (step.latencies.len().max(1) as f64);
    let (p50, p99) = (step.ms(0.5), step.ms(0.99));
    tell(&format!(
        "{RATE} writes/s on one node, {LISTENERS} listeners on the other: p50 {p50:.3} ms, p99 {p99:.3} ms, \
         p99.9 {:.3} ms, {used:.1} µs of processor a delivery",
        step.ms(0.999)
    ));
    Ok(vec![
        Figure::new(
            "write to delivery across",
            format!("p50 {p50:.2} ms"),
            "p50 < 1 ms",
            p50 < 1.0 && step.kept_up(),
        ),
        Figure::new(
            "write to delivery across",
            format!("p99 {p99:.2} ms"),
            "p99 < 5 ms",
            p99 < 5.0 && step.kept_up(),
        ),
    ])
}
