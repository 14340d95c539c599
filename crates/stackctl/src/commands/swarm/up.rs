//! `stackctl up`, `plan`, `scale` and `rollout` on a swarm.

use std::process::ExitCode;

use stack_engine::execute::Pace;
use stack_plan::containers::Policy;

use super::Cluster;
use crate::args::Global;
use crate::render::Renderer;
use crate::settings::{self, Project};

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
