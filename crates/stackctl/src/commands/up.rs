//! `stackctl up`

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use futures_util::{Stream, StreamExt};
use stack_engine::docker::DockerEngine;
use stack_engine::engine::{Channel, Engine, EngineError, LogLine, LogSource, Selection};
use stack_engine::event::Summary;
use stack_engine::execute::Pace;
use stack_file::model::PullPolicy;
use stack_plan::containers::{self, BuildPolicy, Policy, Recreate};
use stack_plan::observed::Observed;
use stack_plan::plan::{Action, Plan};
use stack_plan::teardown::{Teardown, teardown};
use time::OffsetDateTime;

use crate::args::Global;
use crate::error::{Fault, Kind, failed, interrupted};
use crate::render::Renderer;
use crate::render::log::{LogStyle, Logs};
use crate::settings::{self, Project};
use crate::{ask, commands};

/// What `up` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Go back to the prompt when everything is started, instead of showing the logs
    #[arg(short, long)]
    detach: bool,
    /// Wait until every container is ready, then go back to the prompt
    #[arg(long)]
    wait: bool,
    /// How long `--wait` waits, in seconds
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u64>,
    /// Who runs health checks while something waits: stackctl too, or the engine alone
    #[arg(long, value_enum, value_name = "WHO", default_value_t)]
    health: Health,
    /// Agree that this volume is made anew and loses its data, as `volume:NAME`, or `all`
    #[arg(long, value_name = "ADDRESS")]
    allow_data_loss: Vec<String>,
    /// Show the time before each line of the logs
    #[arg(long)]
    timestamps: bool,
    #[command(flatten)]
    style: LogStyle,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Health {
    /// Whoever is first
    #[default]
    Both,
    /// The engine alone, at the intervals of the file
    Engine,
}

/// What `up` and `plan` take alike.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Only these services and what they need
    services: Vec<String>,
    /// Build images even if they are there
    #[arg(long, conflicts_with = "no_build")]
    build: bool,
    /// Never build
    #[arg(long)]
    no_build: bool,
    /// When images are pulled, in place of the file's `pull_policy`
    #[arg(long, value_enum, value_name = "WHEN")]
    pull: Option<Pull>,
    /// Replace containers even if nothing has changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Never replace a container
    #[arg(long)]
    no_recreate: bool,
    /// Leave out what the named services need
    #[arg(long)]
    no_deps: bool,
    /// Make containers without starting them
    #[arg(long)]
    no_start: bool,
    /// Remove containers of services that the file does not have
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", value_parser = clap::builder::FalseyValueParser::new())]
    remove_orphans: bool,
    /// How many containers of a service, in place of the file's number
    #[arg(long, value_name = "SERVICE=NUMBER")]
    scale: Vec<String>,
    /// Seconds a container may take to stop before it is killed
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Make new anonymous volumes instead of keeping those of replaced containers
    #[arg(short = 'V', long)]
    renew_anon_volumes: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pull {
    /// Every time
    Always,
    /// When they are not there
    Missing,
    /// Never
    Never,
}

impl ChangeArgs {
    /// The numbers of containers by service.
    pub(crate) fn scale(&self) -> anyhow::Result<BTreeMap<String, u32>> {
        self.scale
            .iter()
            .map(|text| {
                let wrong = || {
                    Fault::new(Kind::Usage, format!("--scale {text} names no service and number"))
                        .hint("write --scale web=3")
                };
                let (service, number) = text.split_once('=').ok_or_else(wrong)?;
                Ok((service.to_owned(), number.parse().map_err(|_| wrong())?))
            })
            .collect()
    }

    /// What is asked for, without waiting.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            services: self.services.clone(),
            no_deps: self.no_deps,
            recreate: match (self.force_recreate, self.no_recreate) {
                (true, _) => Recreate::Always,
                (_, true) => Recreate::Never,
                _ => Recreate::Changed,
            },
            build: match (self.build, self.no_build) {
                (true, _) => BuildPolicy::Always,
                (_, true) => BuildPolicy::Never,
                _ => BuildPolicy::Missing,
            },
            pull: self.pull.map(|pull| match pull {
                Pull::Always => PullPolicy::Always,
                Pull::Missing => PullPolicy::Missing,
                Pull::Never => PullPolicy::Never,
            }),
            no_start: self.no_start,
            wait: false,
            remove_orphans: self.remove_orphans,
            grace: self.timeout.map(Duration::from_secs),
            renew_anonymous_volumes: self.renew_anon_volumes,
        }
    }
}

pub(crate) async fn run(global: &Global, args: UpArgs) -> anyhow::Result<ExitCode> {
    let scale = args.change.scale()?;
    let project = settings::to_act(global, &scale)?;
    let policy = Policy { wait: args.wait, ..args.change.policy() };
    project.check_services(&policy.services)?;
    for service in scale.keys() {
        project.check_services(std::slice::from_ref(service))?;
    }
    let engine = settings::engine(global, args.health == Health::Both).await?;
    let mut renderer = Renderer::new(global.progress);
    let up = Up { engine: &engine, project: &project, policy, args: &args };
    if args.detach || args.wait || args.change.no_start {
        return tokio::select! {
            summary = up.converge(&mut renderer) => Ok(match summary? {
                summary if summary.succeeded() => ExitCode::SUCCESS,
                _ => failed(),
            }),
            () = commands::interrupt() => {
                renderer.note("interrupted; `stackctl up` goes on from here, `stackctl down` removes it");
                Ok(interrupted())
            }
        };
    }
    up.attached(&mut renderer).await
}

struct Up<'a> {
    engine: &'a DockerEngine,
    project: &'a Project,
    policy: Policy,
    args: &'a UpArgs,
}

impl Up<'_> {
    fn plan(&self, observed: &Observed, policy: &Policy) -> Plan {
        containers::plan(&self.project.desired, observed, policy)
    }

    /// Pulls and builds what is missing, looks again, and returns the plan for the rest.
    /// `None` when an image could not be had.
    async fn prepare(&self, renderer: &mut Renderer) -> anyhow::Result<Result<(Plan, Observed), Summary>> {
        let observed = self.engine.observe(&self.project.query()).await?;
        let plan = self.plan(&observed, &self.policy);
        if !plan.has_image_steps() {
            return Ok(Ok((plan, observed)));
        }
        let images = plan.image_steps();
        let summary =
            commands::carry_out(self.engine, images, Pace::default(), Some(self.project), renderer).await;
        if !summary.succeeded() {
            return Ok(Err(summary));
        }
        let observed = self.engine.observe(&self.project.query()).await?;
        // The images are there now: they are neither built nor pulled a second time.
        let policy =
            Policy { build: BuildPolicy::Never, pull: Some(PullPolicy::Never), ..self.policy.clone() };
        Ok(Ok((self.plan(&observed, &policy), observed)))
    }

    async fn run(&self, plan: Plan, renderer: &mut Renderer) -> Summary {
        let pace = Pace { wait_timeout: self.args.wait_timeout.map(Duration::from_secs), ..Pace::default() };
        commands::carry_out(self.engine, plan, pace, Some(self.project), renderer).await
    }

    async fn converge(&self, renderer: &mut Renderer) -> anyhow::Result<Summary> {
        let plan = match self.prepare(renderer).await? {
            Ok((plan, _)) => plan,
            Err(summary) => return Ok(summary),
        };
        ask::consent(&plan, &self.args.allow_data_loss)?;
        Ok(self.run(plan, renderer).await)
    }

    /// Brings the stack up and shows the logs until everything has ended, or Ctrl-C stops it.
    async fn attached(&self, renderer: &mut Renderer) -> anyhow::Result<ExitCode> {
        let mut stop = pin!(commands::interrupt());
        let (plan, observed) = tokio::select! {
            prepared = self.prepare(renderer) => match prepared? {
                Ok(prepared) => prepared,
                Err(_) => return Ok(failed()),
            },
            () = &mut stop => return Ok(interrupted()),
        };
        ask::consent(&plan, &self.args.allow_data_loss)?;

        let mine: BTreeSet<String> = self
            .project
            .desired
            .selection(&self.policy.services, !self.policy.no_deps)
            .into_iter()
            .map(|spec| spec.name().to_owned())
            .collect();
        let mut logs = Logs::new(self.args.style.with_time(self.args.timestamps));
        for spec in self.project.desired.services.iter().filter(|spec| mine.contains(spec.name())) {
            for number in 1..=spec.scale {
                logs.introduce(&LogSource { id: String::new(), service: spec.name().to_owned(), number });
            }
        }
        let mut lines = pin!(self.engine.follow(self.selection(&observed, &mine)));

        let starts = plan.steps.iter().any(|step| matches!(step.action, Action::Start(_)));
        let summary = {
            let mut running = pin!(self.run(plan, renderer));
            tokio::select! {
                summary = &mut running => Some(summary),
                () = &mut stop => None,
            }
        };
        match summary {
            Some(summary) if summary.succeeded() => {}
            Some(_) => return Ok(failed()),
            None => return self.stop(&mine, lines, &mut logs, renderer).await,
        }
        renderer.settle();
        if !starts && !self.anything_runs(&mine, "").await? {
            return Ok(ExitCode::SUCCESS);
        }
        while let Some(line) = tokio::select! {
            line = lines.next() => line,
            () = &mut stop => return self.stop(&mine, lines, &mut logs, renderer).await,
        } {
            let line = line?;
            if !mine.contains(&line.source.service) {
                continue;
            }
            logs.show(&line)?;
            if matches!(line.channel, Channel::Exit(_)) && !self.anything_runs(&mine, &line.source.id).await?
            {
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What runs from now on, and everything that will be started, from its start.
    fn selection(&self, observed: &Observed, mine: &BTreeSet<String>) -> Selection {
        let sources: Vec<LogSource> = observed
            .containers
            .iter()
            .filter(|container| {
                mine.contains(&container.service) && !container.one_off && container.state.is_up()
            })
            .map(|container| LogSource {
                id: container.id.clone(),
                service: container.service.clone(),
                number: container.number,
            })
            .collect();
        Selection {
            containers: sources,
            follow: true,
            project: Some(self.project.desired.project.clone()),
            tail: None,
            since: Some(OffsetDateTime::now_utc()),
            until: None,
        }
    }

    /// Whether anything runs after the end of the container `ended`.
    async fn anything_runs(&self, mine: &BTreeSet<String>, ended: &str) -> anyhow::Result<bool> {
        // The engine tells of an end a moment before its list knows it, and
        // what is restarted runs again just as soon.
        for pause in [10, 20, 50, 100, 200, 400] {
            let observed = self.engine.observe(&self.project.query()).await?;
            let mut up = observed
                .containers
                .iter()
                .filter(|container| mine.contains(&container.service) && container.state.is_up())
                .peekable();
            if up.peek().is_none() {
                return Ok(false);
            }
            if up.any(|container| container.id != ended) {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Ok(true)
    }

    /// Stops what was started: gracefully at first, at once when asked again.
    async fn stop(
        &self,
        mine: &BTreeSet<String>,
        mut lines: impl Stream<Item = Result<LogLine, EngineError>> + Unpin,
        logs: &mut Logs,
        renderer: &mut Renderer,
    ) -> anyhow::Result<ExitCode> {
        renderer.note("stopping; press Ctrl-C again to kill");
        let mut again = pin!(commands::interrupt());
        let show = async {
            while let Some(Ok(line)) = lines.next().await {
                if mine.contains(&line.source.service) && logs.show(&line).is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let gracefully = self.halt(mine, self.policy.grace, renderer);
        tokio::select! {
            result = gracefully => return result,
            () = show => {}
            () = &mut again => {}
        }
        renderer.note("killing");
        self.halt(mine, Some(Duration::ZERO), renderer).await
    }

    async fn halt(
        &self,
        mine: &BTreeSet<String>,
        grace: Option<Duration>,
        renderer: &mut Renderer,
    ) -> anyhow::Result<ExitCode> {
        let observed = self.engine.observe(&self.project.query()).await?;
        let policy = Teardown {
            services: mine.iter().cloned().collect(),
            grace,
            stop_only: true,
            ..Teardown::default()
        };
        let desired = &self.project.desired;
        let plan = teardown(&desired.project, Some(desired), &observed, &policy);
        commands::carry_out(self.engine, plan, Pace::default(), Some(self.project), renderer).await;
        Ok(interrupted())
    }
}
