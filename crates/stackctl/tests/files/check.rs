//! `stackctl check`

use serde_json::json;

use crate::support::{Files, objects};

const GOOD: (&str, &str) = ("stack.yaml", "services:\n  a:\n    image: a:1\n");

const WARNED: (&str, &str) = (
    "stack.yaml",
    "\
services:
  a:
    image: a
    env_file: [a.env]
    volumes: [\"./absent:/a\"]
    depends_on:
      b: {condition: service_healthy}
    ports: [\"8000-8010:80\"]
  b:
    image: b:1
    ports: [\"8001:80\"]
version: \"3\"
",
);

#[test]
fn nothing_to_say() {
    let ran = Files::new(&[GOOD]).run(&["check", "--strict"], &[]);
    let said = (ran.code, ran.out.as_str(), ran.err.as_str());
    assert_eq!(said, (Some(0), "no errors, no warnings\n", ""));
}

#[test]
fn every_warning_has_its_place_and_strict_makes_them_count() {
    let files = Files::new(&[WARNED, ("a.env", "PASS=pa$word\n")]);
    let ran = files.run(&["--json", "check"], &[]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let said = objects(&ran.out);
    let (last, found) = said.split_last().expect("lines");
    let short: Vec<_> = found
        .iter()
        .map(|told| {
            assert_eq!((&told["schema"], &told["event"]), (&json!(1), &json!("diagnostic")));
            assert_eq!(told["severity"], "warning");
            format!(
                "{}:{}:{} {}",
                told["file"].as_str().expect("a file"),
                told["line"],
                told["column"],
                told["message"].as_str().expect("a message")
            )
        })
        .collect();
    let expected = [
        "stack.yaml:3:12 the image of `a` has no tag, which means `latest`: it changes without a word",
        "stack.yaml:5:15 /here/absent is not there: an empty directory is made and mounted",
        "stack.yaml:7:7 `a` waits until `b` is healthy, and the file has no health check for it",
        "stack.yaml:11:13 `a` and `b` publish host ports that overlap: 8000-8010/tcp and 8001/tcp",
        "stack.yaml:12:1 `version` is left out: the Compose Specification has no versions any more; remove the line",
        "a.env:1:1 a `$` in the value of `PASS` names a variable that is not set, and stands for an empty text",
    ];
    assert_eq!(short, expected);
    assert_eq!(last, &json!({ "schema": 1, "event": "checked", "errors": 0, "warnings": 6 }));
    assert_eq!(files.run(&["check", "--strict"], &[]).code, Some(3));
}

#[test]
fn a_warning_is_drawn_with_its_line() {
    let files = Files::new(&[("stack.yaml", "services:\n  a:\n    image: a\n")]);
    let ran = files.run(&["check"], &[]);
    assert_eq!(
        ran.out,
        "\
warning: the image of `a` has no tag, which means `latest`: it changes without a word
 --> stack.yaml:3:12
  |
3 |     image: a
  |            ^ not a fixed version
  |
  = note: at services.a.image
  = help: name a version, or pin it by its digest: `IMAGE@sha256:…`

no errors, 1 warning
"
    );
}

#[test]
fn errors_are_told_once_and_have_exit_code_3() {
    let files =
        Files::new(&[("stack.yaml", "services:\n  a:\n    image: a:1\n    expose: [b]\n    imag: c\n")]);
    let ran = files.run(&["check"], &[]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(3), ""));
    assert!(ran.out.contains("stack.yaml:4:14"), "{}", ran.out);
    assert!(ran.out.ends_with("\n\n2 errors, no warnings\n"), "{}", ran.out);
    let ran = Files::new(&[]).run(&["check"], &[]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.starts_with("error: there is no stack file in /here or above it\n"), "{}", ran.out);
}

#[test]
fn what_swarm_does_not_honour_is_told_with_its_line() {
    let stack = "\
services:
  web:
    image: web:1
    privileged: true
    tty: true
    volumes_from: [db]
    ports: [\"127.0.0.1:80:80\"]
    deploy: {mode: global}
    networks: {front: {aliases: [w], ipv4_address: 10.1.1.1}}
  db: {image: \"db:1\", restart: always, read_only: false}
networks: {front: {driver: bridge}}
";
    let files = Files::new(&[("stack.yaml", stack)]);
    let ran = files.run(&["--json", "check", "--for", "swarm", "--strict"], &[]);
    assert_eq!(ran.code, Some(3));
    let mut told = objects(&ran.out);
    told.pop();
    let told: Vec<_> = told.iter().map(|told| format!("{}: {}", told["line"], told["message"])).collect();
    let expected = [
        "4: \"Swarm does not honour `privileged`\"",
        "6: \"Swarm does not honour `volumes_from`\"",
        "7: \"Swarm does not honour `host_ip`\"",
        "9: \"Swarm does not honour `ipv4_address`\"",
        "11: \"Swarm does not honour this `driver`\"",
    ];
    assert_eq!(told, expected);
    let engine = files.run(&["--json", "check", "--for", "engine"], &[]);
    assert_eq!(engine.out, files.run(&["--json", "check"], &[]).out);
    assert!(!engine.out.contains("Swarm"), "{}", engine.out);
}
