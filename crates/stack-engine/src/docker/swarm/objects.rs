//! Configs and secrets: made, looked up by name, removed.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::Docker;
use bollard::models::{
    ConfigSpec, Driver, SecretSpec, TaskSpecContainerSpecConfigs, TaskSpecContainerSpecFile,
    TaskSpecContainerSpecFile1, TaskSpecContainerSpecSecrets,
};
use bollard::query_parameters::{ListConfigsOptionsBuilder, ListSecretsOptionsBuilder};
use stack_file::model::FileKind;
use stack_plan::swarm::{ObjectSpec, SwarmService};

use crate::docker::translate::values;
use crate::docker::{answered, is_not_found};
use crate::engine::EngineError;

/// The configs and secrets of a service, with their ids.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) configs: Vec<TaskSpecContainerSpecConfigs>,
    pub(super) secrets: Vec<TaskSpecContainerSpecSecrets>,
    /// The id of the config with credentials.
    pub(super) credentials: Option<String>,
}

/// Makes a config or secret.
pub(super) async fn create(docker: &Docker, spec: &ObjectSpec) -> Result<String, EngineError> {
    let Some(Ok(content)) = &spec.content else {
        return Err(EngineError::Unsupported(format!("nothing says what is in {}", spec.address())));
    };
    let name = Some(spec.name.clone());
    let labels = Some(values::hashed(&spec.labels));
    let data = Some(BASE64_STANDARD.encode(content.bytes()));
    let templating = spec.template_driver.as_ref().map(|name| Driver { name: name.clone(), options: None });
    let made = match spec.kind {
        FileKind::Config => docker.create_config(ConfigSpec { name, labels, data, templating }).await,
        FileKind::Secret => {
            let spec = SecretSpec { name, labels, data, templating, ..SecretSpec::default() };
            docker.create_secret(spec).await
        }
    };
    Ok(made.map_err(answered)?.id)
}

/// Removes a config or secret. One that is not there any more has gone.
pub(super) async fn remove(docker: &Docker, kind: FileKind, id: &str) -> Result<(), EngineError> {
    let removed = match kind {
        FileKind::Config => docker.delete_config(id).await,
        FileKind::Secret => docker.delete_secret(id).await,
    };
    match removed {
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => {
            let error = answered(error);
            match &error {
                // The service that uses it is one that the file does not have, or was put back.
                EngineError::Refused { message, .. } if message.contains("is in use by") => {
                    let by = message.rsplit("service: ").next().unwrap_or_default();
                    let by = by.split(',').map(|name| name.trim().to_owned());
                    Err(EngineError::InUse { by: by.filter(|name| !name.is_empty()).collect() })
                }
                _ => Err(error),
            }
        }
        Ok(()) => Ok(()),
    }
}

/// Finds the configs and secrets of a service.
pub(super) async fn files(docker: &Docker, spec: &SwarmService) -> Result<Files, EngineError> {
    let names = |kind: FileKind| {
        let files = spec.files.iter().filter(move |file| file.kind == kind);
        files.map(|file| file.object.clone()).collect::<Vec<String>>()
    };
    let configs = ids(docker, FileKind::Config, names(FileKind::Config)).await?;
    let secrets = ids(docker, FileKind::Secret, names(FileKind::Secret)).await?;
    let mut files = Files::default();
    for file in &spec.files {
        let all = if file.kind == FileKind::Config { &configs } else { &secrets };
        let Some(id) = all.get(&file.object).cloned() else {
            let word = file.kind.word();
            return Err(EngineError::Unsupported(format!("the {word} {} is not on the swarm", file.object)));
        };
        let (uid, gid) = (Some(file.uid.clone()), Some(file.gid.clone()));
        match (file.kind, &file.target) {
            (FileKind::Config, None) => {
                files.credentials = Some(id.clone());
                files.configs.push(TaskSpecContainerSpecConfigs {
                    runtime: Some(HashMap::new()),
                    config_id: Some(id),
                    config_name: Some(file.object.clone()),
                    ..TaskSpecContainerSpecConfigs::default()
                });
            }
            (FileKind::Config, Some(target)) => files.configs.push(TaskSpecContainerSpecConfigs {
                file: Some(TaskSpecContainerSpecFile1 {
                    name: Some(target.clone()),
                    uid,
                    gid,
                    mode: Some(file.mode),
                }),
                config_id: Some(id),
                config_name: Some(file.object.clone()),
                ..TaskSpecContainerSpecConfigs::default()
            }),
            (FileKind::Secret, target) => files.secrets.push(TaskSpecContainerSpecSecrets {
                file: Some(TaskSpecContainerSpecFile {
                    name: target.clone(),
                    uid,
                    gid,
                    mode: Some(file.mode),
                }),
                secret_id: Some(id),
                secret_name: Some(file.object.clone()),
            }),
        }
    }
    Ok(files)
}

/// The ids of configs or secrets, by name.
async fn ids(
    docker: &Docker,
    kind: FileKind,
    names: Vec<String>,
) -> Result<HashMap<String, String>, EngineError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    // The filter is one for beginnings of names.
    let filters = HashMap::from([("name", names)]);
    Ok(match kind {
        FileKind::Config => {
            let options = ListConfigsOptionsBuilder::new().filters(&filters).build();
            let found = docker.list_configs(Some(options)).await.map_err(answered)?;
            found.into_iter().filter_map(|found| Some((found.spec?.name?, found.id?))).collect()
        }
        FileKind::Secret => {
            let options = ListSecretsOptionsBuilder::new().filters(&filters).build();
            let found = docker.list_secrets(Some(options)).await.map_err(answered)?;
            found.into_iter().filter_map(|found| Some((found.spec?.name?, found.id?))).collect()
        }
    })
}
