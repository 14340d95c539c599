//! `stackctl export`

mod kubernetes;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use self::kubernetes::look;
use super::{cp, target};
use crate::args::Global;
use crate::error::{Fault, Kind, interrupted};
use crate::render::Renderer;
use crate::{render, settings};

/// What `export` takes.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true,
    subcommand_value_name = "FORM",
    subcommand_help_heading = "Other forms of the whole stack",
    disable_help_subcommand = true,
    after_help = "Example:\n  stackctl export -o web.tar web\n  stackctl export kubernetes -o manifests/\n\n\
        A service that is called like a form is exported with: stackctl export -- NAME"
)]
pub(crate) struct ExportArgs {
    #[command(subcommand)]
    form: Option<Form>,
    /// Number of the container, where the service has several [default: the lowest]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The service
    #[arg(required = true)]
    service: Option<String>,
}

/// What a stack is written as.
#[derive(Debug, Subcommand)]
enum Form {
    /// Write the stack as manifests of Kubernetes
    Kubernetes(kubernetes::KubernetesArgs),
}

pub(crate) async fn run(global: &Global, args: ExportArgs) -> anyhow::Result<ExitCode> {
    let (index, output, service) = match args {
        ExportArgs { form: Some(Form::Kubernetes(args)), .. } => return kubernetes::run(global, &args),
        ExportArgs { index, output, service, .. } => (index, output, service.unwrap_or_default()),
    };
    if output.is_none() && std::io::stdout().is_terminal() {
        return Err(Fault::new(Kind::Usage, "an archive is nothing for a terminal")
            .hint("name a file with: --output FILE")
            .into());
    }
    let project = target::project(global)?;
    let engine = settings::engine(global, false).await?;
    let container = match target::one(global, &engine, &project, &service, index, false).await {
        Err(_) if service == kubernetes::NAME => {
            let message = format!("no container of a service called {service} runs in the project {project}");
            return Err(Fault::new(Kind::Usage, message)
                .hint("manifests are written with this word before all options: stackctl export kubernetes")
                .into());
        }
        found => found?,
    };
    let address = target::address(&container);
    if global.dry_run {
        return target::rehearse(&format!("export the file system of {address}"));
    }
    let archive = engine.export(&container.id);
    let export = async {
        match &output {
            Some(path) => cp::save(archive, path).await,
            None => render::passed_on::archive(archive).await,
        }
    };
    tokio::select! {
        exported = export => exported?,
        () = super::interrupt() => return Ok(interrupted()),
    }
    if let Some(path) = &output {
        Renderer::new(global).note(&format!("{address} exported to {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
