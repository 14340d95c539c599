//! `stackctl down`

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use stack_engine::engine::{Engine, Query};
use stack_plan::teardown::{RemoveImages, Teardown, teardown};

use crate::args::Global;
use crate::error::{failed, interrupted};
use crate::render::Renderer;
use crate::settings;

/// What `down` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DownArgs {
    /// Only these services; networks and volumes stay then
    services: Vec<String>,
    /// Remove named and anonymous volumes too: their data is lost
    #[arg(short, long)]
    volumes: bool,
    /// Seconds a container may take to stop before it is killed
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Remove containers of services that the file does not have
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", value_parser = clap::builder::FalseyValueParser::new())]
    remove_orphans: bool,
    /// Remove images too: `local` those without a name in the file, `all` every one
    #[arg(long, value_enum, value_name = "WHICH")]
    rmi: Option<Rmi>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rmi {
    Local,
    All,
}

pub(crate) async fn run(global: &Global, args: DownArgs) -> anyhow::Result<ExitCode> {
    let (project, name) = settings::read_or_name(global)?;
    if let Some(project) = &project {
        project.check_services(&args.services)?;
    }
    let engine = settings::engine(global, true).await?;
    let query = project
        .as_ref()
        .map_or_else(|| Query { project: name.clone(), ..Query::default() }, |project| project.query());
    let observed = engine.observe(&query).await?;
    let policy = Teardown {
        services: args.services,
        grace: args.timeout.map(Duration::from_secs),
        stop_only: false,
        volumes: args.volumes,
        images: match args.rmi {
            None => RemoveImages::None,
            Some(Rmi::Local) => RemoveImages::Local,
            Some(Rmi::All) => RemoveImages::All,
        },
        remove_orphans: args.remove_orphans,
    };
    let plan = teardown(&name, project.as_ref().map(|project| &project.desired), &observed, &policy);
    let mut renderer = Renderer::new(global);
    if plan.is_empty() {
        for warning in &plan.warnings {
            renderer.warn(warning);
        }
        renderer.note(&format!("nothing to remove: {name} has no containers or networks"));
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        summary = super::carry_out(&engine, plan, global.pace(), project.as_ref(), &mut renderer) => {
            Ok(if summary.succeeded() { ExitCode::SUCCESS } else { failed() })
        }
        () = super::interrupt() => Ok(interrupted()),
    }
}
