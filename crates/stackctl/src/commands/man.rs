//! `stackctl man`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::args::Args;
use crate::error::{Fault, Kind};
use crate::render;

/// What `man` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  stackctl man up | man -l -\n  stackctl man --out ~/.local/share/man/man1"
)]
pub(crate) struct ManArgs {
    /// The command to tell of [default: stackctl itself]
    command: Option<String>,
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let mut whole = Args::command();
    whole.build();
    if let Some(directory) = &args.out {
        std::fs::create_dir_all(directory)
            .and_then(|()| write_all(&whole, directory))
            .with_context(|| format!("the pages cannot be written to {}", directory.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = match &args.command {
        None => whole,
        Some(name) => whole.find_subcommand(name).cloned().ok_or_else(|| {
            Fault::new(Kind::Usage, format!("there is no command {name}")).hint("see: stackctl --help")
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(wanted).render(&mut page)?;
    render::text(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}

fn write_all(whole: &clap::Command, directory: &Path) -> std::io::Result<()> {
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    for command in std::iter::once(whole).chain(commands) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut page)?;
        std::fs::write(directory.join(format!("{name}.1")), page)?;
    }
    Ok(())
}
