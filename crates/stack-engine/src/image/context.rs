//! The context of a build, as one stream.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::image::ignore::{Ignore, IgnoreError};
use crate::pieces::{self, Pieces};

/// A Dockerfile or `.dockerignore` is never larger than this, bytes.
const LARGEST_TEXT: u64 = 4 << 20;

/// What is sent to the engine for a build.
#[derive(Debug)]
pub struct Context {
    directory: PathBuf,
    ignore: Ignore,
    /// The Dockerfile's path within what is sent.
    dockerfile: String,
    /// A Dockerfile that is not in the directory, or nowhere but in the stack file.
    added: Option<String>,
}

/// A file or directory of a context.
pub(super) struct Entry {
    /// Its path within the context, with `/` between its parts.
    pub(super) path: String,
    /// What it was when it was listed.
    pub(super) metadata: fs::Metadata,
}

/// Why a context cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The directory is not there.
    #[error("the build context {} is not a directory", .0.display())]
    NoDirectory(PathBuf),
    /// The Dockerfile is not there.
    #[error("there is no Dockerfile at {}", .0.display())]
    NoDockerfile(PathBuf),
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not any more what it was when the engine was told of it.
    #[error("{} was changed while it was read", .0.display())]
    Changed(PathBuf),
    /// A `.dockerignore` has a line that is no pattern.
    #[error("{}, {error}", path.display())]
    Ignore {
        /// The file.
        path: PathBuf,
        /// Where in it, and what.
        error: IgnoreError,
    },
}

impl Context {
    /// Looks at a context: `dockerfile` is relative to `directory` or absolute, `inline` is the
    /// text of one that stands in the stack file.
    ///
    /// # Errors
    /// When the directory, the Dockerfile or the `.dockerignore` cannot be used.
    pub fn open(
        directory: &Path,
        dockerfile: Option<&str>,
        inline: Option<&str>,
    ) -> Result<Self, ContextError> {
        if !directory.is_dir() {
            return Err(ContextError::NoDirectory(directory.to_owned()));
        }
        let (dockerfile, added, own_ignore) = match inline {
            Some(text) => (String::new(), Some(text.to_owned()), None),
            None => {
                let path = directory.join(dockerfile.unwrap_or("Dockerfile"));
                if !path.is_file() {
                    return Err(ContextError::NoDockerfile(path));
                }
                let mut ignore = path.clone().into_os_string();
                ignore.push(".dockerignore");
                match within(directory, &path) {
                    Some(inside) => (inside, None, Some(PathBuf::from(ignore))),
                    None => (String::new(), Some(read(&path)?), Some(PathBuf::from(ignore))),
                }
            }
        };
        let places = own_ignore.into_iter().chain([directory.join(".dockerignore")]);
        let ignore = match places.into_iter().find(|place| place.is_file()) {
            Some(path) => {
                Ignore::read(&read(&path)?).map_err(|error| ContextError::Ignore { path, error })?
            }
            None => Ignore::default(),
        };
        // The name depends on the content alone, so that the layer cache of a `COPY .` holds.
        let dockerfile = match &added {
            Some(text) => {
                let digest = Sha256::digest(text);
                let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
                format!(".dockerfile.{hex}")
            }
            None => dockerfile,
        };
        Ok(Self { directory: directory.to_owned(), ignore, dockerfile, added })
    }

    /// A further folder of a build, which has no Dockerfile.
    ///
    /// # Errors
    /// When the directory or its `.dockerignore` cannot be used.
    pub fn folder(directory: &Path) -> Result<Self, ContextError> {
        Self::open(directory, None, Some(""))
    }

    /// What is left out of it.
    pub(crate) fn into_ignore(self) -> Ignore {
        self.ignore
    }

    /// The directory that is sent.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The text of the Dockerfile.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn dockerfile_text(&self) -> Result<String, ContextError> {
        match &self.added {
            Some(text) => Ok(text.clone()),
            None => read(&self.directory.join(&self.dockerfile)),
        }
    }

    /// The Dockerfile's path within what is sent.
    #[must_use]
    pub fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// Sends the context as a tar: sorted by name, owned by root, the times and modes of the files.
    ///
    /// It is read in another thread, never more than a few pieces ahead of the receiver;
    /// when that is dropped the reading ends.
    #[must_use]
    pub fn send(self) -> mpsc::Receiver<Result<Bytes, ContextError>> {
        pieces::stream(move |pieces| {
            let mut tar = tar::Builder::new(pieces);
            tar.follow_symlinks(false);
            self.write(&mut tar)?;
            let mut pieces = tar.into_inner().map_err(|error| self.unreadable(Path::new(""), error))?;
            pieces.flush().map_err(|error| self.unreadable(Path::new(""), error))
        })
    }

    fn unreadable(&self, path: &Path, error: io::Error) -> ContextError {
        ContextError::Unreadable { path: self.directory.join(path), error }
    }

    fn write(&self, tar: &mut tar::Builder<Pieces<ContextError>>) -> Result<(), ContextError> {
        if let Some(text) = &self.added {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            tar.append_data(&mut header, &self.dockerfile, text.as_bytes())
                .map_err(|error| self.unreadable(Path::new(&self.dockerfile), error))?;
        }
        self.list(true)?.iter().try_for_each(|entry| self.entry(tar, &entry.path, &entry.metadata))
    }

    /// What is sent, sorted by name, each directory before what is in it. The Dockerfile and
    /// `.dockerignore` are `kept` although they are left out where the builder finds them nowhere else.
    pub(super) fn list(&self, kept: bool) -> Result<Vec<Entry>, ContextError> {
        let mut entries = Vec::new();
        self.directory_entries(kept, &mut entries, String::new(), &mut Vec::new())?;
        Ok(entries)
    }

    /// Lists what is below a directory. `above` are the directories that are left out themselves,
    /// to be listed as soon as something below them is kept.
    fn directory_entries(
        &self,
        kept: bool,
        entries: &mut Vec<Entry>,
        directory: String,
        above: &mut Vec<Option<Entry>>,
    ) -> Result<(), ContextError> {
        let full = self.directory.join(&directory);
        let mut names = Vec::new();
        for entry in fs::read_dir(&full).map_err(|error| self.unreadable(Path::new(&directory), error))? {
            let entry = entry.map_err(|error| self.unreadable(Path::new(&directory), error))?;
            names.push(entry.file_name());
        }
        names.sort();
        for name in names {
            let Some(name) = name.to_str() else {
                return Err(self.unreadable(
                    &Path::new(&directory).join(&name),
                    io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8"),
                ));
            };
            let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            let metadata = fs::symlink_metadata(self.directory.join(&path))
                .map_err(|error| self.unreadable(Path::new(&path), error))?;
            let always = kept && (path == self.dockerfile || path == ".dockerignore");
            let out = self.ignore.leaves_out(&path) && !always;
            if metadata.is_dir() {
                let holds_dockerfile = kept && self.dockerfile.starts_with(&format!("{path}/"));
                if out && !holds_dockerfile && !self.ignore.may_keep_below(&path) {
                    continue;
                }
                above.push(Some(Entry { path: path.clone(), metadata }));
                if !out {
                    entries.extend(above.iter_mut().filter_map(Option::take));
                }
                self.directory_entries(kept, entries, path, above)?;
                above.pop();
            } else if !out {
                entries.extend(above.iter_mut().filter_map(Option::take));
                entries.push(Entry { path, metadata });
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        tar: &mut tar::Builder<Pieces<ContextError>>,
        path: &str,
        metadata: &fs::Metadata,
    ) -> Result<(), ContextError> {
        let full = self.directory.join(path);
        let failed = |error| self.unreadable(Path::new(path), error);
        let mut header = tar::Header::new_gnu();
        header.set_metadata_in_mode(metadata, tar::HeaderMode::Complete);
        header.set_uid(0);
        header.set_gid(0);
        if metadata.is_symlink() {
            let target = fs::read_link(&full).map_err(failed)?;
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            return tar.append_link(&mut header, path, target).map_err(failed);
        }
        if metadata.is_dir() {
            header.set_size(0);
            return tar.append_data(&mut header, path, io::empty()).map_err(failed);
        }
        // Sockets and pipes are nothing that could be copied.
        if !metadata.is_file() {
            return Ok(());
        }
        let mut file = File::open(&full).map_err(failed)?;
        // A file that grows meanwhile must not spoil what comes after it, nor one that shrinks.
        let reader = (&mut file).take(metadata.len()).chain(io::repeat(0)).take(metadata.len());
        tar.append_data(&mut header, path, reader).map_err(failed)?;
        let now = file.metadata().map_err(failed)?;
        if now.len() != metadata.len() || now.modified().ok() != metadata.modified().ok() {
            return Err(ContextError::Changed(full));
        }
        Ok(())
    }
}

/// The path within the directory, with `/` between its parts, if it is inside.
fn within(directory: &Path, path: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let parent = path.parent()?.canonicalize().ok()?;
    let inside = parent.join(path.file_name()?);
    Some(inside.strip_prefix(directory).ok()?.to_str()?.replace('\\', "/"))
}

pub(super) fn read(path: &Path) -> Result<String, ContextError> {
    let unreadable = |error| ContextError::Unreadable { path: path.to_owned(), error };
    let mut text = String::new();
    File::open(path).map_err(unreadable)?.take(LARGEST_TEXT).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn names(context: Context) -> Vec<String> {
        let mut receiver = context.send();
        let mut bytes = Vec::new();
        while let Some(piece) = receiver.recv().await {
            bytes.extend_from_slice(&piece.expect("a piece"));
        }
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().expect("a tar");
        entries.map(|entry| entry.expect("an entry").path().expect("a path").display().to_string()).collect()
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        folder
    }

    #[tokio::test]
    async fn what_is_ignored_is_not_sent_and_the_dockerfile_always_is() {
        let folder = folder(&[
            (".dockerignore", "*\n!src/**/*.rs\n"),
            ("docker/Dockerfile", "FROM scratch"),
            ("src/deep/a.rs", ""),
            ("src/b.c", ""),
            ("target/x", ""),
        ]);
        let context = Context::open(folder.path(), Some("docker/Dockerfile"), None).expect("a context");
        assert_eq!(context.dockerfile(), "docker/Dockerfile");
        assert_eq!(
            names(context).await,
            [".dockerignore", "docker/", "docker/Dockerfile", "src/", "src/deep/", "src/deep/a.rs"]
                .map(|name| name.trim_end_matches('/'))
        );
    }

    #[tokio::test]
    async fn a_dockerfile_has_an_ignore_file_of_its_own() {
        let folder = folder(&[
            (".dockerignore", "a"),
            ("Dockerfile", "FROM scratch"),
            ("Dockerfile.dockerignore", "b"),
            ("a", ""),
            ("b", ""),
        ]);
        let names = names(Context::open(folder.path(), None, None).expect("a context")).await;
        assert!(names.contains(&"a".to_owned()) && !names.contains(&"b".to_owned()), "{names:?}");
    }

    #[tokio::test]
    async fn a_dockerfile_from_elsewhere_is_added_under_a_name_of_its_content() {
        let context_folder = folder(&[("a", "")]);
        let elsewhere = folder(&[("Other", "FROM scratch")]);
        let path = elsewhere.path().join("Other").display().to_string();
        let context = Context::open(context_folder.path(), Some(&path), None).expect("a context");
        let name = context.dockerfile().to_owned();
        assert!(name.starts_with(".dockerfile."));
        let inline = Context::open(context_folder.path(), None, Some("FROM scratch")).expect("a context");
        assert_eq!(inline.dockerfile(), name);
        assert_eq!(names(context).await, [name.as_str(), "a"]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let folder = folder(&[("a", "")]);
        let error = Context::open(&folder.path().join("b"), None, None).expect_err("no directory");
        assert!(error.to_string().ends_with("b is not a directory"), "{error}");
        let error = Context::open(folder.path(), None, None).expect_err("no Dockerfile");
        assert!(error.to_string().starts_with("there is no Dockerfile at"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_changes_while_it_is_read_is_an_error_that_names_it() {
        let folder =
            folder(&[("Dockerfile", "FROM scratch"), ("big", &"x".repeat(pieces::SIZE * 2 * pieces::AHEAD))]);
        let mut receiver = Context::open(folder.path(), None, None).expect("a context").send();
        assert!(receiver.recv().await.is_some_and(|piece| piece.is_ok()));
        // The reader is far from the end of it: only a few pieces wait.
        let big = folder.path().join("big");
        let mut grown = fs::OpenOptions::new().append(true).open(&big).expect("the file");
        io::Write::write_all(&mut grown, b"more").expect("written");
        let mut last = None;
        while let Some(piece) = receiver.recv().await {
            last = Some(piece);
        }
        let error = last.expect("an end").expect_err("the file has changed");
        assert_eq!(error.to_string(), format!("{} was changed while it was read", big.display()));
    }

    #[tokio::test]
    async fn dropping_the_receiver_ends_the_reading() {
        let folder =
            folder(&[("Dockerfile", "FROM scratch"), ("big", &"x".repeat(pieces::SIZE * 2 * pieces::AHEAD))]);
        let mut receiver = Context::open(folder.path(), None, None).expect("a context").send();
        assert!(receiver.recv().await.is_some());
        drop(receiver);
    }
}
