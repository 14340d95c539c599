//! `stackctl push`

use std::collections::BTreeMap;
use std::process::ExitCode;

use stack_engine::execute::Pace;
use stack_plan::registry::{PushRequest, push};

use crate::args::Global;
use crate::commands::pull::hushed;
use crate::error::interrupted;
use crate::render::Renderer;
use crate::settings;

/// What `push` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl push web")]
pub(crate) struct PushArgs {
    /// Only these services [default: all that have something to build]
    services: Vec<String>,
    /// Also what the named services depend on
    #[arg(long)]
    include_deps: bool,
    /// Push what can be pushed; a failure is only told
    #[arg(long)]
    ignore_push_failures: bool,
    /// Say nothing but what goes wrong
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) async fn run(global: &Global, args: PushArgs) -> anyhow::Result<ExitCode> {
    let project = settings::read(global, &BTreeMap::new())?;
    project.check_services(&args.services)?;
    let engine = settings::any_engine(global, true).await?;
    let request = PushRequest { services: args.services, dependencies: args.include_deps };
    let plan = push(&project.desired, &request);
    let mut renderer = Renderer::new(&hushed(global, args.quiet));
    if plan.is_empty() {
        for warning in &plan.warnings {
            renderer.warn(warning);
        }
        renderer.note("nothing to push: no service has both `build` and `image`");
        return Ok(ExitCode::SUCCESS);
    }
    let pace = Pace { tolerant: args.ignore_push_failures, ..global.pace() };
    tokio::select! {
        summary = super::carry_out(&engine, plan, pace, Some(&project), &mut renderer) => {
            Ok(renderer.code(&summary))
        }
        () = super::interrupt() => {
            renderer.interrupted("`stackctl push` goes on from here");
            Ok(interrupted())
        }
    }
}
