//! `stackctl down` on a swarm.

use std::process::ExitCode;

use stack_file::destination::Backend;
use stack_plan::swarm::{SwarmTeardown, teardown};

use super::There;
use crate::args::Global;
use crate::error::interrupted;
use crate::generations::{self, Store};
use crate::render::Renderer;
use crate::settings::Project;
use crate::{commands, lock, record};

/// Takes a stack off a swarm: services, then the end of their tasks, then all else.
pub(crate) async fn run(
    global: &Global,
    subject: (Option<Project>, String),
    policy: &SwarmTeardown,
) -> anyhow::Result<ExitCode> {
    let there = There::look(global, subject, &policy.services).await?;
    let mut renderer = Renderer::new(global);
    let alone = lock::alone(&there.engine, &there.name, "down", &mut renderer).await?;
    let mut plan = teardown(&there.name, there.desired.as_ref(), &there.observed, policy);
    for warning in std::mem::take(&mut plan.warnings) {
        renderer.warn(&warning);
    }
    let forget = policy.volumes && policy.services.is_empty() && !global.dry_run;
    let store = Store { engine: &there.engine, backend: Backend::Swarm };
    if plan.is_empty() {
        if forget {
            generations::forget(store, &there.name, &mut renderer).await;
        }
        renderer.note(&format!("nothing to remove: {} has nothing on the swarm", there.name));
        alone.finish();
        return Ok(ExitCode::SUCCESS);
    }
    let removed = async {
        let project = there.project.as_ref();
        commands::carry_out(&there.engine, plan, global.pace(), project, &mut renderer).await
    };
    let summary = tokio::select! {
        summary = removed => summary,
        () = commands::interrupt() => {
            renderer.interrupted("the same command goes on from here");
            return Ok(interrupted());
        }
    };
    if forget && summary.succeeded() {
        generations::forget(store, &there.name, &mut renderer).await;
    }
    alone.finish();
    if !global.dry_run {
        record::undone(&there.engine.connection().address, &there.name, "down");
    }
    Ok(renderer.code(&summary))
}
