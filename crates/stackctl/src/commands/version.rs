//! `stackctl version`

use std::process::ExitCode;

use clap::ValueEnum;

use crate::args::Global;
use crate::invocation::{self, COMPOSE_LEVEL, Name};
use crate::render;

/// What `version` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl version --short")]
pub(crate) struct VersionArgs {
    /// Show the number alone
    #[arg(long)]
    short: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// One sentence
    #[default]
    Pretty,
    /// A JSON object
    Json,
}

pub(crate) fn run(global: &Global, args: &VersionArgs) -> anyhow::Result<ExitCode> {
    let ours = env!("CARGO_PKG_VERSION");
    // Clients that ask docker compose for its version go on from 2 on.
    let is_compose = invocation::name() != Name::Stackctl;
    let version = if is_compose { COMPOSE_LEVEL } else { ours };
    let format = if global.json { Format::Json } else { args.format };
    let text = match (args.short, format) {
        (true, _) => version.to_owned(),
        (false, Format::Pretty) if is_compose => {
            format!("Docker Compose version v{version} (stackctl {ours})")
        }
        (false, Format::Pretty) => format!("stackctl version {version}"),
        (false, Format::Json) => serde_json::json!({ "version": version }).to_string(),
    };
    render::line(&text)?;
    Ok(ExitCode::SUCCESS)
}
