//! `stackctl pull`

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::ValueEnum;
use stack_engine::engine::Engine;
use stack_engine::event::Summary;
use stack_engine::execute::Pace;
use stack_file::model::PullPolicy;
use stack_plan::plan::{Action, Plan};
use stack_plan::registry::{PullRequest, pull};

use crate::args::{Global, Progress};
use crate::commands::change::LockedArgs;
use crate::error::interrupted;
use crate::render::Renderer;
use crate::settings::{self, Project};

/// What `pull` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl pull --ignore-buildable")]
pub(crate) struct PullArgs {
    /// Only these services
    services: Vec<String>,
    /// Also what the named services depend on
    #[arg(long)]
    include_deps: bool,
    /// Leave out what can be built
    #[arg(long)]
    ignore_buildable: bool,
    /// Pull what can be pulled; a failure is only told
    #[arg(long)]
    ignore_pull_failures: bool,
    #[command(flatten)]
    locked: LockedArgs,
    /// When images are pulled, in place of the file's `pull_policy`
    #[arg(long, value_enum, value_name = "WHEN")]
    policy: Option<When>,
    /// Say nothing but what goes wrong
    #[arg(short, long)]
    quiet: bool,
    /// One after the other, as `--parallel 1`
    #[arg(long, hide = true)]
    no_parallel: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// Also when they are there
    Always,
    /// When they are not there
    Missing,
}

pub(crate) async fn run(global: &Global, args: PullArgs) -> anyhow::Result<ExitCode> {
    let project = args.locked.obeyed_by(settings::read(global, &BTreeMap::new())?)?;
    project.check_services(&args.services)?;
    let engine = settings::any_engine(global, true).await?;
    let observed = engine.observe(&project.query()).await?;
    let request = PullRequest {
        services: args.services,
        dependencies: args.include_deps,
        ignore_buildable: args.ignore_buildable,
        policy: args.policy.map(|when| match when {
            When::Always => PullPolicy::Always,
            When::Missing => PullPolicy::Missing,
        }),
    };
    let plan = pull(&project.desired, &observed, &request);
    let mut renderer = Renderer::new(&hushed(global, args.quiet));
    if plan.is_empty() {
        let why = if plan.unchanged.is_empty() { "nothing to pull" } else { "nothing to pull: all is there" };
        renderer.note(why);
        return Ok(ExitCode::SUCCESS);
    }
    let pace = Pace { tolerant: args.ignore_pull_failures, ..global.pace() };
    let pace = if args.no_parallel { Pace { parallel: 1, ..pace } } else { pace };
    let told = plan.clone();
    tokio::select! {
        summary = super::carry_out(&engine, plan, pace, Some(&project), &mut renderer) => {
            tell_buildable(&told, &summary, &project, &mut renderer);
            Ok(renderer.code(&summary))
        }
        () = super::interrupt() => {
            renderer.interrupted("`stackctl pull` goes on from here");
            Ok(interrupted())
        }
    }
}

/// The options of a command that was told to be quiet.
pub(super) fn hushed(global: &Global, quiet: bool) -> Global {
    let progress = match global.progress {
        Progress::Json => Progress::Json,
        _ if quiet => Progress::Quiet,
        other => other,
    };
    Global { progress, ..global.clone() }
}

/// What no registry has may be something to build.
fn tell_buildable(plan: &Plan, summary: &Summary, project: &Project, renderer: &mut Renderer) {
    let can_be_built =
        |name: &&str| project.desired.service(name).is_some_and(|spec| spec.service.build.is_some());
    let failed = summary.failed.iter().filter_map(|id| match &plan.step(*id)?.action {
        Action::Pull(spec) => Some(spec.services.iter().map(String::as_str)),
        _ => None,
    });
    let names: Vec<&str> = failed.flatten().filter(can_be_built).collect();
    if !names.is_empty() {
        renderer.note(&format!("what no registry has can be built with: stackctl build {}", names.join(" ")));
    }
}
