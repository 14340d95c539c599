//! `stackctl watch`

mod rebuild;
mod rules;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use stack_file::model::PullPolicy;
use stack_plan::containers::Policy;

use crate::args::Global;
use crate::commands::change::LockedArgs;
use crate::commands::converge::Converge;
use crate::error::{failed, interrupted};
use crate::render::{self, Renderer};
use crate::settings;

pub(crate) use self::rules::Rules;
pub(crate) use self::session::{Session, Settings};

/// What `watch` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl watch web")]
pub(crate) struct WatchArgs {
    /// Only these services [default: all that have `develop.watch`]
    services: Vec<String>,
    #[command(flatten)]
    locked: LockedArgs,
    /// Build and start nothing at first
    #[arg(long)]
    no_up: bool,
    /// Remove the images that a rebuild has replaced; `--prune=false` keeps them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_name = "BOOL", hide_possible_values = true, hide_default_value = true)]
    prune: bool,
    /// Show nothing of a build but its end
    #[arg(long)]
    quiet: bool,
}

pub(crate) async fn run(global: &Global, args: WatchArgs) -> anyhow::Result<ExitCode> {
    let mut project = args.locked.obeyed_by(settings::to_act(global, &BTreeMap::new())?)?;
    project.check_services(&args.services)?;
    let among: BTreeSet<String> = args.services.iter().cloned().collect();
    let mut renderer = Renderer::new(global);
    renderer.hush(false, args.quiet);
    let rules = Rules::of(&project, &among, &mut renderer)?;
    if global.dry_run {
        rules.describe(&project).iter().try_for_each(|line| render::line(line))?;
        render::line("Nothing was done: this was a dry run")?;
        return Ok(ExitCode::SUCCESS);
    }
    let engine = settings::engine(global, true).await?;
    // What is watched is built anew, so that a rebuild has the latest to start from.
    for image in &mut project.desired.images {
        if image.build.is_some() && image.services.iter().any(|service| rules.has(service)) {
            image.policy = PullPolicy::Build;
        }
    }
    let settings = Settings { pace: global.pace(), prune: args.prune };
    let watched = async {
        // What changes from here on is not missed, even while the stack comes up.
        let mut session = Session::open(&engine, &project, rules, settings).await?;
        if !args.no_up {
            let policy = Policy { services: args.services.clone(), ..Policy::default() };
            let (pace, may_lose) = (global.pace(), Vec::new());
            let converge = Converge { engine: &engine, project: &project, policy, pace, may_lose };
            let alone = converge.alone("watch", &mut renderer).await?;
            let looked = converge.look().await?;
            let summary = converge.carry_out("watch", looked, &mut renderer).await?;
            alone.finish();
            if !summary.succeeded() {
                return Ok(failed());
            }
        }
        session.run(&mut renderer).await?;
        anyhow::Ok(ExitCode::SUCCESS)
    };
    tokio::select! {
        code = watched => code,
        () = super::interrupt() => Ok(interrupted()),
    }
}
