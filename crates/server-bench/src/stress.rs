//! Scenarios that check themselves: each has an invariant that some server of
//! this kind was once seen to break.

mod faults;
mod limits;
mod rooms;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::fleet::{Fleet, Redis};
use crate::say::{say, tell};

/// `server-bench stress`.
#[derive(Debug, clap::Args)]
pub(crate) struct StressArgs {
    /// The server's program
    #[arg(long, value_name = "PATH")]
    server: PathBuf,
    /// What chance depends on; the same seed gives the same choices
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How often each of the 100 clients of the counter counts
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    increments: u64,
    /// Only scenarios whose name has this in it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

impl StressArgs {
    fn setting(&self, redis: bool) -> Setting<'_> {
        Setting { server: &self.server, seed: self.seed, increments: self.increments, redis }
    }
}

/// What a scenario needs.
pub(crate) struct Setting<'a> {
    pub(crate) server: &'a Path,
    pub(crate) seed: u64,
    /// How often each client of the counter counts.
    pub(crate) increments: u64,
    /// Whether it runs on two instances with a Redis, or on one alone.
    pub(crate) redis: bool,
}

impl Setting<'_> {
    /// The instances for a scenario.
    pub(crate) async fn fleet(&self, settings: &[(&str, &str)]) -> Result<Fleet> {
        let redis = if self.redis { Some(Redis::start(false).await?) } else { None };
        Fleet::start(self.server, redis, settings).await
    }
}

/// A scenario; it tells what it has counted.
macro_rules! scenarios {
    ($($name:literal on $stores:ident: $module:ident::$function:ident,)*) => {
        async fn scenario(name: &str, setting: &Setting<'_>) -> Result<String> {
            match name {
                $($name => $module::$function(setting).await,)*
                _ => bail!("{name} is no scenario"),
            }
        }
        const SCENARIOS: &[(&str, Stores)] = &[$(($name, Stores::$stores),)*];
    };
}

/// The scenario that runs beside the others.
const KILLED: &str = "node killed";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stores {
    Both,
    Redis,
}

scenarios! {
    "seats" on Both: rooms::one_x_and_one_o,
    "moves" on Both: rooms::accepted_moves_are_versions,
    "counter" on Both: rooms::a_counter_is_exact,
    "identical maps" on Both: rooms::everyone_sees_the_same,
    "recovery storm" on Both: rooms::a_storm_of_recoveries,
    "same key twice" on Both: rooms::racing_writes_with_one_key_count_once,
    "malformed frames" on Both: limits::malformed_frames,
    "slow reader" on Both: limits::a_slow_reader_is_closed,
    "nothing left" on Both: limits::hubs_drain_to_zero,
    "redis comes back" on Redis: faults::redis_comes_back,
    "redis comes back empty" on Redis: faults::redis_comes_back_empty,
    "notices cut" on Redis: faults::notices_are_cut,
    "no answer" on Redis: faults::a_write_without_an_answer_counts_once,
    "drain under load" on Redis: faults::a_drain_loses_nothing,
}

/// Runs them all, and fails if one has.
pub(crate) async fn run(arguments: &StressArgs) -> Result<()> {
    if !arguments.server.is_file() {
        bail!("{} is not there", arguments.server.display());
    }
    say(&format!("seed {}", arguments.seed));
    let begun = Instant::now();
    let wanted = |name: &str| arguments.only.as_deref().is_none_or(|only| name.contains(only));
    let (mut passed, mut failed) = (0, 0);
    let mut note = |name: &str, store: &str, took: f64, outcome: Result<String>| match outcome {
        Ok(counted) => {
            passed += 1;
            tell(&format!("ok      {name:24} {store:7} {took:6.2} s  {counted}"));
        }
        Err(error) => {
            failed += 1;
            tell(&format!("FAILED  {name:24} {store:7} {took:6.2} s  {error:#}"));
        }
    };
    // Its lease is as long as by default: everything else goes on meanwhile.
    let killed = async {
        if !wanted(KILLED) {
            return None;
        }
        let setting = arguments.setting(true);
        let outcome = faults::members_of_a_killed_node_are_gone(&setting).await;
        Some((begun.elapsed().as_secs_f64(), outcome))
    };
    let others = async {
        for (name, stores) in SCENARIOS.iter().filter(|(name, _)| wanted(name)) {
            for redis in [false, true] {
                if !redis && *stores == Stores::Redis {
                    continue;
                }
                let setting = arguments.setting(redis);
                let start = Instant::now();
                let outcome = scenario(name, &setting).await;
                let store = if redis { "redis" } else { "memory" };
                note(name, store, start.elapsed().as_secs_f64(), outcome);
            }
        }
    };
    if let (Some((took, outcome)), ()) = futures_util::future::join(killed, others).await {
        note(KILLED, "redis", took, outcome);
    }
    tell(&format!("{passed} passed, {failed} failed"));
    if failed > 0 {
        bail!("seed {}: {failed} of {} failed", arguments.seed, passed + failed);
    }
    say(&format!("done in {:.0} s", begun.elapsed().as_secs_f64()));
    Ok(())
}
