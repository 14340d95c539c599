//! The generations of a project on a swarm: each is a config whose content is the record and whose
//! labels are what a list shows. Every manager has them, no task sees them. See decision 25.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::models::ConfigSpec;
use bollard::query_parameters::ListConfigsOptionsBuilder;
use sha2::{Digest, Sha256};

use crate::docker::generations::{KeptGenerations, ListedGeneration, NUMBER, PROJECT, labels_of, notes_of};
use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::EngineError;

/// The most that a swarm keeps in a config, bytes.
pub const LARGEST_RECORD: usize = 1_000 * 1_024;
/// How much of a project's name stands in the name of a config, which has 64 characters at most.
const LONGEST_NAME: usize = 24;

impl DockerEngine {
    /// The generations of a project on the swarm, and the images that this node keeps for them.
    ///
    /// # Errors
    /// When the manager refuses or is lost.
    pub async fn swarm_generations(&self, project: &str) -> Result<KeptGenerations, EngineError> {
        let filters = HashMap::from([("label", vec![format!("{PROJECT}={project}")])]);
        let options = ListConfigsOptionsBuilder::new().filters(&filters).build();
        let (configs, here) =
            tokio::join!(self.docker.list_configs(Some(options)), self.generations(project));
        let mut listed: Vec<ListedGeneration> = (configs.map_err(answered)?.into_iter())
            .filter_map(|config| {
                let labels = config.spec?.labels.unwrap_or_default();
                let (notes, number) = (notes_of(&labels), labels.get(NUMBER)?.parse().ok()?);
                Some(ListedGeneration { number, reference: config.id?, notes })
            })
            .collect();
        listed.sort_by_key(|listed| listed.number);
        Ok(KeptGenerations { listed, images: here?.images })
    }

    /// The record of a generation on the swarm; `None` when it is gone.
    ///
    /// # Errors
    /// When the manager refuses or is lost.
    pub async fn swarm_generation_record(&self, id: &str) -> Result<Option<String>, EngineError> {
        match self.docker.inspect_config(id).await {
            Ok(config) => {
                let data = config.spec.and_then(|spec| spec.data).unwrap_or_default();
                Ok(BASE64_STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(answered(error)),
        }
    }

    /// Keeps a generation of a project on the swarm: its number, what is noted with it, and its record.
    ///
    /// # Errors
    /// When the manager refuses, as where another run keeps one of this number, or is lost.
    pub async fn keep_swarm_generation(
        &self,
        project: &str,
        number: u32,
        notes: &BTreeMap<String, String>,
        record: &str,
    ) -> Result<(), EngineError> {
        let spec = ConfigSpec {
            name: Some(name(project, number)),
            labels: Some(labels_of(project, number, notes)),
            data: Some(BASE64_STANDARD.encode(record)),
            templating: None,
        };
        self.docker.create_config(spec).await.map_err(answered).map(drop)
    }

    /// Forgets a generation of the swarm, by id.
    ///
    /// # Errors
    /// When the manager refuses or is lost.
    pub async fn forget_swarm_generation(&self, id: &str) -> Result<(), EngineError> {
        match self.docker.delete_config(id).await {
            Err(error) if !is_not_found(&error) => Err(answered(error)),
            _ => Ok(()),
        }
    }
}

/// The name of the config: another one for each project and number, whatever the project is called.
fn name(project: &str, number: u32) -> String {
    let digest = Sha256::digest(project);
    let short: String = project.chars().take(LONGEST_NAME).collect();
    let short = short.trim_end_matches(['-', '_', '.']);
    format!("stackctl-generation-{short}-{:02x}{:02x}{:02x}-{number}", digest[0], digest[1], digest[2])
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn every_project_and_number_has_a_name_that_a_swarm_takes() {
        let long = "p".repeat(60);
        let names = [name("shop", 1), name("shop", 2), name(&long, u32::MAX), name(&format!("{long}x"), 1)];
        assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
        assert_ne!(
            names[2].rsplit_once('-').map(|(name, _)| name),
            names[3].rsplit_once('-').map(|(name, _)| name)
        );
    }
}
