//! Puts configs and secrets into a container, as an archive that never touches a disk of ours.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use bollard::body_full;
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use stack_plan::desired::{FileContent, FileSpec};

use crate::docker::{DockerEngine, answered};
use crate::engine::EngineError;
use crate::image::credentials;

/// Puts `files` below `directory`, each with its owner and permission bits. Directories that
/// are missing are made by the engine.
pub(super) async fn upload(
    engine: &DockerEngine,
    id: &str,
    directory: &str,
    files: &[impl AsRef<FileSpec>],
) -> Result<(), EngineError> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let file = file.as_ref();
        let credentials;
        let content = match &file.content {
            FileContent::Inline(content) | FileContent::File { content: Ok(content), .. } => content.bytes(),
            FileContent::File { content: Err(why), .. } => {
                // The planner has told it; a plan made by other means must not run without it.
                return Err(EngineError::Unsupported(format!(
                    "the {} {} cannot be copied: {why}",
                    file.kind.word(),
                    file.key
                )));
            }
            FileContent::Credentials => {
                credentials = credentials::config_json().await?;
                credentials.as_slice()
            }
        };
        add(&mut archive, directory, file, content).map_err(|error| unpackable(file, &error))?;
    }
    let bytes = archive.into_inner().map_err(|error| EngineError::Unsupported(error.to_string()))?;
    // Owners are those of the archive: `copyUIDGID` would make them the container's user.
    let options = UploadToContainerOptionsBuilder::new().path(directory).no_overwrite_dir_non_dir("true");
    let body = body_full(bytes.into());
    engine.docker.upload_to_container(id, Some(options.build()), body).await.map_err(answered)
}

fn add(
    archive: &mut tar::Builder<Vec<u8>>,
    directory: &str,
    file: &FileSpec,
    content: &[u8],
) -> io::Result<()> {
    let target = Path::new(&file.target);
    let name = target.strip_prefix(directory).or_else(|_| target.strip_prefix("/")).unwrap_or(target);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_uid(file.owner.0);
    header.set_gid(file.owner.1);
    header.set_mode(file.mode);
    header.set_mtime(now);
    archive.append_data(&mut header, name, content)
}

fn unpackable(file: &FileSpec, error: &io::Error) -> EngineError {
    EngineError::Unsupported(format!(
        "the {} {} cannot be put at {}: {error}",
        file.kind.word(),
        file.key,
        file.target
    ))
}
