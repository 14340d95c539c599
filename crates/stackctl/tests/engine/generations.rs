//! What runs have made of a stack: kept on the engine, compared, and gone back to.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Outcome, Project, ended};

/// Runs stackctl in another directory, with the project's variables and without its file.
#[track_caller]
fn away(project: &Project, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
    command.args(["-p", &project.name]).args(arguments).current_dir("/").env("COMPOSE_PROGRESS", "plain");
    command.env("XDG_STATE_HOME", project.state.path()).stdin(Stdio::null());
    command.envs(project.env.iter().map(|(name, value)| (name, value)));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("stackctl starts");
    Outcome::of(ended(child, arguments), arguments)
}

#[track_caller]
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text.trim().to_owned()
}

/// The numbers of the generations, the newest first.
fn numbers(project: &Project) -> Vec<String> {
    away(project, &["history", "-q"]).exits(0).out.lines().map(str::to_owned).collect()
}

/// Writes a file beside the stack file.
fn write(project: &Project, name: &str, text: &str) {
    std::fs::write(project.directory.path().join(name), text).expect("the file is written");
}

/// A service that sleeps; more of its lines are `more`.
fn web(more: &str) -> String {
    format!(
        "services:
  web:
    image: redis:latest
    command: [sleep, '600']
    init: true
    stop_grace_period: 0s
{more}"
    )
}

/// A service with an image that is built with this label.
fn built(version: &str) -> String {
    format!(
        "services:
  web:
    build: {{ dockerfile_inline: \"FROM redis:latest\\nLABEL version={version}\" }}
    command: [sleep, '600']
    init: true
    stop_grace_period: 0s
"
    )
}

#[test]
fn a_way_back_must_need_no_file_and_be_a_generation_itself() {
    let project = Project::new(&web("    mem_limit: 32m\n"));
    project.run(&["up", "-d"]).exits(0);
    project.write(&format!(
        "{}  worker: {{ image: redis:latest }}\n",
        web("    mem_limit: 64m\n    user: '0'\n")
    ));
    project.run(&["up", "-d"]).exits(0);
    // What changes nothing is no generation, and neither is what puts right what was done by hand.
    project.run(&["up", "-d"]).exits(0);
    docker(&["stop", "-t", "0", &format!("{}-web-1", project.name)]);
    project.run(&["up", "-d"]).exits(0).says("web/1  started");
    assert_eq!(numbers(&project), ["2", "1"]);
    project.run(&["history"]).exits(0).shows("web: mem_limit, user; + worker");
    away(&project, &["history", "2"]).exits(0).shows("mem_limit  33554432 → 67108864").shows("+ worker");
    let shown: Value = serde_json::from_str(&away(&project, &["history", "2", "--json"]).out).expect("JSON");
    assert_eq!(shown["since"], 1);
    assert_eq!(shown["changes"][0]["fields"][0]["field"], "mem_limit");
    away(&project, &["history", "2", "--diff", "2"]).exits(0).shows("nothing changed");

    // The file is broken, and nobody is in its directory.
    project.write("services: [");
    let before = project.ids();
    away(&project, &["rollback", "--dry-run"]).exits(0).shows("replace").shows("mem_limit").shows("worker/1");
    assert_eq!(project.ids(), before);
    away(&project, &["rollback", "--wait"]).exits(0).says("worker/1  removed");
    let limit = docker(&["inspect", "-f", "{{.HostConfig.Memory}}", &format!("{}-web-1", project.name)]);
    assert_eq!(limit, "33554432");
    assert_eq!(project.ids().len(), 1);
    assert_eq!(numbers(&project), ["3", "2", "1"]);
    away(&project, &["history"]).exits(0).shows("rollback 1").shows("- worker");
    away(&project, &["rollback", "1"]).exits(0).says("nothing to change");
    assert_eq!(numbers(&project), ["3", "2", "1"]);
    away(&project, &["rollback", "7"])
        .exits(64)
        .says("there is no generation 7")
        .says("has: 1, 2, 3; see them with");
    // The file as it was then says what runs now.
    project.write(&web("    mem_limit: 32m\n"));
    project.run(&["plan"]).exits(0);
}

#[test]
fn the_very_image_must_come_back_though_its_name_has_moved_on() {
    let project = Project::new(&built("1"));
    let name = format!("{}-web-1", project.name);
    let image = || docker(&["inspect", "-f", "{{.Image}}", &name]);
    project.run(&["up", "-d", "--build"]).exits(0);
    let first = image();
    project.write(&built("2"));
    project.run(&["up", "-d", "--build"]).exits(0);
    let second = image();
    assert_ne!(first, second);
    away(&project, &["history", "2"]).exits(0).shows("image id");
    // The old image has no name of its own any more, and is kept all the same.
    docker(&[
        "image",
        "prune",
        "-f",
        "--filter",
        &format!("label=com.docker.compose.project={}", project.name),
    ]);
    away(&project, &["rollback", "-y"]).exits(0).says("web/1  started");
    assert_eq!(image(), first);
    assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &format!("{}-web", project.name)]), second);
    away(&project, &["status"]).exits(2).shows("image tag");
    // The file goes forward again.
    project.run(&["plan"]).exits(2).shows("image is newer");
    project.run(&["up", "-d"]).exits(0);
    assert_eq!(image(), second);

    // Where neither the engine nor a registry has it, nothing is begun.
    for tag in ["1.web", "3.web"] {
        docker(&["rmi", &format!("stackctl-generation-{}:{tag}", project.name)]);
    }
    let before = project.ids();
    away(&project, &["rollback", "1"])
        .exits(8)
        .says(&format!("{}-web of web", project.name))
        .says("stackctl history");
    assert_eq!(project.ids(), before);
}

#[test]
fn no_secret_must_reach_a_record_and_none_must_come_back_as_another_unsaid() {
    let planted = [
        "pl4nted-shell",
        "pl4nted-dotenv",
        "pl4nted-envfile",
        "pl4nted-secret",
        "pl4nted-config",
        "pl4nted-label",
    ];
    let more = "    environment: { SHELL_VALUE: 'x${UNSET-}${SHELL_VALUE}' }
    env_file: values.env
    label_file: values.label
    labels: { dot: '${DOT_VALUE}' }
    secrets: [s]
    configs: [c]
secrets: { s: { file: secret.txt } }
configs: { c: { environment: CONFIG_VALUE } }
";
    let mut project = Project::new(&web(more));
    write(&project, ".env", "DOT_VALUE=pl4nted-dotenv\n");
    write(&project, "values.env", "FILE_VALUE=pl4nted-envfile\n");
    write(&project, "values.label", "label.value=pl4nted-label\n");
    write(&project, "secret.txt", "pl4nted-secret");
    project.env("SHELL_VALUE", "pl4nted-shell");
    project.env("CONFIG_VALUE", "pl4nted-config");
    project.run(&["up", "-d"]).exits(0);
    project.write(&web(more).replace("init: true", "init: false"));
    project.run(&["up", "-d"]).exits(0);
    let records = format!("stackctl-generation-{}", project.name);
    let mut told = String::new();
    for number in ["1", "2"] {
        told.push_str(&docker(&["inspect", &format!("{records}:{number}")]));
        told.push_str(&docker(&["history", "--no-trunc", &format!("{records}:{number}")]));
        told.push_str(&away(&project, &["history", number]).out);
        told.push_str(&away(&project, &["history", number, "--json"]).out);
    }
    // What it is read from is there, so that the test would see the rest.
    assert!(told.contains("SHELL_VALUE") && told.contains("label_file"), "{told}");
    for value in planted {
        assert!(!told.contains(value), "{value} is kept:\n{told}");
    }

    away(&project, &["rollback", "1", "--dry-run"]).exits(0);
    project.env("SHELL_VALUE", "another");
    away(&project, &["rollback", "1"])
        .exits(8)
        .says("environment.SHELL_VALUE is not what it was in generation 1, through the variable SHELL_VALUE");
    project.env("SHELL_VALUE", "pl4nted-shell");
    write(&project, "secret.txt", "another");
    let refused = away(&project, &["rollback", "1"]).exits(8).says("secrets.");
    assert!(planted.iter().all(|value| !refused.err.contains(value)), "{}", refused.err);
    write(&project, "values.env", "OTHER=1\n");
    away(&project, &["rollback", "1"]).exits(8).says("environment.FILE_VALUE is not there any more");
    away(&project, &["rollback", "1", "--use-present-values"])
        .exits(0)
        .says("environment.FILE_VALUE is not there any more");
}

#[test]
fn the_records_must_be_bounded_outlive_down_and_go_with_the_volumes() {
    let mut project = Project::new(&built("1"));
    project.env("STACKCTL_GENERATIONS", "2");
    for version in ["1", "2", "3", "4"] {
        project.write(&built(version));
        project.run(&["up", "-d", "--build"]).exits(0);
    }
    assert_eq!(numbers(&project), ["4", "3"]);
    let repository = format!("stackctl-generation-{}", project.name);
    let tags = || docker(&["images", "--format", "{{.Tag}}", &repository]);
    let mut kept: Vec<String> = tags().lines().map(str::to_owned).collect();
    kept.sort();
    assert_eq!(kept, ["3", "3.web", "4", "4.web"]);
    project.run(&["down"]).exits(0);
    assert_eq!(numbers(&project), ["4", "3"]);
    away(&project, &["rollback"]).exits(0).says("web/1  started");
    assert_eq!(numbers(&project), ["5", "4"]);
    project.run(&["down", "--volumes"]).exits(0).says("2 generations removed");
    assert_eq!(tags(), "");
    away(&project, &["rollback"]).exits(64).says("has no generations to go back to");
    project.env("STACKCTL_GENERATIONS", "0");
    project.run(&["up", "-d"]).exits(0);
    assert_eq!(tags(), "");
}

#[test]
fn a_run_on_some_services_must_not_bring_back_the_others() {
    let yaml = |web: &str, api: &str| {
        let service =
            |level: &str| format!("{{ image: redis:latest, stop_grace_period: 0s, user: '{level}' }}");
        format!("services:\n  web: {}\n  api: {}\n", service(web), service(api))
    };
    let user = |project: &Project, service: &str| {
        docker(&["inspect", "-f", "{{.Config.User}}", &format!("{}-{service}-1", project.name)])
    };
    let project = Project::new(&yaml("0", "0"));
    project.run(&["up", "-d"]).exits(0);
    project.write(&yaml("1", "1"));
    project.run(&["up", "-d", "web"]).exits(0);
    project.write(&yaml("2", "2"));
    project.run(&["up", "-d"]).exits(0);
    away(&project, &["history"]).exits(0).shows("up web");
    away(&project, &["rollback"]).exits(0).says("generation 2 was not about api: what is there stays");
    assert_eq!((user(&project, "web"), user(&project, "api")), ("1".to_owned(), "2".to_owned()));
    away(&project, &["rollback", "1"]).exits(0);
    assert_eq!((user(&project, "web"), user(&project, "api")), ("0".to_owned(), "0".to_owned()));
}

#[test]
fn what_was_done_by_hand_must_be_told_field_by_field_and_mended() {
    let more = "    scale: 3
    mem_limit: 64m
    environment: { LEVEL: a }
    networks: [front, back]
networks: { front: , back: }
";
    let project = Project::new(&web(more));
    let name = |number: u8| format!("{}-web-{number}", project.name);
    let told = |project: &Project| -> Vec<String> {
        let shown = away(project, &["status", "--format", "{{.Resource}} {{.Field}}: {{.Was}} > {{.Now}}"]);
        shown.out.lines().map(str::to_owned).collect()
    };
    away(&project, &["status"]).exits(1).says("has no generation to compare with");
    project.run(&["up", "-d"]).exits(0);
    away(&project, &["status"]).exits(0).shows("is as generation 1 left it");

    // Without a restart: what it was made as is put back where it is.
    let before = project.ids();
    docker(&["rename", &name(1), &format!("{}-odd", project.name)]);
    docker(&["network", "connect", "bridge", &name(2)]);
    assert_eq!(
        told(&project),
        [
            format!("web/1 name: {} > {}-odd", name(1), project.name),
            "web/2 network: (none) > bridge".to_owned()
        ]
    );
    away(&project, &["status"]).exits(2).shows("web/2  attached to the network bridge");
    project.run(&["plan"]).exits(2).shows("is renamed").shows("is attached to another network");
    project.run(&["up", "-d"]).exits(0).says("web/1  renamed back").says("web/2  detached");
    assert_eq!(project.ids(), before);
    away(&project, &["status"]).exits(0);

    // Whatever else was set by hand: another container takes the place.
    docker(&["update", "--memory", "32m", "--memory-swap", "64m", "--restart", "always", &name(1)]);
    docker(&["network", "disconnect", &format!("{}_back", project.name), &name(2)]);
    docker(&["pause", &name(3)]);
    assert_eq!(
        told(&project),
        [
            "web/1 mem_limit: 67108864 > 33554432".to_owned(),
            "web/1 restart: (none) > always".to_owned(),
            format!("web/2 network: {}_back > (none)", project.name),
            "web/3 state: running > paused".to_owned(),
        ]
    );
    project.run(&["plan"]).exits(2).shows("mem_limit  33554432 → 67108864  changed by hand");
    project.run(&["up", "-d"]).exits(0);
    away(&project, &["status"]).exits(0);
    project.run(&["plan"]).exits(0);

    docker(&["rm", "-f", &name(2)]);
    docker(&["stop", "-t", "0", &name(1)]);
    docker(&["network", "connect", "bridge", &name(1)]);
    let lines = told(&project);
    assert!(lines.contains(&"web/2 container: there > (none)".to_owned()), "{lines:?}");
    assert!(lines.contains(&"web/1 state: running > exited".to_owned()), "{lines:?}");
    project.run(&["up", "-d"]).exits(0);
    away(&project, &["status"]).exits(0);

    recreated_with_other_variables(&project, &name(3));
    assert_eq!(
        told(&project),
        [
            "web/3 environment.LEVEL: (hidden) > (hidden)",
            "web/3 environment.DEBUG: (none) > (hidden)",
            "web/3 environment.PATH: (none) > (hidden)",
        ]
    );
    project
        .run(&["plan"])
        .exits(2)
        .shows("environment.LEVEL")
        .shows("environment.DEBUG  (hidden) → (none)")
        .shows("changed by hand");
    project.run(&["up", "-d"]).exits(0);
    away(&project, &["status"]).exits(0);
    assert_eq!(numbers(&project), ["1"]);

    // A file that is ahead is no drift.
    project.write(&web(more).replace("LEVEL: a", "LEVEL: b"));
    project.run(&["status"]).exits(0).shows("the file is ahead of it: web: environment.LEVEL");
    project.run(&["scale", "web=2"]).exits(0);
    assert_eq!(numbers(&project).len(), 2);
}

/// Makes a container anew with all its labels and other variables, as programs with a form for
/// containers do.
fn recreated_with_other_variables(project: &Project, name: &str) {
    let found: Value = serde_json::from_str(&docker(&["inspect", name])).expect("JSON");
    docker(&["rm", "-f", name]);
    let front = format!("{}_front", project.name);
    let mut arguments: Vec<String> =
        ["run", "-d", "--name", name, "--init", "--memory", "64m", "--network", &front]
            .map(str::to_owned)
            .to_vec();
    for (label, value) in found[0]["Config"]["Labels"].as_object().expect("labels") {
        arguments.push("--label".to_owned());
        arguments.push(format!("{label}={}", value.as_str().expect("a text")));
    }
    for variable in ["LEVEL=edited", "DEBUG=1", "PATH=/usr/local/bin:/usr/bin:/bin:/opt"] {
        arguments.extend(["-e".to_owned(), variable.to_owned()]);
    }
    arguments.extend(["redis:latest", "sleep", "600"].map(str::to_owned));
    docker(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    docker(&["network", "connect", &format!("{}_back", project.name), name]);
}
