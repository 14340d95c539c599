//! Which files are tried.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One file to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// How it is named: the folder that was given, and the path from there.
    pub(crate) name: String,
    /// The folder that it stands in.
    pub(crate) directory: PathBuf,
    /// Its name there.
    pub(crate) base: String,
}

/// Every compose file below a folder, by name; with `all` every YAML file that has services.
pub(crate) fn cases(top: &Path, all: bool) -> Result<Vec<Case>> {
    let top = top.canonicalize().with_context(|| format!("{} cannot be read", top.display()))?;
    let name = top.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut found = Vec::new();
    visit(&top, &name, all, &mut found)?;
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn visit(directory: &Path, name: &str, all: bool, found: &mut Vec<Case>) -> Result<()> {
    let entries = std::fs::read_dir(directory);
    for entry in entries.with_context(|| format!("{} cannot be read", directory.display()))? {
        let entry = entry?;
        let Ok(base) = entry.file_name().into_string() else { continue };
        let path = format!("{name}/{base}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if base != ".git" {
                visit(&entry.path(), &path, all, found)?;
            }
        } else if kind.is_file() && (is_named(&base) || (all && has_services(&entry.path(), &base))) {
            found.push(Case { name: path, directory: directory.to_owned(), base });
        }
    }
    Ok(())
}

/// Whether the name says that it is a compose file: `compose*.yaml`, `docker-compose*.yml`.
fn is_named(base: &str) -> bool {
    let stem = base.strip_suffix(".yaml").or_else(|| base.strip_suffix(".yml"));
    stem.is_some_and(|stem| stem.starts_with("compose") || stem.starts_with("docker-compose"))
}

fn has_services(path: &Path, base: &str) -> bool {
    (base.ends_with(".yaml") || base.ends_with(".yml"))
        && std::fs::read_to_string(path)
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("services:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_files_are_known_by_name_and_others_by_their_services() {
        let top = tempfile::tempdir().expect("a folder");
        for (path, text) in [
            ("compose.yaml", ""),
            ("a/docker-compose.prod.yml", ""),
            ("a/other.yml", "x: 1\nservices: # all\n  a: {}\n"),
            ("a/values.yaml", "deep:\n  services:\n"),
            (".git/compose.yaml", ""),
            ("compose.json", ""),
        ] {
            let path = top.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let bases = |all| {
            let cases = cases(top.path(), all).expect("cases");
            cases.into_iter().map(|case| case.base).collect::<Vec<_>>()
        };
        assert_eq!(bases(false), ["docker-compose.prod.yml", "compose.yaml"]);
        assert_eq!(bases(true), ["docker-compose.prod.yml", "other.yml", "compose.yaml"]);
    }
}
