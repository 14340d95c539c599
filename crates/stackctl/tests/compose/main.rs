//! What docker compose says to stacks of all sorts, and stackctl says, too. The cases were
//! written by `cargo xtask conform --generate NUMBER --record crates/stackctl/tests/compose/cases`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What the folder of a case is called in its expectation.
const PLACE: &str = "/case";

/// A case: its files, how it is loaded, and what docker compose says; `None` for a refusal.
struct Case {
    name: String,
    files: Vec<(String, String)>,
    expected: Option<Value>,
}

impl Case {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a case");
        let mut files = Vec::new();
        let mut expected = None;
        let mut told = false;
        for section in text.split("=== ").skip(1) {
            let (title, content) = section.split_once('\n').expect("a title");
            match title {
                "refused" => told = true,
                "expected.json" => {
                    told = true;
                    expected = Some(serde_json::from_str(content).expect("JSON"));
                }
                file => files.push((file.to_owned(), content.to_owned())),
            }
        }
        assert!(told, "{name} expects nothing");
        Self { name, files, expected }
    }

    /// What stackctl does otherwise, in words.
    fn fault(&self) -> Option<String> {
        let directory = tempfile::tempdir().expect("a folder");
        let place = directory.path().canonicalize().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
        command.current_dir(&place).env_clear().env("HOME", "/home/ada");
        for (name, content) in &self.files {
            let path = place.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, content).expect("a file");
            for line in content.lines().filter(|_| name == "request") {
                if line.starts_with('-') {
                    command.args(line.split_once(' ').map_or([line, ""], |(flag, value)| [flag, value]));
                } else {
                    let (variable, value) = line.split_once('=').expect("NAME=value");
                    command.env(variable, value);
                }
            }
        }
        let output = command.args(["config", "--format", "json"]).output().expect("stackctl runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let fault = match (&self.expected, output.status.code()) {
            (None, Some(3)) => return None,
            (None, code) => format!("docker compose refuses this, and stackctl ends with {code:?}\n{said}"),
            (Some(expected), Some(0)) => {
                let shown = String::from_utf8_lossy(&output.stdout).replace(&*place.to_string_lossy(), PLACE);
                let shown: Value = serde_json::from_str(&shown).expect("JSON");
                if same(&shown, expected) {
                    return None;
                }
                format!("expected {expected:#}\nfound {shown:#}")
            }
            (Some(_), code) => format!("docker compose takes this, and stackctl ends with {code:?}\n{said}"),
        };
        Some(format!("{}: {fault}", self.name))
    }
}

/// Whether two values are the same; 3 and 3.0 are.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

#[test]
fn stackctl_reads_what_docker_compose_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/cases");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the cases").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let cases: Vec<Case> = paths.iter().map(|path| Case::read(path)).collect();
    let taken = cases.iter().filter(|case| case.expected.is_some()).count();
    assert!(taken >= 100 && taken < cases.len(), "{taken} of {} cases are taken", cases.len());
    let faults: Vec<String> = cases.iter().filter_map(Case::fault).collect();
    assert!(faults.is_empty(), "{} cases differ\n{}", faults.len(), faults.join("\n\n"));
}
