//! The chores of the project: `cargo xtask up`, `test`, `stress`, `drain`, `rolling`, `bench`, `answers`, `conform`, `fuzz`, `clients`, `swarm`, `images` and `tidy`.

mod answers;
mod bench;
mod cargo;
mod clients;
mod compose;
mod conform;
mod debian;
mod drain;
mod engine;
mod first_stack;
mod fuzz;
mod http;
mod images;
mod kosoku;
mod rolling;
mod rooms;
mod say;
mod stress;
mod swarm;
mod test;
mod tidy;
mod up;

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
    /// Bring the first stack up, and look whether it works
    ///
    /// An engine is installed and started where none is, base images are pulled or
    /// made. Published ports are moved by REDIS_PUBLISH, APP1_PUBLISH, APP2_PUBLISH
    /// and NGINX_PUBLISH.
    Up,
    /// Run every check there is
    ///
    /// With arguments for `cargo test` after `--`, only the tests that they ask for.
    Test(test::TestArgs),
    /// Try to break every promise of the server
    ///
    /// About a minute; each scenario checks itself, on one instance alone and on two
    /// with a Redis. The same seed gives the same choices.
    Stress(stress::StressArgs),
    /// Restart a server of the first stack while clients write through its nginx
    ///
    /// The stack has a project and ports of its own here. Its image is looked at, too.
    Drain,
    /// Replace the servers of the first stack while clients write and read through its nginx
    ///
    /// By a new image, and then by a broken one that must go again. No acknowledged write may be
    /// lost, no client be away for more than 5 s, and no request through nginx fail. Beside it
    /// the same with docker compose, where it is there.
    Rolling(rolling::RollingArgs),
    /// Run programs that use docker compose with stackctl in its place
    ///
    /// pytest-docker, testcontainers and the dev containers CLI are installed below target/tools
    /// from PyPI and npm.
    Clients,
    /// Compare stackctl with docker compose, and with the same calls made raw; or the server with others
    Bench(bench::BenchArgs),
    /// Judge what stackctl and docker compose say to broken stacks
    ///
    /// Which resource it is, the cause with its evidence, who is affected, the line, and what to
    /// do next. Some minutes.
    Answers(answers::AnswersArgs),
    /// Compare what stackctl and docker compose read in the compose files of some folders
    Conform(conform::ConformArgs),
    /// Look for texts that stack-file or the server cannot bear, with a fuzzer
    Fuzz(fuzz::FuzzArgs),
    /// Take a stack through its life on a swarm of two engines on this machine
    ///
    /// Some minutes; it takes dockerd and root, and leaves nothing behind.
    Swarm,
    /// Look whether the rules of the house are kept
    Tidy,
    /// Pull the base images, or make stand-ins where no registry answers
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
        Chore::Up => up::run(&root),
        Chore::Test(arguments) => test::run(&root, &arguments),
        Chore::Stress(arguments) => stress::run(&root, &arguments),
        Chore::Drain => drain::run(&root),
        Chore::Rolling(arguments) => rolling::run(&root, &arguments),
        Chore::Clients => clients::run(&root),
        Chore::Bench(arguments) => bench::run(&root, &arguments),
        Chore::Answers(arguments) => answers::run(&root, &arguments),
        Chore::Conform(arguments) => conform::run(&root, &arguments),
        Chore::Fuzz(arguments) => fuzz::run(&root, &arguments),
        Chore::Swarm => swarm::run(&root),
        Chore::Tidy => {
            tidy::run(&root)?;
            say("the house is tidy");
            Ok(())
        }
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
