//! `stackctl restart` on a swarm.

use std::process::ExitCode;

use stack_plan::swarm::anew;

use super::There;
use crate::args::Global;
use crate::error::{Fault, Kind, interrupted};
use crate::render::Renderer;
use crate::settings::Project;
use crate::{commands, lock};

/// Replaces the tasks of services by equal ones.
pub(crate) async fn run(
    global: &Global,
    subject: (Option<Project>, String),
    services: &[String],
) -> anyhow::Result<ExitCode> {
    let there = There::look(global, subject, services).await?;
    let has = |name: &String| there.observed.service(name).is_some();
    if let Some(name) = services.iter().find(|name| !has(name)) {
        return Err(Fault::new(Kind::Engine, format!("{name} is not on the swarm"))
            .hint("make it with: stackctl up")
            .into());
    }
    let mut renderer = Renderer::new(global);
    let alone = lock::alone(&there.engine, &there.name, "restart", &mut renderer).await?;
    let plan = anew(&there.name, &there.observed, services);
    if plan.is_empty() {
        renderer.note(&format!("nothing to restart: {} has no services on the swarm", there.name));
        alone.finish();
        return Ok(ExitCode::SUCCESS);
    }
    let project = there.project.as_ref();
    let summary = tokio::select! {
        summary = commands::carry_out(&there.engine, plan, global.pace(), project, &mut renderer) => summary,
        () = commands::interrupt() => {
            renderer.interrupted("the same command goes on from here");
            return Ok(interrupted());
        }
    };
    alone.finish();
    Ok(renderer.code(&summary))
}
