//! What the commands do on a swarm.

pub(crate) mod down;
pub(crate) mod logs;
mod preflight;
pub(crate) mod ps;
pub(crate) mod restart;
pub(crate) mod task;
pub(crate) mod up;
mod ways;
pub(crate) mod why;

use std::process::ExitCode;

use stack_engine::docker::DockerEngine;
use stack_engine::docker::swarm::SwarmQuery;
use stack_engine::event::Summary;
use stack_engine::execute::Pace;
use stack_file::destination::Backend;
use stack_file::model::PullPolicy;
use stack_plan::containers::{BuildPolicy, Policy};
use stack_plan::plan::Plan;
use stack_plan::swarm::{self, ObservedNode, SwarmDesired, SwarmObserved};

use crate::args::Global;
use crate::closest::closest;
use crate::commands;
use crate::error::{Fault, Kind, interrupted};
use crate::generations::{self, Store};
use crate::lock::{self, Alone};
use crate::record::Recorder;
use crate::render::Renderer;
use crate::settings::{self, Project};

/// A stack on a swarm that is brought nearer to its file.
pub(crate) struct Cluster<'a> {
    pub(crate) global: &'a Global,
    pub(crate) engine: &'a DockerEngine,
    pub(crate) project: &'a Project,
    pub(crate) desired: SwarmDesired,
    pub(crate) policy: Policy,
    pub(crate) pace: Pace,
}

impl Cluster<'_> {
    /// What there is, and what has to be done.
    pub(crate) async fn look(&self) -> anyhow::Result<(Plan, SwarmObserved)> {
        let query = SwarmQuery::of(&self.desired);
        let mut observed = self.engine.survey(&query).await?;
        let mut told = Vec::new();
        if observed.has_lonely_images() && !self.engine.knows_nodes() {
            let (ways, more) = ways::connect(self.global, Some(self.project), &observed).await;
            told = more;
            self.engine.know_nodes(ways);
            observed = self.engine.survey(&query).await?;
        }
        let policy = Policy { allowed: self.global.allow_unsupported.clone(), ..self.policy.clone() };
        let mut plan = swarm::plan(&self.desired, &observed, &policy);
        plan.warnings.append(&mut told);
        plan.warnings.extend(observed.nodes.iter().filter_map(absent));
        Ok((plan, observed))
    }

    /// The same, refused when something is in the way.
    async fn look_for_way(&self) -> anyhow::Result<Plan> {
        let (plan, _) = self.look().await?;
        self.project.check_obstacles(&plan)?;
        Ok(plan)
    }

    /// The same before anything was done: the nodes are looked at, too.
    async fn look_closely(&self, renderer: &Renderer) -> anyhow::Result<Plan> {
        let (mut plan, observed) = self.look().await?;
        preflight::check(self, &mut plan, &observed, !renderer.is_dry_run()).await?;
        self.project.check_obstacles(&plan)?;
        Ok(plan)
    }

    /// Keeps other runs of stackctl from changing the project, and records the run.
    async fn alone(&self, command: &str, renderer: &mut Renderer) -> anyhow::Result<Alone> {
        let project = &self.desired.project;
        let alone = lock::alone(self.engine, project, command, renderer).await?;
        if !renderer.is_dry_run() {
            renderer.record(Recorder::new(&self.engine.connection().address, project, command));
        }
        Ok(alone)
    }

    /// Does all of it while no other stackctl changes the project, and says how it ended.
    pub(crate) async fn run_alone(&self, command: &str, renderer: &mut Renderer) -> anyhow::Result<ExitCode> {
        Ok(match self.converge(command, renderer).await? {
            Some(summary) => renderer.code(&summary),
            None => interrupted(),
        })
    }

    /// The same, with what came of it; `None` when it was broken off, which is told.
    async fn converge(&self, command: &str, renderer: &mut Renderer) -> anyhow::Result<Option<Summary>> {
        let converged = async {
            let alone = self.alone(command, renderer).await?;
            let summary = self.carry_out(command, renderer).await?;
            alone.finish();
            anyhow::Ok(summary)
        };
        tokio::select! {
            summary = converged => Ok(Some(summary?)),
            () = commands::interrupt() => {
                renderer.interrupted(&format!("`stackctl {command}` goes on from here"));
                Ok(None)
            }
        }
    }

    /// Pulls and builds, looks again, and does the rest. What somebody else has changed between the
    /// look and the deed is looked at once more.
    async fn carry_out(&self, command: &str, renderer: &mut Renderer) -> anyhow::Result<Summary> {
        let mut plan = self.look_closely(renderer).await?;
        if plan.has_image_steps() && !renderer.is_dry_run() {
            let summary = self.run(plan.image_steps(), renderer).await;
            if !summary.succeeded() {
                return Ok(summary);
            }
            // The images are there now: they are neither built nor pulled a second time.
            let policy =
                Policy { build: BuildPolicy::Never, pull: Some(PullPolicy::Never), ..self.policy.clone() };
            let again = Cluster { desired: self.desired.clone(), policy, ..*self };
            let mut told = std::mem::take(&mut plan.warnings);
            plan = again.look_for_way().await?;
            told.retain(|warning| !plan.warnings.contains(warning));
            plan.warnings.append(&mut told);
        }
        for warning in std::mem::take(&mut plan.warnings) {
            renderer.warn(&warning);
        }
        let mut changes = plan.changes_something();
        let mut summary = self.run(plan, renderer).await;
        if !summary.stale.is_empty() && summary.stale.len() == summary.failed.len() {
            renderer.note("looking again");
            let plan = self.look_for_way().await?;
            changes |= plan.changes_something();
            summary = self.run(plan, renderer).await;
        }
        if changes && summary.succeeded() && !renderer.is_dry_run() {
            let store = Store { engine: self.engine, backend: Backend::Swarm };
            generations::keep(store, self.project, command, &self.policy.services, renderer).await;
        }
        Ok(summary)
    }

    async fn run(&self, plan: Plan, renderer: &mut Renderer) -> Summary {
        commands::carry_out(self.engine, plan, self.pace, Some(self.project), renderer).await
    }
}

/// What to know of a node that takes no tasks.
fn absent(node: &ObservedNode) -> Option<String> {
    if node.ready {
        return None;
    }
    let why = if node.message.is_empty() { String::new() } else { format!(": {}", node.message) };
    Some(format!("the node {} does not answer{why}; its tasks move to others", node.name))
}

/// A project on a swarm as it stands, with its file where there is one.
pub(crate) struct There {
    pub(crate) engine: DockerEngine,
    pub(crate) project: Option<Project>,
    pub(crate) desired: Option<SwarmDesired>,
    pub(crate) name: String,
    pub(crate) observed: SwarmObserved,
}

impl There {
    /// Looks at a project, and refuses services that neither its file nor the swarm has.
    pub(crate) async fn look(
        global: &Global,
        subject: (Option<Project>, String),
        services: &[String],
    ) -> anyhow::Result<Self> {
        Self::look_at(global, subject, services, false).await
    }

    /// The same with the images, without which no plan can be made.
    pub(crate) async fn look_with_images(
        global: &Global,
        subject: (Option<Project>, String),
        services: &[String],
    ) -> anyhow::Result<Self> {
        Self::look_at(global, subject, services, true).await
    }

    async fn look_at(
        global: &Global,
        (project, name): (Option<Project>, String),
        services: &[String],
        images: bool,
    ) -> anyhow::Result<Self> {
        let engine = settings::manager(global).await?;
        let desired = project.as_ref().map(Project::on_swarm);
        let query = match &desired {
            Some(desired) if images => SwarmQuery::of(desired),
            Some(desired) => SwarmQuery { images: Vec::new(), ..SwarmQuery::of(desired) },
            None => SwarmQuery { project: name.clone(), ..SwarmQuery::default() },
        };
        let observed = engine.survey(&query).await?;
        let there = Self { engine, project, desired, name, observed };
        there.check(services)?;
        Ok(there)
    }

    fn check(&self, services: &[String]) -> anyhow::Result<()> {
        let mut known: Vec<&str> =
            self.observed.services.iter().map(|service| service.service.as_str()).collect();
        if let Some(desired) = &self.desired {
            known.extend(desired.services.iter().map(|spec| spec.key()));
            known.extend(desired.disabled.iter().map(String::as_str));
        }
        known.sort_unstable();
        known.dedup();
        let Some(name) = services.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
        let hint = match closest(name, known.iter().copied()) {
            Some(close) => format!("did you mean {close}?"),
            None if known.is_empty() => format!("{} has no services on the swarm", self.name),
            None => format!("there are: {}", known.join(", ")),
        };
        Err(Fault::new(Kind::Usage, format!("there is no service {name}")).hint(hint).into())
    }
}

/// Refuses options that mean nothing on a swarm.
pub(crate) fn refuse(options: &[(bool, &str, &str)]) -> anyhow::Result<()> {
    match options.iter().find(|(set, _, _)| *set) {
        Some((_, option, why)) => {
            Err(Fault::new(Kind::Usage, format!("{option} cannot be honoured on a swarm: {why}")).into())
        }
        None => Ok(()),
    }
}
