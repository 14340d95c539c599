//! `stackctl build`

use std::collections::BTreeMap;
use std::process::ExitCode;

use stack_engine::engine::Engine;
use stack_file::source::Spanned;
use stack_plan::containers::{BuildPolicy, Policy, plan_images};
use stack_plan::plan::{Action, Plan};

use crate::args::Global;
use crate::error::{failed, interrupted};
use crate::render::Renderer;
use crate::settings;

/// What `build` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    /// Only these services [default: all that have something to build]
    services: Vec<String>,
    /// Leave the layer cache unused
    #[arg(long)]
    no_cache: bool,
    /// Pull newer base images first
    #[arg(long)]
    pull: bool,
    /// Build argument, in place of the file's
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_args: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: BuildArgs) -> anyhow::Result<ExitCode> {
    let mut project = settings::to_act(global, &BTreeMap::new())?;
    project.check_services(&args.services)?;
    for image in &mut project.desired.images {
        let origin = image.origin.clone();
        if let Some(build) = &mut image.build {
            if args.no_cache {
                build.no_cache = Some(Spanned::new(true, origin.clone()));
            }
            if args.pull {
                build.pull = Some(Spanned::new(true, origin.clone()));
            }
            for arg in &args.build_args {
                let (name, value) = match arg.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (arg.as_str(), std::env::var(arg).ok()),
                };
                build.args.insert(name.to_owned(), Spanned::new(value, origin.clone()));
            }
        }
    }
    let engine = settings::engine(global, true).await?;
    let observed = engine.observe(&project.query()).await?;
    let policy =
        Policy { services: args.services, no_deps: true, build: BuildPolicy::Always, ..Policy::default() };
    let mut plan: Plan = plan_images(&project.desired, &observed, &policy);
    plan.steps.retain(|step| matches!(step.action, Action::Build(_)));
    let mut plan = plan.image_steps();
    plan.unchanged.clear();
    let mut renderer = Renderer::new(global);
    if plan.is_empty() {
        renderer.note("nothing to build: no service has `build`");
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        summary = super::carry_out(&engine, plan, global.pace(), Some(&project), &mut renderer) => {
            Ok(if summary.succeeded() { ExitCode::SUCCESS } else { failed() })
        }
        () = super::interrupt() => Ok(interrupted()),
    }
}
