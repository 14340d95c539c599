//! `stackctl export`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{cp, target};
use crate::args::Global;
use crate::error::{Fault, Kind, interrupted};
use crate::render::Renderer;
use crate::{render, settings};

/// What `export` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl export -o web.tar web")]
pub(crate) struct ExportArgs {
    /// Number of the container, where the service has several [default: the lowest]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The service
    service: String,
}

pub(crate) async fn run(global: &Global, args: ExportArgs) -> anyhow::Result<ExitCode> {
    if args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Fault::new(Kind::Usage, "an archive is nothing for a terminal")
            .hint("name a file with: --output FILE")
            .into());
    }
    let project = target::project(global)?;
    let engine = settings::engine(global, false).await?;
    let container = target::one(global, &engine, &project, &args.service, args.index, false).await?;
    let address = target::address(&container);
    if global.dry_run {
        return target::rehearse(&format!("export the file system of {address}"));
    }
    let archive = engine.export(&container.id);
    let export = async {
        match &args.output {
            Some(path) => cp::save(archive, path).await,
            None => render::passed_on::archive(archive).await,
        }
    };
    tokio::select! {
        exported = export => exported?,
        () = super::interrupt() => return Ok(interrupted()),
    }
    if let Some(path) = &args.output {
        Renderer::new(global).note(&format!("{address} exported to {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
