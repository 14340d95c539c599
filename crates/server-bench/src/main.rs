//! `server-bench stress` proves what the server promises, `figures` measures how fast it is,
//! `restart` looks what clients of a stack miss while one of its servers is restarted, and
//! `rolling` what they miss while somebody changes it.

mod chance;
mod client;
mod figures;
mod fleet;
mod load;
mod peers;
mod restart;
mod rolling;
mod say;
mod stress;
mod usage;

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
    /// Measure how fast it is, beside its targets and beside other systems
    Figures(figures::FiguresArgs),
    /// Restart a server of a stack that runs, with clients who must miss nothing
    Restart(restart::RestartArgs),
    /// Write and read through the proxy of a stack while somebody changes it, and tell what was missed
    Rolling(rolling::RollingArgs),
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let mut builder = match task {
        Task::Stress(_) => tokio::runtime::Builder::new_multi_thread(),
        // The load shall not take both processors from those whom it is put on.
        Task::Figures(_) | Task::Restart(_) | Task::Rolling(_) => {
            tokio::runtime::Builder::new_current_thread()
        }
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let done = runtime.block_on(async {
        match task {
            Task::Stress(arguments) => stress::run(&arguments).await,
            Task::Figures(arguments) => figures::run(&arguments).await,
            Task::Restart(arguments) => restart::run(&arguments).await,
            Task::Rolling(arguments) => rolling::run(&arguments).await,
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
