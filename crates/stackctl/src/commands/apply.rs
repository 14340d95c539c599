//! `stackctl apply`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::{Args, Command, Global};
use crate::commands;
use crate::commands::converge::Converge;
use crate::error::{Fault, Kind, interrupted};
use crate::plan_file::PlanFile;
use crate::render::Renderer;
use crate::settings;

/// What `apply` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Files, project and engine are those of the plan. Where an image is pulled or built first, \
                  what follows from it is known only then, and done as `up` does it.\n\nExample:\n  \
                  stackctl plan --out next.plan && stackctl apply next.plan"
)]
pub(crate) struct ApplyArgs {
    /// What `stackctl plan --out FILE` has written
    file: PathBuf,
    /// How long waits may take, in seconds
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Agree that this volume is made anew and loses its data, as `volume:NAME`, or `all`
    #[arg(long, value_name = "ADDRESS")]
    allow_data_loss: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: ApplyArgs) -> anyhow::Result<ExitCode> {
    if let Some(given) = global.words().first() {
        return Err(Fault::new(Kind::Usage, format!("apply takes no {given}: the plan says it"))
            .hint("make another plan with: stackctl plan --out FILE")
            .into());
    }
    let file = PlanFile::read(&args.file)?;
    let (planned, plan_args) = parse(&file)?;
    let planned = Global {
        directory: Some(file.directory.clone()),
        dry_run: global.dry_run,
        parallel: global.parallel,
        progress: global.progress,
        json: global.json,
        ansi: global.ansi,
        ..planned
    };

    let project = plan_args.change.project(&planned)?;
    let engine = settings::engine(&planned, true).await?;
    file.check_engine(&engine.connection().address)?;
    let converge = Converge {
        engine: &engine,
        project: &project,
        policy: plan_args.policy(),
        pace: stack_engine::execute::Pace {
            wait_timeout: args.wait_timeout.map(Duration::from_secs),
            ..planned.pace()
        },
        may_lose: args.allow_data_loss,
    };
    let mut renderer = Renderer::new(&planned);
    let alone = converge.alone("apply", &mut renderer).await?;
    let looked = converge.look().await?;
    file.check(&looked.0)?;
    tokio::select! {
        summary = converge.carry_out("apply", looked, &mut renderer) => {
            alone.finish();
            Ok(renderer.code(&summary?))
        }
        () = commands::interrupt() => {
            renderer.interrupted("`stackctl up` goes on from here");
            Ok(interrupted())
        }
    }
}

/// The command line that made the plan.
fn parse(file: &PlanFile) -> anyhow::Result<(Global, commands::plan::PlanArgs)> {
    let words = std::iter::once("stackctl").chain(file.arguments.iter().map(String::as_str));
    match Args::try_parse_from(words) {
        Ok(Args { global, command: Command::Plan(args) }) => Ok((global, args)),
        _ => Err(Fault::new(Kind::Usage, "the plan file does not say how the plan was made")
            .hint("write it anew with: stackctl plan --out FILE")
            .into()),
    }
}
