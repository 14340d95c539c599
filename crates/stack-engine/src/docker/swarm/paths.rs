//! Whether a node has a path that a task is to see.

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptions, ListImagesOptions, RemoveContainerOptionsBuilder};

use crate::docker::{DockerEngine, answered};
use crate::engine::EngineError;

/// Where the path would be seen, if the container were ever started.
const TARGET: &str = "/stackctl-looks-at-a-path";

impl DockerEngine {
    /// Whether the machine of the engine has a path; `None` when the engine has no image, and so cannot
    /// tell. It looks at the path when it makes a container, which is never started and goes at once.
    ///
    /// # Errors
    /// When the engine refuses for another reason, or is lost.
    pub async fn has_path(&self, path: &str) -> Result<Option<bool>, EngineError> {
        let images = self.docker.list_images(None::<ListImagesOptions>).await.map_err(answered)?;
        let Some(image) = images.into_iter().next() else { return Ok(None) };
        let mount = Mount {
            typ: Some(MountType::BIND),
            source: Some(path.to_owned()),
            target: Some(TARGET.to_owned()),
            read_only: Some(true),
            ..Mount::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.id),
            entrypoint: Some(vec!["none".to_owned()]),
            host_config: Some(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        match self.docker.create_container(None::<CreateContainerOptions>, body).await.map_err(answered) {
            Ok(made) => {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                self.docker.remove_container(&made.id, Some(options)).await.map_err(answered)?;
                Ok(Some(true))
            }
            Err(EngineError::Refused { message, .. }) if message.contains("source path does not exist") => {
                Ok(Some(false))
            }
            Err(error) => Err(error),
        }
    }
}
