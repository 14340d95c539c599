//! `cargo xtask stress`: the server's promises, tried on one instance alone and on two with a Redis.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Profile};
use crate::debian::{self, Services};

/// `cargo xtask stress`.
#[derive(Debug, clap::Args)]
pub(crate) struct StressArgs {
    /// What chance depends on; the same seed gives the same choices
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Only scenarios whose name has this in it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Runs every scenario with programs that are quick to run.
pub(crate) fn run(root: &Path, arguments: &StressArgs) -> Result<()> {
    if !debian::has_program("redis-server") {
        debian::install(&["redis-server"], "by the scenarios", Services::StayOff)?;
    }
    let seed = arguments.seed.to_string();
    let mut more = vec!["--seed", &seed];
    if let Some(only) = &arguments.only {
        more.extend(["--only", only]);
    }
    with(root, Profile::Release, &more)
}

/// Runs the scenarios as a part of the tests: with what these have built, and fewer repetitions.
pub(crate) fn short(root: &Path) -> Result<()> {
    with(root, Profile::Dev, &["--increments", "5"])
}

fn with(root: &Path, profile: Profile, more: &[&str]) -> Result<()> {
    let server = cargo::build(root, "server", profile)?;
    let bench = cargo::build(root, "server-bench", profile)?;
    let mut command = Command::new(bench);
    command.arg("stress").arg("--server").arg(server).args(more);
    let status = command.status().context("server-bench cannot be run")?;
    if !status.success() {
        bail!("a promise is broken");
    }
    Ok(())
}
