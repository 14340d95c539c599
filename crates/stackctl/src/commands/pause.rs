//! `stackctl pause`

use std::process::ExitCode;

use stack_plan::lifecycle::pause;

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};

/// What `pause` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl pause worker")]
pub(crate) struct PauseArgs {
    /// Only these services
    services: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: PauseArgs) -> anyhow::Result<ExitCode> {
    let standing = Standing::look(global, "pause", &args.services, Scope::Containers).await?;
    let plan = pause(&standing.name, standing.desired(), &standing.observed, &args.services);
    standing.carry_out(plan, "nothing to pause: none of it runs").await
}
