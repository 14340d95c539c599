//! Stops a container, and tells when it takes its time.

use std::pin::pin;
use std::time::Duration;

use bollard::query_parameters::{InspectContainerOptions, StopContainerOptionsBuilder};
use bollard::{Docker, errors::Error};
use tokio::time::{Instant, sleep_until};

use crate::docker::translate;
use crate::event::{Progress, Waiting};

/// How long a stop may take without a word, and the time between two words.
const PATIENCE: Duration = Duration::from_secs(2);
/// What the engine gives a container that says nothing about it.
const GRACE: Duration = Duration::from_secs(10);

/// How a container is stopped.
struct Manner {
    signal: String,
    /// `None` is never killed.
    grace: Option<Duration>,
}

/// The grace period of a container that is never killed, however long it takes.
const WITHOUT_END: Duration = Duration::MAX;

/// Sends the stop signal and waits for the end, which the engine brings about after the grace period.
pub(super) async fn stop(
    docker: &Docker,
    id: &str,
    grace: Option<Duration>,
    report: &dyn Fn(Progress),
) -> Result<(), Error> {
    let begun = Instant::now();
    let mut options = StopContainerOptionsBuilder::new();
    if let Some(grace) = grace {
        options = options.t(if grace == WITHOUT_END { -1 } else { translate::whole_seconds(grace) });
    }
    let options = options.build();
    let call = async || loop {
        let ended = docker.stop_container(id, Some(options.clone())).await;
        // What waits without end waits longer than for one answer.
        if grace != Some(WITHOUT_END) || !matches!(ended, Err(Error::RequestTimeoutError)) {
            return ended;
        }
    };
    let mut call = pin!(call());
    let mut next = begun + PATIENCE;
    let mut manner: Option<Manner> = None;
    loop {
        tokio::select! {
            ended = &mut call => return ended,
            () = sleep_until(next) => {}
        }
        if manner.is_none() {
            tokio::select! {
                ended = &mut call => return ended,
                found = self::manner(docker, id, grace) => manner = found,
            }
        }
        if let Some(Manner { signal, grace }) = &manner {
            let since = Duration::from_secs(begun.elapsed().as_secs());
            report(Progress::Waiting(Waiting::Stopping { signal: signal.clone(), since, grace: *grace }));
        }
        next += Duration::from_secs(1);
    }
}

/// The stop signal and the time to the kill, as the container was made. `None` when it cannot be seen.
async fn manner(docker: &Docker, id: &str, grace: Option<Duration>) -> Option<Manner> {
    let look = docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?;
    let config = look.config.unwrap_or_default();
    let signal = config.stop_signal.filter(|signal| !signal.is_empty());
    let own = match config.stop_timeout {
        Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
        None => Some(GRACE),
    };
    Some(Manner {
        signal: signal.unwrap_or_else(|| "SIGTERM".to_owned()),
        grace: grace.or(own).filter(|grace| *grace != WITHOUT_END),
    })
}
