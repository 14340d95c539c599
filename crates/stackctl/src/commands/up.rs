//! `stackctl up`

mod attached;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use stack_engine::execute::Pace;
use stack_file::destination::Backend;
use stack_plan::containers::Policy;

use crate::args::Global;
use crate::commands::change::ChangeArgs;
use crate::commands::converge::Converge;
use crate::commands::swarm;
use crate::commands::watch::{Rules, Session, Settings};
use crate::error::{Fault, Kind, interrupted};
use crate::render::Renderer;
use crate::settings::{self, Project};
use crate::{commands, render};

use self::attached::AttachArgs;

/// What `up` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl up --wait --build web")]
pub(crate) struct UpArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Go back to the prompt when everything is started, instead of showing the logs
    #[arg(short, long)]
    detach: bool,
    /// Wait until every container is ready, then go back to the prompt
    #[arg(long)]
    wait: bool,
    /// How long `--wait` waits, in seconds
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u64>,
    /// Write a report of the run for CI systems, as `junit=FILE`
    #[arg(long, value_name = "KIND=FILE", requires = "wait", value_parser = report)]
    report: Option<Report>,
    /// Who runs health checks while something waits: stackctl too, or the engine alone
    #[arg(long, value_enum, value_name = "WHO", default_value_t)]
    health: Health,
    /// Agree that this volume is made anew and loses its data, as `volume:NAME`, or `all`
    #[arg(long, value_name = "ADDRESS")]
    allow_data_loss: Vec<String>,
    /// Say yes to every question, also to the loss of data
    #[arg(short, long)]
    yes: bool,
    /// Show nothing of a pull but its end
    #[arg(long)]
    quiet_pull: bool,
    /// Show nothing of a build but its end
    #[arg(long)]
    quiet_build: bool,
    /// Follow the files of this machine meanwhile, as `stackctl watch` does
    #[arg(short, long, conflicts_with_all = ["detach", "wait", "no_start", "abort_on_container_exit", "abort_on_container_failure", "exit_code_from"])]
    watch: bool,
    /// Refused: there is no menu
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_name = "BOOL", hide = true)]
    menu: bool,
    #[command(flatten)]
    attach: AttachArgs,
}

/// A report of a run.
#[derive(Clone, Debug)]
struct Report {
    path: PathBuf,
}

/// The kind and the file of `junit=FILE`.
fn report(text: &str) -> Result<Report, String> {
    match text.split_once('=') {
        Some(("junit", path)) if !path.is_empty() => Ok(Report { path: PathBuf::from(path) }),
        _ => Err("the one kind of report is junit: write junit=FILE".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Health {
    /// Whoever is first
    #[default]
    Both,
    /// The engine alone, at the intervals of the file
    Engine,
}

pub(crate) async fn run(global: &Global, args: UpArgs) -> anyhow::Result<ExitCode> {
    if args.menu {
        return Err(Fault::new(Kind::Usage, "--menu cannot be honoured")
            .hint("keys are left to the containers; follow files with --watch, go back to the prompt with -d")
            .into());
    }
    let scale = args.change.scale()?;
    let project = args.change.project(global)?;
    let policy = Policy { wait: args.wait, ..args.change.policy() };
    project.check_services(&policy.services)?;
    project.check_services(&scale.into_keys().collect::<Vec<_>>())?;
    args.attach.check(&project)?;
    let mut renderer = Renderer::new(global);
    renderer.hush(args.quiet_pull, args.quiet_build);
    let pace = Pace { wait_timeout: args.wait_timeout.map(Duration::from_secs), ..global.pace() };
    if settings::backend(global)? == Backend::Swarm {
        args.change.refuse_on_swarm()?;
        swarm::refuse(&[(args.watch, "--watch", "files of this machine are not those of its nodes")])?;
        args.attach.refuse_on_swarm()?;
        let stays = !(args.detach || args.wait || global.dry_run);
        let policy = Policy { wait: args.wait || !args.detach, ..policy };
        if stays {
            let shown = args.attach.on_swarm(&project, &policy);
            return swarm::up::attached(global, &project, (policy, pace), shown, &mut renderer).await;
        }
        if args.report.is_some() {
            renderer.keep();
        }
        let code = swarm::up::run(global, &project, policy, pace, "up", &mut renderer).await;
        write_report(args.report.as_ref(), &project, &mut renderer)?;
        return code;
    }
    let rules = match args.watch {
        true => {
            let wanted = project.desired.selection(&policy.services, !policy.no_deps);
            let among = wanted.into_iter().map(|spec| spec.name().to_owned()).collect();
            Some(Rules::of(&project, &among, &mut renderer)?)
        }
        false => None,
    };
    let engine = settings::engine(global, args.health == Health::Both).await?;
    let mut may_lose = args.allow_data_loss;
    if args.yes {
        may_lose.push("all".to_owned());
    }
    let converge = Converge { engine: &engine, project: &project, policy, pace, may_lose };
    if !(args.detach || args.wait || args.change.no_start || global.dry_run) {
        // The lines of the logs leave no room for a live one.
        let mut told = Renderer::lines(global);
        told.hush(args.quiet_pull, args.quiet_build);
        let watch = match rules {
            Some(rules) => {
                let settings = Settings { pace, prune: true };
                Some((Session::open(&engine, &project, rules, settings).await?, &mut told))
            }
            None => None,
        };
        return attached::run(&converge, &args.attach, watch, &mut renderer).await;
    }
    if args.report.is_some() {
        renderer.keep();
    }
    let converged = async {
        let alone = converge.alone("up", &mut renderer).await?;
        let looked = converge.look().await?;
        let summary = converge.carry_out("up", looked, &mut renderer).await?;
        alone.finish();
        anyhow::Ok(summary)
    };
    let code = tokio::select! {
        summary = converged => summary.map(|summary| renderer.code(&summary)),
        () = commands::interrupt() => {
            renderer.interrupted("`stackctl up` goes on from here, `stackctl down` removes it");
            Ok(interrupted())
        }
    };
    write_report(args.report.as_ref(), &project, &mut renderer)?;
    code
}

/// Writes down what was kept of a run, where a report is asked for.
fn write_report(report: Option<&Report>, project: &Project, renderer: &mut Renderer) -> anyhow::Result<()> {
    let Some(Report { path }) = report else { return Ok(()) };
    let report = render::junit::report(&project.desired.project, &renderer.kept());
    std::fs::write(path, report)
        .with_context(|| format!("the report cannot be written to {}", path.display()))
}
