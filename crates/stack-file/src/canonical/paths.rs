//! Paths of this machine, and what only looks like one.

use std::path::{Component, Path, PathBuf};

use super::{Reader, text};
use crate::short_syntax::Fault;
use crate::tree::{Kind, Node};

/// What the paths of a file are relative to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a> {
    /// The project directory, absolute.
    pub(crate) directory: &'a Path,
    /// What `~` stands for.
    pub(crate) home: Option<&'a str>,
}

impl Reader<'_> {
    /// Makes the paths of keys and sockets absolute; an agent has none.
    pub(super) fn keys(&self, node: &mut Node) -> Result<(), Fault> {
        let Kind::Mapping(entries) = &mut node.kind else { return Ok(()) };
        for entry in entries.values_mut().filter(|entry| !entry.node.is_null()) {
            self.absolute(&mut entry.node)?;
        }
        Ok(())
    }

    /// Makes a directory absolute; what is elsewhere, or another service's image, stays.
    pub(super) fn context(&self, node: &mut Node) -> Result<(), Fault> {
        let context = text(node);
        if context.starts_with("service:") || is_remote(context) { Ok(()) } else { self.absolute(node) }
    }

    pub(super) fn absolute(&self, node: &mut Node) -> Result<(), Fault> {
        let path = absolute(text(node), self.base)?;
        *node = Node::string(path, node.origin.clone());
        Ok(())
    }

    /// Makes the source of a bind mount absolute.
    pub(super) fn bind(&self, node: &mut Node) -> Result<(), Fault> {
        if node.get("type").map(text) == Some("bind")
            && let Kind::Mapping(entries) = &mut node.kind
            && let Some(source) = entries.get_mut("source")
        {
            self.absolute(&mut source.node)?;
        }
        Ok(())
    }
}

/// A path against the base, without `.` and `..`; one that is absolute stays as written,
/// and so does any path below an empty base.
pub(crate) fn absolute(path: &str, base: Base<'_>) -> Result<String, Fault> {
    if base.directory.as_os_str().is_empty() {
        return Ok(path.to_owned());
    }
    let path = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = base.home.ok_or_else(|| {
                Fault::new("`~` is not known: HOME is not set", "write the whole path, or set HOME")
            })?;
            PathBuf::from(format!("{}{rest}", home.trim_end_matches('/')))
        }
        Some(_) => {
            return Err(Fault::new("`~` with a user name is not known here", "write the whole path"));
        }
        None if path.starts_with('/') || is_of_windows(path) => return Ok(path.to_owned()),
        None => base.directory.join(path),
    };
    Ok(clean(&path).to_string_lossy().into_owned())
}

/// Whether a path is one of Windows, `C:\dir`, which is nothing but a text here.
pub(crate) fn is_of_windows(path: &str) -> bool {
    path.get(1..3) == Some(":\\") && path.starts_with(|drive: char| drive.is_ascii_alphabetic())
}

/// Takes `.` and `..` out of a path by its text alone.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    clean.push("/");
                }
            }
            part => clean.push(part),
        }
    }
    clean
}

/// Whether an engine can fetch a context that is not a directory of this machine: git, or HTTP.
pub(crate) fn is_fetched(context: &str) -> bool {
    const BEGINNINGS: [&str; 6] = ["https://", "http://", "git://", "ssh://", "git@", "github.com/"];
    BEGINNINGS.iter().any(|beginning| context.starts_with(beginning))
}

/// Whether the context of a build is not a directory of this machine.
pub(crate) fn is_remote(context: &str) -> bool {
    context.contains("://") || ["git@", "github.com/"].iter().any(|prefix| context.starts_with(prefix))
}
