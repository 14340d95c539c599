//! Copies between this machine and a container, by the rules of `cp`: where a copy lands and
//! what it is called depends on what is there already.

mod pack;
mod unpack;

use std::path::{Path, PathBuf};

pub use self::pack::pack;
pub use self::unpack::{Unpacked, unpack};

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// A file, or a link to one, of this name.
    File(&'a str),
    /// A directory of this name, with what is in it.
    Directory(&'a str),
    /// What is in a directory.
    Contents,
}

/// What there is at the place that a copy is to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// Nothing; the path may still say that a directory is meant, by a slash at its end.
    Nothing,
}

/// Where the copy goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The directory that is there, in which the copy is made.
    pub directory: String,
    /// What the copy is called in it; `None` for what is in a directory, beside what is there.
    pub name: Option<String>,
}

/// Why a copy cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A directory cannot take the place of a file.
    #[error("{0} is a file, and a directory cannot be copied over it")]
    OverFile(String),
    /// The path says that a directory is meant, and none is there.
    #[error("there is no directory {0}")]
    NoDirectory(String),
    /// The path says that a directory is meant, and it is none.
    #[error("{0} is no directory")]
    NotADirectory(String),
    /// A path of this machine cannot be read or written.
    #[error("{}: {error}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// An archive is broken.
    #[error("the archive of the container cannot be read: {0}")]
    Archive(std::io::Error),
    /// An entry of an archive would be made outside of the place that was given.
    #[error(
        "the archive of the container has {0}, which lies outside of the destination; nothing more was copied"
    )]
    Escapes(String),
    /// The owner of a file cannot be set.
    #[error("{}: its owner cannot be set", .0.display())]
    Owner(PathBuf),
}

impl CopyError {
    /// What to do next, one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoDirectory(_) => Some("make it first, or leave the slash at the end out"),
            Self::OverFile(_) => Some("name another place, or a directory to copy it into"),
            Self::Owner(_) => Some("only root may give files away: leave out --archive"),
            _ => None,
        }
    }
}

/// Says where a copy goes: `to` is the path that was asked for, `there` what is at it.
///
/// # Errors
/// When it can go nowhere.
pub fn landing(what: What<'_>, to: &str, there: There) -> Result<Landing, CopyError> {
    let directory_meant = means_directory(to);
    match (there, what) {
        (There::Directory, What::File(name) | What::Directory(name)) => {
            Ok(Landing { directory: to.to_owned(), name: Some(name.to_owned()) })
        }
        (There::Directory, What::Contents) => Ok(Landing { directory: to.to_owned(), name: None }),
        (There::File, _) if directory_meant => Err(CopyError::NotADirectory(to.to_owned())),
        (There::File, What::Directory(_) | What::Contents) => Err(CopyError::OverFile(to.to_owned())),
        (There::Nothing, What::File(_)) if directory_meant => Err(CopyError::NoDirectory(to.to_owned())),
        (There::File | There::Nothing, _) => {
            let (directory, name) = split(to);
            match name {
                Some(name) => Ok(Landing { directory, name: Some(name) }),
                None => Err(CopyError::NoDirectory(to.to_owned())),
            }
        }
    }
}

/// Whether a path says that a directory is meant: `a/`, `a/.`, `.`, `..`.
#[must_use]
pub fn means_directory(path: &str) -> bool {
    path.is_empty() || path.ends_with('/') || matches!(path.rsplit('/').next(), Some("." | ".."))
}

/// Whether a path means what is in a directory, not the directory itself: `a/.`, `.`.
#[must_use]
pub fn means_contents(path: &str) -> bool {
    path.rsplit('/').next() == Some(".")
}

/// The directory of a path, and the last name in it; none for `/`.
#[must_use]
pub fn split(path: &str) -> (String, Option<String>) {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let absolute = if path.starts_with('/') { "/" } else { "" };
    if parts.last() == Some(&"..") {
        return (format!("{absolute}{}", parts.join("/")), None);
    }
    let name = parts.pop().map(str::to_owned);
    let directory = format!("{absolute}{}", parts.join("/"));
    (if directory.is_empty() { ".".to_owned() } else { directory }, name)
}

/// A path of this machine, and why it is of no use.
fn at(path: &Path) -> impl Fn(std::io::Error) -> CopyError + use<'_> {
    |error| CopyError::Path { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lands(what: What<'_>, to: &str, there: There) -> Result<(String, Option<String>), String> {
        landing(what, to, there)
            .map(|landing| (landing.directory, landing.name))
            .map_err(|error| error.to_string())
    }

    fn ok(directory: &str, name: Option<&str>) -> Result<(String, Option<String>), String> {
        Ok((directory.to_owned(), name.map(str::to_owned)))
    }

    #[test]
    fn a_copy_lands_as_with_cp() {
        let (file, directory) = (What::File("f"), What::Directory("d"));
        assert_eq!(lands(file, "/a", There::Directory), ok("/a", Some("f")));
        assert_eq!(lands(file, "/a/b", There::File), ok("/a", Some("b")));
        assert_eq!(lands(file, "/a/b", There::Nothing), ok("/a", Some("b")));
        assert_eq!(lands(directory, "/a", There::Directory), ok("/a", Some("d")));
        assert_eq!(lands(directory, "/a/b/", There::Nothing), ok("/a", Some("b")));
        assert_eq!(lands(What::Contents, "/a", There::Directory), ok("/a", None));
        assert_eq!(lands(What::Contents, "a", There::Nothing), ok(".", Some("a")));
        assert!(
            lands(file, "/a/b/", There::Nothing).is_err_and(|error| error.contains("no directory /a/b/"))
        );
        assert!(
            lands(file, "/a/b/", There::File).is_err_and(|error| error.contains("/a/b/ is no directory"))
        );
        assert!(lands(directory, "/a/b", There::File).is_err_and(|error| error.contains("/a/b is a file")));
        assert!(lands(What::Contents, "/a/b", There::File).is_err());
    }

    #[test]
    fn a_path_is_split_at_its_last_name() {
        for (path, directory, name) in [
            ("/a/b", "/a", Some("b")),
            ("/a/b/", "/a", Some("b")),
            ("/a/./b/.", "/a", Some("b")),
            ("b", ".", Some("b")),
            ("/b", "/", Some("b")),
            ("/", "/", None),
            ("a/..", "a/..", None),
        ] {
            assert_eq!(split(path), (directory.to_owned(), name.map(str::to_owned)), "{path}");
        }
        for path in ["a/", "a/.", ".", "..", "/"] {
            assert!(means_directory(path), "{path}");
        }
        assert!(
            means_contents("a/.") && means_contents(".") && !means_contents("a/") && !means_contents("a")
        );
    }
}
