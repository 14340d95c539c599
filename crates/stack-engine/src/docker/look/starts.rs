//! When containers were last started, as their lines tell it.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{EventsOptionsBuilder, InspectContainerOptions};
use futures_util::StreamExt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::docker::look::timestamp;

/// How much earlier than its noted start a container may have written its first lines.
const EARLY: Duration = Duration::from_secs(1);

/// A moment between the run that somebody last started and the one before. The noted start is
/// none: an engine notes it after the container has begun to write.
pub(super) async fn last(docker: &Docker, id: &str) -> Option<OffsetDateTime> {
    let found = docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?;
    let created = found.created?;
    // The engine has restarted it by itself since; the start that was asked for is not known.
    if found.restart_count.is_some_and(|count| count > 0) {
        return Some(created);
    }
    let state = found.state?;
    let moment = |text: Option<String>| OffsetDateTime::parse(&text?, &Rfc3339).ok();
    let (started, ended) = (moment(state.started_at)?, moment(state.finished_at)?);
    if ended < started {
        // It runs, and the noted end is that of the run before; year 1 if there was none.
        return Some(ended.max(created));
    }
    match end_before(docker, id, created, started).await {
        Some(end) => Some(end),
        None => Some((started - EARLY).max(created)),
    }
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
