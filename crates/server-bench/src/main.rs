//! `server-bench stress` proves what the server promises.

mod chance;
mod client;
mod fleet;
mod say;
mod stress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "server-bench", about = "Puts the server under load.")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Try to break every promise of the server, on one instance alone and on two with a Redis
    Stress(stress::StressArgs),
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let done = runtime.block_on(async {
        match task {
            Task::Stress(arguments) => stress::run(&arguments).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    say::say(&format!("error: {error:#}"));
    ExitCode::FAILURE
}
