//! `stackctl up`, `plan`, `scale` and `rollout` on a swarm.

use std::process::ExitCode;

use stack_engine::execute::Pace;
use stack_plan::containers::Policy;
use time::OffsetDateTime;

use super::{Cluster, logs};
use crate::args::Global;
use crate::error::interrupted;
use crate::render::Renderer;
use crate::render::log::Logs;
use crate::settings::{self, Project};

/// Brings a stack on a swarm to what its file says, and shows what its tasks say until somebody has
/// seen enough: the stack is the swarm's, and goes on.
pub(crate) async fn attached(
    global: &Global,
    project: &Project,
    (policy, pace): (Policy, Pace),
    (services, mut logs): (Vec<String>, Logs),
    renderer: &mut Renderer,
) -> anyhow::Result<ExitCode> {
    let since = OffsetDateTime::now_utc();
    let engine = settings::manager(global).await?;
    let desired = project.on_swarm();
    let cluster = Cluster { global, engine: &engine, project, desired, policy, pace };
    let Some(summary) = cluster.converge("up", renderer).await? else { return Ok(interrupted()) };
    if !summary.succeeded() {
        return Ok(renderer.code(&summary));
    }
    renderer.settle();
    let wanted = logs::Wanted {
        services,
        index: None,
        pattern: None,
        tail: None,
        since: Some(since),
        until: None,
        follow: true,
    };
    logs::follow_all(&engine, &project.desired.project, &wanted, &mut logs, renderer).await?;
    renderer.note("detached: the stack goes on; take it down with: stackctl down");
    Ok(ExitCode::SUCCESS)
}

/// Brings a stack on a swarm to what its file says.
pub(crate) async fn run(
    global: &Global,
    project: &Project,
    policy: Policy,
    pace: Pace,
    command: &str,
    renderer: &mut Renderer,
) -> anyhow::Result<ExitCode> {
    let engine = settings::manager(global).await?;
    let cluster = Cluster { global, engine: &engine, project, desired: project.on_swarm(), policy, pace };
    cluster.run_alone(command, renderer).await
}
