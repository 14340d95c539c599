//! `stackctl config`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use stack_file::config::Form;

use crate::args::Global;
use crate::{render, settings};

/// What `config` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only check the file
    #[arg(short, long)]
    quiet: bool,
    /// Only the names of the services, one per line
    #[arg(long, group = "list")]
    services: bool,
    /// Only the images, one per line
    #[arg(long, group = "list")]
    images: bool,
    /// Only the names of the networks, one per line
    #[arg(long, group = "list")]
    networks: bool,
    /// Only the names of the volumes, one per line
    #[arg(long, group = "list")]
    volumes: bool,
    /// File to write to instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// YAML
    #[default]
    Yaml,
    /// JSON
    Json,
}

pub(crate) fn run(global: &Global, args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let project = settings::read(global, &BTreeMap::new())?;
    if args.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    let stack = &project.loaded.stack;
    let desired = &project.desired;
    let list =
        |names: &mut dyn Iterator<Item = &str>| names.map(|name| format!("{name}\n")).collect::<String>();
    let text = if args.services {
        list(&mut desired.services.iter().map(|spec| spec.name()))
    } else if args.images {
        list(&mut desired.services.iter().map(|spec| spec.image.as_str()))
    } else if args.networks {
        list(&mut stack.networks.keys().map(String::as_str))
    } else if args.volumes {
        list(&mut stack.volumes.keys().map(String::as_str))
    } else {
        let written = match args.format {
            Format::Yaml => serde_yaml::to_string(&stack.config(Form::Yaml))?,
            Format::Json => format!("{}\n", serde_json::to_string_pretty(&stack.config(Form::Json))?),
        };
        // What is written is a stack file again: a sign that is meant as such is doubled.
        written.replace('$', "$$")
    };
    match &args.output {
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        None => render::text(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}
