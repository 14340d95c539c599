//! Waits for a container: looks first, then listens, and meanwhile runs its
//! health check with a short back-off. Nothing here sleeps a fixed tick.

use std::future::{self, Future};
use std::pin::Pin;
use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, RestartPolicyNameEnum,
};
use bollard::query_parameters::{InspectContainerOptions, WaitContainerOptions};
use bollard::{Docker, errors::Error};
use futures_util::StreamExt;
use stack_plan::plan::Condition;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until};

use crate::docker::evidence::evidence;
use crate::docker::watch::Happening;
use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::{Deadline, EngineError, Failure, NotReady};
use crate::event::{Progress, Waiting};
use crate::evidence::Probe;

/// The pause after the first failed probe; each further one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two probes of ours, or two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How much of a probe's output is kept, bytes.
pub(super) const KEPT_OUTPUT: usize = 1024;
/// After so many restarts without a limit of time, nobody waits for a success any more: the
/// engine doubles its pause each time.
const RESTARTS: u32 = 5;

/// How many failed probes make a container unhealthy where it does not say.
const RETRIES: u32 = 3;

/// A health check of ours that is under way.
type Probing<'a> = Pin<Box<dyn Future<Output = Result<Probe, Error>> + 'a>>;

/// What a look at a container says about a wait.
enum Verdict {
    Reached,
    Failed(NotReady),
    /// The engine has not decided: our own probe may.
    Starting,
    /// Something must happen first.
    NotYet(Option<Waiting>),
}

pub(super) async fn wait(
    engine: &DockerEngine,
    id: &str,
    condition: Condition,
    deadline: Option<Deadline>,
    report: &dyn Fn(Progress),
) -> Result<(), Failure> {
    let docker = &engine.docker;
    let mut happenings = Some(engine.watch.listen());
    let mut probe: Option<Probing<'_>> = None;
    let mut last_probe = None;
    let mut failures = 0;
    let mut told: Option<Waiting> = None;
    let mut pause = FIRST_PAUSE;
    let begun = Instant::now();
    let mut next = begun;
    let mut restarts = Restarts::default();
    // Since when a container that is watched has been healthy.
    let mut healthy: Option<Instant> = None;
    loop {
        let look = match docker.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(look) => look,
            Err(error) if is_not_found(&error) => return Err(EngineError::NotReady(NotReady::Gone).into()),
            Err(error) => return Err(answered(error).into()),
        };
        let mut verdict = judge(&look, condition);
        if let Condition::Steady { monitor, checked } = condition {
            if let Some(again) = restarts.any(&look) {
                verdict = Verdict::Failed(again);
            } else if matches!(verdict, Verdict::Reached) && (checked || !is_checked(&look)) {
                let since = *healthy.get_or_insert_with(Instant::now);
                if since.elapsed() < monitor {
                    next = next.max(since + monitor);
                    verdict = Verdict::NotYet(None);
                }
            }
        }
        if let Some(looping) = restarts.count(&look)
            && deadline.is_none()
            && matches!(verdict, Verdict::Starting | Verdict::NotYet(_))
        {
            verdict = Verdict::Failed(looping);
        }
        match verdict {
            Verdict::Reached => return Ok(()),
            Verdict::Failed(why) => {
                let evidence = evidence(docker, look, last_probe, Some(begun.elapsed())).await;
                return Err(Failure {
                    error: EngineError::NotReady(why),
                    evidence: Some(Box::new(evidence)),
                });
            }
            Verdict::Starting => {
                if engine.probe
                    && probe.is_none()
                    && Instant::now() >= next
                    && let Some(command) = command(&look)
                {
                    probe = Some(Box::pin(run(docker, id, command)));
                }
                if !engine.probe
                    && let Some(waiting) = engines_probe(&look)
                    && told.as_ref() != Some(&waiting)
                {
                    report(Progress::Waiting(waiting.clone()));
                    told = Some(waiting);
                }
            }
            Verdict::NotYet(doing) => {
                probe = None;
                if let Some(doing) = doing {
                    report(Progress::Waiting(doing));
                }
            }
        }
        let wake = if probe.is_some() {
            Instant::now() + LONGEST_PAUSE
        } else {
            next.max(Instant::now() + FIRST_PAUSE)
        };
        tokio::select! {
            biased;
            result = async { match probe.as_mut() { Some(probe) => probe.await, None => future::pending().await } } => {
                probe = None;
                match result {
                    Ok(found) if found.exit_code == 0 => match condition {
                        // The engine has not said so yet, and it is watched from now on.
                        Condition::Steady { checked: true, monitor } => {
                            let since = *healthy.get_or_insert_with(Instant::now);
                            if since.elapsed() >= monitor {
                                return Ok(());
                            }
                        }
                        _ => return Ok(()),
                    },
                    Ok(found) => {
                        failures += 1;
                        let last = match found.output.lines().last() {
                            Some(line) => line.to_owned(),
                            None => format!("exit {}", found.exit_code),
                        };
                        let counted = counted(&look);
                        report(Progress::Waiting(Waiting::Probed { failures, counted, last }));
                        last_probe = Some(found);
                    }
                    // The container may just have ended: the next look tells.
                    Err(_) => {}
                }
                next = Instant::now() + pause;
                pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            }
            listening = heard(&mut happenings, id) => {
                if !listening {
                    happenings = None;
                }
            }
            () = sleep_until(wake) => {
                if wake > next {
                    next = wake + pause;
                    pause = (pause * 3 / 2).min(LONGEST_PAUSE);
                }
            }
            limit = async {
                match deadline {
                    Some(Deadline { at, limit }) => { sleep_until(at).await; limit }
                    None => future::pending().await,
                }
            } => {
                let why = NotReady::TimedOut { limit };
                let evidence = evidence(docker, look, last_probe, Some(begun.elapsed())).await;
                return Err(Failure { error: EngineError::NotReady(why), evidence: Some(Box::new(evidence)) });
            }
        }
    }
}

/// Waits until something happens to the container. `false` when nothing will be heard any more.
async fn heard(happenings: &mut Option<broadcast::Receiver<Happening>>, id: &str) -> bool {
    let Some(receiver) = happenings else { return future::pending().await };
    loop {
        match receiver.recv().await {
            Ok(happening) if happening.id == id => return true,
            Ok(_) => {}
            // Something was missed: look again.
            Err(broadcast::error::RecvError::Lagged(_)) => return true,
            Err(broadcast::error::RecvError::Closed) => return false,
        }
    }
}

/// Waits for the end of a container and returns its exit code, also of one that the engine
/// removes at its end.
pub(super) async fn end(docker: &Docker, id: &str) -> Result<i64, EngineError> {
    let answer = docker.wait_container(id, None::<WaitContainerOptions>).next().await;
    match answer {
        Some(Ok(ended)) => Ok(ended.status_code),
        Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) if is_not_found(&error) => Err(EngineError::NotReady(NotReady::Gone)),
        Some(Err(error)) => Err(answered(error)),
        None => Err(EngineError::Lost("it did not say how the container ended".to_owned())),
    }
}

fn judge(look: &ContainerInspectResponse, condition: Condition) -> Verdict {
    let Some(state) = &look.state else { return Verdict::NotYet(None) };
    let exit_code = state.exit_code.unwrap_or_default();
    let health = state
        .health
        .as_ref()
        .and_then(|health| health.status)
        .filter(|status| !matches!(status, HealthStatusEnum::EMPTY | HealthStatusEnum::NONE));
    match state.status {
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD) => match condition {
            Condition::Completed if exit_code == 0 => Verdict::Reached,
            Condition::Ready if exit_code == 0 && !is_restarted(look) => Verdict::Reached,
            Condition::Ended => Verdict::Reached,
            _ if state.oom_killed == Some(true) => {
                Verdict::Failed(NotReady::OutOfMemory { limit: memory_limit(look) })
            }
            _ => Verdict::Failed(NotReady::Exited { code: exit_code }),
        },
        Some(ContainerStateStatusEnum::RESTARTING) => {
            Verdict::NotYet(Some(Waiting::Restarting { exit_code }))
        }
        Some(ContainerStateStatusEnum::RUNNING) => match (condition, health) {
            (Condition::Completed | Condition::Ended, _) => Verdict::NotYet(None),
            (_, Some(HealthStatusEnum::HEALTHY)) => Verdict::Reached,
            (_, Some(HealthStatusEnum::UNHEALTHY)) => {
                let streak =
                    state.health.as_ref().and_then(|health| health.failing_streak).unwrap_or_default();
                Verdict::Failed(NotReady::Unhealthy {
                    probes: u32::try_from(streak).unwrap_or_default(),
                    after: age(state.started_at.as_deref()).unwrap_or_default(),
                })
            }
            (_, Some(_)) => Verdict::Starting,
            (Condition::Ready | Condition::Steady { .. }, None) => Verdict::Reached,
            (Condition::Healthy, None) => Verdict::Failed(NotReady::NoHealthcheck),
            // These are states of a swarm's services, which are waited for elsewhere.
            (Condition::Converged | Condition::TasksCompleted | Condition::NoTasks, None) => {
                Verdict::NotYet(None)
            }
        },
        _ => Verdict::NotYet(None),
    }
}

/// Counts how often a container was started again while it was waited for.
#[derive(Default)]
struct Restarts {
    before: Option<i64>,
    exit_code: i64,
}

impl Restarts {
    /// Why it is not waited for any longer, once it was started again too often.
    fn count(&mut self, look: &ContainerInspectResponse) -> Option<NotReady> {
        let state = look.state.as_ref()?;
        if state.status == Some(ContainerStateStatusEnum::RESTARTING) {
            self.exit_code = state.exit_code.unwrap_or_default();
        }
        let count = look.restart_count.unwrap_or_default();
        let restarts = u32::try_from(count - *self.before.get_or_insert(count)).unwrap_or_default();
        (restarts >= RESTARTS).then_some(NotReady::Loops { restarts, code: self.exit_code })
    }

    /// Why it is not steady: it was started again by the engine.
    fn any(&mut self, look: &ContainerInspectResponse) -> Option<NotReady> {
        let state = look.state.as_ref()?;
        let restarts = u32::try_from(look.restart_count.unwrap_or_default()).unwrap_or_default();
        let restarting = state.status == Some(ContainerStateStatusEnum::RESTARTING);
        let code = state.exit_code.unwrap_or_default();
        (restarting || restarts > 0).then_some(NotReady::Exited { code })
    }
}

/// The memory limit of a container, bytes.
pub(super) fn memory_limit(look: &ContainerInspectResponse) -> Option<u64> {
    let memory = look.host_config.as_ref()?.memory?;
    u64::try_from(memory).ok().filter(|limit| *limit > 0)
}

/// Whether the container has a health check.
fn is_checked(look: &ContainerInspectResponse) -> bool {
    let health = look.state.as_ref().and_then(|state| state.health.as_ref()).and_then(|health| health.status);
    health.is_some_and(|status| !matches!(status, HealthStatusEnum::EMPTY | HealthStatusEnum::NONE))
}

fn is_restarted(look: &ContainerInspectResponse) -> bool {
    let policy = look
        .host_config
        .as_ref()
        .and_then(|host| host.restart_policy.as_ref())
        .and_then(|policy| policy.name);
    matches!(policy, Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED))
}

/// The failed probes that the engine has counted in a row, and how many make it unhealthy.
fn counted(look: &ContainerInspectResponse) -> Option<(u32, u32)> {
    let streak = look.state.as_ref()?.health.as_ref()?.failing_streak?;
    let streak = u32::try_from(streak).ok().filter(|streak| *streak > 0)?;
    let retries = look.config.as_ref()?.healthcheck.as_ref()?.retries.unwrap_or_default();
    let retries = u32::try_from(retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES);
    Some((streak, retries))
}

/// The last failed probe of the engine's own.
fn engines_probe(look: &ContainerInspectResponse) -> Option<Waiting> {
    let counted = counted(look)?;
    let last = look.state.as_ref()?.health.as_ref()?.log.as_ref()?.last()?;
    let output = last.output.as_deref().unwrap_or_default().trim();
    let last = match output.lines().last() {
        Some(line) => line.chars().take(KEPT_OUTPUT).collect(),
        None => format!("exit {}", last.exit_code.unwrap_or(-1)),
    };
    Some(Waiting::Probed { failures: counted.0, counted: Some(counted), last })
}

/// The health check as a command to run, as the engine itself would run it.
fn command(look: &ContainerInspectResponse) -> Option<Vec<String>> {
    let config = look.config.as_ref()?;
    let test = config.healthcheck.as_ref()?.test.as_deref()?;
    match test.split_first()? {
        (kind, arguments) if kind == "CMD" && !arguments.is_empty() => Some(arguments.to_vec()),
        (kind, arguments) if kind == "CMD-SHELL" && !arguments.is_empty() => {
            let shell = config.shell.clone().filter(|shell| !shell.is_empty());
            let mut command = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            command.push(arguments.join(" "));
            Some(command)
        }
        _ => None,
    }
}

/// Runs a command in a container and waits for its end.
async fn run(docker: &Docker, id: &str, command: Vec<String>) -> Result<Probe, Error> {
    let at = Some(OffsetDateTime::now_utc());
    let options = CreateExecOptions {
        cmd: Some(command),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(id, options).await?.id;
    let mut output = Vec::new();
    if let StartExecResults::Attached { output: mut stream, .. } = docker.start_exec(&exec, None).await? {
        while let Some(part) = stream.next().await {
            let part = part?.into_bytes();
            let room = KEPT_OUTPUT.saturating_sub(output.len());
            output.extend_from_slice(&part[..part.len().min(room)]);
        }
    }
    let exit_code = docker.inspect_exec(&exec).await?.exit_code.unwrap_or(-1);
    Ok(Probe { exit_code, output: String::from_utf8_lossy(&output).trim().to_owned(), at })
}

/// How long ago a moment of the engine was.
pub(super) fn age(moment: Option<&str>) -> Option<Duration> {
    let moment = OffsetDateTime::parse(moment?, &Rfc3339).ok()?;
    (moment.year() > 1).then(|| (OffsetDateTime::now_utc() - moment).try_into().unwrap_or_default())
}
