//! `cargo xtask tidy`: the rules of the house that no compiler knows.
//!
//! That every property path of the Compose Specification has a row in the
//! attribute table is not looked at here: a test of stack-file does that.

mod documents;
mod manifests;
mod sources;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::say;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    what: String,
    next: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n  next: {}", self.path, self.line, self.what, self.next)
    }
}

/// The texts of the project, by path from the top folder, in order.
#[derive(Default)]
struct Tree(Vec<(String, String)>);

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.visit(root, "")?;
        tree.0.sort();
        Ok(tree)
    }

    fn visit(&mut self, directory: &Path, prefix: &str) -> Result<()> {
        let entries = std::fs::read_dir(directory);
        for entry in entries.with_context(|| format!("{} cannot be read", directory.display()))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            // In a second working tree this is a file, and names the place of the first.
            if name == ".git" {
                continue;
            }
            // What people's tools keep here is theirs.
            let foreign = name.starts_with('.') && !matches!(&*name, ".ci" | ".cargo" | ".github");
            let made = name == "target" && prefix.is_empty();
            if kind.is_dir() && !foreign && !made {
                self.visit(&entry.path(), &format!("{prefix}{name}/"))?;
            } else if kind.is_file()
                // In a worktree this is a file that says where the repository is.
                && name != ".git"
                && let Ok(text) = std::fs::read_to_string(entry.path())
            {
                self.0.push((format!("{prefix}{name}"), text));
            }
        }
        Ok(())
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == path).map(|(_, text)| text.as_str())
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(move |(path, _)| path.starts_with(prefix))
    }
}

/// Looks at everything, and says all that is wrong at once.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let mut findings = manifests::check(&tree)?;
    findings.extend(sources::check(&tree));
    findings.extend(documents::check(&tree));
    findings.sort();
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        say(&finding.to_string());
    }
    bail!("{} finding{}", findings.len(), if findings.len() == 1 { "" } else { "s" });
}

/// The number of the first line that fits, 1 if none does.
fn line_where(text: &str, fits: impl Fn(&str) -> bool) -> usize {
    text.lines().position(fits).map_or(1, |index| index + 1)
}

#[cfg(test)]
impl Tree {
    /// A tree of these texts.
    fn of(texts: &[(&str, &str)]) -> Self {
        Self(texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_a_place_and_a_next_step() {
        let finding =
            Finding { path: "a/b.rs".into(), line: 7, what: "c is d".into(), next: "make it e".into() };
        assert_eq!(finding.to_string(), "a/b.rs:7: c is d\n  next: make it e");
    }

    #[test]
    fn what_is_made_and_what_belongs_to_tools_is_not_read() {
        let directory = tempfile::tempdir().expect("a directory");
        for path in ["target/debug/x.rs", "src/.git", ".git/config", ".ci/run", "src/target/a.rs", "b.txt"] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, "text").expect("a file");
        }
        let second = directory.path().join("src/.git");
        std::fs::write(second, "gitdir: elsewhere").expect("a file");
        std::fs::write(directory.path().join("picture"), [0xff, 0xfe]).expect("a file");
        let tree = Tree::read(directory.path()).expect("a tree");
        let paths: Vec<_> = tree.0.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, [".ci/run", "b.txt", "src/target/a.rs"]);
    }
}
