//! Changed files on their way into a container.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tar::{Builder, EntryType, Header, HeaderMode};
use tokio::sync::mpsc;

use super::changes::{Change, Kind};
use crate::pieces;

/// What is to be different in a container: paths in it, absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// What is written, and from which path of this machine.
    written: BTreeMap<String, PathBuf>,
    /// Files and links that go.
    removed: Vec<String>,
    /// Directories that go, if nothing is left in them.
    emptied: Vec<String>,
}

impl Delivery {
    /// Adds a change of the file `path`, which is `target` in the container.
    pub fn add(&mut self, path: &Path, target: String, change: Change) {
        // What becomes something else has to go first.
        if change.now != change.was {
            match change.was {
                Some(Kind::File | Kind::Link) => self.removed.push(target.clone()),
                Some(Kind::Directory) => self.emptied.push(target.clone()),
                None => {}
            }
        }
        match change.now {
            Some(_) => drop(self.written.insert(target, path.to_owned())),
            None => drop(self.written.remove(&target)),
        }
    }

    /// Whether there is nothing to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty() && self.emptied.is_empty()
    }

    /// What is written, and from where.
    pub(crate) fn written(&self) -> &BTreeMap<String, PathBuf> {
        &self.written
    }

    /// The files and links that go.
    pub(crate) fn removed(&self) -> &[String] {
        &self.removed
    }

    /// The directories that go, if nothing is left in them, the deepest first.
    pub(crate) fn emptied(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.emptied.iter().map(String::as_str).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    }

    /// What is written, as an archive with names relative to `directory`. It is read in another
    /// thread; what has vanished meanwhile is left out.
    pub(crate) fn pack(&self, directory: &str) -> mpsc::Receiver<io::Result<Bytes>> {
        let name = |target: &str| {
            let name = target.strip_prefix(directory).unwrap_or(target);
            name.trim_start_matches('/').to_owned()
        };
        let written = self.written.iter().map(|(target, path)| (name(target), path.clone())).collect();
        pieces::stream(move |pieces| write(pieces, &written))
    }
}

/// Writes an archive of paths by their names in it.
fn write(out: impl Write, written: &BTreeMap<String, PathBuf>) -> io::Result<()> {
    let mut archive = Builder::new(out);
    for (target, path) in written {
        match append(&mut archive, target, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
            }
            Ok(()) => {}
        }
    }
    archive.into_inner()?.flush()
}

fn append(archive: &mut Builder<impl Write>, name: &str, path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let mut header = Header::new_gnu();
    header.set_metadata_in_mode(&metadata, HeaderMode::Complete);
    header.set_uid(0);
    header.set_gid(0);
    if metadata.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        return archive.append_link(&mut header, name, fs::read_link(path)?);
    }
    if metadata.is_dir() {
        header.set_size(0);
        return archive.append_data(&mut header, name, io::empty());
    }
    let file = File::open(path)?;
    // The archive must have what its header says, also of a file that grows or shrinks: that is a
    // change again, which is told of.
    let length = metadata.len();
    header.set_size(length);
    archive.append_data(&mut header, name, file.take(length).chain(io::repeat(0)).take(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_something_else_goes_first() {
        let mut delivery = Delivery::default();
        let (file, directory) = (Some(Kind::File), Some(Kind::Directory));
        delivery.add(Path::new("/here/a"), "/a".to_owned(), Change { was: file, now: file });
        delivery.add(Path::new("/here/b"), "/b".to_owned(), Change { was: file, now: directory });
        delivery.add(Path::new("/here/c"), "/c".to_owned(), Change { was: directory, now: None });
        delivery.add(Path::new("/here/c/d"), "/c/d".to_owned(), Change { was: directory, now: None });
        assert_eq!(delivery.written().keys().collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(delivery.removed(), ["/b"]);
        assert_eq!(delivery.emptied(), ["/c/d", "/c"]);
    }

    #[test]
    fn what_has_vanished_is_left_out_of_the_archive() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = folder.path().join("there");
        fs::write(&there, "text").expect("written");
        let written = BTreeMap::from([
            ("srv/gone".to_owned(), folder.path().join("gone")),
            ("srv/there".to_owned(), there),
        ]);
        let mut bytes = Vec::new();
        write(&mut bytes, &written).expect("an archive");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = (archive.entries().expect("entries"))
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect();
        assert_eq!(names, ["srv/there"]);
    }
}
