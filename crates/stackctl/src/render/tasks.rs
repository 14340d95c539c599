//! The list of tasks of a swarm.

use std::collections::BTreeMap;

use stack_plan::swarm::{ObservedNode, ObservedService, ObservedTask, TaskState};
use time::OffsetDateTime;

use crate::render;
use crate::render::format::{Columns, Form, row};
use crate::render::table::shorten;
use crate::render::units::ago;
use crate::template::{Labels, Row};

/// How much of an error is shown, columns.
const ERROR: usize = 60;

/// What a template may ask for.
pub(crate) const COLUMNS: Columns = Columns {
    fields: &[
        ("CreatedAt", "CREATED AT"),
        ("DesiredState", "DESIRED STATE"),
        ("Error", "ERROR"),
        ("ExitCode", "EXIT CODE"),
        ("ID", "TASK ID"),
        ("Image", "IMAGE"),
        ("Name", "NAME"),
        ("Node", "NODE"),
        ("Ports", "PORTS"),
        ("Project", "PROJECT"),
        ("RunningFor", "CREATED"),
        ("Service", "SERVICE"),
        ("State", "STATE"),
        ("Status", "STATUS"),
    ],
    usual: &["Name", "Image", "Service", "Node", "Status", "Error", "Ports"],
};

/// A task, and where it is.
pub(crate) struct Task<'a> {
    pub(crate) project: &'a str,
    pub(crate) service: &'a ObservedService,
    pub(crate) task: &'a ObservedTask,
    pub(crate) node: Option<&'a ObservedNode>,
}

/// The tasks in one of the forms; errors and ids as a whole if `whole`.
pub(crate) fn show(tasks: &[Task<'_>], form: &Form, whole: bool) -> anyhow::Result<String> {
    let rows: Vec<Row> = tasks.iter().map(|task| values(task, whole)).collect();
    form.show(&rows, &COLUMNS, render::width().filter(|_| !whole))
}

fn values(Task { project, service, task, node }: &Task<'_>, whole: bool) -> Row {
    let place = match service.mode.is_global() {
        true => node.map_or_else(|| task.node.clone(), |node| node.name.clone()),
        false => task.slot.to_string(),
    };
    let name = format!("{}.{place}", service.name);
    let node = match node {
        Some(node) if node.ready => node.name.clone(),
        Some(node) => format!("{} (does not answer)", node.name),
        None => String::new(),
    };
    let error = crate::diagnose::harmless(&task.error);
    let error = if whole { error } else { shorten(&error, ERROR) };
    let ports = if task.state == TaskState::Running { service.ports.join(", ") } else { String::new() };
    let created = OffsetDateTime::from_unix_timestamp(task.created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let id = if whole { &task.id } else { &task.id[..task.id.len().min(12)] };
    row(
        [
            ("CreatedAt", created.to_string().into()),
            ("DesiredState", task.wanted.word().into()),
            ("Error", error.into()),
            ("ExitCode", task.exit_code.unwrap_or_default().into()),
            ("ID", id.into()),
            ("Image", service.reference.as_str().into()),
            ("Name", name.into()),
            ("Node", node.into()),
            ("Ports", ports.into()),
            ("Project", (*project).into()),
            ("RunningFor", ago(task.created).into()),
            ("Service", service.service.as_str().into()),
            ("State", task.state.word().into()),
            ("Status", status(task).into()),
        ],
        Labels::Of(BTreeMap::new()),
    )
}

/// What a task does, and for how long: `Running 3 minutes ago`.
fn status(task: &ObservedTask) -> String {
    let word = task.state.word();
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase()).into_iter();
    let word: String = first.chain(letters).collect();
    let code = task.exit_code.filter(|code| *code != 0).map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{word}{code} {}", ago(task.since))
}
