//! `stackctl restart`

use std::process::ExitCode;
use std::time::Duration;

use stack_file::destination::Backend;
use stack_plan::lifecycle::{Restart, restart};

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};
use crate::commands::swarm;
use crate::{grace, settings};

/// What `restart` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl restart web")]
pub(crate) struct RestartArgs {
    /// Only these services, and those that depend on them with `restart: true`
    services: Vec<String>,
    /// Leave out the services that depend on the named ones
    #[arg(long)]
    no_deps: bool,
    /// One container at a time, each when the one before it is healthy again, or has run for 5 s
    /// without a health check; when one is not, the others are left alone
    #[arg(long)]
    rolling: bool,
    /// Seconds a container may take to stop before it is killed; -1 waits without end
    #[arg(short, long, value_name = "SECONDS", value_parser = grace::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(global: &Global, args: RestartArgs) -> anyhow::Result<ExitCode> {
    let subject = settings::read_or_name(global)?;
    if settings::backend(global)? == Backend::Swarm {
        swarm::refuse(&[(args.timeout.is_some(), "--timeout", "write stop_grace_period in the file")])?;
        return swarm::restart::run(global, subject, &args.services).await;
    }
    let standing = Standing::of(global, subject, "restart", &args.services, Scope::Containers).await?;
    standing.needs_containers(&args.services)?;
    let policy = Restart {
        services: args.services,
        no_deps: args.no_deps,
        grace: args.timeout,
        rolling: args.rolling,
    };
    let plan = restart(&standing.name, standing.desired(), &standing.observed, &policy);
    standing.carry_out(plan, "nothing to restart: what there is has done its work").await
}
