//! `up` that stays: it shows what the containers say, until they end or are stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use stack_engine::engine::{Channel, Engine, EngineError, LogLine, LogSource, Selection};
use stack_file::model::DependencyCondition;
use stack_plan::address::Address;
use stack_plan::containers::Policy;
use stack_plan::observed::{ContainerState, Observed};
use stack_plan::plan::{Action, Plan};
use stack_plan::teardown::{Teardown, teardown};
use time::OffsetDateTime;

use crate::commands;
use crate::commands::again::Again;
use crate::commands::converge::Converge;
use crate::commands::swarm;
use crate::commands::watch::Session;
use crate::error::{interrupted, of_container};
use crate::render::Renderer;
use crate::render::log::{LogStyle, Logs};
use crate::settings::Project;

/// The exit code of a container that a signal to stop has ended, where none is known.
const STOPPED: i64 = 143;

/// What `up` takes for staying attached.
#[derive(Debug, clap::Args)]
pub(super) struct AttachArgs {
    /// Stop everything as soon as a container ends; its exit code is ours.
    /// A job that others wait for may end well
    #[arg(long, conflicts_with_all = ["detach", "wait", "abort_on_container_failure"])]
    abort_on_container_exit: bool,
    /// Stop everything as soon as a container ends with another exit code than 0, which is ours
    #[arg(long, conflicts_with_all = ["detach", "wait"])]
    abort_on_container_failure: bool,
    /// Exit with the exit code of this service's container, and stop everything as soon as one ends
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["detach", "wait", "abort_on_container_failure"])]
    exit_code_from: Option<String>,
    /// Show the logs of these services only
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["detach", "wait", "attach_dependencies"])]
    attach: Vec<String>,
    /// Show the logs of what the named services need, too
    #[arg(long, conflicts_with_all = ["detach", "wait"])]
    attach_dependencies: bool,
    /// Do not show the logs of these services
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["detach", "wait"])]
    no_attach: Vec<String>,
    /// Show the time before each line of the logs
    #[arg(long)]
    timestamps: bool,
    #[command(flatten)]
    style: LogStyle,
}

impl AttachArgs {
    /// Refuses names that the file does not have.
    pub(super) fn check(&self, project: &Project) -> anyhow::Result<()> {
        for names in [&self.attach, &self.no_attach] {
            project.check_services(names)?;
        }
        project.check_services(self.exit_code_from.as_slice())
    }

    /// Refuses what means nothing to services of a swarm, which goes on by itself.
    pub(super) fn refuse_on_swarm(&self) -> anyhow::Result<()> {
        const WHY: &str = "the stack goes on by itself; wait for its jobs with: --wait";
        swarm::refuse(&[
            (self.abort_on_container_exit, "--abort-on-container-exit", WHY),
            (self.abort_on_container_failure, "--abort-on-container-failure", WHY),
            (self.exit_code_from.is_some(), "--exit-code-from", WHY),
        ])
    }

    /// The services whose logs are shown on a swarm, and how.
    pub(super) fn on_swarm(&self, project: &Project, policy: &Policy) -> (Vec<String>, Logs) {
        let services = self.shown(project, policy).into_iter().collect();
        (services, Logs::new(self.style.with_time(self.timestamps)))
    }

    /// The services whose logs are shown.
    fn shown(&self, project: &Project, policy: &Policy) -> BTreeSet<String> {
        let desired = &project.desired;
        if !self.attach.is_empty() {
            return self.attach.iter().filter(|name| !self.no_attach.contains(name)).cloned().collect();
        }
        let selection = desired.selection(&policy.services, self.attach_dependencies);
        selection
            .into_iter()
            .filter(|spec| spec.service.attach.as_ref().is_none_or(|attach| attach.value))
            .map(|spec| spec.name().to_owned())
            .filter(|name| !self.no_attach.contains(name))
            .collect()
    }

    /// Whether everything is to be stopped because this container has ended.
    fn aborts(&self, service: &str, code: i64, project: &Project) -> bool {
        if self.abort_on_container_failure {
            return code != 0;
        }
        if let Some(wanted) = &self.exit_code_from
            && wanted == service
        {
            return true;
        }
        (self.abort_on_container_exit || self.exit_code_from.is_some())
            && !(code == 0 && is_awaited(service, project))
    }
}

/// Whether another service waits until this one has ended well.
fn is_awaited(service: &str, project: &Project) -> bool {
    let dependencies =
        project.desired.services.iter().filter_map(|spec| spec.service.depends_on.get(service));
    dependencies.into_iter().any(|wanted| wanted.condition == DependencyCondition::CompletedSuccessfully)
}

/// Brings the stack up and shows the logs until everything has ended, or Ctrl-C stops it. With
/// `watch`, which tells what it does to a renderer of its own, only Ctrl-C ends it.
pub(super) async fn run(
    converge: &Converge<'_>,
    args: &AttachArgs,
    watch: Option<(Session<'_>, &mut Renderer)>,
    renderer: &mut Renderer,
) -> anyhow::Result<ExitCode> {
    let mut stop = pin!(commands::interrupt());
    let prepared = async {
        let alone = converge.alone("up", renderer).await?;
        let looked = converge.look().await?;
        Ok((alone, converge.prepare(looked, renderer).await?))
    };
    let (alone, (plan, observed)) = tokio::select! {
        prepared = prepared => match prepared {
            Ok((alone, Ok(prepared))) => (alone, prepared),
            Ok((alone, Err(summary))) => {
                alone.finish();
                return Ok(renderer.code(&summary));
            }
            Err(error) => return Err(error),
        },
        () = &mut stop => {
            renderer.interrupted("`stackctl up` goes on from here, `stackctl down` removes it");
            return Ok(interrupted());
        }
    };
    converge.agree(&plan, renderer)?;

    let desired = &converge.project.desired;
    let names = |spec: &stack_plan::desired::ServiceSpec| spec.name().to_owned();
    let selection = desired.selection(&converge.policy.services, !converge.policy.no_deps);
    let mine: BTreeSet<String> = selection.into_iter().map(names).collect();
    let mut attached = Attached {
        converge,
        mine,
        shown: args.shown(converge.project, &converge.policy),
        logs: Logs::new(args.style.with_time(args.timestamps)),
    };
    for spec in desired.services.iter().filter(|spec| attached.shown.contains(spec.name())) {
        for number in 1..=spec.scale {
            attached.logs.introduce(&LogSource { id: String::new(), service: names(spec), number });
        }
    }
    let mut lines = pin!(converge.engine.follow(attached.selection(&observed)));

    let mut open = attached.that_run(&plan, &observed);
    let starts = plan.steps.iter().any(|step| matches!(step.action, Action::Start(_)));
    let changes = plan.changes_something();
    let summary = {
        let mut running = pin!(converge.run(plan, renderer));
        tokio::select! {
            summary = &mut running => Some(summary),
            () = &mut stop => None,
        }
    };
    match summary {
        Some(summary) if summary.succeeded() => {
            if changes {
                converge.keep("up", renderer).await;
            }
        }
        Some(summary) => {
            alone.finish();
            return Ok(renderer.code(&summary));
        }
        None => {
            attached.stop(lines, renderer).await?;
            return Ok(interrupted());
        }
    }
    // From here on nothing is changed any more: another run may.
    alone.finish();
    renderer.settle();
    let watches = watch.is_some();
    if !watches && !starts && !attached.anything_runs().await? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut again = Again::default();
    let mut watching = pin!(async {
        match watch {
            Some((mut session, told)) => session.run(told).await,
            None => std::future::pending().await,
        }
    });
    let mut watching_ended = false;
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = again.due() => {
                if !attached.anything_runs().await? {
                    break;
                }
                continue;
            }
            ended = &mut watching, if !watching_ended => {
                // The containers go on, and so do their logs.
                watching_ended = true;
                if let Err(error) = ended {
                    renderer.warn(&format!("files are not followed any more: {error:#}"));
                }
                continue;
            }
            () = &mut stop => {
                attached.stop(lines, renderer).await?;
                return Ok(interrupted());
            }
        };
        let Some(line) = line.transpose()? else { break };
        attached.show(&line)?;
        let Channel::Exit(code) = line.channel else { continue };
        let source = &line.source;
        if !attached.mine.contains(&source.service) {
            continue;
        }
        // A change of files may start again what has ended.
        if watches {
            continue;
        }
        if args.aborts(&source.service, code, converge.project) {
            let name = format!("{}-{}", source.service, source.number);
            renderer.note(&format!("{name} ended with exit code {code}; stopping the others"));
            let ended = attached.stop(lines, renderer).await?;
            let code = match &args.exit_code_from {
                Some(wanted) if *wanted != source.service => match ended.get(wanted) {
                    Some(code) => *code,
                    None => attached.exit_code(wanted).await?.unwrap_or(STOPPED),
                },
                _ => code,
            };
            return Ok(of_container(code));
        }
        // Others may have ended, too, of which the last lines are still to come.
        open.remove(&(source.service.clone(), source.number));
        again.begin(if open.is_empty() { SOON } else { LATER });
    }
    Ok(ExitCode::SUCCESS)
}

/// How long after the last end it is asked whether anything runs, and how long after another.
const SOON: Duration = Duration::from_millis(10);
const LATER: Duration = Duration::from_secs(1);

struct Attached<'a> {
    converge: &'a Converge<'a>,
    /// The services that are brought up.
    mine: BTreeSet<String>,
    /// The services whose logs are shown.
    shown: BTreeSet<String>,
    logs: Logs,
}

impl Attached<'_> {
    fn show(&mut self, line: &LogLine) -> std::io::Result<()> {
        if !self.shown.contains(&line.source.service) {
            return Ok(());
        }
        self.logs.show(&line.as_line_ref())?;
        self.logs.flush()
    }

    /// The containers that run after the plan, by service and number.
    fn that_run(&self, plan: &Plan, observed: &Observed) -> BTreeSet<(String, u32)> {
        let started = plan.steps.iter().filter(|step| matches!(step.action, Action::Start(_)));
        let started = started.filter_map(|step| match &step.address {
            Address::Container(service, number) => Some((service.clone(), *number)),
            _ => None,
        });
        let up = observed.containers.iter().filter(|found| !found.one_off && found.state.is_up());
        let up = up.map(|found| (found.service.clone(), found.number));
        started.chain(up).filter(|(service, _)| self.mine.contains(service)).collect()
    }

    /// What runs from now on, and everything that will be started, from its start.
    fn selection(&self, observed: &Observed) -> Selection {
        let sources: Vec<LogSource> = observed
            .containers
            .iter()
            .filter(|container| {
                self.mine.contains(&container.service) && !container.one_off && container.state.is_up()
            })
            .map(|container| LogSource {
                id: container.id.clone(),
                service: container.service.clone(),
                number: container.number,
            })
            .collect();
        Selection {
            containers: sources,
            project: Some(self.converge.project.desired.project.clone()),
            tail: None,
            since: Some(OffsetDateTime::now_utc()),
            until: None,
        }
    }

    /// Whether anything runs of what is brought up.
    async fn anything_runs(&self) -> anyhow::Result<bool> {
        let observed = self.converge.engine.observe(&self.converge.project.query()).await?;
        let mut mine = observed.containers.iter().filter(|found| self.mine.contains(&found.service));
        Ok(mine.any(|found| found.state.is_up()))
    }

    /// How the first container of the service ended, as the engine has it.
    async fn exit_code(&self, service: &str) -> anyhow::Result<Option<i64>> {
        let observed = self.converge.engine.observe(&self.converge.project.query()).await?;
        let mut ended = observed.containers.iter().filter(|found| found.service == service);
        Ok(ended.find_map(|found| match found.state {
            ContainerState::Exited(code) => Some(code),
            _ => None,
        }))
    }

    /// Stops what was started: gracefully at first, at once when asked again. Returns the
    /// exit codes of what ended meanwhile, by service.
    async fn stop(
        &mut self,
        mut lines: impl Stream<Item = Result<LogLine, EngineError>> + Unpin,
        renderer: &mut Renderer,
    ) -> anyhow::Result<BTreeMap<String, i64>> {
        renderer.note("stopping; press Ctrl-C again to kill");
        let mut ended = BTreeMap::new();
        let mut again = pin!(commands::interrupt());
        let (converge, mine) = (self.converge, self.mine.clone());
        {
            let show = async {
                while let Some(Ok(line)) = lines.next().await {
                    if let Channel::Exit(code) = line.channel {
                        ended.insert(line.source.service.clone(), code);
                    }
                    if self.show(&line).is_err() {
                        break;
                    }
                }
                std::future::pending::<()>().await;
            };
            let gracefully = halt(converge, &mine, converge.policy.grace, renderer);
            let mut gracefully = pin!(gracefully);
            let mut show = pin!(show);
            tokio::select! {
                result = &mut gracefully => {
                    result?;
                    // The last lines come a moment after the end.
                    let _ = tokio::time::timeout(LAST_LINES, show).await;
                    return Ok(ended);
                }
                () = &mut show => {}
                () = &mut again => {}
            }
        }
        renderer.note("killing");
        halt(converge, &mine, Some(Duration::ZERO), renderer).await?;
        Ok(ended)
    }
}

/// How long the last lines of a container may take after its end.
const LAST_LINES: Duration = Duration::from_millis(100);

async fn halt(
    converge: &Converge<'_>,
    mine: &BTreeSet<String>,
    grace: Option<Duration>,
    renderer: &mut Renderer,
) -> anyhow::Result<()> {
    let observed = converge.engine.observe(&converge.project.query()).await?;
    let policy =
        Teardown { services: mine.iter().cloned().collect(), grace, stop_only: true, ..Teardown::default() };
    let desired = &converge.project.desired;
    let plan = teardown(&desired.project, Some(desired), &observed, &policy);
    commands::carry_out(converge.engine, plan, converge.pace, Some(converge.project), renderer).await;
    Ok(())
}
