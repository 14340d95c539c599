//! `stackctl ps`

use std::process::ExitCode;

use clap::ValueEnum;
use stack_engine::engine::{Engine, Query};
use stack_plan::observed::{ContainerState, ObservedContainer};

use crate::args::Global;
use crate::{render, settings};

/// What `ps` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct PsArgs {
    /// Only these services
    services: Vec<String>,
    /// Also containers that do not run
    #[arg(short, long)]
    all: bool,
    /// Only the ids
    #[arg(short, long, group = "short")]
    quiet: bool,
    /// Only the names of the services
    #[arg(long = "services", group = "short")]
    names: bool,
    /// Only containers in this state: running, exited, …
    #[arg(long, value_name = "STATE")]
    status: Vec<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// A table
    #[default]
    Table,
    /// One JSON object per line
    Json,
}

pub(crate) async fn run(global: &Global, args: PsArgs) -> anyhow::Result<ExitCode> {
    let (project, name) = settings::read_or_name(global)?;
    if let Some(project) = &project {
        project.check_services(&args.services)?;
    }
    let engine = settings::engine(global, true).await?;
    let observed = engine.observe(&Query { project: name.clone(), ..Query::default() }).await?;
    let containers: Vec<&ObservedContainer> = observed
        .containers
        .iter()
        .filter(|container| args.services.is_empty() || args.services.contains(&container.service))
        .filter(|container| match args.status.is_empty() {
            false => args.status.iter().any(|state| state == container.state.word()),
            true => {
                let up = ContainerState::Running == container.state
                    || matches!(container.state, ContainerState::Paused | ContainerState::Restarting);
                up || args.all
            }
        })
        .collect();
    let text = if args.quiet {
        containers.iter().map(|container| format!("{}\n", container.id)).collect()
    } else if args.names {
        let mut names: Vec<_> = containers.iter().map(|container| container.service.as_str()).collect();
        names.dedup();
        names.iter().map(|name| format!("{name}\n")).collect()
    } else {
        match if global.json { Format::Json } else { args.format } {
            Format::Table => render::containers::table(&containers),
            Format::Json => render::containers::json(&containers, &name),
        }
    };
    render::text(&text)?;
    Ok(ExitCode::SUCCESS)
}
