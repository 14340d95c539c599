//! Whether the ports of the host that a plan needs are free.

use stack_engine::docker::DockerEngine;
use stack_engine::engine::Engine;
use stack_plan::plan::Plan;
use stack_plan::ports::{Conflict, Holder, asked, conflicts};

use crate::error::{Fault, Kind};
use crate::render::Renderer;
use crate::settings::Project;

/// Refuses a plan whose containers ask for ports that others have and keep, with the lines that
/// ask for them. Where nothing is started that asks for one, nothing is looked at.
pub(crate) async fn check(
    engine: &DockerEngine,
    plan: &Plan,
    project: &Project,
    renderer: &mut Renderer,
) -> anyhow::Result<()> {
    let asked = asked(plan, &project.desired);
    if asked.is_empty() {
        return Ok(());
    }
    let taken = conflicts(plan, &project.desired, &engine.held_ports(&asked).await?);
    let Some(first) = taken.first() else { return Ok(()) };
    let lines: Vec<String> = taken.iter().map(|conflict| line(conflict, project)).collect();
    if renderer.is_dry_run() {
        lines.iter().for_each(|line| renderer.warn(line));
        return Ok(());
    }
    let next = format!("{}, or publish another port in the file", remedy(&first.holder));
    Err(Fault::new(Kind::Refused, format!("{}; nothing was done", lines.join("\n       "))).hint(next).into())
}

fn line(conflict: &Conflict, project: &Project) -> String {
    let Conflict { address, port, origin, holder } = conflict;
    format!("port {port} is held by {holder}; {address} asks for it at {}", project.place(origin))
}

fn remedy(holder: &Holder) -> String {
    match holder {
        Holder::Container { name, project: None, .. } => format!("stop it with: docker stop {name}"),
        Holder::Container { project: Some(project), .. } => {
            format!("stop its project with: stackctl -p {project} stop")
        }
        Holder::Process { pid: Some(pid), .. } => format!("end it with: kill {pid}"),
        Holder::Process { pid: None, .. } => "stop the program that listens there".to_owned(),
    }
}
