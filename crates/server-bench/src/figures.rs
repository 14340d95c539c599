//! How fast it is, beside what it is meant to be. Everything runs on this
//! machine: two nodes, a Redis and the load share its processors.

mod across;
mod exodus;
mod fan_out;
mod idle;
mod through_nginx;
mod writes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::say::{say, tell};

/// `server-bench figures`.
#[derive(Debug, clap::Args)]
pub(crate) struct FiguresArgs {
    /// The server's program
    #[arg(long, value_name = "PATH")]
    server: PathBuf,
    /// Where the other systems are; without it, ours is measured alone
    #[arg(long, value_name = "FOLDER")]
    peers: Option<PathBuf>,
    /// The configuration of the nginx in front of the servers
    #[arg(long, value_name = "PATH")]
    nginx: PathBuf,
    /// Only the figures whose name has this in it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How long each rate is measured
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Clients of the figures with many of them, in hundredths of those that are meant
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    percent: u64,
}

impl FiguresArgs {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// This part of so many clients.
    fn part_of(&self, clients: u64) -> usize {
        usize::try_from(clients * self.percent / 100).unwrap_or(usize::MAX).max(1)
    }
}

/// A figure beside its target.
pub(crate) struct Figure {
    what: String,
    measured: String,
    target: String,
    reached: bool,
}

impl Figure {
    fn new(
        what: impl Into<String>,
        measured: impl Into<String>,
        target: impl Into<String>,
        reached: bool,
    ) -> Self {
        Self { what: what.into(), measured: measured.into(), target: target.into(), reached }
    }
}

macro_rules! figures {
    ($($name:literal: $module:ident::$function:ident,)*) => {
        const NAMES: &[&str] = &[$($name),*];
        async fn measure(name: &str, arguments: &FiguresArgs) -> Result<Vec<Figure>> {
            match name {
                $($name => $module::$function(arguments).await,)*
                _ => bail!("{name} is no figure"),
            }
        }
    };
}

figures! {
    "fan-out": fan_out::measure,
    "across": across::measure,
    "writes": writes::measure,
    "idle": idle::measure,
    "nginx": through_nginx::measure,
    "kicked": exodus::kicked,
    "drain": exodus::drained,
}

/// Measures them all, and fails if one falls short.
pub(crate) async fn run(arguments: &FiguresArgs) -> Result<()> {
    if !arguments.server.is_file() {
        bail!("{} is not there", arguments.server.display());
    }
    let only = arguments.only.as_deref();
    let wanted: Vec<&str> =
        NAMES.iter().copied().filter(|name| only.is_none_or(|only| name.contains(only))).collect();
    if wanted.is_empty() {
        bail!("there is no such figure; there are {}", NAMES.join(", "));
    }
    let mut all = Vec::new();
    for name in wanted {
        say(&format!("── {name}"));
        match measure(name, arguments).await {
            Ok(figures) => all.extend(figures),
            Err(error) => {
                say(&format!("   failed: {error:#}"));
                all.push(Figure::new(name, "failed", "a figure", false));
            }
        }
    }
    tell("");
    tell("| figure | measured | target | |");
    tell("|---|---|---|---|");
    for Figure { what, measured, target, reached } in &all {
        tell(&format!("| {what} | {measured} | {target} | {} |", if *reached { "reached" } else { "SHORT" }));
    }
    let short = all.iter().filter(|figure| !figure.reached).count();
    if short > 0 {
        bail!("{short} of {} figures fall short", all.len());
    }
    Ok(())
}
