//! `stackctl volumes`

use std::collections::BTreeSet;
use std::process::ExitCode;

use crate::args::Global;
use crate::commands::look::{Subject, is_of};
use crate::render::format::Form;
use crate::{render, settings};

/// What `volumes` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl volumes -q")]
pub(crate) struct VolumesArgs {
    /// Only volumes that containers of these services have mounted
    services: Vec<String>,
    /// Form of the output: table, json, or a template as 'table {{.Name}}\t{{.Driver}}'
    #[arg(long, value_name = "FORM", default_value = "table", hide_default_value = true)]
    format: String,
    /// Only the names
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) async fn run(global: &Global, args: VolumesArgs) -> anyhow::Result<ExitCode> {
    let form = if global.json { Form::Json } else { Form::parse(&args.format, &render::volumes::COLUMNS)? };
    let subject = Subject::read(global)?;
    let engine = settings::engine(global, true).await?;
    let mut volumes = engine.list_volumes(&subject.name).await?;
    if !args.services.is_empty() {
        let listed = subject.containers(&engine, &args.services, true, false).await?;
        let mine = listed.iter().filter(|container| is_of(container, &args.services));
        let names: BTreeSet<&str> =
            mine.flat_map(|container| &container.mounts).map(|mount| mount.name.as_str()).collect();
        volumes.retain(|volume| names.contains(volume.name.as_str()));
    }
    if args.quiet {
        let names: String = volumes.iter().map(|volume| format!("{}\n", volume.name)).collect();
        render::text(&names)?;
    } else {
        render::text(&render::volumes::show(&volumes, &form)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
