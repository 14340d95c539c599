//! `stackctl rollout`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use stack_file::destination::Backend;
use stack_plan::containers::{Policy, Recreate};

use crate::args::Global;
use crate::commands::change::LockedArgs;
use crate::commands::converge::Converge;
use crate::commands::swarm;
use crate::grace;
use crate::render::Renderer;
use crate::settings;

/// What `rollout` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 9 when a new container was not good and what it had replaced serves again.\n\nExample:\n  stackctl rollout web"
)]
pub(crate) struct RolloutArgs {
    /// The services
    #[arg(required = true)]
    services: Vec<String>,
    /// Seconds a container may take to stop before it is killed; -1 waits without end
    #[arg(short, long, value_name = "SECONDS", value_parser = grace::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    #[command(flatten)]
    locked: LockedArgs,
}

pub(crate) async fn run(global: &Global, args: RolloutArgs) -> anyhow::Result<ExitCode> {
    let project = args.locked.obeyed_by(settings::to_act(global, &BTreeMap::new())?)?;
    project.check_services(&args.services)?;
    let mut renderer = Renderer::new(global);
    let policy = Policy {
        services: args.services,
        no_deps: true,
        recreate: Recreate::Always,
        rolling: true,
        grace: args.timeout,
        ..Policy::default()
    };
    let (pace, may_lose) = (global.pace(), Vec::new());
    if settings::backend(global)? == Backend::Swarm {
        swarm::refuse(&[(policy.grace.is_some(), "--timeout", "write stop_grace_period in the file")])?;
        let policy = Policy { wait: true, rolling: false, ..policy };
        return swarm::up::run(global, &project, policy, pace, "rollout", &mut renderer).await;
    }
    let engine = settings::engine(global, true).await?;
    let converge = Converge { engine: &engine, project: &project, policy, pace, may_lose };
    converge.run_alone("rollout", &mut renderer).await
}
