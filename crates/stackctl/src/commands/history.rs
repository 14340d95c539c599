//! `stackctl history`

use std::process::ExitCode;

use stack_plan::generation::Generation;

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::generations::{self, Store};
use crate::render::format::Form;
use crate::{render, settings};

/// What `history` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The engine, or the managers of a swarm, keep the last 10 generations of a project, or as many as STACKCTL_GENERATIONS says; \
                  `down --volumes` and `down --rmi` remove them.\n\n\
                  Example:\n  stackctl history\n  stackctl history 4            what generation 4 changed\n  \
                  stackctl history 4 --diff 1   how it differs from generation 1"
)]
pub(crate) struct HistoryArgs {
    /// Show field by field what this generation changed
    generation: Option<u32>,
    /// The generation to compare with [default: the one before]
    #[arg(long, value_name = "GENERATION", requires = "generation")]
    diff: Option<u32>,
    /// Form of the list: table, json, or a template as 'table {{.Generation}}\t{{.Changed}}'
    #[arg(long, value_name = "FORM", default_value = "table", hide_default_value = true)]
    format: String,
    /// Only the numbers
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) async fn run(global: &Global, args: HistoryArgs) -> anyhow::Result<ExitCode> {
    let form = if global.json { Form::Json } else { Form::parse(&args.format, &render::history::COLUMNS)? };
    let name = settings::name(global)?;
    let (engine, backend) = settings::either(global).await?;
    let store = Store { engine: &engine, backend };
    let kept = store.list(&name).await?;
    let Some(number) = args.generation else {
        if args.quiet {
            let numbers: String = kept.listed.iter().rev().map(|one| format!("{}\n", one.number)).collect();
            render::text(&numbers)?;
        } else {
            render::text(&render::history::list(&kept.listed, &form)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let generation = generations::read(store, &name, &kept, number).await?;
    let before: Option<Generation> = match args.diff {
        Some(other) => Some(generations::read(store, &name, &kept, other).await?),
        None => match kept.listed.iter().rev().find(|listed| listed.number < number) {
            Some(listed) => Some(generations::of_listed(store, listed).await?),
            None => None,
        },
    };
    match form {
        Form::Json => render::line(&render::history::json(&generation, before.as_ref()).to_string())?,
        Form::Table => render::text(&render::history::changes(&generation, before.as_ref()))?,
        Form::Own(_) | Form::Text(_) => {
            return Err(Fault::new(Kind::Usage, "a single generation has no form but table and json")
                .hint("leave out --format, or the number")
                .into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
