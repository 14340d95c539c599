//! `stackctl ps` on a swarm.

use std::process::ExitCode;

use stack_plan::swarm::TaskState;

use super::There;
use crate::args::Global;
use crate::render;
use crate::render::format::Form;
use crate::render::tasks::{self, Task};
use crate::settings::Project;

/// What is shown of the tasks of a project.
pub(crate) struct Shown {
    /// Only these services.
    pub(crate) services: Vec<String>,
    /// Also tasks of the past.
    pub(crate) all: bool,
    pub(crate) form: Form,
    pub(crate) whole: bool,
    /// Only the ids.
    pub(crate) quiet: bool,
    /// Only the names of the services.
    pub(crate) names: bool,
    /// Only tasks in one of these states.
    pub(crate) states: Vec<String>,
}

/// Lists the tasks of a project with their nodes.
pub(crate) async fn run(
    global: &Global,
    subject: (Option<Project>, String),
    shown: &Shown,
) -> anyhow::Result<ExitCode> {
    let there = There::look(global, subject, &shown.services).await?;
    let mut rows: Vec<Task<'_>> = Vec::new();
    for service in &there.observed.services {
        if !shown.services.is_empty() && !shown.services.contains(&service.service) {
            continue;
        }
        for task in &service.tasks {
            let is_past = task.wanted > TaskState::Running;
            let fits = shown.states.is_empty() || shown.states.iter().any(|state| state == task.state.word());
            if fits && (shown.all || !shown.states.is_empty() || !is_past || task.state == TaskState::Running)
            {
                let node = there.observed.nodes.iter().find(|node| node.id == task.node);
                rows.push(Task { project: &there.name, service, task, node });
            }
        }
    }
    if shown.quiet {
        render::text(&rows.iter().map(|row| format!("{}\n", row.task.id)).collect::<String>())?;
    } else if shown.names {
        let mut names: Vec<&str> = rows.iter().map(|row| row.service.service.as_str()).collect();
        names.dedup();
        render::text(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    } else {
        render::text(&tasks::show(&rows, &shown.form, shown.whole)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
