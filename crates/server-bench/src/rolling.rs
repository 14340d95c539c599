//! `server-bench rolling`: clients of a stack, who write and read through its proxy while
//! somebody else changes the stack. What they have seen is told as one line of JSON.

mod member;
mod poller;
mod room;

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use self::member::Member;
use self::poller::Polled;
use self::room::Room;
use crate::say::tell;

/// Clients of one room.
const IN_A_ROOM: usize = 20;
/// The writes of all clients together, in a second.
const WRITES: usize = 200;
/// Connections that are made at the same time.
const AT_ONCE: usize = 50;
/// How long the last writes, and then the last events, are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// `server-bench rolling`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It writes `ready` when all clients are there. A line on standard input ends the time in which \
                  absences count; the end of standard input ends all, and the figures follow."
)]
pub(crate) struct RollingArgs {
    /// The address and port of the proxy in front of the servers
    #[arg(long, value_name = "ADDRESS:PORT")]
    door: SocketAddr,
    /// How many clients there are
    #[arg(long, value_name = "NUMBER", default_value_t = 2000)]
    clients: usize,
}

/// What the clients are to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// They write.
    Writing,
    /// They write nothing new.
    Quiet,
    /// They go when they have heard all that was acknowledged in their rooms.
    Leaving,
}

/// What all clients have told so far.
#[derive(Default)]
struct Told {
    /// Connections that ended.
    ended: AtomicU64,
    /// Clients that came back to a room which could not tell what they had missed, or were
    /// told something out of its order.
    gaps: AtomicU64,
    /// Writes without an answer.
    open: AtomicU64,
    /// Refusals of writes, which were tried again, by their code.
    refusals: Mutex<BTreeMap<String, u64>>,
    absences: Mutex<Absences>,
}

/// Who is away since when, and the longest time that anyone was.
#[derive(Default)]
struct Absences {
    since: HashMap<u64, Instant>,
    longest: Duration,
    /// What is over is over.
    closed: bool,
}

impl Told {
    fn absences(&self) -> std::sync::MutexGuard<'_, Absences> {
        self.absences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write was refused.
    fn refused(&self, code: &str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(code.to_owned()).or_default() += 1;
    }

    /// A client has lost its connection.
    fn left(&self, client: u64) {
        self.ended.fetch_add(1, Ordering::AcqRel);
        let mut absences = self.absences();
        if !absences.closed {
            absences.since.insert(client, Instant::now());
        }
    }

    /// A client is back in its room.
    fn back(&self, client: u64) {
        let mut absences = self.absences();
        if absences.closed {
            return;
        }
        if let Some(since) = absences.since.remove(&client) {
            absences.longest = absences.longest.max(since.elapsed());
        }
    }

    /// Ends the time in which absences count; those that last count as they are.
    fn close(&self) {
        let mut absences = self.absences();
        if !absences.closed {
            absences.closed = true;
            let last = absences.since.values().map(Instant::elapsed).max().unwrap_or_default();
            absences.longest = absences.longest.max(last);
        }
    }
}

/// Puts the clients there, and tells what they have seen when standard input has ended.
pub(crate) async fn run(arguments: &RollingArgs) -> Result<()> {
    let (door, clients) = (arguments.door, arguments.clients);
    ensure!(clients > 0, "without a client there is nothing to see");
    let told = Arc::new(Told::default());
    let rooms: Vec<Arc<Room>> =
        (0..clients.div_ceil(IN_A_ROOM)).map(|number| Arc::new(Room::new(number))).collect();
    let arrivals = (0..clients).map(|number| {
        Member::arrive(door, number as u64, Arc::clone(&rooms[number / IN_A_ROOM]), Arc::clone(&told))
    });
    let arrived: Vec<Member> = stream::iter(arrivals).buffer_unordered(AT_ONCE).try_collect().await?;
    let (phase, phases) = watch::channel(Phase::Writing);
    let pause = Duration::from_secs_f64(clients as f64 / WRITES as f64).max(Duration::from_secs(1));
    let lives: Vec<JoinHandle<()>> =
        arrived.into_iter().map(|member| tokio::spawn(member.live(pause, phases.clone()))).collect();
    let polling = poller::start(door, phases);
    // Everyone has written once, and the pollers have asked.
    sleep(Duration::from_secs(2)).await;
    tell("ready");

    let mut lines = lines();
    if lines.recv().await.is_some() {
        told.close();
        while lines.recv().await.is_some() {}
    }
    told.close();
    phase.send_replace(Phase::Quiet);
    let begun = Instant::now();
    while told.open.load(Ordering::Acquire) > 0 && begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20)).await;
    }
    phase.send_replace(Phase::Leaving);
    let behind = behind(lives).await?;
    let polled = polling.end().await?;
    tell(&figures(clients, &told, &rooms, behind, &polled).to_string());
    Ok(())
}

/// Standard input by its lines; a thread of its own reads it, because nothing else can.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Waits until everyone has heard everything; how many have not.
async fn behind(mut lives: Vec<JoinHandle<()>>) -> Result<usize> {
    let all = async {
        for life in &mut lives {
            life.await.context("a client has panicked")?;
        }
        Ok::<_, anyhow::Error>(())
    };
    if let Ok(ended) = timeout(PATIENCE, all).await {
        return ended.map(|()| 0);
    }
    let open = lives.iter().filter(|life| !life.is_finished()).count();
    lives.iter().for_each(JoinHandle::abort);
    Ok(open)
}

fn figures(
    clients: usize,
    told: &Told,
    rooms: &[Arc<Room>],
    behind: usize,
    polled: &Polled,
) -> serde_json::Value {
    let writes: Vec<_> = rooms.iter().map(|room| room.writes()).collect();
    let sum = |of: fn(&room::Writes) -> usize| writes.iter().map(of).sum::<usize>();
    let absences = told.absences();
    json!({
        "clients": clients,
        "written": sum(|writes| writes.acknowledged),
        "lost": sum(|writes| writes.lost),
        "twice": sum(|writes| writes.twice),
        "unanswered": told.open.load(Ordering::Acquire),
        "refusals": *told.refusals.lock().unwrap_or_else(PoisonError::into_inner),
        "gaps": told.gaps.load(Ordering::Acquire),
        "behind": behind,
        "ended": told.ended.load(Ordering::Acquire),
        "longest_away_ms": absences.longest.as_millis() as u64,
        "away": absences.since.len(),
        "requests": polled.requests,
        "failed": polled.failures.values().sum::<u64>(),
        "failures": polled.failures,
        "slowest_ms": polled.slowest.as_millis() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_counts_until_it_ends_or_the_time_is_over() {
        let told = Told::default();
        told.left(1);
        told.left(2);
        std::thread::sleep(Duration::from_millis(20));
        told.back(1);
        let first = told.absences().longest;
        assert!(first >= Duration::from_millis(20), "{first:?}");
        std::thread::sleep(Duration::from_millis(20));
        told.close();
        let closed = told.absences().longest;
        assert!(closed >= Duration::from_millis(40), "{closed:?}");
        // Who comes back after that was away at the end all the same.
        std::thread::sleep(Duration::from_millis(20));
        told.back(2);
        told.left(3);
        let absences = told.absences();
        assert_eq!((absences.longest, absences.since.len()), (closed, 1));
        assert_eq!(told.ended.load(Ordering::Acquire), 3);
    }
}
