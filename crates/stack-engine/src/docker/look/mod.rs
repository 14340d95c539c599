//! The looks of commands that only show: lists, processes, use, events.

mod events;
mod list;
mod stats;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use bollard::query_parameters::TopOptions;
use futures_util::Stream;
use futures_util::future::{join_all, try_join_all};
use time::OffsetDateTime;

use crate::docker::{DockerEngine, answered, is_not_found, logs};
use crate::engine::{EngineError, LineRef, LogSource, Selection};
use crate::look::{Happened, ImageFacts, Listed, ListedVolume, Processes, Sample};

impl DockerEngine {
    /// Lists the containers of a project, or of all projects, in the order of their names: one call.
    /// `all` includes those that do not run; `size` asks for what they have written, which is slow.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn list(
        &self,
        project: Option<&str>,
        all: bool,
        size: bool,
    ) -> Result<Vec<Listed>, EngineError> {
        list::containers(&self.docker, project, None, all, size).await
    }

    /// The same for one service of a project.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn list_service(
        &self,
        project: &str,
        service: &str,
        all: bool,
        size: bool,
    ) -> Result<Vec<Listed>, EngineError> {
        list::containers(&self.docker, Some(project), Some(service), all, size).await
    }

    /// Lists the volumes of a project in the order of their names.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn list_volumes(&self, project: &str) -> Result<Vec<ListedVolume>, EngineError> {
        list::volumes(&self.docker, project).await
    }

    /// The images with these ids; those that are gone are left out.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn images(&self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, ImageFacts>, EngineError> {
        list::images(&self.docker, ids).await
    }

    /// The processes of running containers, in the same order; `None` for one that has ended.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn top(&self, ids: &[String]) -> Result<Vec<Option<Processes>>, EngineError> {
        try_join_all(ids.iter().map(|id| async move {
            match self.docker.top_processes(id, None::<TopOptions>).await {
                Ok(top) => Ok(Some(Processes {
                    titles: top.titles.unwrap_or_default(),
                    rows: top.processes.unwrap_or_default(),
                })),
                // It has ended since it was listed.
                Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(None),
                Err(error) => Err(answered(error)),
            }
        }))
        .await
    }

    /// What a container uses: again and again about once a second, or once. The stream ends with
    /// the container.
    pub fn stats(&self, id: &str, again: bool) -> impl Stream<Item = Result<Sample, EngineError>> + use<> {
        stats::stats(&self.docker, id, again)
    }

    /// What happens to the containers of a project from `since`, or now, on, up to `until`.
    pub fn events(
        &self,
        project: &str,
        since: Option<OffsetDateTime>,
        until: Option<OffsetDateTime>,
    ) -> impl Stream<Item = Result<Happened, EngineError>> + use<> {
        events::events(&self.docker, project, since, until)
    }

    /// Reads logs to their ends, the earliest line first, and shows every line to `visit`. `timed`
    /// says that every line has to have its time; the logs of several containers always have it.
    ///
    /// # Errors
    /// What `visit` returns, or when the engine refuses or is lost.
    pub async fn read_logs<E: From<EngineError>>(
        &self,
        selection: &Selection,
        timed: bool,
        visit: &mut dyn FnMut(&LineRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let local = self.connection.address.starts_with("unix://");
        logs::read(&self.docker, local, selection, timed, visit).await
    }

    /// When somebody last started each container: a moment after the last line of the run before
    /// and before the first line of this one, or its making when the engine has restarted it by
    /// itself since, for then the start that was asked for is not known.
    pub fn last_started(&self, ids: &[String]) -> impl Future<Output = Vec<Option<OffsetDateTime>>> {
        join_all(ids.iter().map(|id| logs::begin::of_last_start(&self.docker, id)).collect::<Vec<_>>())
    }
}

/// The containers of a project that run, those of `run` left out.
pub(super) async fn running(docker: &bollard::Docker, project: &str) -> Result<Vec<LogSource>, EngineError> {
    let found = list::containers(docker, Some(project), None, false, false).await?;
    let services = found.into_iter().filter(|found| !found.one_off);
    Ok(services
        .map(|found| LogSource { id: found.id, service: found.service, number: found.number })
        .collect())
}

/// Whether the engine says that the container does not run.
fn is_conflict(error: &bollard::errors::Error) -> bool {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code: 409, .. } => true,
        // Docker Engine 20.10 answers like this.
        bollard::errors::Error::DockerResponseServerError { status_code: 500, message } => {
            message.contains("is not running")
        }
        _ => false,
    }
}

/// A moment as the engine's API takes it: seconds since 1970 with nine decimals.
pub(super) fn timestamp(moment: OffsetDateTime) -> String {
    format!("{}.{:09}", moment.unix_timestamp(), moment.nanosecond())
}
