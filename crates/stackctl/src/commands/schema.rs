//! `stackctl schema`

use std::process::ExitCode;

use crate::render;

/// What `schema` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl schema > stack.schema.json")]
pub(crate) struct SchemaArgs {}

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    render::text(&format!("{:#}\n", render::schema::whole()))?;
    Ok(ExitCode::SUCCESS)
}
