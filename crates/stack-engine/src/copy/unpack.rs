//! An archive of a container as files of this machine.
//!
//! What a container says is not to be trusted: no entry is made outside of the directory it is
//! to go to, neither by `..`, nor by a link that an earlier entry has made.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tar::{Archive, Entry, EntryType};
use tokio::sync::mpsc;

use super::{CopyError, Landing, at};
use crate::engine::EngineError;
use crate::pieces::AHEAD;

/// What became of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, links and directories that were made.
    pub made: usize,
    /// Devices, pipes and the like, which are not made on this machine.
    pub left_out: Vec<PathBuf>,
}

/// Unpacks an archive in a directory of this machine. The first part of every name in it is
/// replaced by the name of the landing, or left out where it has none. `owners` says whether
/// files are given to the owners they have in the container.
///
/// # Errors
/// When the archive ends early or is broken, or something cannot be written; then the engine's
/// own error, if it is at fault.
pub async fn unpack(
    archive: impl Stream<Item = Result<Bytes, EngineError>>,
    landing: Landing,
    owners: bool,
) -> Result<Result<Unpacked, CopyError>, EngineError> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let unpacking = tokio::task::spawn_blocking(move || {
        let pieces = Pieces { receiver, piece: Bytes::new() };
        read(pieces, &landing, owners)
    });
    let mut archive = std::pin::pin!(archive);
    let mut lost = None;
    while let Some(piece) = archive.next().await {
        let (piece, last) = match piece {
            Ok(piece) => (Ok(piece), false),
            Err(error) => {
                lost = Some(error);
                (Err(io::Error::from(io::ErrorKind::ConnectionReset)), true)
            }
        };
        // It stops listening when it has failed, which is told below.
        if sender.send(piece).await.is_err() || last {
            break;
        }
    }
    drop(sender);
    let unpacked = unpacking.await.map_err(|error| EngineError::Lost(error.to_string()))?;
    match lost {
        Some(error) => Err(error),
        None => Ok(unpacked),
    }
}

fn read(source: impl Read, landing: &Landing, owners: bool) -> Result<Unpacked, CopyError> {
    let target = Path::new(&landing.directory);
    let mut archive = Archive::new(source);
    let mut unpacked = Unpacked::default();
    // A directory that nobody may write to gets its mode when all is in it.
    let mut directories = Vec::new();
    for entry in archive.entries().map_err(CopyError::Archive)? {
        let mut entry = entry.map_err(CopyError::Archive)?;
        let name = entry.path().map_err(CopyError::Archive)?.into_owned();
        let Some(path) = place(&name, landing)? else { continue };
        let path = inside(target, &path, &name)?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Directory => make_directory(&path)?,
            EntryType::Link => {
                let to = entry.link_name().map_err(CopyError::Archive)?.unwrap_or_default().into_owned();
                let to = place(&to, landing)?.unwrap_or_default();
                let to = inside(target, &to, &name)?;
                remove(&path)?;
                fs::hard_link(to, &path).map_err(at(&path))?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse | EntryType::Symlink => {
                remove(&path)?;
                entry.set_preserve_mtime(true);
                entry.unpack(&path).map_err(at(&path))?;
            }
            _ => {
                unpacked.left_out.push(name);
                continue;
            }
        }
        unpacked.made += 1;
        if owners && kind != EntryType::Link {
            give(&entry, &path)?;
        }
        if kind == EntryType::Directory {
            directories.push((path, entry.header().mode().ok(), entry.header().mtime().ok()));
        }
    }
    for (path, mode, time) in directories.into_iter().rev() {
        finish(&path, mode, time)?;
    }
    Ok(unpacked)
}

/// The path of an entry below the landing's directory; `None` for the directory itself.
fn place(name: &Path, landing: &Landing) -> Result<Option<PathBuf>, CopyError> {
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(CopyError::Escapes(name.display().to_string()));
            }
        }
    }
    // The contents of a directory come as `./…`: there is no first part to be replaced.
    let skipped = usize::from(!name.starts_with("."));
    let below = parts.into_iter().skip(skipped);
    let path: PathBuf = match &landing.name {
        Some(own) => std::iter::once(own.as_ref()).chain(below).collect(),
        None => below.collect(),
    };
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

/// The path below the directory, with what leads to it made; never by way of a link.
fn inside(directory: &Path, path: &Path, name: &Path) -> Result<PathBuf, CopyError> {
    let mut whole = directory.to_owned();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        whole.push(part);
        if parts.peek().is_none() {
            break;
        }
        match fs::symlink_metadata(&whole) {
            Ok(found) if found.is_dir() => {}
            Ok(found) if found.is_symlink() => return Err(CopyError::Escapes(name.display().to_string())),
            Ok(_) => return Err(CopyError::OverFile(whole.display().to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&whole).map_err(at(&whole))?;
            }
            Err(error) => return Err(at(&whole)(error)),
        }
    }
    Ok(whole)
}

/// Makes a directory, or keeps the one that is there.
fn make_directory(path: &Path) -> Result<(), CopyError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(CopyError::OverFile(path.display().to_string())),
        Err(_) => fs::create_dir(path).map_err(at(path)),
    }
}

/// Makes room for a file; a directory is not removed for one.
fn remove(path: &Path) -> Result<(), CopyError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let error = io::Error::other("a directory is there, which is not removed for a file");
            Err(at(path)(error))
        }
        Ok(_) => fs::remove_file(path).map_err(at(path)),
        Err(_) => Ok(()),
    }
}

#[cfg(unix)]
fn give(entry: &Entry<'_, impl Read>, path: &Path) -> Result<(), CopyError> {
    let id = |id: io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok());
    let (user, group) = (id(entry.header().uid()), id(entry.header().gid()));
    std::os::unix::fs::lchown(path, user, group).map_err(|_| CopyError::Owner(path.to_owned()))?;
    Ok(())
}

#[cfg(not(unix))]
fn give(_: &Entry<'_, impl Read>, path: &Path) -> Result<(), CopyError> {
    Err(CopyError::Owner(path.to_owned()))
}

/// Gives a directory the mode and the time that it has in the archive.
fn finish(path: &Path, mode: Option<u32>, seconds: Option<u64>) -> Result<(), CopyError> {
    if let Some(seconds) = seconds {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        // A time that cannot be set is no reason to fail.
        let _ = fs::File::open(path).and_then(|directory| directory.set_modified(time));
    }
    #[cfg(unix)]
    if let Some(mode) = mode {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777)).map_err(at(path))?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    Ok(())
}

/// Reads what comes in pieces.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece[..length]);
        self.piece.advance(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of raw names, which a builder would refuse.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            let linked = matches!(kind, EntryType::Symlink | EntryType::Link);
            if linked {
                header.set_link_name_literal(content).expect("a link name");
            }
            let body = if linked { "" } else { content };
            header.set_size(body.len() as u64);
            header.set_cksum();
            builder.append(&header, body.as_bytes()).expect("an entry");
        }
        builder.into_inner().expect("an archive")
    }

    fn landing(folder: &Path, name: Option<&str>) -> Landing {
        Landing { directory: folder.display().to_string(), name: name.map(str::to_owned) }
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn a_directory_lands_under_its_new_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = archive(&[
            ("d", EntryType::Directory, ""),
            ("d/a", FILE, "1"),
            ("d/sub/b", FILE, "2"),
            ("d/l", EntryType::Symlink, "a"),
            ("d/h", EntryType::Link, "d/a"),
            ("d/pipe", EntryType::Fifo, ""),
        ]);
        let unpacked = read(bytes.as_slice(), &landing(folder.path(), Some("new")), false).expect("unpacked");
        assert_eq!(unpacked.made, 5);
        assert_eq!(unpacked.left_out, [PathBuf::from("d/pipe")]);
        let content = |path: &str| fs::read_to_string(folder.path().join(path)).expect(path);
        assert_eq!((content("new/a"), content("new/sub/b")), ("1".to_owned(), "2".to_owned()));
        assert_eq!((content("new/l"), content("new/h")), ("1".to_owned(), "1".to_owned()));
    }

    #[test]
    fn contents_land_beside_what_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("mine"), "0").expect("written");
        let bytes = archive(&[("./", EntryType::Directory, ""), ("./a", FILE, "1"), ("./b/c", FILE, "2")]);
        read(bytes.as_slice(), &landing(folder.path(), None), false).expect("unpacked");
        for (path, content) in [("mine", "0"), ("a", "1"), ("b/c", "2")] {
            assert_eq!(fs::read_to_string(folder.path().join(path)).expect(path), content);
        }
    }

    #[test]
    fn nothing_is_made_outside_of_the_destination() {
        let around = tempfile::tempdir().expect("a folder");
        let folder = around.path().join("in");
        fs::create_dir(&folder).expect("made");
        let outside = around.path().join("out");
        fs::create_dir(&outside).expect("made");
        let out = outside.display().to_string();
        for entries in [
            &[("d/../../out/evil", FILE, "1")][..],
            &[("../out/evil", FILE, "1")][..],
            &[("d/l", EntryType::Symlink, out.as_str()), ("d/l/evil", FILE, "1")][..],
            &[("d/l", EntryType::Symlink, "../../out"), ("d/l/evil/x", FILE, "1")][..],
            &[("d/h", EntryType::Link, "../out/secret")][..],
        ] {
            let bytes = archive(entries);
            let error = read(bytes.as_slice(), &landing(&folder, Some("d")), false).expect_err("an escape");
            assert!(matches!(error, CopyError::Escapes(_)), "{error}");
            assert_eq!(fs::read_dir(&outside).expect("read").count(), 0);
            let _ = fs::remove_dir_all(folder.join("d"));
        }
        // An absolute name is one below the destination.
        let bytes = archive(&[("/etc/evil", FILE, "1")]);
        read(bytes.as_slice(), &landing(&folder, Some("etc")), false).expect("unpacked");
        assert!(folder.join("etc/evil").is_file() || folder.join("etc/etc/evil").is_file());
        assert!(!Path::new("/etc/evil").exists());
    }

    #[test]
    fn a_link_that_is_there_is_replaced_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("mine"), "0").expect("written");
        #[cfg(unix)]
        std::os::unix::fs::symlink("mine", folder.path().join("f")).expect("linked");
        read(archive(&[("f", FILE, "1")]).as_slice(), &landing(folder.path(), Some("f")), false)
            .expect("unpacked");
        assert_eq!(fs::read_to_string(folder.path().join("mine")).expect("read"), "0");
        assert_eq!(fs::read_to_string(folder.path().join("f")).expect("read"), "1");
    }
}
