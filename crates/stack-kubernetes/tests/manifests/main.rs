//! Case folders: a stack on one side; on the other its manifests (`expected.yaml`) and what
//! they do not say (`expected.txt`). Every object that is written, of every stack that any test of
//! this project loads, is held against Kubernetes' published schema, and against the rules of its
//! server that no schema knows.
//!
//! A folder may have `options` with one `NAME value` a line: `namespace`, `publish`,
//! `wait-image`, `volume-size`, `profile`. `UPDATE_CASES=1` writes the expectations anew.

mod rules;
mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use stack_file::diagnostic::Severity;
use stack_file::draw::draw;
use stack_file::load::{Loaded, Request, load};
use stack_kubernetes::{Export, Found, Object, Options, Publish, export};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn loaded(directory: &Path, files: Vec<PathBuf>, profiles: Vec<String>) -> Loaded {
    let environment = BTreeMap::from([
        ("HOME".to_owned(), "/home/ada".to_owned()),
        ("COMPOSE_DISABLE_ENV_FILE".to_owned(), "1".to_owned()),
        ("CASE_TOKEN".to_owned(), "s3cret".to_owned()),
    ]);
    load(&Request {
        files,
        directory: directory.to_owned(),
        project_directory: None,
        project_name: None,
        env_files: Vec::new(),
        profiles,
        environment: &environment,
        stdin: None,
    })
}

/// As the command looks, without its limits.
fn look(path: &Path) -> Found {
    if path.is_file() {
        let content = fs::read(path).expect("a file");
        let executable = path.extension().is_some_and(|ending| ending == "sh");
        return Found::File { content, executable };
    }
    if !path.is_dir() {
        return Found::Other;
    }
    let mut files = Vec::new();
    collect(path, "", &mut files);
    files.sort();
    if files.iter().map(|(_, content)| content.len()).sum::<usize>() > 1 << 20 {
        return Found::Unread("it is larger than 1 MiB".to_owned());
    }
    Found::Directory(files)
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), files);
        } else {
            files.push((format!("{prefix}{name}"), fs::read(&path).expect("a file")));
        }
    }
}

/// What Kubernetes would not take, in words.
fn faults(objects: &[Object]) -> Vec<String> {
    let schema = schema::Schema::read();
    let mut all: Vec<String> = objects.iter().flat_map(|object| schema.faults(object)).collect();
    all.extend(rules::faults(objects));
    all
}

fn options(case: &Path) -> (Options, Vec<String>) {
    let mut options = Options::default();
    let mut profiles = Vec::new();
    for line in fs::read_to_string(case.join("options")).unwrap_or_default().lines() {
        let (name, value) = line.split_once(' ').expect("NAME value");
        match name {
            "namespace" => options.namespace = Some(value.to_owned()),
            "publish" if value == "node-port" => options.publish = Publish::NodePort,
            "publish" if value == "none" => options.publish = Publish::Nothing,
            "wait-image" => options.wait_image = Some(value.to_owned()),
            "volume-size" => value.clone_into(&mut options.volume_size),
            "profile" => profiles.push(value.to_owned()),
            _ => panic!("{line}"),
        }
    }
    (options, profiles)
}

fn yaml(objects: &[Object]) -> String {
    let documents = objects.iter().map(|object| serde_yaml::to_string(&object.value).expect("YAML"));
    documents.collect::<Vec<_>>().join("---\n")
}

/// Runs one case; what differs, in words.
fn run(case: &Path) -> Vec<String> {
    let (options, profiles) = options(case);
    let loaded = loaded(case, Vec::new(), profiles);
    assert!(!loaded.has_errors(), "{}", draw(&loaded.diagnostics, &loaded.sources, false));
    let written = export(&loaded, &options, &look);
    let broken = written.diagnostics.iter().any(|told| told.severity == Severity::Error);
    let mut faults = if broken { Vec::new() } else { faults(&written.objects) };
    let here = case.display().to_string();
    let found_objects = if broken { String::new() } else { yaml(&written.objects).replace(&here, "/case") };
    let found_told = draw(&written.diagnostics, &loaded.sources, false).replace(&here, "/case");
    for (file, found) in [("expected.yaml", found_objects), ("expected.txt", found_told)] {
        let path = case.join(file);
        if std::env::var_os("UPDATE_CASES").is_some() {
            if found.is_empty() {
                let _ = fs::remove_file(path);
            } else {
                fs::write(path, found).expect("written");
            }
            continue;
        }
        let expected = fs::read_to_string(path).unwrap_or_default();
        if expected != found {
            faults.push(format!("{}: expected\n{expected}\nfound\n{found}", case.join(file).display()));
        }
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", case.display())).collect()
}

fn folders(below: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = (fs::read_dir(below).expect("the folders"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    all
}

#[test]
fn every_case_folder() {
    let cases = folders(&root().join("tests/cases"));
    assert!(cases.len() >= 10, "only {} cases", cases.len());
    let faults: Vec<String> = cases.iter().flat_map(|case| run(case)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Writes a stack twice, and holds it against the rules; `None` for one that is not written.
fn checked(directory: &Path, files: Vec<PathBuf>) -> Option<(Export, Vec<String>)> {
    let loaded = loaded(directory, files, vec!["debug".to_owned()]);
    if loaded.has_errors() {
        return None;
    }
    let written = export(&loaded, &Options::default(), &look);
    let again = export(&loaded, &Options::default(), &look);
    assert_eq!(written.objects, again.objects, "{}", directory.display());
    if written.diagnostics.iter().any(|told| told.severity == Severity::Error) {
        return None;
    }
    let faults = faults(&written.objects);
    Some((written, faults))
}

#[test]
fn whatever_stack_is_written_kubernetes_takes() {
    let mut written = 0;
    let mut faults = Vec::new();
    for case in folders(&root().join("../stack-file/tests/cases")) {
        if let Some((export, found)) = checked(&case, Vec::new()) {
            written += export.objects.len();
            faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", case.display())));
        }
    }
    assert!(written > 100, "only {written} objects");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_first_stack_is_written() {
    let top = root().join("../..").canonicalize().expect("the top folder");
    let (export, faults) = checked(&top, vec![top.join("stack.yaml")]).expect("it is written");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let kinds = |kind: &str| export.objects.iter().filter(|object| object.kind == kind).count();
    assert_eq!((kinds("Deployment"), kinds("Service"), kinds("ConfigMap")), (4, 8, 1));
    let nginx = export.objects.iter().find(|object| object.kind == "Deployment" && object.name == "nginx");
    let pod = &nginx.expect("nginx").value["spec"]["template"]["spec"];
    let waits: Vec<&str> = (pod["initContainers"].as_array().expect("waits").iter())
        .filter_map(|container| container["name"].as_str())
        .collect();
    assert_eq!(waits, ["wait-for-app1", "wait-for-app2"]);
    assert_eq!(export.diagnostics.len(), 2, "two images that are built");
}

#[test]
fn what_an_object_cannot_hold_must_be_refused_with_its_line() {
    let case = root().join("tests/cases/binds");
    let loaded = loaded(&case, Vec::new(), Vec::new());
    let large = |path: &Path| match look(path) {
        Found::File { executable, .. } => Found::File { content: vec![b'a'; (1 << 20) + 1], executable },
        Found::Directory(_) => Found::Unread("it is larger than 1 MiB".to_owned()),
        other => other,
    };
    let written = export(&loaded, &Options::default(), &large);
    let errors: Vec<_> = written.diagnostics.iter().filter(|told| told.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 8, "{errors:#?}");
    assert!(errors.iter().all(|told| told.origin.is_some() && !told.help.is_empty()), "{errors:#?}");
}
