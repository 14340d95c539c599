//! `stackctl plan`

use std::process::ExitCode;

use clap::ValueEnum;
use stack_engine::engine::Engine;
use stack_plan::containers;

use crate::args::Global;
use crate::commands::up::ChangeArgs;
use crate::{render, settings};

/// What `plan` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Pretty,
    /// Every single step, one per line
    Steps,
    /// A JSON object
    Json,
}

pub(crate) async fn run(global: &Global, args: PlanArgs) -> anyhow::Result<ExitCode> {
    let project = settings::to_act(global, &args.change.scale()?)?;
    let policy = args.change.policy();
    project.check_services(&policy.services)?;
    let engine = settings::engine(global, true).await?;
    let observed = engine.observe(&project.query()).await?;
    let plan = containers::plan(&project.desired, &observed, &policy);
    let format = if global.json { Format::Json } else { args.format };
    let text = match format {
        Format::Pretty => render::plan::pretty(&plan, &project),
        Format::Steps => plan.to_string(),
        Format::Json => format!("{}\n", render::plan::json(&plan, &project)),
    };
    render::text(&text)?;
    Ok(ExitCode::SUCCESS)
}
