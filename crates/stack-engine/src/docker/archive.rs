//! Files of a container as archives, and a container as an image.

use bollard::query_parameters::{
    CommitContainerOptionsBuilder, ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptions, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};

use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::EngineError;

/// The engine's bits for the kind of a file.
const DIRECTORY: u32 = 1 << 31;
const SYMBOLIC_LINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const NAMED_PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const CHARACTER_DEVICE: u32 = 1 << 21;
const IRREGULAR: u32 = 1 << 19;

/// What stands at a path in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The last part of the path.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link to this path.
    Link(String),
    /// A device, a pipe or a socket.
    Other,
}

/// How an image is made of a container.
#[derive(Clone, Debug, Default)]
pub struct CommitSpec {
    /// The repository of the image; empty for an image without a name.
    pub repository: String,
    /// The tag; empty is `latest` where there is a repository.
    pub tag: String,
    /// What changed.
    pub comment: String,
    /// Who did it.
    pub author: String,
    /// Lines of a Dockerfile that are applied.
    pub changes: Vec<String>,
    /// Whether the container is frozen meanwhile.
    pub pause: bool,
}

impl DockerEngine {
    /// What stands at a path in a container; `None` where nothing does.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn stat(&self, container: &str, path: &str) -> Result<Option<Stat>, EngineError> {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let found = match self.docker.get_container_archive_info(container, Some(options)).await {
            Ok(found) => found,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(answered(error)),
        };
        let is = |bits: u32| found.file_mode & bits != 0;
        let kind = if is(DIRECTORY) {
            FileKind::Directory
        } else if is(SYMBOLIC_LINK) {
            FileKind::Link(found.link_target)
        } else if is(DEVICE | NAMED_PIPE | SOCKET | CHARACTER_DEVICE | IRREGULAR) {
            FileKind::Other
        } else {
            FileKind::File
        };
        Ok(Some(Stat { name: found.name, kind }))
    }

    /// What stands at a path in a container, as a tar archive.
    pub fn read_archive(
        &self,
        container: &str,
        path: &str,
    ) -> impl Stream<Item = Result<Bytes, EngineError>> + use<> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        self.docker.download_from_container(container, Some(options)).map_err(answered)
    }

    /// Unpacks a tar archive in a directory of a container. `own` gives what is unpacked to the
    /// container's user. A directory never becomes a file, nor a file a directory.
    ///
    /// # Errors
    /// When there is no such directory, or the engine refuses.
    pub async fn write_archive(
        &self,
        container: &str,
        directory: &str,
        own: bool,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let mut options =
            UploadToContainerOptionsBuilder::new().path(directory).no_overwrite_dir_non_dir("true");
        if own {
            options = options.copy_uidgid("true");
        }
        self.docker
            .upload_to_container(container, Some(options.build()), bollard::body_try_stream(archive))
            .await
            .map_err(answered)
    }

    /// The whole file system of a container, as a tar archive.
    pub fn export(&self, container: &str) -> impl Stream<Item = Result<Bytes, EngineError>> + use<> {
        self.docker.export_container(container).map_err(answered)
    }

    /// Makes an image of a container, and returns its id.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn commit(&self, container: &str, spec: &CommitSpec) -> Result<String, EngineError> {
        let look = self
            .docker
            .inspect_container(container, None::<InspectContainerOptions>)
            .await
            .map_err(answered)?;
        let mut options = CommitContainerOptionsBuilder::new().container(container).pause(spec.pause);
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        if let Some(repository) = filled(&spec.repository) {
            options = options.repo(&repository);
        }
        if let Some(tag) = filled(&spec.tag) {
            options = options.tag(&tag);
        }
        if let Some(comment) = filled(&spec.comment) {
            options = options.comment(&comment);
        }
        if let Some(author) = filled(&spec.author) {
            options = options.author(&author);
        }
        if !spec.changes.is_empty() {
            options = options.changes(&spec.changes.join("\n"));
        }
        // An empty setting would be taken for one that is meant, and some would be lost.
        let config = look.config.unwrap_or_default();
        Ok(self.docker.commit_container(options.build(), config).await.map_err(answered)?.id)
    }
}
