//! `cargo xtask answers`: how much of what a person needs the answers to broken stacks hold, docker
//! compose's beside stackctl's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::{compose, engine, images};

/// `cargo xtask answers`.
#[derive(Debug, clap::Args)]
pub(crate) struct AnswersArgs {
    /// The program of docker compose [default: docker's plugin]
    #[arg(long, value_name = "PROGRAM")]
    compose: Option<PathBuf>,
}

/// Brings every broken stack up with both, and shows the table.
pub(crate) fn run(root: &Path, arguments: &AnswersArgs) -> Result<()> {
    let Some(compose) = compose::find(arguments.compose.as_deref())? else {
        bail!(
            "docker compose is not installed; name a program of it with --compose or {}",
            compose::VARIABLE
        );
    };
    let engine = engine::ensure()?;
    engine.introduce()?;
    images::ensure(root, &engine, false)?;
    let (name, value) = engine.variable();
    let mut tests = cargo(root);
    tests.args(["test", "-p", "stackctl", "--test", "engine", "--", "--ignored", "--nocapture"]);
    tests.arg("broken::judged::").env(compose::VARIABLE, compose.join(" ")).env(name, value);
    let status = tests.status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("an answer of stackctl lacks a part");
    }
    Ok(())
}
