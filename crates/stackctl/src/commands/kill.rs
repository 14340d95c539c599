//! `stackctl kill`

use std::process::ExitCode;

use stack_plan::lifecycle::{Kill, kill};

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};

/// What `kill` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It does not wait for another stackctl that is at work on the project.\n\nExample:\n  stackctl kill -s HUP web"
)]
pub(crate) struct KillArgs {
    /// Only these services
    services: Vec<String>,
    /// Signal to send, as SIGHUP, HUP or 1
    #[arg(short, long, value_name = "SIGNAL", default_value = "SIGKILL")]
    signal: String,
    /// Also containers of services that the file does not have
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", value_parser = clap::builder::FalseyValueParser::new())]
    remove_orphans: bool,
}

pub(crate) async fn run(global: &Global, args: KillArgs) -> anyhow::Result<ExitCode> {
    let standing = Standing::look(global, "kill", &args.services, Scope::ContainersAtOnce).await?;
    let policy = Kill { services: args.services, signal: args.signal, orphans: args.remove_orphans };
    let plan = kill(&standing.name, standing.desired(), &standing.observed, &policy);
    standing.carry_out(plan, "no container to kill: none runs").await
}
