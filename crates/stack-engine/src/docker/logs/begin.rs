//! Where the lines of a container's last run begin. The noted start does not tell: an engine notes
//! it after the container has begun to write, a busy one seconds after.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{EventsOptionsBuilder, InspectContainerOptions};
use futures_util::StreamExt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::docker::look::timestamp;

/// How much earlier than its noted start a container may have written its first lines, where the
/// engine has forgotten when the run before has ended, if there was one.
const EARLY: Duration = Duration::from_secs(60);

/// A moment between the container's present run, or its last one, and the run before; `None` for
/// the first line.
pub(super) async fn of_last_run(docker: &Docker, id: &str) -> Option<OffsetDateTime> {
    let found = inspect(docker, id).await?;
    between(docker, id, &found).await
}

/// A moment between the run that somebody last started and the one before.
pub(in crate::docker) async fn of_last_start(docker: &Docker, id: &str) -> Option<OffsetDateTime> {
    let found = inspect(docker, id).await?;
    let created = found.created;
    // The engine has restarted it by itself since; the start that was asked for is not known.
    if found.restart_count.is_some_and(|count| count > 0) {
        return created;
    }
    between(docker, id, &found).await.or(created)
}

async fn inspect(docker: &Docker, id: &str) -> Option<ContainerInspectResponse> {
    docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()
}

async fn between(docker: &Docker, id: &str, found: &ContainerInspectResponse) -> Option<OffsetDateTime> {
    let state = found.state.as_ref()?;
    let moment = |text: &Option<String>| OffsetDateTime::parse(text.as_deref()?, &Rfc3339).ok();
    let (created, started) = (found.created?, moment(&state.started_at)?);
    let ended = moment(&state.finished_at)?;
    if state.running == Some(true) && state.restarting != Some(true) {
        // The noted end is that of the run before; year 1 if there was none.
        return (ended > created).then_some(ended);
    }
    // A container that ends at once may have its end noted before its start.
    let start = started.min(ended);
    let end = end_before(docker, id, created, start).await;
    Some(end.unwrap_or(start - EARLY)).filter(|bound| *bound > created)
}

/// The last end of the container before `started`, unless the engine has forgotten it.
async fn end_before(
    docker: &Docker,
    id: &str,
    created: OffsetDateTime,
    started: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let filters =
        HashMap::from([("type", vec!["container"]), ("event", vec!["die"]), ("container", vec![id])]);
    let options = EventsOptionsBuilder::new()
        .since(&timestamp(created))
        .until(&timestamp(started))
        .filters(&filters)
        .build();
    let mut events = pin!(docker.events(Some(options)));
    let mut last = None;
    while let Some(Ok(event)) = events.next().await {
        last = event.time_nano;
    }
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(last?)).ok()
}
