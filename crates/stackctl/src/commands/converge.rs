//! From a plan to a stack that is as the plan says.

use std::process::ExitCode;

use stack_engine::docker::DockerEngine;
use stack_engine::engine::Engine;
use stack_engine::event::Summary;
use stack_engine::execute::Pace;
use stack_file::destination::Backend;
use stack_file::model::PullPolicy;
use stack_plan::containers::{self, BuildPolicy, Policy};
use stack_plan::desired::Provided;
use stack_plan::observed::Observed;
use stack_plan::plan::Plan;

use crate::error::interrupted;
use crate::lock::{self, Alone};
use crate::record::Recorder;
use crate::render::Renderer;
use crate::settings::Project;
use crate::{ask, commands, generations, ports};

/// A stack that is brought nearer to its file.
pub(crate) struct Converge<'a> {
    pub(crate) engine: &'a DockerEngine,
    pub(crate) project: &'a Project,
    pub(crate) policy: Policy,
    pub(crate) pace: Pace,
    /// The resources that may lose their data: addresses, or `all`.
    pub(crate) may_lose: Vec<String>,
}

impl Converge<'_> {
    /// Keeps other runs of stackctl from changing the project, as long as what is returned lives,
    /// and records the run.
    pub(crate) async fn alone(&self, command: &str, renderer: &mut Renderer) -> anyhow::Result<Alone> {
        let project = &self.project.desired.project;
        let alone = lock::alone(self.engine, project, command, renderer).await?;
        if !renderer.is_dry_run() {
            renderer.record(Recorder::new(&self.engine.connection().address, project, command));
        }
        Ok(alone)
    }

    /// What there is, and what has to be done.
    pub(crate) async fn look(&self) -> anyhow::Result<(Plan, Observed)> {
        let observed = self.engine.observe(&self.project.query()).await?;
        let plan = containers::plan(&self.project.desired, &observed, &self.policy);
        self.project.check_obstacles(&plan)?;
        Ok((plan, observed))
    }

    /// Pulls and builds what is missing, asks other programs for what they make, looks again
    /// after each, and returns the plan for the rest. The summary of what was done when that
    /// failed. Before any of it, a plan is refused that needs ports which others have.
    pub(crate) async fn prepare(
        &self,
        (mut plan, mut observed): (Plan, Observed),
        renderer: &mut Renderer,
    ) -> anyhow::Result<Result<(Plan, Observed), Summary>> {
        ports::check(self.engine, &plan, self.project, renderer).await?;
        // In a dry run no image comes, so that the plan stays as it is.
        if renderer.is_dry_run() {
            return Ok(Ok((plan, observed)));
        }
        let mut policy = self.policy.clone();
        if plan.has_image_steps() {
            let summary = self.run(plan.image_steps(), renderer).await;
            if !summary.succeeded() {
                return Ok(Err(summary));
            }
            // The images are there now: they are neither built nor pulled a second time.
            policy.build = BuildPolicy::Never;
            policy.pull = Some(PullPolicy::Never);
            observed = self.engine.observe(&self.project.query()).await?;
            plan = containers::plan(&self.project.desired, &observed, &policy);
        }
        if plan.has_provider_steps() {
            let mut provided = Provided::default();
            let models = plan.model_steps();
            if !models.is_empty() {
                let summary = self.run(models, renderer).await;
                if !summary.succeeded() {
                    return Ok(Err(summary));
                }
                provided.extend(summary.provided);
            }
            let services = plan.provided_services();
            if !services.is_empty() {
                // What programs say goes into containers, so these come first, with all they need.
                let first = Policy {
                    services,
                    wait: false,
                    rerun: false,
                    recreate_dependencies: false,
                    remove_orphans: false,
                    run: None,
                    ..policy.clone()
                };
                let first = containers::plan(&self.project.desired_with(&provided), &observed, &first);
                self.project.check_obstacles(&first)?;
                self.agree(&first, renderer)?;
                let summary = self.run(first, renderer).await;
                if !summary.succeeded() {
                    return Ok(Err(summary));
                }
                provided.extend(summary.provided);
            }
            policy.provided = true;
            observed = self.engine.observe(&self.project.query()).await?;
            plan = containers::plan(&self.project.desired_with(&provided), &observed, &policy);
        }
        Ok(Ok((plan, observed)))
    }

    /// Does all of it, in steps that are shown, and keeps what came of it when it went well.
    pub(crate) async fn carry_out(
        &self,
        command: &str,
        looked: (Plan, Observed),
        renderer: &mut Renderer,
    ) -> anyhow::Result<Summary> {
        let plan = match self.prepare(looked, renderer).await? {
            Ok((plan, _)) => plan,
            Err(summary) => return Ok(summary),
        };
        self.agree(&plan, renderer)?;
        let changes = plan.changes_something();
        let summary = self.run(plan, renderer).await;
        if changes && summary.succeeded() {
            self.keep(command, renderer).await;
        }
        Ok(summary)
    }

    /// Keeps what the project has come to as a generation.
    pub(crate) async fn keep(&self, command: &str, renderer: &mut Renderer) {
        if !renderer.is_dry_run() {
            let store = generations::Store { engine: self.engine, backend: Backend::Docker };
            generations::keep(store, self.project, command, &self.policy.services, renderer).await;
        }
    }

    /// Does all of it while no other stackctl changes the project, and says how it ended.
    pub(crate) async fn run_alone(&self, command: &str, renderer: &mut Renderer) -> anyhow::Result<ExitCode> {
        let converged = async {
            let alone = self.alone(command, renderer).await?;
            let looked = self.look().await?;
            let summary = self.carry_out(command, looked, renderer).await?;
            alone.finish();
            anyhow::Ok(summary)
        };
        tokio::select! {
            summary = converged => Ok(renderer.code(&summary?)),
            () = commands::interrupt() => {
                renderer.interrupted(&format!("`stackctl {command}` goes on from here"));
                Ok(interrupted())
            }
        }
    }

    /// Asks whether data may be lost, where it would be.
    pub(crate) fn agree(&self, plan: &Plan, renderer: &Renderer) -> anyhow::Result<()> {
        if renderer.is_dry_run() { Ok(()) } else { ask::consent(plan, &self.may_lose) }
    }

    /// Runs a plan and shows what happens.
    pub(crate) async fn run(&self, plan: Plan, renderer: &mut Renderer) -> Summary {
        commands::carry_out(self.engine, plan, self.pace, Some(self.project), renderer).await
    }
}
