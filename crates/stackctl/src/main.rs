//! `stackctl` runs a stack of containers: it reads a Compose file, plans,
//! converges, and says why.

mod args;
mod ask;
mod closest;
mod commands;
mod completion;
mod conversation;
mod diagnose;
mod error;
mod generations;
mod grace;
mod invocation;
mod lock;
mod lock_file;
mod moment;
mod plan_file;
mod ports;
mod record;
mod render;
mod settings;
mod template;
mod terminal;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::{Alpha, Ansi, Args, Command, Progress};
use crate::error::{Fault, Kind, code_of};
use crate::invocation::Invocation;

fn main() -> ExitCode {
    if let Some(code) = completion::answer() {
        return code;
    }
    let invocation = match Invocation::of(std::env::args_os().collect()) {
        Ok(invocation) => invocation,
        Err(why) => {
            let fault = Fault::new(Kind::Usage, why).into();
            render::fault(&fault);
            return code_of(&fault);
        }
    };
    if invocation.asks_for_metadata() {
        let _ = render::line(&invocation::metadata());
        return ExitCode::SUCCESS;
    }
    let mut args = match args::parse::parse(&invocation.words) {
        Ok(args) => args,
        Err(error) => match usage::fault(&error, &invocation.words) {
            Some(fault) => {
                let fault = fault.into();
                render::fault(&fault);
                return code_of(&fault);
            }
            None => return error::help(&error),
        },
    };
    args.global.docker_config = invocation.docker_config.map(PathBuf::from);
    args.global.verbose |= args.global.verbosely;
    if args.global.json {
        args.global.progress = Progress::Json;
    } else if args.global.hushed {
        args.global.progress = Progress::Quiet;
    }
    if let Some(directory) = args.global.workdir.take() {
        args.global.project_directory = Some(directory);
    }
    if args.global.no_ansi {
        args.global.ansi = Ansi::Never;
    }
    render::colour(args.global.ansi);
    render::form(args.global.progress);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::fault(&anyhow::Error::new(error).context("cannot start the runtime"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(args));
    // What is still listening is of no use to anybody now.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) if render::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            render::fault(&error);
            code_of(&error)
        }
    }
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let global = args.global;
    match args.command {
        Command::Up(args) => commands::up::run(&global, args).await,
        Command::Down(args) => commands::down::run(&global, args).await,
        Command::Plan(args) => commands::plan::run(&global, args).await,
        Command::Apply(args) => commands::apply::run(&global, args).await,
        Command::Create(args) => commands::create::run(&global, args).await,
        Command::Start(args) => commands::start::run(&global, args).await,
        Command::Stop(args) => commands::stop::run(&global, args).await,
        Command::Restart(args) => commands::restart::run(&global, args).await,
        Command::Kill(args) => commands::kill::run(&global, args).await,
        Command::Rm(args) => commands::rm::run(&global, args).await,
        Command::Pause(args) => commands::pause::run(&global, args).await,
        Command::Unpause(args) => commands::unpause::run(&global, args).await,
        Command::Rollout(args) => commands::rollout::run(&global, args).await,
        Command::Scale(args) => commands::scale::run(&global, args).await,
        Command::Rollback(args) => commands::rollback::run(&global, args).await,
        Command::Status(args) => commands::status::run(&global, args).await,
        Command::History(args) => commands::history::run(&global, args).await,
        Command::Wait(args) => commands::wait::run(&global, args).await,
        Command::Exec(args) => commands::exec::run(&global, args).await,
        Command::Run(args) => commands::run::run(&global, args).await,
        Command::Attach(args) => commands::attach::run(&global, args).await,
        Command::Cp(args) => commands::cp::run(&global, args).await,
        Command::Export(args) => commands::export::run(&global, args).await,
        Command::Commit(args) => commands::commit::run(&global, args).await,
        Command::Ps(args) => commands::ps::run(&global, args).await,
        Command::Ls(args) => commands::ls::run(&global, args).await,
        Command::Nodes(args) => commands::nodes::run(&global, args).await,
        Command::Top(args) => commands::top::run(&global, args).await,
        Command::Stats(args) => commands::stats::run(&global, args).await,
        Command::Events(args) => commands::events::run(&global, args).await,
        Command::Images(args) => commands::images::run(&global, args).await,
        Command::Port(args) => commands::port::run(&global, args).await,
        Command::Volumes(args) => commands::volumes::run(&global, args).await,
        Command::Logs(args) => commands::logs::run(&global, args).await,
        Command::Watch(args) => commands::watch::run(&global, args).await,
        Command::Pull(args) => commands::pull::run(&global, args).await,
        Command::Lock(args) => commands::lock::run(&global, args).await,
        Command::Outdated(args) => commands::outdated::run(&global, args).await,
        Command::Push(args) => commands::push::run(&global, args).await,
        Command::Build(args) => commands::build::run(&global, args).await,
        Command::Config(args) => commands::config::run(&global, &args).await,
        Command::Check(args) => commands::check::run(&global, &args),
        Command::Explain(args) => commands::explain::run(&global, &args),
        Command::Why(args) => commands::why::run(&global, args).await,
        Command::Timeline(args) => commands::timeline::run(&global, args).await,
        Command::Replay(args) => commands::replay::run(&global, args).await,
        Command::Doctor(args) => commands::doctor::run(&global, &args).await,
        Command::Schema(_) => commands::schema::run(),
        Command::InstallPlugin(args) => commands::install_plugin::run(&global, &args),
        Command::Completion(args) => commands::completion::run(&args),
        Command::Man(args) => commands::man::run(&args),
        Command::Generate(args) | Command::Alpha(Alpha::Generate(args)) => {
            commands::generate::run(&global, args).await
        }
        Command::Graph(args) => commands::graph::run(&global, args).await,
        Command::Viz(args) | Command::Alpha(Alpha::Viz(args)) => commands::graph::run_viz(&global, &args),
        Command::Alpha(Alpha::Scale(args)) => commands::scale::run(&global, args).await,
        Command::Alpha(Alpha::Watch(args)) => commands::watch::run(&global, args).await,
        Command::Version(args) => commands::version::run(&global, &args),
    }
}
