//! `stackctl graph`

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::args::Global;
use crate::render::graph::{GraphStyle, dot};
use crate::{render, settings};

/// What `graph` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl graph --ports | dot -Tsvg > stack.svg")]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    style: GraphStyle,
}

pub(crate) fn run(global: &Global, args: &GraphArgs) -> anyhow::Result<ExitCode> {
    let project = settings::read(global, &BTreeMap::new())?;
    render::text(&dot(&project.desired, &args.style))?;
    Ok(ExitCode::SUCCESS)
}
