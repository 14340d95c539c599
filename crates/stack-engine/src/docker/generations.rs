//! The generations of a project, kept on the engine: each as an image without layers, whose
//! labels say what it is and whose command is the record.
//!
//! An image is listed with its labels by one call, outlives the containers of its project and
//! `docker image prune`, and takes neither a subnet nor space. See decision 23.

use std::collections::{BTreeMap, HashMap};

use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::EngineError;

/// The label that has the number of a generation.
pub(in crate::docker) const NUMBER: &str = "stackctl.generation";
/// The label that has the project of a generation.
pub(in crate::docker) const PROJECT: &str = "stackctl.generation.project";

/// A generation as the engine lists it, without its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGeneration {
    /// Its number within the project, from 1.
    pub number: u32,
    /// The engine's name of it.
    pub reference: String,
    /// What was noted with it, by name.
    pub notes: BTreeMap<String, String>,
}

/// What the engine keeps of the generations of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptGenerations {
    /// The generations, the oldest first.
    pub listed: Vec<ListedGeneration>,
    /// The names by which it keeps images that only a generation needs, with its number.
    pub images: Vec<(u32, String)>,
}

/// What the names of all that is kept for generations begin with.
const MARK: &str = "stackctl-generation-";

/// The repository in which generations of a project have their names.
fn repository(project: &str) -> String {
    format!("{MARK}{project}")
}

/// Whether a name of an image only keeps it for a generation.
pub(in crate::docker) fn is_mark(reference: &str) -> bool {
    reference.starts_with(MARK)
}

/// The labels of a generation: whose it is, its number, and what is noted with it.
pub(in crate::docker) fn labels_of(
    project: &str,
    number: u32,
    notes: &BTreeMap<String, String>,
) -> HashMap<String, String> {
    let notes = notes.iter().map(|(name, text)| (format!("{NUMBER}.{name}"), text.clone()));
    let own = [(NUMBER.to_owned(), number.to_string()), (PROJECT.to_owned(), project.to_owned())];
    notes.chain(own).collect()
}

/// What is noted with a generation, from its labels.
pub(in crate::docker) fn notes_of(labels: &HashMap<String, String>) -> BTreeMap<String, String> {
    let notes = labels.iter().filter_map(|(key, value)| {
        Some((key.strip_prefix(NUMBER)?.strip_prefix('.')?.to_owned(), value.clone()))
    });
    notes.collect()
}

impl DockerEngine {
    /// The generations of a project.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn generations(&self, project: &str) -> Result<KeptGenerations, EngineError> {
        let repository = repository(project);
        let filters = HashMap::from([("reference", vec![repository.clone()])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let images = self.docker.list_images(Some(options)).await.map_err(answered)?;
        let mut kept = KeptGenerations::default();
        for image in images {
            let own = |name: &str| -> Option<String> {
                // Some engines list names with the registry that is meant anyway.
                let short = name.strip_prefix("docker.io/library/").unwrap_or(name);
                Some(short.strip_prefix(&repository)?.strip_prefix(':')?.to_owned())
            };
            for name in &image.repo_tags {
                let Some(tag) = own(name) else { continue };
                match image.labels.get(NUMBER).and_then(|number| number.parse().ok()) {
                    Some(number) if image.labels.get(PROJECT).is_some_and(|owner| owner == project) => {
                        let (reference, notes) = (name.clone(), notes_of(&image.labels));
                        kept.listed.push(ListedGeneration { number, reference, notes });
                    }
                    _ => {
                        let number = tag.split('.').next().and_then(|number| number.parse().ok());
                        kept.images.push((number.unwrap_or(0), name.clone()));
                    }
                }
            }
        }
        kept.listed.sort_by_key(|listed| listed.number);
        kept.images.sort();
        Ok(kept)
    }

    /// The record of a generation; `None` when it is gone.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn generation_record(&self, reference: &str) -> Result<Option<String>, EngineError> {
        match self.docker.inspect_image(reference).await {
            Ok(image) => Ok(image.config.and_then(|config| config.cmd).and_then(|mut words| words.pop())),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(answered(error)),
        }
    }

    /// Keeps a generation of a project: its number, what is noted with it, and its record.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn keep_generation(
        &self,
        project: &str,
        number: u32,
        notes: &BTreeMap<String, String>,
        record: &str,
    ) -> Result<(), EngineError> {
        // In order, so that the same generation is the same image.
        let labels: BTreeMap<_, _> = labels_of(project, number, notes).into_iter().collect();
        let made = notes.get("at").map_or("1970-01-01T00:00:00Z", String::as_str);
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "created": made,
            "config": { "Labels": labels, "Cmd": ["stackctl", "generation", record] },
            "rootfs": { "type": "layers", "diff_ids": [] },
            "history": [{ "created": made, "created_by": "stackctl", "empty_layer": true }],
        });
        let archive = archive(&config.to_string(), &format!("{}:{number}", repository(project)))
            .map_err(|error| EngineError::Unsupported(error.to_string()))?;
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let body = bollard::body_full(Bytes::from(archive));
        let said = self.docker.import_image(options, body, None);
        said.map(|line| line.map_err(answered)).try_for_each(|_| async { Ok(()) }).await
    }

    /// Keeps an image for a generation: it goes with it, and not before.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn keep_image(
        &self,
        project: &str,
        number: u32,
        service: &str,
        id: &str,
    ) -> Result<(), EngineError> {
        let tag = format!("{number}.{service}");
        let options = TagImageOptionsBuilder::new().repo(&repository(project)).tag(&tag).build();
        self.docker.tag_image(id, Some(options)).await.map_err(answered)
    }

    /// Forgets a generation, or an image that was kept for one, by the engine's name of it. `false` when
    /// the image keeps its name, because a container runs it.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn forget(&self, reference: &str) -> Result<bool, EngineError> {
        let options = RemoveImageOptionsBuilder::new().build();
        match self.docker.remove_image(reference, Some(options), None).await {
            Ok(_) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(true),
            Err(error) => match answered(error) {
                EngineError::Refused { status: 409, .. } => Ok(false),
                other => Err(other),
            },
        }
    }
}

/// The archive that an engine loads: an image without layers, and its name.
fn archive(config: &str, name: &str) -> std::io::Result<Vec<u8>> {
    let digest = Sha256::digest(config);
    let file: String = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + ".json";
    let manifest = json!([{ "Config": file, "RepoTags": [name], "Layers": [] }]).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in [(file.as_str(), config), ("manifest.json", manifest.as_str())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes())?;
    }
    archive.into_inner()
}

/// The architecture in the words of images. An engine of another one keeps the image all the same:
/// it is never run.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
