//! One file per command: what it takes, and what it does.

pub(crate) mod apply;
pub(crate) mod build;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod converge;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod images;
pub(crate) mod logs;
mod look;
pub(crate) mod ls;
pub(crate) mod plan;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod schema;
pub(crate) mod stats;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod volumes;

use std::sync::Arc;

use stack_engine::docker::DockerEngine;
use stack_engine::event::Summary;
use stack_engine::execute::{Pace, execute};
use stack_plan::plan::Plan;
use tokio::sync::mpsc;

use crate::render::Renderer;
use crate::settings::Project;

/// Runs a plan and shows what happens; in a dry run it shows the plan, and nothing happens.
pub(crate) async fn carry_out(
    engine: &DockerEngine,
    plan: Plan,
    pace: Pace,
    project: Option<&Project>,
    renderer: &mut Renderer,
) -> Summary {
    if renderer.is_dry_run() {
        renderer.rehearse(&plan, project);
        return Summary::default();
    }
    let plan = Arc::new(plan);
    let (sender, mut events) = mpsc::unbounded_channel();
    let run = async {
        let summary = execute(engine, &plan, pace, &sender).await;
        drop(sender);
        summary
    };
    let show = async {
        while let Some(event) = events.recv().await {
            renderer.event(&event, project);
        }
    };
    let (summary, ()) = tokio::join!(run, show);
    summary
}

/// Waits for Ctrl-C, or for the signal that ends a job.
pub(crate) async fn interrupt() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _: std::io::Result<()> = tokio::signal::ctrl_c().await;
}
