//! Waits for the tasks of a service: looks at once, then whenever something happens to the service
//! or to a container of this node, and otherwise less and less often.

use std::collections::{BTreeSet, HashMap};
use std::future;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::Task;
use bollard::query_parameters::{
    EventsOptionsBuilder, ListContainersOptionsBuilder, ListTasksOptions, ListTasksOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::StreamExt;
use stack_plan::plan::Condition;
use stack_plan::swarm::{ObservedService, ObservedTask, TaskState, Trouble, Verdict};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until, timeout};

use super::{listed, observe};
use crate::docker::{DockerEngine, answered, evidence};
use crate::engine::{Deadline, EngineError, Failure, NotReady, TasksFailure};
use crate::event::{Progress, Waiting};
use crate::evidence::{Evidence, Said};

/// The time between the first two looks, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a task without a health check has to run before it counts as one that does.
const STEADY: Duration = Duration::from_secs(1);
/// How long a task may wait for a node: one that is just coming may fit.
const NO_NODE: Duration = Duration::from_secs(10);
/// How long the lines of a task may take to come.
const LOG: Duration = Duration::from_secs(3);
/// How many lines of it are asked for, and kept of each channel.
const ASKED_LINES: &str = "200";
const KEPT_LINES: usize = 12;

/// Waits until the tasks of a service are as the condition says.
pub(in crate::docker) async fn wait(
    engine: &DockerEngine,
    id: &str,
    condition: Condition,
    deadline: Option<Deadline>,
    report: &dyn Fn(Progress),
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut before: Option<BTreeSet<String>> = None;
    let mut told = None;
    // A change that was over before this wait.
    let mut past = None;
    let mut steady: Option<Instant> = None;
    let mut without_node: Option<Instant> = None;
    let mut events = happenings(engine, id);
    let mut containers = engine.watch.listen();
    let mut listening = true;
    loop {
        let (look, tasks) = look(engine, id).await?;
        if condition == Condition::NoTasks {
            let own = tasks.iter().filter(|task| task.service_id.as_deref() == Some(id));
            let left: Vec<&Task> = own.filter(|task| !observe::is_over(task)).collect();
            if left.is_empty() {
                remove_leftovers(engine, id).await;
                return Ok(());
            }
            let waiting = Waiting::TasksEnding { left: left.len() };
            if told.as_ref() != Some(&waiting) {
                report(Progress::Waiting(waiting.clone()));
                told = Some(waiting);
            }
        } else {
            let Some(mut service) = look else { return Err(EngineError::NotReady(NotReady::Gone).into()) };
            // What failed before this wait tells nothing about what is waited for.
            let first = before.is_none();
            if first {
                past = service.update.clone();
            }
            if past.is_some() && service.update == past {
                service = service.settled();
            }
            let before = before.get_or_insert_with(|| service.failed_tasks());
            match service.verdict(before) {
                Verdict::Converged => {
                    let since = *steady.get_or_insert_with(Instant::now);
                    let known = first || service.checked || service.mode.is_job() || service.update.is_some();
                    if known || since.elapsed() >= STEADY {
                        return Ok(());
                    }
                }
                Verdict::Failed(Trouble::NoNode { .. })
                    if without_node.get_or_insert_with(Instant::now).elapsed() < NO_NODE =>
                {
                    steady = None;
                    tell(&service, None, &mut told, report);
                }
                Verdict::Failed(trouble) => {
                    return Err(failure(engine, &service, before, trouble, begun.elapsed()).await);
                }
                Verdict::Working { ready, of } => {
                    steady = None;
                    without_node = None;
                    tell(&service, Some((ready, of)), &mut told, report);
                }
            }
            if let Some(Deadline { at, limit }) = deadline
                && Instant::now() >= at
            {
                let error = EngineError::NotReady(NotReady::TimedOut { limit });
                let evidence = match service.worst(&BTreeSet::new()) {
                    Some(task) => Some(Box::new(evidence_of(engine, &service, task, begun.elapsed()).await)),
                    None => None,
                };
                return Err(Failure { error, evidence });
            }
        }
        let mut wake = Instant::now() + pause;
        if let Some(Deadline { at, .. }) = deadline {
            wake = wake.min(at.max(Instant::now() + FIRST_PAUSE));
        }
        tokio::select! {
            happened = async { match events.as_mut() { Some(events) => events.next().await, None => future::pending().await } } => {
                if happened.is_none_or(|happened| happened.is_err()) {
                    events = None;
                }
                pause = FIRST_PAUSE;
            }
            heard = async { if listening { containers.recv().await.is_ok() } else { future::pending().await } } => {
                listening = heard;
                // The node tells the manager a moment later.
                tokio::time::sleep(FIRST_PAUSE).await;
            }
            () = sleep_until(wake) => pause = (pause * 3 / 2).min(LONGEST_PAUSE),
        }
    }
}

/// Removes what is left on this node of a job that is gone: a swarm forgets the containers of tasks
/// that have come to their end. Whatever stays does no harm.
async fn remove_leftovers(engine: &DockerEngine, service: &str) {
    let filters = HashMap::from([
        ("label", vec![format!("com.docker.swarm.service.id={service}")]),
        ("status", vec!["exited".to_owned(), "dead".to_owned(), "created".to_owned()]),
    ]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine.docker.list_containers(Some(options)).await.unwrap_or_default();
    for id in found.into_iter().filter_map(|found| found.id) {
        let options = RemoveContainerOptionsBuilder::new().v(true).build();
        let _: Result<(), bollard::errors::Error> = engine.docker.remove_container(&id, Some(options)).await;
    }
}

/// Says how far a service is, once for each change.
fn tell(
    service: &ObservedService,
    ready: Option<(u64, u64)>,
    told: &mut Option<Waiting>,
    report: &dyn Fn(Progress),
) {
    let latest = service.tasks.iter().filter(|task| task.wanted <= TaskState::Running);
    let waits = latest.clone().find(|task| task.state != TaskState::Running);
    let failed = service.tasks.iter().find(|task| !task.error.is_empty());
    let doing = match waits.or(failed) {
        Some(task) if !task.error.is_empty() => task.error.clone(),
        Some(task) => task.state.word().to_owned(),
        None => String::new(),
    };
    let (ready, of) = ready.unwrap_or((0, service.replicas.max(service.desired)));
    let waiting = Waiting::Tasks { ready, of, doing };
    if told.as_ref() != Some(&waiting) {
        report(Progress::Waiting(waiting.clone()));
        *told = Some(waiting);
    }
}

/// Looks at one service and its tasks; `None` when the service is gone, and then all tasks there are.
async fn look(engine: &DockerEngine, id: &str) -> Result<(Option<ObservedService>, Vec<Task>), EngineError> {
    let filters = HashMap::from([("id", vec![id.to_owned()])]);
    let services = listed::services(engine, &filters).await?;
    let found = services.into_iter().find(|found| found.service.id.as_deref() == Some(id));
    let Some(found) = found else {
        // A filter by a service that is gone is refused.
        let tasks = engine.docker.list_tasks(None::<ListTasksOptions>).await.map_err(answered)?;
        return Ok((None, tasks));
    };
    let filters = HashMap::from([("service", vec![id])]);
    let tasks =
        engine.docker.list_tasks(Some(ListTasksOptionsBuilder::new().filters(&filters).build())).await;
    let tasks = tasks.map_err(answered)?;
    let service = observe::service(found, &tasks, "", &HashMap::new());
    Ok((service, tasks))
}

/// What happens to a service from now on.
fn happenings(
    engine: &DockerEngine,
    id: &str,
) -> Option<
    futures_util::stream::BoxStream<'static, Result<bollard::models::EventMessage, bollard::errors::Error>>,
> {
    let filters = HashMap::from([("type", vec!["service"]), ("service", vec![id])]);
    let now = OffsetDateTime::now_utc();
    let now = format!("{}.{:09}", now.unix_timestamp(), now.nanosecond());
    let options = EventsOptionsBuilder::new().since(&now).filters(&filters).build();
    Some(engine.docker.events(Some(options)).boxed())
}

/// Why a service is not as it is to be, with what its task said last.
async fn failure(
    engine: &DockerEngine,
    service: &ObservedService,
    before: &BTreeSet<String>,
    trouble: Trouble,
    waited: Duration,
) -> Failure {
    let changed = matches!(trouble, Trouble::RolledBack | Trouble::Paused | Trouble::RollbackPaused);
    let worst = service.rejected_by().filter(|_| changed).or_else(|| service.worst(before));
    let worst = worst.or_else(|| service.worst(&BTreeSet::new()));
    let evidence = match worst {
        Some(task) => Some(Box::new(evidence_of(engine, service, task, waited).await)),
        None => None,
    };
    let error = worst.map(|task| task.error.clone()).unwrap_or_default();
    let probes = evidence.iter().flat_map(|evidence| &evidence.probes);
    let probed = probes.last().is_some_and(|probe| probe.exit_code != 0);
    let mut failure = TasksFailure {
        unhealthy: probed || error.contains("unhealthy container"),
        checked: service.checked,
        code: worst.and_then(|task| task.exit_code),
        error,
        update: service.update.as_ref().map(|update| update.message.clone()).unwrap_or_default(),
        trouble,
    };
    if let Trouble::NoNode { error } = &failure.trouble {
        failure.error.clone_from(error);
    }
    Failure { error: EngineError::Tasks(Box::new(failure)), evidence }
}

/// What is known of a task: of its container where that is on this node, else what the swarm tells.
async fn evidence_of(
    engine: &DockerEngine,
    service: &ObservedService,
    task: &ObservedTask,
    waited: Duration,
) -> Evidence {
    Evidence { waited: Some(waited), ..known_of(engine, service, task).await }
}

/// The same without the time that something has waited.
async fn known_of(engine: &DockerEngine, service: &ObservedService, task: &ObservedTask) -> Evidence {
    let other = engine.nodes.get().and_then(|nodes| nodes.get(&task.node)).map(|node| &node.docker);
    if let Some(container) = &task.container
        && let Some(known) = evidence::evidence_of(other.unwrap_or(&engine.docker), container).await
    {
        return *known;
    }
    Evidence {
        container: format!("{}.{}", service.name, task.slot),
        state: task.state.word().to_owned(),
        exit_code: task.exit_code,
        // Of a task that never had a container a manager has no lines, and says so as if they were some.
        log: if task.container.is_some() { log(engine, &task.id).await } else { Vec::new() },
        ..Evidence::default()
    }
}

/// The last lines of a task, from whatever node it was on.
async fn log(engine: &DockerEngine, task: &str) -> Vec<Said> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(ASKED_LINES).build();
    let mut lines: [Vec<Said>; 2] = [Vec::new(), Vec::new()];
    let mut logs = Box::pin(engine.docker.task_logs(task, Some(options)));
    let end = Instant::now() + LOG;
    while let Ok(Some(Ok(part))) = timeout(end.saturating_duration_since(Instant::now()), logs.next()).await {
        let stderr = matches!(part, LogOutput::StdErr { .. });
        let text = String::from_utf8_lossy(&part.into_bytes()).into_owned();
        lines[usize::from(!stderr)]
            .extend(text.lines().map(|line| Said { stderr, text: line.trim_end().to_owned() }));
    }
    let last = |said: Vec<Said>| {
        let skipped = said.len().saturating_sub(KEPT_LINES);
        said.into_iter().skip(skipped)
    };
    lines.into_iter().flat_map(last).collect()
}

impl DockerEngine {
    /// Why the tasks of a service are not as they are to be, with what is known of the one that tells
    /// most: the failure that a wait for them would end with.
    pub async fn trouble(&self, service: &ObservedService, trouble: Trouble) -> Failure {
        let mut failure = failure(self, service, &BTreeSet::new(), trouble, Duration::ZERO).await;
        if let Some(evidence) = &mut failure.evidence {
            evidence.waited = None;
        }
        failure
    }

    /// What is known of a task, whether it runs or has ended.
    pub async fn task_evidence(&self, service: &ObservedService, task: &ObservedTask) -> Evidence {
        known_of(self, service, task).await
    }

    /// The engine of a node: this one, or one that was made known.
    #[must_use]
    pub fn of_node(&self, node: &str) -> Option<&DockerEngine> {
        self.nodes.get()?.get(node)
    }
}
