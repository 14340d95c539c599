//! `stackctl stop`

use std::process::ExitCode;
use std::time::Duration;

use stack_plan::teardown::{Teardown, teardown};

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};
use crate::grace;

/// What `stop` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl stop --timeout 30 web")]
pub(crate) struct StopArgs {
    /// Only these services
    services: Vec<String>,
    /// Seconds a container may take to stop before it is killed; -1 waits without end
    #[arg(short, long, value_name = "SECONDS", value_parser = grace::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(global: &Global, args: StopArgs) -> anyhow::Result<ExitCode> {
    let standing = Standing::look(global, "stop", &args.services, Scope::Containers).await?;
    let policy =
        Teardown { services: args.services, grace: args.timeout, stop_only: true, ..Teardown::default() };
    let plan = teardown(&standing.name, standing.desired(), &standing.observed, &policy);
    standing.carry_out(plan, "nothing to stop: none of it runs").await
}
