//! `stackctl start`

use std::process::ExitCode;
use std::time::Duration;

use stack_engine::execute::Pace;
use stack_plan::lifecycle::{Start, start};

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};

/// What `start` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl start --wait db")]
pub(crate) struct StartArgs {
    /// Only these services and what they need
    services: Vec<String>,
    /// Wait until every container is ready
    #[arg(long)]
    wait: bool,
    /// How long `--wait` waits, in seconds
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u64>,
}

pub(crate) async fn run(global: &Global, args: StartArgs) -> anyhow::Result<ExitCode> {
    let mut standing = Standing::look(global, "start", &args.services, Scope::Containers).await?;
    standing.needs_containers(&args.services)?;
    standing.pace = Pace { wait_timeout: args.wait_timeout.map(Duration::from_secs), ..standing.pace };
    let policy = Start { services: args.services, wait: args.wait };
    let plan = start(&standing.name, standing.desired(), &standing.observed, &policy);
    standing.carry_out(plan, "nothing to start: all of it runs").await
}
