//! `stackctl rm`

use std::process::ExitCode;

use stack_plan::lifecycle::{Removal, remove};
use stack_plan::plan::{Action, Plan, Target};

use crate::args::Global;
use crate::ask;
use crate::commands::standing::{Scope, Standing};

/// What `rm` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl rm --force --stop worker")]
pub(crate) struct RmArgs {
    /// Only these services
    services: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Stop the containers that run, and remove them too
    #[arg(short, long)]
    stop: bool,
    /// Remove the containers' anonymous volumes too: their data is lost
    #[arg(short, long)]
    volumes: bool,
    /// Has no effect, and is there for old scripts
    #[arg(short, long, hide = true)]
    all: bool,
}

pub(crate) async fn run(global: &Global, args: RmArgs) -> anyhow::Result<ExitCode> {
    let mut standing = Standing::look(global, "rm", &args.services, Scope::Containers).await?;
    let policy = Removal { services: args.services, stop: args.stop, grace: None, volumes: args.volumes };
    let plan = remove(&standing.name, standing.desired(), &standing.observed, &policy);
    let settled = args.force || plan.is_empty() || global.dry_run;
    if !(settled || ask::removal(&names(&plan, &standing))?) {
        standing.renderer.note("nothing was removed");
        return Ok(ExitCode::SUCCESS);
    }
    standing.carry_out(plan, "nothing to remove: there are no stopped containers").await
}

/// The names of the containers that are removed.
fn names(plan: &Plan, standing: &Standing) -> Vec<String> {
    let containers = &standing.observed.containers;
    (plan.steps.iter())
        .filter_map(|step| match &step.action {
            Action::RemoveContainer { target: Target::Known(id), .. } => Some(id),
            _ => None,
        })
        .filter_map(|id| containers.iter().find(|container| container.id == *id))
        .map(|container| container.name.clone())
        .collect()
}
