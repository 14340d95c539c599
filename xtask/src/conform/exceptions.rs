//! Differences that are accepted, each with its reason.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The list of accepted differences.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exceptions {
    #[serde(default)]
    accepted: Vec<Exception>,
}

/// One entry: files, and why they may differ.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    /// `*` stands for a part of a name, `**` for folders; the first folder may be left out as `**/…`.
    files: String,
    reason: String,
    /// Whether docker compose can say nothing of these: they need what is newer than it, or its
    /// own writer fails. They are left out of the figure of agreement.
    #[serde(default)]
    beyond: bool,
}

impl Exceptions {
    /// Reads a list: `[[accepted]]` tables with `files` and `reason`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
        let list: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        if let Some(bare) = list.accepted.iter().find(|entry| entry.reason.trim().is_empty()) {
            bail!("{}: {} has no reason\nnext: say why it may differ", path.display(), bare.files);
        }
        Ok(list)
    }

    /// Why a file may differ; `None` if it may not.
    pub(crate) fn reason(&self, file: &str) -> Option<&str> {
        self.accepted.iter().find(|entry| fits(&entry.files, file)).map(|entry| entry.reason.as_str())
    }

    /// Whether docker compose can say nothing of a file.
    pub(crate) fn is_beyond(&self, file: &str) -> bool {
        self.accepted.iter().any(|entry| entry.beyond && fits(&entry.files, file))
    }

    /// The entries that none of these files needs.
    pub(crate) fn idle<'a>(&'a self, differing: &[&str]) -> Vec<&'a str> {
        let needed = |entry: &&Exception| differing.iter().any(|file| fits(&entry.files, file));
        self.accepted.iter().filter(|entry| !needed(entry)).map(|entry| entry.files.as_str()).collect()
    }
}

/// Whether a path fits a pattern.
fn fits(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    folders_fit(&pattern, &path)
}

fn folders_fit(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skipped| folders_fit(rest, &path[skipped..])),
        Some((name, rest)) => path
            .split_first()
            .is_some_and(|(first, below)| name_fits(name, first) && folders_fit(rest, below)),
    }
}

fn name_fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.is_char_boundary(at) && name_fits(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names_and_folders() {
        for (pattern, path, is) in [
            ("a/b.yaml", "a/b.yaml", true),
            ("a/*.yaml", "a/b.yaml", true),
            ("a/*.yaml", "a/c/b.yaml", false),
            ("**/b.yaml", "a/c/b.yaml", true),
            ("**/b.yaml", "b.yaml", true),
            ("a/**", "a/c/b.yaml", true),
            ("a/**/b*l", "a/b.yml", true),
            ("a", "a/b", false),
        ] {
            assert_eq!(fits(pattern, path), is, "{pattern} {path}");
        }
    }

    #[test]
    fn the_list_of_the_project_can_be_read() {
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("conform.toml");
        Exceptions::read(&list).expect("a list");
    }

    #[test]
    fn an_entry_needs_a_reason_and_a_use() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "[[accepted]]\nfiles = 'a/*'\nreason = ''\n").expect("a file");
        assert!(Exceptions::read(file.path()).is_err());
        std::fs::write(
            file.path(),
            "[[accepted]]\nfiles = 'a/*'\nreason = 'old'\n[[accepted]]\nfiles = 'b/*'\nreason = 'new'\n",
        )
        .expect("a file");
        let list = Exceptions::read(file.path()).expect("a list");
        assert_eq!((list.reason("a/x"), list.reason("c/x")), (Some("old"), None));
        assert_eq!(list.idle(&["a/x"]), ["b/*"]);
    }
}
