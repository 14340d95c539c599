//! Case folders: files and a request on one side; on the other the stack as docker
//! compose's `config --format json` has it (`expected.json`), the drawn findings
//! (`expected.txt`), and what stackctl cannot do yet (`unsupported.txt`).
//!
//! A folder may have a `request` with one word or pair a line: `-f FILE`,
//! `-p NAME`, `--profile NAME`, `--env-file FILE`, `--project-directory DIR`,
//! `in DIR`, `stdin FILE`, or `NAME=value` for a variable of the environment.
//! No `expected.txt` and no `unsupported.txt` mean that nothing may be found, no
//! `expected.json` that the stack does not matter. `UPDATE_CASES=1` writes the expectations anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use stack_file::config::Form;
use stack_file::draw::draw;
use stack_file::load::{Loaded, Request, load};
use stack_file::tree::{Kind, Node, ScalarKind};

#[derive(Default)]
struct Asked {
    files: Vec<PathBuf>,
    directory: PathBuf,
    project_directory: Option<PathBuf>,
    project_name: Option<String>,
    env_files: Vec<PathBuf>,
    profiles: Vec<String>,
    environment: BTreeMap<String, String>,
    stdin: Option<String>,
}

fn asked(case: &Path) -> Asked {
    let mut asked = Asked { directory: case.to_owned(), ..Asked::default() };
    asked.environment.insert("HOME".to_owned(), "/home/ada".to_owned());
    for line in fs::read_to_string(case.join("request")).unwrap_or_default().lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "-f" => asked.files.push(rest.into()),
            "-p" => asked.project_name = Some(rest.to_owned()),
            "--profile" => asked.profiles.push(rest.to_owned()),
            "--env-file" => asked.env_files.push(rest.into()),
            "--project-directory" => asked.project_directory = Some(rest.into()),
            "in" => asked.directory = case.join(rest),
            "stdin" => asked.stdin = Some(fs::read_to_string(case.join(rest)).expect("the text of stdin")),
            _ => {
                let (name, value) = line.split_once('=').expect("NAME=value");
                asked.environment.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    asked
}

fn json(node: &Node, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent + 1);
    let end = "  ".repeat(indent);
    match &node.kind {
        Kind::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => out.push_str("null"),
            ScalarKind::String => text(&scalar.text, out),
            _ => out.push_str(&scalar.text),
        },
        Kind::Sequence(items) if items.is_empty() => out.push_str("[]"),
        Kind::Mapping(entries) if entries.is_empty() => out.push_str("{}"),
        Kind::Sequence(items) => {
            out.push_str("[\n");
            for (index, item) in items.iter().enumerate() {
                out.push_str(&pad);
                json(item, indent + 1, out);
                out.push_str(if index + 1 < items.len() { ",\n" } else { "\n" });
            }
            let _ = write!(out, "{end}]");
        }
        Kind::Mapping(entries) => {
            out.push_str("{\n");
            for (index, (key, entry)) in entries.iter().enumerate() {
                out.push_str(&pad);
                text(key, out);
                out.push_str(": ");
                json(&entry.node, indent + 1, out);
                out.push_str(if index + 1 < entries.len() { ",\n" } else { "\n" });
            }
            let _ = write!(out, "{end}}}");
        }
    }
}

fn text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// What `config` writes, read as a stack file, means the same: it gives itself.
fn again(loaded: &Loaded, environment: &BTreeMap<String, String>, profiles: &[String]) -> Option<String> {
    let mut tree = String::new();
    json(&loaded.stack.config(Form::Yaml), 0, &mut tree);
    let file = tree.replace('$', "$$");
    let second = load(&Request {
        files: vec!["-".into()],
        directory: loaded.stack.directory.clone(),
        project_directory: None,
        project_name: None,
        env_files: Vec::new(),
        profiles: [profiles, &["debug".to_owned()]].concat(),
        environment,
        stdin: Some(&file),
    });
    let mut twice = String::new();
    json(&second.stack.config(Form::Yaml), 0, &mut twice);
    let told = draw(&second.diagnostics, &second.sources, false);
    (twice != tree || !told.is_empty()).then(|| format!("read again:\n{tree}\n{twice}\n{told}"))
}

/// Runs one case; what differs, in words.
fn run(case: &Path) -> Vec<String> {
    let asked = asked(case);
    let loaded = load(&Request {
        files: asked.files,
        directory: asked.directory,
        project_directory: asked.project_directory,
        project_name: asked.project_name,
        env_files: asked.env_files,
        profiles: asked.profiles.clone(),
        environment: &asked.environment,
        stdin: asked.stdin.as_deref(),
    });
    let mut tree = String::new();
    json(&loaded.stack.config(Form::Json), 0, &mut tree);
    tree.push('\n');
    let here = case.display().to_string();
    let above = case.parent().expect("a parent").display().to_string();
    let neutral = |text: String| text.replace(&here, "/case").replace(&above, "/cases");
    let tree = neutral(tree);
    let drawn = neutral(draw(&loaded.diagnostics, &loaded.sources, false));
    let unsupported = neutral(draw(&loaded.unsupported, &loaded.sources, false));

    // What the model says and what the tree says is the same thing.
    let services: Vec<_> = loaded
        .stack
        .tree
        .get("services")
        .and_then(Node::as_mapping)
        .into_iter()
        .flatten()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(services, loaded.stack.services.keys().collect::<Vec<_>>());

    let mut faults = Vec::new();
    // What no profile enables is not written, though what is optional may speak of it.
    if !loaded.has_errors() && loaded.stack.disabled.is_empty() {
        faults.extend(again(&loaded, &asked.environment, &asked.profiles));
    }
    if std::env::var_os("UPDATE_CASES").is_some() {
        if loaded.has_errors() {
            let _ = fs::remove_file(case.join("expected.json"));
        } else {
            fs::write(case.join("expected.json"), &tree).expect("written");
        }
        for (file, found) in [("expected.txt", drawn), ("unsupported.txt", unsupported)] {
            if found.is_empty() {
                let _ = fs::remove_file(case.join(file));
            } else {
                fs::write(case.join(file), found).expect("written");
            }
        }
        return faults;
    }
    for (file, found) in [("expected.txt", drawn), ("unsupported.txt", unsupported)] {
        let expected = fs::read_to_string(case.join(file)).unwrap_or_default();
        if expected != found {
            faults.push(format!("{}: expected\n{expected}\nfound\n{found}", case.display()));
        }
    }
    match fs::read_to_string(case.join("expected.json")) {
        Ok(expected) if expected != tree => {
            faults.push(format!("{}: expected\n{expected}\nfound\n{tree}", case.display()));
        }
        Ok(_) => {}
        Err(_) if loaded.has_errors() => {}
        Err(_) => faults.push(format!("{}: a good stack needs an expected.json", case.display())),
    }
    faults
}

#[test]
fn every_case_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(&root)
        .expect("the case folders")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let faults: Vec<String> = cases.iter().flat_map(|case| run(case)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
