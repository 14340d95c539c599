//! Configs and secrets as an archive, and hooks as commands in a container.

use serde_json::{Value, json};
use stack_engine::engine::{Engine, Ledger, Work};
use stack_plan::plan::{Action, Target};

use crate::recorder::{Recorder, up};
use crate::stacks::desired;

#[tokio::test]
async fn configs_are_one_archive_between_create_and_start() {
    let text = "
services:
  web:
    image: web
    user: '1000'
    configs:
      - one
      - { source: two, target: /etc/deep/two, uid: '7', gid: '8', mode: 0600 }
configs: { one: { content: first }, two: { content: second } }
";
    let recorder = up("1.41", text).await;
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    let place = |begin: &str| lines.iter().position(|line| line.starts_with(begin)).expect("it was called");
    let put = place("PUT /v1.41/containers/made/archive?");
    assert!(place("POST /v1.41/containers/create") < put, "{lines:#?}");
    assert!(put < place("POST /v1.41/containers/made/start"), "{lines:#?}");
    assert!(
        lines[put].contains("path=%2F&") && lines[put].contains("noOverwriteDirNonDir=true"),
        "{lines:#?}"
    );
    // It would make the container's user the owner of everything.
    assert!(!lines[put].contains("copyUIDGID"), "{lines:#?}");
    assert_eq!(
        recorder.body("PUT /v1.41/containers/made/archive"),
        json!([
            { "path": "one", "uid": 1000, "gid": 0, "mode": 0o444, "content": "first" },
            { "path": "etc/deep/two", "uid": 7, "gid": 8, "mode": 0o600, "content": "second" },
        ])
    );
}

#[tokio::test]
async fn a_file_and_the_socket_are_mounts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.conf");
    std::fs::write(&file, "x").expect("written");
    let text = format!(
        "
services: {{ web: {{ image: web, use_api_socket: true, configs: [{{ source: app, target: /etc/app }}] }} }}
configs: {{ app: {{ file: {} }} }}
",
        file.display()
    );
    let recorder = up("1.41", &text).await;
    let body = recorder.body("POST /v1.41/containers/create");
    assert_eq!(
        body["HostConfig"]["Mounts"],
        json!([
            { "Type": "bind", "Source": file.display().to_string(), "Target": "/etc/app", "ReadOnly": true },
            { "Type": "bind", "Source": "/var/run/docker.sock", "Target": "/var/run/docker.sock" },
        ])
    );
    assert!(body["Env"].to_string().contains("DOCKER_CONFIG=/run/secrets/docker"), "{body:#}");
    let files = recorder.body("PUT /v1.41/containers/made/archive");
    assert_eq!(files[0]["path"], "run/secrets/docker/config.json");
    let config: Value = serde_json::from_str(files[0]["content"].as_str().expect("a text")).expect("JSON");
    assert!(config["auths"].is_object(), "{config}");
}

#[tokio::test]
async fn a_hook_is_a_command_with_all_that_the_file_says_of_it() {
    let stack = desired(
        "
services:
  web:
    image: web
    post_start:
      - { command: [migrate, --all], user: root, privileged: true, working_dir: /srv, environment: { A: '1', B: } }
",
    );
    let recorder = Recorder::start("1.41", None);
    let engine = recorder.engine().await;
    let hook = stack.services[0].hooks.post_start[0].clone();
    let target = Target::Known("abc".to_owned());
    let action = Action::Run { target, event: stack_plan::plan::HookEvent::PostStart, hook };
    let work = Work { action: &action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    // What follows the start is no HTTP; only what was asked is looked at here.
    let _ = engine.perform(work).await;
    let body = recorder.body("POST /v1.41/containers/abc/exec");
    assert_eq!(
        (&body["Cmd"], &body["User"], &body["Privileged"], &body["WorkingDir"], &body["Env"]),
        (&json!(["migrate", "--all"]), &json!("root"), &json!(true), &json!("/srv"), &json!(["A=1", "B"]))
    );
    assert_eq!((&body["AttachStdout"], &body["AttachStderr"]), (&json!(true), &json!(true)));
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    assert!(lines.iter().any(|line| line.starts_with("POST /v1.41/exec/exec/start")), "{lines:#?}");
}
