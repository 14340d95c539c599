//! The chores of the project: `cargo xtask up`, `test`, `images` and `tidy`.

mod debian;
mod engine;
mod http;
mod images;
mod say;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use say::say;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The chores of the project.")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Pull the base images, or make stand-ins where no registry answers.
    Images(images::ImagesArgs),
}

/// The top folder of the project.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask stands in no workspace")?.to_owned())
}

fn run() -> Result<()> {
    let root = root()?;
    match Arguments::parse().chore {
        Chore::Images(arguments) => images::run(&root, &arguments),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
