//! The containers of one service, in one call.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;
use stack_plan::labels;
use stack_plan::observed::ObservedContainer;

use crate::docker::{DockerEngine, answered, observe};
use crate::engine::EngineError;

impl DockerEngine {
    /// The containers of a service by number, those of `run` last; `all` also those that do not run.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn members(
        &self,
        project: &str,
        service: &str,
        all: bool,
    ) -> Result<Vec<ObservedContainer>, EngineError> {
        let labels = vec![format!("{}={project}", labels::PROJECT), format!("{}={service}", labels::SERVICE)];
        let filters = HashMap::from([("label", labels)]);
        let options = ListContainersOptionsBuilder::new().all(all).filters(&filters).build();
        let found = self.docker.list_containers(Some(options)).await.map_err(answered)?;
        let mut members: Vec<_> = found.into_iter().filter_map(observe::container).collect();
        members.sort_by(|a, b| (a.one_off, a.number, &a.name).cmp(&(b.one_off, b.number, &b.name)));
        Ok(members)
    }
}
