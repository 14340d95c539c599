//! Looks at a container that did not do what it should.

use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::StreamExt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::docker::health::{KEPT_OUTPUT, age, memory_limit};
use crate::evidence::{Evidence, Probe, Said};

/// How many lines are asked for: the engine counts those of both channels, and the last of one
/// may stand far before the last of the other.
const ASKED_LINES: &str = "1000";
/// How many lines of each channel are kept.
const KEPT_LINES: usize = 12;
/// A longer line is cut here, characters.
const LONGEST_LINE: usize = 1000;

/// Looks at a container that did not do what it should; `None` when it is gone.
pub(super) async fn evidence_of(docker: &Docker, id: &str) -> Option<Box<Evidence>> {
    let look = docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?;
    Some(Box::new(evidence(docker, look, None, None).await))
}

/// What `look` and the log tell. `ours` is a probe of ours, for want of one of the engine's.
pub(super) async fn evidence(
    docker: &Docker,
    look: ContainerInspectResponse,
    ours: Option<Probe>,
    waited: Option<Duration>,
) -> Evidence {
    let log = log(docker, look.id.as_deref().unwrap_or_default()).await;
    let memory_limit = memory_limit(&look);
    let state = look.state.unwrap_or_default();
    let ended = !matches!(
        state.status,
        Some(
            ContainerStateStatusEnum::RUNNING
                | ContainerStateStatusEnum::CREATED
                | ContainerStateStatusEnum::PAUSED
        )
    );
    let ran = if ended { ran(&state) } else { None };
    let recorded = state.health.and_then(|health| health.log).unwrap_or_default();
    let mut probes: Vec<Probe> = recorded
        .into_iter()
        .map(|probe| Probe {
            exit_code: probe.exit_code.unwrap_or(-1),
            output: probe.output.unwrap_or_default().trim().chars().take(KEPT_OUTPUT).collect(),
            at: probe.start,
        })
        .collect();
    if probes.is_empty() {
        probes.extend(ours);
    }
    let test =
        look.config.and_then(|config| config.healthcheck).and_then(|check| check.test).unwrap_or_default();
    Evidence {
        container: look.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        state: state.status.map(|status| status.to_string()).unwrap_or_default(),
        exit_code: ended.then_some(state.exit_code).flatten(),
        out_of_memory: state.oom_killed.unwrap_or_default(),
        restarts: look.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        started: age(state.started_at.as_deref()),
        ran,
        probe: test,
        probes,
        memory_limit,
        log,
        waited,
    }
}

/// The last lines of each channel.
async fn log(docker: &Docker, id: &str) -> Vec<Said> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(ASKED_LINES).build();
    let mut lines: [Vec<Said>; 2] = [Vec::new(), Vec::new()];
    let mut logs = docker.logs(id, Some(options));
    // What cannot be read any more is no reason to lose what was read.
    while let Some(Ok(part)) = logs.next().await {
        let stderr = matches!(part, LogOutput::StdErr { .. });
        let text = String::from_utf8_lossy(&part.into_bytes()).into_owned();
        lines[usize::from(!stderr)].extend(
            text.lines()
                .map(|line| Said { stderr, text: line.trim_end().chars().take(LONGEST_LINE).collect() }),
        );
    }
    let last = |said: Vec<Said>| {
        let skipped = said.len().saturating_sub(KEPT_LINES);
        said.into_iter().skip(skipped)
    };
    lines.into_iter().flat_map(last).collect()
}

/// How long the last run took.
fn ran(state: &ContainerState) -> Option<Duration> {
    let (began, ended) = (moment(state.started_at.as_deref()?)?, moment(state.finished_at.as_deref()?)?);
    // An engine may note the start of what ends at once after its end.
    Some(Duration::try_from(ended - began).unwrap_or_default())
}

/// A moment of the engine; `None` for one that has not come.
fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().filter(|moment| moment.year() > 1)
}
