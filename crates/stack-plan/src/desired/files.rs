//! Configs and secrets as a service's containers get them.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stack_file::model::{Content, FileKind, FileObject, FileReference, FileSource, Service, Stack, Unread};
use stack_file::source::Origin;

use crate::fields::{Fields, digest_of};

/// The permission bits of a file for which none are asked: everybody may read it.
const MODE: u32 = 0o444;

/// Where a container that may use the engine finds the engine.
pub const SOCKET: &str = "/var/run/docker.sock";

/// The key of the credentials of a container that may use the engine, as docker compose has it.
pub(super) const CREDENTIALS: &str = "#apisocket";

/// The directory of the engine's settings in a container that may use the engine.
pub(super) const SOCKET_CONFIG: &str = "/run/secrets/docker";

/// A config or secret in a container.
#[derive(Clone, Debug)]
pub struct FileSpec {
    /// Which of both.
    pub kind: FileKind,
    /// The key under `configs` or `secrets`.
    pub key: String,
    /// The path in the container, absolute.
    pub target: String,
    /// The owner and the group, by number.
    pub owner: (u64, u64),
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: FileContent,
    /// Where the file asks for it.
    pub origin: Origin,
}

/// What is in a config or secret. It is never shown.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// What is in a file of this machine.
    File {
        /// The file, absolute.
        path: PathBuf,
        /// What is in it, or why that was not read.
        content: Result<Content, Unread>,
        /// Whether the container may see the file itself: nobody asks for an owner or permission bits.
        as_it_is: bool,
    },
    /// What a variable or the stack file itself says.
    Inline(Content),
    /// The credentials for registries that this user has, in the form of docker's `config.json`.
    Credentials,
}

impl FileSpec {
    /// The file of this machine that the container is to see itself; `None` for one that is copied.
    /// A `remote` engine cannot see files of this machine.
    #[must_use]
    pub fn bound(&self, remote: bool) -> Option<&PathBuf> {
        match &self.content {
            FileContent::File { path, as_it_is: true, .. } if !remote => Some(path),
            _ => None,
        }
    }

    /// Why it cannot be copied.
    #[must_use]
    pub fn unread(&self) -> Option<Unread> {
        match &self.content {
            FileContent::File { content, .. } => content.as_ref().err().copied(),
            _ => None,
        }
    }
}

/// The configs and secrets of a service's containers, the last one of each target.
pub(super) fn files(stack: &Stack, service: &Service) -> Vec<Arc<FileSpec>> {
    let user = numeric(service.user.as_ref().map(|user| user.value.as_str()));
    let mut files: Vec<Arc<FileSpec>> = Vec::new();
    for reference in &service.files {
        let Some(object) = declared(stack, reference) else { continue };
        let Some(content) = content(reference, object) else { continue };
        let number = |text: &str| text.parse::<u32>().map_or(0, u64::from);
        files.retain(|other| other.target != reference.target);
        files.push(Arc::new(FileSpec {
            kind: reference.kind,
            key: reference.source.clone(),
            target: reference.target.clone(),
            owner: (
                reference.uid.as_ref().map_or(user.0, |uid| number(uid)),
                reference.gid.as_ref().map_or(user.1, |gid| number(gid)),
            ),
            mode: reference.mode.unwrap_or(MODE),
            content,
            origin: reference.origin.clone(),
        }));
    }
    if service.use_api_socket {
        let written = stack.written_service(&service.name).and_then(|own| own.get("use_api_socket"));
        let place = written.map_or(&service.name.origin, |node| &node.origin);
        files.push(Arc::new(FileSpec {
            kind: FileKind::Config,
            key: CREDENTIALS.to_owned(),
            target: format!("{SOCKET_CONFIG}/config.json"),
            owner: user,
            mode: MODE,
            content: FileContent::Credentials,
            origin: place.clone(),
        }));
    }
    files
}

/// Notes a digest of what is in each config and secret, so that a change of it shows.
pub(super) fn note(stack: &Stack, service: &Service, fields: &mut Fields) {
    for reference in &service.files {
        let Some(object) = declared(stack, reference) else { continue };
        let value = match &object.source {
            FileSource::External | FileSource::Inline(None) => continue,
            FileSource::File { content: Err(why), .. } => format!("({why})"),
            FileSource::File { content: Ok(content), .. } | FileSource::Inline(Some(content)) => {
                // The same content under another name, or in another project, has another digest.
                let mut digest = Sha256::new();
                for part in [stack.name.as_str(), reference.kind.attribute(), &reference.source] {
                    digest.update(part);
                    digest.update([0]);
                }
                digest.update(content.bytes());
                digest_of(&digest.finalize())
            }
        };
        fields.insert_as_is(
            &format!("{}.{}", reference.kind.attribute(), reference.source),
            value,
            &reference.origin,
        );
    }
}

fn declared<'a>(stack: &'a Stack, reference: &FileReference) -> Option<&'a FileObject> {
    match reference.kind {
        FileKind::Config => stack.configs.get(&reference.source),
        FileKind::Secret => stack.secrets.get(&reference.source),
    }
}

/// `None` for what the load has told already: somebody else's, or a variable that is not set.
fn content(reference: &FileReference, object: &FileObject) -> Option<FileContent> {
    match &object.source {
        FileSource::External | FileSource::Inline(None) => None,
        FileSource::Inline(Some(content)) => Some(FileContent::Inline(content.clone())),
        FileSource::File { path, content } => Some(FileContent::File {
            path: path.clone(),
            content: content.clone(),
            as_it_is: reference.uid.is_none() && reference.gid.is_none() && reference.mode.is_none(),
        }),
    }
}

/// The user and the group of `1000` or `1000:1000`. What has a name is known only in the
/// container: root then has the file.
fn numeric(user: Option<&str>) -> (u64, u64) {
    let user = user.unwrap_or_default();
    let (user, group) = user.split_once(':').unwrap_or((user, ""));
    let number = |text: &str| text.parse::<u32>().map(u64::from).ok();
    (number(user).unwrap_or(0), number(group).unwrap_or(0))
}
