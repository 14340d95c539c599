//! `stackctl export kubernetes`: where manifests go, and when they do not.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::support::Files;

const STACK: (&str, &str) = (
    "stack.yaml",
    "\
name: shop
services:
  web:
    image: web:1
    ports: [\"80:8080\"]
    environment: {API_TOKEN: planted-value, MODE: \"on\"}
    configs: [app]
configs:
  app: {content: \"a: yes\\n\"}
",
);

fn yaml(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

#[test]
fn a_stream_and_a_list_have_the_same_objects() {
    let files = Files::new(&[STACK]);
    let stream = files.run(&["export", "kubernetes", "--namespace", "shop"], &[]);
    assert_eq!((stream.code, stream.err.as_str()), (Some(0), ""));
    let list = files.run(&["--json", "export", "kubernetes", "-n", "shop"], &[]);
    let list: Value = serde_json::from_str(&list.out).expect("JSON");
    let objects = yaml(&stream.out);
    assert_eq!(Value::Array(objects.clone()), list["items"]);
    let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    assert_eq!(kinds, ["ConfigMap", "Secret", "Service", "Service", "Deployment"]);
    assert!(objects.iter().all(|object| object["metadata"]["namespace"] == "shop"));
    assert!(!stream.out.contains("planted-value"), "{}", stream.out);
}

#[test]
fn a_directory_holds_what_the_stack_has_now_and_nothing_of_others_is_touched() {
    let files = Files::new(&[STACK, ("out/notes.yaml", "mine: true\n")]);
    let first = files.run(&["export", "kubernetes", "-o", "out"], &[]);
    assert_eq!((first.code, first.out.as_str()), (Some(0), ""), "{}", first.err);
    assert!(first.err.contains("5 objects written to out"), "{}", first.err);
    let before = names(&files.path().join("out"));
    assert_eq!(before.len(), 6, "{before:?}");
    std::fs::write(files.path().join("stack.yaml"), STACK.1.replace("a: yes", "a: no")).expect("written");
    files.run(&["export", "kubernetes", "-o", "out"], &[]);
    let after = names(&files.path().join("out"));
    assert_eq!(after.len(), 6, "{after:?}");
    let gone: Vec<_> = before.iter().filter(|name| !after.contains(name)).collect();
    assert!(gone.len() == 1 && gone[0].starts_with("configmap-app-"), "{gone:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let secret = after.iter().find(|name| name.starts_with("secret-")).expect("a Secret");
        let metadata = std::fs::metadata(files.path().join("out").join(secret)).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o077, 0, "others may not read it");
    }
    std::fs::write(files.path().join("out/deployment-web.yaml"), "mine: true\n").expect("written");
    let refused = files.run(&["export", "kubernetes", "-o", "out"], &[]);
    assert_eq!(refused.code, Some(64));
    assert!(refused.err.contains("deployment-web.yaml was not written by stackctl"), "{}", refused.err);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_manifests_cannot_say_is_told_and_strict_writes_nothing() {
    let text = "services:\n  web:\n    image: web:1\n    ulimits: {nofile: 10}\n    user: ada\n";
    let files = Files::new(&[("stack.yaml", text)]);
    let ran = files.run(&["export", "kubernetes", "-o", "all.yaml"], &[]);
    assert_eq!(ran.code, Some(0));
    for part in ["stack.yaml:4:5", "does not honour `ulimits`", "stack.yaml:5:11", "knows users by number"] {
        assert!(ran.err.contains(part), "{part}\n{}", ran.err);
    }
    let written = std::fs::read_to_string(files.path().join("all.yaml")).expect("a file");
    assert_eq!(yaml(&written).len(), 2);
    let strict = files.run(&["export", "kubernetes", "--strict", "-o", "none.yaml"], &[]);
    assert_eq!((strict.code, files.path().join("none.yaml").exists()), (Some(3), false));
    let checked = files.run(&["check", "--for", "kubernetes"], &[]);
    assert_eq!(checked.code, Some(0));
    assert!(checked.out.contains("no errors, 2 warnings"), "{}", checked.out);
    let strict = files.run(&["check", "--for", "kubernetes", "--strict"], &[]);
    assert_eq!(strict.code, Some(3));
}

#[test]
fn a_dry_run_writes_nothing() {
    let files = Files::new(&[STACK]);
    let ran = files.run(&["--dry-run", "export", "kubernetes", "-o", "out"], &[]);
    assert!(ran.code == Some(0) && ran.out.contains("would write 5 objects to out"), "{}", ran.out);
    assert!(!files.path().join("out").exists());
}

#[test]
fn wrong_options_are_refused() {
    let files = Files::new(&[STACK]);
    for arguments in [["--namespace", "Not_One"], ["--volume-size", "1 GB"], ["--publish", "everywhere"]] {
        let ran = files.run(&[&["export", "kubernetes"], &arguments[..]].concat(), &[]);
        assert_eq!(ran.code, Some(64), "{arguments:?}");
        assert!(ran.err.contains(arguments[1]), "{}", ran.err);
    }
}
