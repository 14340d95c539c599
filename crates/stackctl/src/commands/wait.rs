//! `stackctl wait`

use std::process::ExitCode;

use stack_engine::engine::{Engine, Query};
use stack_engine::execute::Pace;
use stack_plan::lifecycle::wait;
use stack_plan::plan::{Action, Plan, StepId, Target};
use stack_plan::teardown::{Teardown, teardown};

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};
use crate::error::{Fault, Kind, failed, interrupted, of_container};
use crate::{lock, render};

/// What `wait` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is that of the container that ended last.\n\nExample:\n  stackctl wait migrate"
)]
pub(crate) struct WaitArgs {
    /// The services whose containers are waited for
    #[arg(required = true)]
    services: Vec<String>,
    /// Take the project down as soon as the first container has ended
    #[arg(long)]
    down_project: bool,
}

pub(crate) async fn run(global: &Global, args: WaitArgs) -> anyhow::Result<ExitCode> {
    let mut standing = Standing::look(global, "wait", &args.services, Scope::ContainersAtOnce).await?;
    let plan = wait(&standing.name, standing.desired(), &standing.observed, &args.services);
    if plan.is_empty() {
        let message = format!("no container of {} runs", args.services.join(", "));
        return Err(Fault::new(Kind::Engine, message).hint("see them with: stackctl ps --all").into());
    }
    let pace = standing.pace;
    standing.pace = Pace { only_first: args.down_project, ..pace };
    let Some(summary) = standing.run(plan.clone(), "").await? else { return Ok(interrupted()) };
    for (step, code) in &summary.ended {
        let id = container(&plan, *step).unwrap_or_default();
        render::line(&format!("container \"{id}\" exited with status code {code}"))?;
    }
    if !summary.succeeded() {
        return Ok(failed());
    }
    let code = summary.ended.last().map_or(0, |(_, code)| *code);
    if args.down_project {
        standing.pace = pace;
        let alone = lock::alone(&standing.engine, &standing.name, "wait", &mut standing.renderer).await?;
        let query = Query { project: standing.name.clone(), ..Query::default() };
        let observed = standing.engine.observe(&query).await?;
        let policy = Teardown { remove_orphans: true, ..Teardown::default() };
        let plan = teardown(&standing.name, standing.desired(), &observed, &policy);
        let Some(summary) = standing.run(plan, "nothing to remove").await? else {
            return Ok(interrupted());
        };
        alone.finish();
        if !summary.succeeded() {
            return Ok(failed());
        }
    }
    Ok(of_container(code))
}

/// The id of the container that a step waits for.
fn container(plan: &Plan, step: StepId) -> Option<&str> {
    match &plan.step(step)?.action {
        Action::Await { target: Target::Known(id), .. } => Some(id),
        _ => None,
    }
}
