//! `stackctl unpause`

use std::process::ExitCode;

use stack_plan::lifecycle::unpause;

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};

/// What `unpause` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl unpause worker")]
pub(crate) struct UnpauseArgs {
    /// Only these services
    services: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: UnpauseArgs) -> anyhow::Result<ExitCode> {
    let standing = Standing::look(global, "unpause", &args.services, Scope::Containers).await?;
    let plan = unpause(&standing.name, standing.desired(), &standing.observed, &args.services);
    standing.carry_out(plan, "nothing to unpause: none of it is paused").await
}
