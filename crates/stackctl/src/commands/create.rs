//! `stackctl create`

use std::process::ExitCode;

use stack_plan::containers::Policy;

use crate::args::Global;
use crate::commands::change::ChangeArgs;
use crate::commands::converge::Converge;
use crate::render::Renderer;
use crate::settings;

/// What `create` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl create --build")]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Show nothing of a pull but its end
    #[arg(long)]
    quiet_pull: bool,
    /// Agree that this volume is made anew and loses its data, as `volume:NAME`, or `all`
    #[arg(long, value_name = "ADDRESS")]
    allow_data_loss: Vec<String>,
    /// Say yes to every question, also to the loss of data
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, args: CreateArgs) -> anyhow::Result<ExitCode> {
    let scale = args.change.scale()?;
    let project = args.change.project(global)?;
    let policy = Policy { no_start: true, ..args.change.policy() };
    project.check_services(&policy.services)?;
    project.check_services(&scale.into_keys().collect::<Vec<_>>())?;
    let engine = settings::engine(global, true).await?;
    let mut renderer = Renderer::new(global);
    renderer.hush(args.quiet_pull, false);
    let mut may_lose = args.allow_data_loss;
    if args.yes {
        may_lose.push("all".to_owned());
    }
    let converge = Converge { engine: &engine, project: &project, policy, pace: global.pace(), may_lose };
    converge.run_alone("create", &mut renderer).await
}
