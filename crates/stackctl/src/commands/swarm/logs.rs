//! `stackctl logs` on a swarm: all tasks, from all nodes.

use std::collections::BTreeSet;
use std::pin::pin;
use std::process::ExitCode;

use futures_util::StreamExt;
use regex::bytes::Regex;
use stack_engine::docker::DockerEngine;
use stack_engine::docker::swarm::SwarmQuery;
use stack_engine::engine::{EngineError, LogLine, LogSource, Selection};
use stack_plan::swarm::{ObservedTask, SwarmObserved, TaskState};
use time::OffsetDateTime;
use tokio::time::{Duration, interval};

use super::There;
use crate::args::Global;
use crate::commands;
use crate::render::Renderer;
use crate::render::log::Logs;
use crate::settings::Project;

/// How often it is looked for tasks that are new, while logs are followed.
const LOOK: Duration = Duration::from_secs(2);

/// Which lines are shown.
pub(crate) struct Wanted {
    pub(crate) services: Vec<String>,
    pub(crate) index: Option<u32>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) tail: Option<u64>,
    pub(crate) since: Option<OffsetDateTime>,
    pub(crate) until: Option<OffsetDateTime>,
    pub(crate) follow: bool,
}

impl Wanted {
    /// The tasks whose lines are wanted and are to be had.
    fn tasks(&self, observed: &SwarmObserved) -> Vec<LogSource> {
        let mut sources = Vec::new();
        for service in &observed.services {
            if !self.services.is_empty() && !self.services.contains(&service.service) {
                continue;
            }
            let nodes: BTreeSet<&str> = service.tasks.iter().map(|task| task.node.as_str()).collect();
            for task in service.tasks.iter().filter(|task| has_said(task)) {
                let number = match service.mode.is_global() {
                    true => nodes.iter().position(|node| *node == task.node).map_or(1, |place| place + 1),
                    false => usize::try_from(task.slot).unwrap_or(usize::MAX),
                };
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                if self.index.is_none_or(|index| index == number) {
                    sources.push(LogSource { id: task.id.clone(), service: service.service.clone(), number });
                }
            }
        }
        sources
    }

    fn has(&self, line: &LogLine) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&line.text))
    }
}

/// Whether a task ever got as far as to say something.
fn has_said(task: &ObservedTask) -> bool {
    task.container.is_some() && task.state >= TaskState::Starting
}

/// Shows what the tasks of a project say.
pub(crate) async fn run(
    global: &Global,
    subject: (Option<Project>, String),
    wanted: &Wanted,
    logs: &mut Logs,
) -> anyhow::Result<ExitCode> {
    let there = There::look(global, subject, &wanted.services).await?;
    let sources = wanted.tasks(&there.observed);
    sources.iter().for_each(|source| logs.introduce(source));
    let selection = Selection {
        containers: sources,
        project: None,
        tail: wanted.tail,
        since: wanted.since,
        until: wanted.until,
    };
    let mut renderer = Renderer::lines(global);
    let mut stop = pin!(commands::interrupt());
    if wanted.follow {
        let subject = (&there.engine, there.name.as_str());
        return follow(subject, wanted, (selection, logs, &mut renderer), stop).await;
    }
    let mut lines = there.engine.task_lines(&selection, false);
    let mut all: Vec<LogLine> = Vec::new();
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Some(Ok(line)) if wanted.has(&line) => all.push(line),
                Some(Ok(_)) => {}
                // The node of a task may be gone with what the task said.
                Some(Err(error)) => renderer.warn(&incomplete(&error)),
                None => break,
            },
            () = &mut stop => break,
        }
    }
    // The lines of different nodes come in no order.
    all.sort_by_key(|line| line.at);
    for line in &all {
        logs.show(&line.as_line_ref())?;
    }
    logs.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// That a task said more than can be had.
fn incomplete(error: &EngineError) -> String {
    format!("not all lines could be had: {error}")
}

/// Shows what the tasks of a project say until nothing runs any more, or somebody stops it.
pub(crate) async fn follow_all(
    engine: &DockerEngine,
    project: &str,
    wanted: &Wanted,
    logs: &mut Logs,
    renderer: &mut Renderer,
) -> anyhow::Result<ExitCode> {
    let query = SwarmQuery { project: project.to_owned(), ..SwarmQuery::default() };
    let containers = wanted.tasks(&engine.survey(&query).await?);
    containers.iter().for_each(|source| logs.introduce(source));
    let selection = Selection { containers, project: None, tail: None, since: wanted.since, until: None };
    let stop = pin!(commands::interrupt());
    follow((engine, project), wanted, (selection, logs, renderer), stop).await
}

async fn follow(
    (engine, project): (&DockerEngine, &str),
    wanted: &Wanted,
    (selection, logs, renderer): (Selection, &mut Logs, &mut Renderer),
    mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<ExitCode> {
    let mut known: BTreeSet<String> = selection.containers.iter().map(|source| source.id.clone()).collect();
    let mut lines = futures_util::stream::SelectAll::new();
    lines.push(engine.task_lines(&selection, true));
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            line = lines.next(), if !lines.is_empty() => match line {
                Some(Ok(line)) if wanted.has(&line) => {
                    logs.show(&line.as_line_ref())?;
                    logs.flush()?;
                }
                Some(Err(error)) => renderer.warn(&incomplete(&error)),
                _ => {}
            },
            _ = look.tick() => {
                let query = SwarmQuery { project: project.to_owned(), ..SwarmQuery::default() };
                let observed = engine.survey(&query).await?;
                let new: Vec<LogSource> = (wanted.tasks(&observed).into_iter())
                    .filter(|source| known.insert(source.id.clone()))
                    .collect();
                new.iter().for_each(|source| logs.introduce(source));
                if !new.is_empty() {
                    let more = Selection { containers: new, tail: None, ..selection.clone() };
                    lines.push(engine.task_lines(&more, true));
                }
                let runs = observed.services.iter().flat_map(|service| &service.tasks);
                if lines.is_empty() && !runs.into_iter().any(|task| task.wanted <= TaskState::Running) {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        }
    }
}
