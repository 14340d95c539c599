//! `stackctl version`

use std::process::ExitCode;

use clap::ValueEnum;

use crate::args::Global;
use crate::render;

/// What `version` takes.
#[derive(Debug, clap::Args)]
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
    let version = env!("CARGO_PKG_VERSION");
    let format = if global.json { Format::Json } else { args.format };
    let text = match (args.short, format) {
        (true, _) => version.to_owned(),
        (false, Format::Pretty) => format!("stackctl version {version}"),
        (false, Format::Json) => serde_json::json!({ "version": version }).to_string(),
    };
    render::line(&text)?;
    Ok(ExitCode::SUCCESS)
}
