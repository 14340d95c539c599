//! One room with 200 subscribers on two nodes, and messages of 120 bytes at
//! rising rates: how late they arrive, ours and others.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::{Figure, FiguresArgs};
use crate::fleet::{Fleet, Redis};
use crate::load::dialect::Dialect;
use crate::load::{Load, Step};
use crate::peers::PEERS;
use crate::say::{say, tell};
use crate::usage::processor;

const SUBSCRIBERS: usize = 200;
const BYTES: usize = 120;
/// Messages a second; each is delivered to every subscriber.
const RATES: [u32; 6] = [100, 250, 500, 1000, 1500, 2000];
/// With less than this part of what is due, higher rates tell nothing more.
const HOPELESS: f64 = 0.5;

/// What a system was found to do.
struct Measured {
    name: &'static str,
    steps: Vec<(u32, Step)>,
}

impl Measured {
    fn at(&self, rate: u32) -> Option<&Step> {
        self.steps.iter().find(|(at, _)| *at == rate).map(|(_, step)| step)
    }

    /// The most deliveries a second that it kept up with.
    fn most(&self) -> f64 {
        self.steps.iter().filter(|(_, step)| step.kept_up()).map(|(_, step)| step.came).fold(0.0, f64::max)
    }
}

pub(super) async fn measure(arguments: &FiguresArgs) -> Result<Vec<Figure>> {
    tell(&format!("{SUBSCRIBERS} subscribers of one room, over two nodes, {BYTES} bytes a message"));
    tell(
        "| system | messages/s | deliveries/s due | came | p50 ms | p99 ms | p99.9 ms | processor µs a delivery | |",
    );
    tell("|---|---|---|---|---|---|---|---|---|");
    let fleet = Fleet::start(&arguments.server, Some(Redis::start(false).await?), &[]).await?;
    let ports: Vec<u16> = fleet.servers.iter().map(|server| server.port).collect();
    let ours = steps("ours", Dialect::Rooms, &ports, &fleet.processes(), arguments.time()).await?;
    drop(fleet);
    let mut others = Vec::new();
    for peer in PEERS {
        match &arguments.peers {
            Some(peers) if peer.is_there(peers) => {
                let nodes = peer.start(peers).await?;
                // What runs between the nodes may need a moment to find its way.
                sleep(Duration::from_secs(1)).await;
                let processes = nodes.processes();
                let time = arguments.time();
                match steps(peer.name(), nodes.dialect, &nodes.ports, &processes, time).await {
                    Ok(measured) => others.push(measured),
                    Err(error) => say(&format!("   {}: {error:#}", peer.name())),
                }
            }
            _ => say(&format!("   {} is not to be had here, and is not measured", peer.name())),
        }
    }
    let mut figures = Vec::new();
    for (rate, most_ms) in [(1000, 10.0), (2000, 45.0)] {
        let name = format!("{} k deliveries/s", rate * 200 / 1000);
        let (measured, reached) = match ours.at(rate) {
            Some(step) => (
                format!("{:.0} k/s at p99 {:.1} ms", step.came / 1000.0, step.ms(0.99)),
                step.kept_up() && step.ms(0.99) <= most_ms,
            ),
            None => ("not kept up".to_owned(), false),
        };
        figures.push(Figure::new(name, measured, format!("p99 ≤ {most_ms} ms"), reached));
    }
    for other in &others {
        figures.push(ahead(&ours, other));
    }
    Ok(figures)
}

/// Ours is ahead if it keeps up with as much, and is as early at the highest
/// rate that both keep up with.
fn ahead(ours: &Measured, other: &Measured) -> Figure {
    let both = |rate: &&(u32, Step)| rate.1.kept_up() && other.at(rate.0).is_some_and(Step::kept_up);
    let highest = ours.steps.iter().rev().find(both);
    let later = highest.and_then(|(rate, step)| Some((step.ms(0.99), other.at(*rate)?.ms(0.99), *rate)));
    let more = ours.most() >= other.most() * 0.99;
    let (words, earlier) = match later {
        Some((us, them, rate)) => (
            format!("; at {} k/s p99 {us:.1} ms and {them:.1} ms", rate as usize * SUBSCRIBERS / 1000),
            us <= them,
        ),
        None => (String::new(), true),
    };
    let measured = format!("{:.0} k/s and {:.0} k/s{words}", ours.most() / 1000.0, other.most() / 1000.0);
    Figure::new(format!("ours and {}", other.name), measured, "ahead", more && earlier)
}

async fn steps(
    name: &'static str,
    dialect: Dialect,
    ports: &[u16],
    processes: &[u32],
    time: Duration,
) -> Result<Measured> {
    let mut load = Load::connect(dialect, ports, SUBSCRIBERS).await?;
    let mut steps = Vec::new();
    for rate in RATES {
        let before = processor(processes);
        let step = match load.step(f64::from(rate), time, BYTES).await {
            Ok(step) => step,
            Err(error) => {
                tell(&format!(
                    "| {name} | {rate} | {} | {error:#} | | | | | gave up |",
                    rate as usize * SUBSCRIBERS
                ));
                break;
            }
        };
        let used = processor(processes) - before;
        let each = used * 1e6
            / (step.latencies.len().max(1) as f64 * (time.as_secs_f64() + 0.5) / time.as_secs_f64());
        tell(&format!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {each:.2} | {} |",
            step.rate,
            step.due,
            step.came,
            step.ms(0.5),
            step.ms(0.99),
            step.ms(0.999),
            if step.kept_up() { "" } else { "falls behind" },
        ));
        let hopeless = step.came < HOPELESS * step.due;
        steps.push((rate, step));
        if hopeless {
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok(Measured { name, steps })
}
