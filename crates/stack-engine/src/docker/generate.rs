//! Looks at containers in full, for a stack file that makes such ones.

use std::collections::{BTreeMap, BTreeSet};

use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions,
};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::Value;

use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::EngineError;
use crate::generate::Inspected;

impl DockerEngine {
    /// The ids of all containers that run, of whatever project or none.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn running(&self) -> Result<Vec<String>, EngineError> {
        let found = self.docker.list_containers(None::<ListContainersOptions>).await.map_err(answered)?;
        Ok(found.into_iter().filter_map(|container| container.id).collect())
    }

    /// All that the engine tells of these containers, by name or id, and of what they use. `Err` with
    /// the first that is not there.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn inspect(&self, names: &[String]) -> Result<Result<Inspected, String>, EngineError> {
        let looks = names.iter().map(|name| async move {
            match self.docker.inspect_container(name, None::<InspectContainerOptions>).await {
                Ok(found) => plain(&found).map(Ok),
                Err(error) if is_not_found(&error) => Ok(Err(name.clone())),
                Err(error) => Err(answered(error)),
            }
        });
        let containers = match try_join_all(looks).await?.into_iter().collect::<Result<Vec<Value>, String>>()
        {
            Ok(containers) => containers,
            Err(absent) => return Ok(Err(absent)),
        };
        let ids: BTreeSet<&str> = containers.iter().filter_map(|found| found["Image"].as_str()).collect();
        let mut images = BTreeMap::new();
        for id in ids {
            match self.docker.inspect_image(id).await {
                Ok(image) => drop(images.insert(id.to_owned(), plain(&image)?)),
                // A container may outlive its image.
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(answered(error)),
            }
        }
        let networks = self.docker.list_networks(None::<ListNetworksOptions>).await.map_err(answered)?;
        let volumes = self.docker.list_volumes(None::<ListVolumesOptions>).await.map_err(answered)?;
        Ok(Ok(Inspected {
            containers,
            images,
            networks: by_name(&networks)?,
            volumes: by_name(&volumes.volumes.unwrap_or_default())?,
        }))
    }
}

fn by_name(all: &[impl Serialize]) -> Result<BTreeMap<String, Value>, EngineError> {
    let named = all.iter().map(|found| {
        let found = plain(found)?;
        Ok((found["Name"].as_str().unwrap_or_default().to_owned(), found))
    });
    named.collect()
}

/// What the engine has told, as its API does.
fn plain(found: &impl Serialize) -> Result<Value, EngineError> {
    serde_json::to_value(found).map_err(|error| EngineError::Unsupported(error.to_string()))
}
