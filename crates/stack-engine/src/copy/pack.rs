//! Files of this machine as an archive.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tar::Builder;
use tokio::sync::mpsc;

use super::{CopyError, at};
use crate::pieces;

/// Writes a file, or a directory with all in it, into an archive: the whole of it under `name`,
/// or what is in a directory under its own names where there is none. Owners, modes, times and
/// links are kept; sockets are left out.
///
/// It is read in another thread, never more than a few pieces ahead of the receiver; an error is
/// the last thing that comes.
#[must_use]
pub fn pack(path: PathBuf, name: Option<String>) -> mpsc::Receiver<Result<Bytes, CopyError>> {
    pieces::stream(move |pieces| write(pieces, &path, name.as_deref()))
}

fn write(out: impl Write, path: &Path, name: Option<&str>) -> Result<(), CopyError> {
    let mut archive = Builder::new(out);
    archive.follow_symlinks(false);
    let mut open = vec![(path.to_owned(), PathBuf::from(name.unwrap_or_default()))];
    while let Some((path, name)) = open.pop() {
        if !name.as_os_str().is_empty() {
            archive.append_path_with_name(&path, &name).map_err(at(&path))?;
        }
        if fs::symlink_metadata(&path).map_err(at(&path))?.is_dir() {
            let mut below = Vec::new();
            for entry in fs::read_dir(&path).map_err(at(&path))? {
                let entry = entry.map_err(at(&path))?;
                below.push((entry.path(), name.join(entry.file_name())));
            }
            // The last is taken first.
            below.sort_by(|a, b| b.cmp(a));
            open.extend(below);
        }
    }
    let mut out = archive.into_inner().map_err(at(path))?;
    out.flush().map_err(at(path))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn names(path: &Path, name: Option<&str>) -> Vec<String> {
        let mut bytes = Vec::new();
        write(&mut bytes, path, name).expect("an archive");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().expect("entries");
        entries
            .map(|entry| {
                let entry = entry.expect("an entry");
                format!("{:?} {}", entry.header().entry_type(), entry.path().expect("a path").display())
            })
            .collect()
    }

    #[test]
    fn a_directory_is_packed_whole_or_by_what_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("b")).expect("made");
        fs::write(tree.join("a"), "1").expect("written");
        fs::write(tree.join("b/c"), "2").expect("written");
        #[cfg(unix)]
        std::os::unix::fs::symlink("/nowhere", tree.join("link")).expect("linked");
        assert_eq!(
            names(&tree, Some("x")),
            ["Directory x", "Regular x/a", "Directory x/b", "Regular x/b/c", "Symlink x/link"]
        );
        assert_eq!(names(&tree, None), ["Regular a", "Directory b", "Regular b/c", "Symlink link"]);
        assert_eq!(names(&tree.join("a"), Some("y")), ["Regular y"]);
    }

    #[test]
    fn what_is_not_there_is_told_with_its_path() {
        let error = write(io::sink(), Path::new("/nowhere/at/all"), Some("x")).expect_err("an error");
        assert!(error.to_string().starts_with("/nowhere/at/all: "), "{error}");
    }
}
