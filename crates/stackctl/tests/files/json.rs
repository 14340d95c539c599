//! `--json`: messages are one object per line on standard error, results are data.

use serde_json::{Value, json};

use crate::support::{Files, objects};

const WRONG: (&str, &str) = (
    "stack.yaml",
    "services:\n  a:\n    image: a:1\n    ports: [\"80:80\"]\n  b:\n    imagee: b:1\n    build: .\n    ports: [\"80:80\"]\n",
);

#[test]
fn what_is_wrong_with_a_file() {
    let files = Files::new(&[WRONG]);
    for asked in
        [&["--json", "plan"][..], &["plan", "--json"], &["--progress", "json", "up"], &["--json", "build"]]
    {
        let ran = files.run(asked, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{asked:?}");
        let mut said = objects(&ran.err);
        for line in &mut said {
            assert_eq!(line["schema"], 1);
            assert!(line["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
            line.as_object_mut().expect("an object").retain(|key, _| key != "schema" && key != "at");
        }
        let expected = [
            json!({
                "event": "diagnostic",
                "severity": "error",
                "message": "a service has no attribute `imagee`",
                "path": "services.b.imagee",
                "file": "stack.yaml",
                "line": 6,
                "column": 5,
                "end": { "line": 6, "column": 11 },
                "label": "unknown attribute",
                "help": ["did you mean `image`?"],
                "replacement": "image",
                "related": [],
            }),
            json!({
                "event": "diagnostic",
                "severity": "error",
                "message": "`a` and `b` both publish the host's port 80/tcp",
                "path": "services.b.ports",
                "file": "stack.yaml",
                "line": 8,
                "column": 13,
                "end": { "line": 8, "column": 20 },
                "label": "",
                "help": ["a port of the host can serve one container: change one"],
                "replacement": null,
                "related": [{
                    "file": "stack.yaml",
                    "line": 4,
                    "column": 13,
                    "end": { "line": 4, "column": 20 },
                    "message": "first here",
                }],
            }),
            json!({ "event": "error", "text": "the stack file has 2 errors", "hint": null }),
        ];
        assert_eq!(said, expected, "{asked:?}");
    }
}

#[test]
fn results() {
    let files = Files::new(&[("stack.yaml", "name: n\nservices:\n  a:\n    image: a:1\n")]);
    let ran = files.run(&["config", "--json"], &[]);
    let told: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&told["name"], ran.err.as_str()), (&json!("n"), ""));
    let told: Value = serde_json::from_str(&files.run(&["version", "--json"], &[]).out).expect("JSON");
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn an_error_says_what_to_do() {
    let files = Files::new(&[("stack.yaml", "services:\n  web:\n    image: a:1\n")]);
    let said = objects(&files.run(&["explain", "wbe", "--json"], &[]).err);
    assert_eq!(said[0]["text"], "there is no service `wbe`");
    assert_eq!(said[0]["hint"], "did you mean `web`?");
}
