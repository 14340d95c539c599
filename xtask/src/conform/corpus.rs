//! Which files are tried.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::PROJECT;

/// One stack to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// How it is named: the folder that was given, and the path from there.
    pub(crate) name: String,
    /// The folder in which both programs are called.
    pub(crate) directory: PathBuf,
    /// The flags that say what is loaded.
    pub(crate) arguments: Vec<String>,
    /// Variables of the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// What standard input brings.
    pub(crate) stdin: Option<PathBuf>,
}

impl Case {
    /// A single file in its folder.
    fn of_file(name: String, directory: PathBuf, base: &str) -> Self {
        let place = directory.to_string_lossy().into_owned();
        let arguments = ["-p", PROJECT, "-f", base, "--project-directory", &place].map(str::to_owned);
        Self { name, directory, arguments: arguments.to_vec(), environment: Vec::new(), stdin: None }
    }

    /// The same with a file that docker compose wrote, which has the variables filled in.
    pub(crate) fn again(&self, file: &Path) -> Self {
        let base = file.to_string_lossy().into_owned();
        let mut case = Self::of_file(self.name.clone(), self.directory.clone(), &base);
        let named = self.arguments.iter().position(|flag| flag == "-p").map(|at| at + 1);
        if let Some(name) = named.and_then(|at| self.arguments.get(at)) {
            case.arguments[1].clone_from(name);
        }
        let profiles = self.arguments.chunks(2).filter(|pair| pair[0] == "--profile");
        case.arguments.extend(profiles.flatten().cloned());
        case.environment.clone_from(&self.environment);
        case
    }

    /// A folder that says itself how it is loaded: `request` has one flag or `NAME=value` a line,
    /// `in DIR` for where to start and `stdin FILE`, as the cases of stack-file do. Without a
    /// `request`, its `stack.yaml` is loaded.
    fn of_folder(name: String, folder: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(folder.join("request")).unwrap_or_default();
        let mut case = Self {
            name,
            directory: folder.to_owned(),
            arguments: Vec::new(),
            environment: vec![("HOME".to_owned(), "/home/ada".to_owned())],
            stdin: None,
        };
        let mut named = false;
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "in" => case.directory = folder.join(rest),
                "stdin" => case.stdin = Some(folder.join(rest)),
                _ if word.starts_with('-') => {
                    named |= word == "-f";
                    case.arguments.extend([word.to_owned(), rest.to_owned()]);
                }
                _ => {
                    let (variable, value) = line.split_once('=').with_context(|| {
                        format!("{}: a line is neither a flag nor NAME=value: {line}", case.name)
                    })?;
                    named |= variable == "COMPOSE_FILE";
                    case.environment.push((variable.to_owned(), value.to_owned()));
                }
            }
        }
        if !named && case.directory.join("stack.yaml").is_file() {
            case.arguments.extend(["-f", "stack.yaml"].map(str::to_owned));
        }
        Ok(case)
    }
}

/// Every case folder and every compose file below a folder, by name; with `all` every YAML file that has services.
pub(crate) fn cases(top: &Path, all: bool) -> Result<Vec<Case>> {
    let top = top.canonicalize().with_context(|| format!("{} cannot be read", top.display()))?;
    let name = top.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut found = Vec::new();
    visit(&top, &name, all, &mut found)?;
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn visit(directory: &Path, name: &str, all: bool, found: &mut Vec<Case>) -> Result<()> {
    if ["request", "expected.txt", "expected.json"].iter().any(|file| directory.join(file).is_file()) {
        found.push(Case::of_folder(name.to_owned(), directory)?);
        return Ok(());
    }
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
            found.push(Case::of_file(path, directory.to_owned(), &base));
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
            cases.into_iter().map(|case| case.arguments[3].clone()).collect::<Vec<_>>()
        };
        assert_eq!(bases(false), ["docker-compose.prod.yml", "compose.yaml"]);
        assert_eq!(bases(true), ["docker-compose.prod.yml", "other.yml", "compose.yaml"]);
    }

    #[test]
    fn a_case_folder_says_how_it_is_loaded() {
        let top = tempfile::tempdir().expect("a folder");
        let folder = top.path().join("one");
        std::fs::create_dir_all(folder.join("deep")).expect("a folder");
        std::fs::write(folder.join("compose.yaml"), "").expect("a file");
        let request = "-f a.yaml\n--profile p\nin deep\nstdin a.yaml\nA=b c\n";
        std::fs::write(folder.join("request"), request).expect("a file");
        let [case] = &cases(top.path(), false).expect("cases")[..] else { panic!("one case") };
        assert_eq!(case.arguments, ["-f", "a.yaml", "--profile", "p"]);
        assert!(case.directory.ends_with("one/deep"));
        assert_eq!(case.environment.last(), Some(&("A".to_owned(), "b c".to_owned())));
        std::fs::write(folder.join("request"), "what").expect("a file");
        assert!(cases(top.path(), false).is_err());
    }
}
