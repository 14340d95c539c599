//! Who may depend on whom.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Finding, Tree, line_where};

/// The street; imports go to the left only.
const STREET: [&str; 4] = ["stack-file", "stack-plan", "stack-engine", "stackctl"];

/// Crates that wait, listen, look at the clock, log, or know Docker or the terminal.
/// Each stands for its family: `tokio` also for `tokio-util`.
const IMPURE: [&str; 18] = [
    "anyhow",
    "async",
    "axum",
    "bollard",
    "chrono",
    "clap",
    "futures",
    "hyper",
    "indicatif",
    "jiff",
    "log",
    "mio",
    "rand",
    "reqwest",
    "smol",
    "time",
    "tokio",
    "tracing",
];

/// What each crate must not know, and why.
const REFUSED: [(&str, &[&str], &str); 8] = [
    ("stack-file", &IMPURE, "stack-file is pure: give it what it needs as values"),
    (
        "stack-plan",
        &IMPURE,
        "stack-plan is pure: no async, clock, log or network; the engine crate does these",
    ),
    (
        "stack-engine",
        &["anstream", "anstyle", "anyhow", "clap", "comfy-table", "indicatif"],
        "stack-engine does not know the terminal: tell events, and let stackctl show them",
    ),
    (
        "stack-kubernetes",
        &IMPURE,
        "stack-kubernetes is pure: what is in files is asked for through a function",
    ),
    (
        "stack-kubernetes",
        &["stack-plan", "stack-engine", "stackctl"],
        "stack-kubernetes writes what stack-file read, and knows no plan and no engine",
    ),
    (
        "stack-engine",
        &["stack-kubernetes"],
        "manifests are written by stack-kubernetes alone, which stackctl asks for them",
    ),
    ("stackctl", &["bollard"], "only stack-engine names bollard: put what is missing there"),
    ("server", &["bollard"], "only stack-engine names bollard"),
];

/// The lints that hold the house together, as the workspace must have them.
const LINTS: [(&str, &str, &str); 5] = [
    ("rust", "unsafe_code", "forbid"),
    ("rust", "missing_docs", "deny"),
    ("clippy", "allow_attributes", "deny"),
    ("clippy", "print_stderr", "deny"),
    ("clippy", "print_stdout", "deny"),
];

pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let workspace = Manifest::of(tree, "Cargo.toml")?;
    let members = workspace.table.get("workspace").and_then(|found| found.get("members"));
    let members = members.and_then(Value::as_array).context("Cargo.toml: there are no members")?;
    let mut findings = lints(&workspace);
    for member in members.iter().filter_map(Value::as_str) {
        let manifest = Manifest::of(tree, &format!("{member}/Cargo.toml"))?;
        findings.extend(inherits_lints(&manifest));
        let dependencies = manifest.dependencies(&workspace.table);
        findings.extend(directions(&manifest, &dependencies));
        findings.extend(refusals(&manifest, &dependencies));
    }
    Ok(findings)
}

struct Manifest<'a> {
    path: String,
    text: &'a str,
    table: Table,
}

/// A dependency under the name that its registry has for it.
struct Dependency {
    package: String,
    line: usize,
}

impl<'a> Manifest<'a> {
    fn of(tree: &'a Tree, path: &str) -> Result<Self> {
        let text = tree.text(path).with_context(|| format!("{path} is missing"))?;
        let table = text.parse().with_context(|| path.to_owned())?;
        Ok(Self { path: path.to_owned(), text, table })
    }

    fn name(&self) -> &str {
        self.table.get("package").and_then(|package| package.get("name")?.as_str()).unwrap_or_default()
    }

    /// All dependencies, those of tests, of build scripts and of single platforms among them.
    fn dependencies(&self, workspace: &Table) -> Vec<Dependency> {
        let shared = workspace.get("workspace").and_then(|found| found.get("dependencies"));
        let platforms = self.table.get("target").and_then(Value::as_table);
        let tables = [&self.table].into_iter();
        let tables =
            tables.chain(platforms.into_iter().flat_map(|all| all.values().filter_map(Value::as_table)));
        let mut found = Vec::new();
        for table in tables {
            for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
                for (key, value) in table.get(section).and_then(Value::as_table).into_iter().flatten() {
                    // A name in the workspace's list may be a second one, too.
                    let renamed = value.get("package").or_else(|| shared?.get(key)?.get("package"));
                    let package = renamed.and_then(Value::as_str).unwrap_or(key).to_owned();
                    let begins = |line: &str| {
                        line.trim_start()
                            .strip_prefix(key.as_str())
                            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
                    };
                    found.push(Dependency { package, line: line_where(self.text, begins) });
                }
            }
        }
        found
    }

    fn finding(&self, line: usize, what: String, next: &str) -> Finding {
        Finding { path: self.path.clone(), line, what, next: next.to_owned() }
    }
}

fn lints(workspace: &Manifest<'_>) -> Vec<Finding> {
    let lints = workspace.table.get("workspace").and_then(|found| found.get("lints"));
    let mut findings = Vec::new();
    for (tool, lint, wanted) in LINTS {
        let level = lints.and_then(|lints| lints.get(tool)?.get(lint)?.as_str());
        if level != Some(wanted) {
            let section = format!("[workspace.lints.{tool}]");
            let line = line_where(workspace.text, |line| line == section);
            let what = format!("{lint} is not \"{wanted}\"");
            findings.push(workspace.finding(
                line,
                what,
                &format!("write {lint} = \"{wanted}\" below {section}"),
            ));
        }
    }
    findings
}

fn inherits_lints(manifest: &Manifest<'_>) -> Option<Finding> {
    let inherits = manifest.table.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
    (inherits != Some(true)).then(|| {
        let what = format!("{} has lints of its own", manifest.name());
        manifest.finding(1, what, "write workspace = true below [lints]")
    })
}

/// Imports go to the left on the street; the server and the street do not know each other.
fn directions(manifest: &Manifest<'_>, dependencies: &[Dependency]) -> Vec<Finding> {
    let name = manifest.name();
    let place = STREET.iter().position(|house| *house == name);
    if place.is_none() && name != "server" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for Dependency { package, line } in dependencies {
        let next = match (place, STREET.iter().position(|house| house == package)) {
            (Some(here), Some(there)) if there >= here => {
                "imports go to the left: stackctl, stack-engine, stack-plan, stack-file"
            }
            (None, Some(_)) => "the server is a tenant of the street and not a part of it",
            (Some(_), None) if package == "server" => "the street does not know its tenant",
            (_, None) if package == "xtask" => "chores are for people, not for crates",
            _ => continue,
        };
        findings.push(manifest.finding(*line, format!("{name} depends on {package}"), next));
    }
    findings
}

fn refusals(manifest: &Manifest<'_>, dependencies: &[Dependency]) -> Vec<Finding> {
    let name = manifest.name();
    let mut findings = Vec::new();
    for (_, refused, why) in REFUSED.iter().filter(|(house, _, _)| *house == name) {
        for Dependency { package, line } in dependencies {
            if refused.iter().any(|family| is_of(package, family)) {
                findings.push(manifest.finding(*line, format!("{name} depends on {package}"), why));
            }
        }
    }
    findings
}

fn is_of(package: &str, family: &str) -> bool {
    package.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "[workspace]\nmembers = ['crates/x']\n\
        [workspace.dependencies]\nsly = { package = 'bollard', version = '1' }\n\
        [workspace.lints.rust]\nunsafe_code = 'forbid'\nmissing_docs = 'deny'\n\
        [workspace.lints.clippy]\nallow_attributes = 'deny'\nprint_stderr = 'deny'\nprint_stdout = 'deny'\n";

    /// What is found about one crate.
    fn found(name: &str, rest: &str) -> Vec<(usize, String)> {
        let manifest = format!("[package]\nname = '{name}'\n[lints]\nworkspace = true\n{rest}");
        let tree = Tree::of(&[("Cargo.toml", WORKSPACE), ("crates/x/Cargo.toml", &manifest)]);
        let findings = check(&tree).expect("manifests");
        findings.into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn imports_to_the_left_are_fine() {
        assert_eq!(found("stack-engine", "[dependencies]\nstack-plan.workspace = true\ntokio = '1'\n"), []);
        assert_eq!(found("stackctl", "[dependencies]\nanyhow = '1'\nstack-engine.workspace = true\n"), []);
        assert_eq!(found("xtask", "[dependencies]\nanyhow = '1'\n"), []);
    }

    #[test]
    fn imports_to_the_right_are_found() {
        let right = found("stack-file", "[dependencies]\nserde = '1'\nstack-plan.workspace = true\n");
        assert_eq!(right, [(7, "stack-file depends on stack-plan".to_owned())]);
        assert_eq!(found("stack-plan", "[dev-dependencies]\nstack-engine.workspace = true\n").len(), 1);
    }

    #[test]
    fn the_server_and_the_street_do_not_know_each_other() {
        assert_eq!(found("server", "[dependencies]\nstack-file.workspace = true\n").len(), 1);
        assert_eq!(found("stackctl", "[dev-dependencies]\nserver = { path = '../server' }\n").len(), 1);
        assert_eq!(found("server", "[dependencies]\nxtask.workspace = true\n").len(), 1);
    }

    #[test]
    fn pure_crates_take_nothing_impure() {
        let all = "[dependencies]\nfutures-util = '1'\ntime = '1'\n[build-dependencies]\ntracing = '1'\n";
        assert_eq!(found("stack-plan", all).len(), 3);
        assert_eq!(found("stack-file", "[dependencies]\nanyhow = '1'\ntimes = '1'\n").len(), 1);
    }

    #[test]
    fn the_terminal_stays_in_stackctl_and_bollard_in_stack_engine() {
        assert_eq!(found("stack-engine", "[dependencies]\nindicatif = '1'\nanyhow = '1'\n").len(), 2);
        assert_eq!(found("stackctl", "[target.'cfg(unix)'.dependencies]\nbollard = '1'\n").len(), 1);
    }

    #[test]
    fn an_exporter_is_pure_and_knows_the_file_alone() {
        let all = "[dependencies]\nstack-file.workspace = true\nstack-plan.workspace = true\ntokio = '1'\n";
        assert_eq!(found("stack-kubernetes", all).len(), 2);
        assert_eq!(found("stack-engine", "[dependencies]\nstack-kubernetes.workspace = true\n").len(), 1);
        assert_eq!(found("stackctl", "[dependencies]\nstack-kubernetes.workspace = true\n"), []);
    }

    #[test]
    fn a_second_name_hides_nothing() {
        let ours = found("stackctl", "[dependencies]\nb = { package = 'bollard', version = '1' }\n");
        assert_eq!(ours, [(6, "stackctl depends on bollard".to_owned())]);
        assert_eq!(found("stackctl", "[dependencies]\nsly.workspace = true\n").len(), 1);
    }

    #[test]
    fn lints_of_the_workspace_are_kept_and_inherited() {
        let weak = WORKSPACE.replace("unsafe_code = 'forbid'\n", "");
        let tree = Tree::of(&[("Cargo.toml", &weak), ("crates/x/Cargo.toml", "[package]\nname = 'x'\n")]);
        let found: Vec<_> =
            check(&tree).expect("manifests").into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, ["unsafe_code is not \"forbid\"", "x has lints of its own"]);
    }
}
