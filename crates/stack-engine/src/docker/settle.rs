//! What an engine still does for a run that was broken off: a call goes on when its caller
//! has gone, and a stop takes as long as the container does.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::query_parameters::{EventsOptionsBuilder, InspectContainerOptions};
use futures_util::StreamExt;
use stack_plan::labels;
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};

use crate::docker::{DockerEngine, health};
use crate::engine::{Engine, EngineError, Query};

/// The time between two looks that must be the same: longer than a busy engine takes to begin with
/// a call that it has got.
const LOOK: Duration = Duration::from_millis(600);
/// How many looks there are at most: others may be at work, too.
const LOOKS: usize = 10;
/// What the engine gives a container that says nothing about it, and then some.
const GRACE: Duration = Duration::from_secs(10);
/// How long the kill after the grace period may take.
const KILL: Duration = Duration::from_secs(5);

impl DockerEngine {
    /// Waits until the engine has done what it was told for a project since a moment: until
    /// what is being stopped has ended, and two looks are the same. `tell` gets the name of
    /// each container that is waited for.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn settle(
        &self,
        project: &str,
        since: OffsetDateTime,
        tell: impl Fn(&str),
    ) -> Result<(), EngineError> {
        for (id, sent) in self.being_stopped(project, since).await {
            let Ok(look) = self.docker.inspect_container(&id, None::<InspectContainerOptions>).await else {
                continue;
            };
            let own = look.config.and_then(|config| config.stop_timeout);
            let grace =
                own.and_then(|seconds| u64::try_from(seconds).ok()).map_or(GRACE, Duration::from_secs);
            let age: Duration = (OffsetDateTime::now_utc() - sent).try_into().unwrap_or_default();
            let Some(left) = (grace.max(GRACE) + KILL).checked_sub(age) else { continue };
            if look.state.and_then(|state| state.running).unwrap_or_default() {
                tell(look.name.unwrap_or_default().trim_start_matches('/'));
                // Who ignores a signal that was no stop is not waited for any longer.
                let _ = timeout(left, health::end(&self.docker, &id)).await;
            }
        }
        let query = Query { project: project.to_owned(), ..Query::default() };
        let mut before = String::new();
        for _ in 0..LOOKS {
            let observed = self.observe(&query).await?;
            let containers = observed.containers.iter().map(|found| (&found.id, &found.name, found.state));
            let networks = observed.networks.iter().map(|network| &network.id);
            let volumes = observed.volumes.iter().map(|volume| &volume.name);
            let now = format!(
                "{:?} {:?} {:?}",
                containers.collect::<Vec<_>>(),
                networks.collect::<Vec<_>>(),
                volumes.collect::<Vec<_>>()
            );
            if now == before {
                break;
            }
            before = now;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The containers that got a signal since then and have not ended, each with the moment of
    /// the last one. Nothing, if the engine does not tell: it keeps its last events only.
    async fn being_stopped(&self, project: &str, since: OffsetDateTime) -> BTreeMap<String, OffsetDateTime> {
        let label = format!("{}={project}", labels::PROJECT);
        let filters = HashMap::from([
            ("type", vec!["container"]),
            ("event", vec!["kill", "die"]),
            ("label", vec![label.as_str()]),
        ]);
        let moment = |at: OffsetDateTime| format!("{}.{:09}", at.unix_timestamp(), at.nanosecond());
        let options = EventsOptionsBuilder::new()
            .since(&moment(since))
            .until(&moment(OffsetDateTime::now_utc()))
            .filters(&filters)
            .build();
        let mut events = Box::pin(self.docker.events(Some(options)));
        let mut stopping = BTreeMap::new();
        while let Some(Ok(event)) = events.next().await {
            let Some(id) = event.actor.and_then(|actor| actor.id) else { continue };
            if event.action.as_deref() == Some("die") {
                stopping.remove(&id);
                continue;
            }
            let at = event.time_nano.map(i128::from);
            let at = at.and_then(|nanoseconds| OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok());
            stopping.insert(id, at.unwrap_or_else(OffsetDateTime::now_utc));
        }
        stopping
    }
}
