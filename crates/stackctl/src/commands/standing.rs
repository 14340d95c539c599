//! What the commands share that work on the containers that are there.

use std::collections::BTreeSet;
use std::process::ExitCode;

use stack_engine::docker::DockerEngine;
use stack_engine::engine::{Engine, Query};
use stack_engine::event::Summary;
use stack_engine::execute::Pace;
use stack_plan::desired::Desired;
use stack_plan::observed::Observed;
use stack_plan::plan::{Action, Plan};

use crate::args::Global;
use crate::error::{Fault, Kind, interrupted};
use crate::lock::{self, Alone};
use crate::render::Renderer;
use crate::settings::{self, Project};
use crate::{commands, ports};

/// A project as it stands, with its file where there is one.
pub(crate) struct Standing {
    pub(crate) engine: DockerEngine,
    pub(crate) project: Option<Project>,
    pub(crate) name: String,
    pub(crate) observed: Observed,
    pub(crate) renderer: Renderer,
    pub(crate) pace: Pace,
    alone: Option<Alone>,
}

/// What a command looks at, and whether it keeps others from changing that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The containers, and nobody else changes them meanwhile.
    Containers,
    /// The containers; somebody may be at work on them.
    ContainersAtOnce,
    /// Images, networks and volumes, too, and nobody else changes them meanwhile.
    Everything,
}

impl Standing {
    /// Looks at the project, refuses services that neither the file nor the engine has, and,
    /// where `scope` says so, waits for other runs that change it.
    pub(crate) async fn look(
        global: &Global,
        command: &str,
        services: &[String],
        scope: Scope,
    ) -> anyhow::Result<Self> {
        let subject = settings::read_or_name(global)?;
        Self::of(global, subject, command, services, scope).await
    }

    /// The same for a project that was read already, with its file where there is one.
    pub(crate) async fn of(
        global: &Global,
        (project, name): (Option<Project>, String),
        command: &str,
        services: &[String],
        scope: Scope,
    ) -> anyhow::Result<Self> {
        let engine = settings::engine(global, true).await?;
        let mut renderer = Renderer::new(global);
        let alone = match scope {
            Scope::ContainersAtOnce => None,
            _ => Some(lock::alone(&engine, &name, command, &mut renderer).await?),
        };
        let query = match &project {
            Some(project) if scope == Scope::Everything => project.query(),
            _ => Query { project: name.clone(), ..Query::default() },
        };
        let observed = engine.observe(&query).await?;
        let standing = Self { engine, project, name, observed, renderer, pace: global.pace(), alone };
        standing.check(services)?;
        Ok(standing)
    }

    /// What the file asks for.
    pub(crate) fn desired(&self) -> Option<&Desired> {
        self.project.as_ref().map(|project| &project.desired)
    }

    /// Refuses names that neither the file nor the engine has. A service that no profile
    /// enables may have containers all the same.
    fn check(&self, services: &[String]) -> anyhow::Result<()> {
        let there: BTreeSet<&str> =
            self.observed.containers.iter().map(|container| container.service.as_str()).collect();
        let unknown: Vec<String> =
            services.iter().filter(|name| !there.contains(name.as_str())).cloned().collect();
        match &self.project {
            Some(project) => {
                let disabled = |name: &String| project.desired.disabled.contains(name);
                let unknown: Vec<String> = unknown.into_iter().filter(|name| !disabled(name)).collect();
                project.check_services(&unknown)
            }
            None if unknown.is_empty() => Ok(()),
            None => {
                let hint = match there.len() {
                    0 => format!("{} has no containers", self.name),
                    _ => format!("{} has: {}", self.name, there.into_iter().collect::<Vec<_>>().join(", ")),
                };
                let message = format!("there is no service {}", unknown.join(", "));
                Err(Fault::new(Kind::Usage, message).hint(hint).into())
            }
        }
    }

    /// Refuses services of which there is no container: `start` makes none.
    pub(crate) fn needs_containers(&self, services: &[String]) -> anyhow::Result<()> {
        let has = |name: &str| {
            let mut containers = self.observed.containers.iter();
            containers.any(|container| !container.one_off && container.service == name)
        };
        let wants = |name: &String| {
            let spec = self.desired().and_then(|desired| desired.service(name));
            spec.is_none_or(|spec| spec.scale > 0)
        };
        let without: Vec<&str> = if services.is_empty() {
            if self.observed.containers.iter().any(|container| !container.one_off) {
                return Ok(());
            }
            vec![&self.name]
        } else {
            services.iter().filter(|name| !has(name) && wants(name)).map(String::as_str).collect()
        };
        if without.is_empty() {
            return Ok(());
        }
        let verb = if without.len() == 1 { "has" } else { "have" };
        Err(Fault::new(Kind::Engine, format!("{} {verb} no container", without.join(", ")))
            .hint("make them with: stackctl up, or stackctl create")
            .into())
    }

    /// Runs a plan and shows what happens; `nothing` is said when there is nothing to do.
    pub(crate) async fn carry_out(mut self, plan: Plan, nothing: &str) -> anyhow::Result<ExitCode> {
        let ended = self.run(plan, nothing).await?;
        Ok(self.finish(ended))
    }

    /// Lets others change the project again, and says how the work ended; `None` after Ctrl-C.
    pub(crate) fn finish(mut self, ended: Option<Summary>) -> ExitCode {
        if let Some(alone) = self.alone.take().filter(|_| ended.is_some()) {
            alone.finish();
        }
        match ended {
            Some(summary) => self.renderer.code(&summary),
            None => interrupted(),
        }
    }

    /// The same; `None` after Ctrl-C.
    pub(crate) async fn run(&mut self, plan: Plan, nothing: &str) -> anyhow::Result<Option<Summary>> {
        if plan.is_empty() {
            plan.warnings.iter().for_each(|warning| self.renderer.warn(warning));
            self.renderer.note(nothing);
            return Ok(Some(Summary::default()));
        }
        let starts = plan.steps.iter().any(|step| matches!(step.action, Action::Start(_)));
        if let Some(project) = self.project.as_ref().filter(|_| starts) {
            ports::check(&self.engine, &plan, project, &mut self.renderer).await?;
        }
        let project = self.project.as_ref();
        Ok(tokio::select! {
            summary = commands::carry_out(&self.engine, plan, self.pace, project, &mut self.renderer) => Some(summary),
            () = commands::interrupt() => {
                self.renderer.interrupted("the same command goes on from here");
                None
            }
        })
    }
}
