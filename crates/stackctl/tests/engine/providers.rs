//! Services that other programs make, on the real engine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Project, inside};

/// A program that keeps to the protocol: it notes how it was called, and says where its service is.
const PROGRAM: &str = r#"#!/bin/sh
if [ "$2" = metadata ]; then
  echo '{"description":"a cloud","up":{"parameters":[{"name":"size","required":true}]},"down":{"parameters":[]}}'
  exit 0
fi
echo "$@" >> "$NOTES"
case "$3" in
  up)
    echo '{"type":"info","message":"asking for a database"}'
    echo '{"type":"debug","message":"planted-debug"}'
    if [ "$FAILS" = says ]; then echo '{"type":"error","message":"no room left"}'; exit 1; fi
    if [ "$FAILS" = ends ]; then echo 'out of memory' >&2; exit 9; fi
    if [ "$FAILS" = babbles ]; then echo 'planted-babble'; exit 0; fi
    echo "{\"type\":\"setenv\",\"message\":\"URL=planted-$PLACE\"}"
    echo '{"type":"rawsetenv","message":"RAW=planted-raw"}'
    ;;
esac
"#;

const YAML: &str = "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    init: true
    depends_on: [cloud_db]
  other:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    init: true
  cloud_db:
    provider: { type: stackctl-test-cloud, options: { size: 10, unknown: x } }
";

/// A project whose provider is a plugin of docker, and the file in which it notes its calls.
fn project() -> (Project, std::path::PathBuf) {
    let mut project = Project::new(YAML);
    let folder = project.directory.path().join("settings/cli-plugins");
    install(&folder, "docker-stackctl-test-cloud");
    let notes = project.directory.path().join("notes");
    project.env("DOCKER_CONFIG", project.directory.path().join("settings").display());
    project.env("NOTES", notes.display());
    project.env("PLACE", "here");
    (project, notes)
}

fn install(folder: &Path, name: &str) {
    std::fs::create_dir_all(folder).expect("a folder");
    let program = folder.join(name);
    std::fs::write(&program, PROGRAM).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it may run");
}

#[test]
fn a_provider_must_be_asked_first_and_its_variables_must_reach_what_depends_on_it() {
    let (mut project, notes) = project();
    project.run(&["plan"]).exits(2).shows("service:cloud_db  provide");
    let up = project.run(&["up", "-d"]).exits(0).says("asking for a database");
    let at = |text: &str| up.err.find(text).unwrap_or_else(|| panic!("{text} in {}", up.err));
    assert!(at("service:cloud_db  provided") < at("app/1  created"));
    let app = format!("{}-app-1", project.name);
    assert_eq!(inside(&app, "echo $CLOUD_DB_URL $RAW"), "planted-here planted-raw\n");
    let call = format!("compose --project-name={} up --size=10 cloud_db\n", project.name);
    assert_eq!(std::fs::read_to_string(&notes).expect("it was called"), call);

    let ids = project.ids();
    project
        .run(&["plan"])
        .exits(0)
        .shows("whether app is replaced is known after service:cloud_db is provided");
    let again = project.run(&["up", "-d"]).exits(0);
    assert_eq!(ids, project.ids(), "{}", again.err);

    project.env("PLACE", "there");
    let moved = project.run(&["up", "-d"]).exits(0);
    assert_eq!(inside(&app, "echo $CLOUD_DB_URL"), "planted-there\n");
    let after = project.ids();
    assert_ne!(ids[0], after[0]);
    assert_eq!(ids[1], after[1]);
    for text in [up.err, again.err, moved.err] {
        assert!(!text.contains("planted"), "{text}");
    }
    project.run(&["stop"]).exits(0);
    project.run(&["down"]).exits(0).says("service:cloud_db  removed");
    let noted = std::fs::read_to_string(&notes).expect("it was called");
    assert!(noted.ends_with(&format!("compose --project-name={} down cloud_db\n", project.name)), "{noted}");
}

#[test]
fn a_provider_that_fails_must_be_heard_and_nothing_that_needs_it_be_made() {
    let (mut project, _) = project();
    for (way, words) in [
        ("says", "the provider stackctl-test-cloud says: no room left"),
        ("ends", "the provider stackctl-test-cloud ended with exit code 9"),
        ("babbles", "a line is no JSON message"),
    ] {
        project.env("FAILS", way);
        let up = project.run(&["up", "-d"]).exits(1).says("service:cloud_db cannot be provided").says(words);
        assert!(!up.err.contains("planted"), "{}", up.err);
        assert!(project.observe().containers.is_empty());
    }
    project.write(&YAML.replace("size: 10, ", ""));
    project.run(&["up", "-d"]).exits(1).says("needs the option size");
    project.write(&YAML.replace("stackctl-test-cloud", "stackctl-no-such-program"));
    project
        .run(&["up", "-d"])
        .exits(1)
        .says("there is no program for the provider stackctl-no-such-program")
        .says("install it");
    project.write("services: { other: { image: 'redis:latest' } }");
}

#[test]
fn a_program_in_path_must_do_as_well() {
    let (mut project, notes) = project();
    let folder = project.directory.path().join("bin");
    install(&folder, "stackctl-path-cloud");
    let path = std::env::var("PATH").unwrap_or_default();
    project.env("PATH", format!("{}:{path}", folder.display()));
    project
        .write("services: { cloud: { provider: { type: stackctl-path-cloud, options: { size: [1, 2] } } } }");
    project.run(&["up", "-d"]).exits(0);
    let noted = std::fs::read_to_string(&notes).expect("it was called");
    assert!(noted.contains(" up --size=1 --size=2 cloud"), "{noted}");
}

/// A plugin that keeps models: it has none until one is pulled.
const MODELS: &str = r#"#!/bin/sh
echo "$@" >> "$NOTES"
case "$1" in
  ls) if [ -e "$NOTES.pulled" ]; then echo '[{"tags":["ai/small"]}]'; else echo '[]'; fi ;;
  pull) touch "$NOTES.pulled" ;;
  configure) [ "$FAILS" = configure ] && { echo 'no such flag' >&2; exit 4; }; exit 0 ;;
  status) echo '{"endpoint":"http://models.test/v1"}' ;;
esac
"#;

#[test]
fn a_model_must_be_fetched_and_its_place_must_reach_the_services_that_use_it() {
    let mut project = Project::new(
        "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    init: true
    models: { my-llm: {}, other: { endpoint_var: WHERE, model_var: WHICH } }
models:
  my-llm: { model: ai/small, context_size: 4096, runtime_flags: ['--temp', '0'] }
  other: { model: ai/small }
",
    );
    let settings = project.directory.path().join("settings");
    let notes = project.directory.path().join("notes");
    project.env("DOCKER_CONFIG", settings.display());
    project.env("NOTES", notes.display());
    project
        .run(&["up", "-d"])
        .exits(1)
        .says("model:my-llm cannot be provided: AI models need the docker plugin docker-model")
        .says("install Docker Model Runner");
    assert!(project.observe().containers.is_empty());

    let program = settings.join("cli-plugins/docker-model");
    std::fs::create_dir_all(settings.join("cli-plugins")).expect("a folder");
    std::fs::write(&program, MODELS).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it may run");
    project.env("FAILS", "configure");
    project.run(&["up", "-d"]).exits(1).says("ended with exit code 4").says("no such flag");
    project.env("FAILS", "");
    project.run(&["plan"]).exits(2).shows("model:my-llm");
    project.run(&["up", "-d"]).exits(0).says("model:my-llm  provided");
    let app = format!("{}-app-1", project.name);
    assert_eq!(
        inside(&app, "echo $MY_LLM_MODEL $MY_LLM_URL $WHICH $WHERE"),
        "ai/small http://models.test/v1 ai/small http://models.test/v1\n"
    );
    let noted = std::fs::read_to_string(&notes).expect("it was called");
    assert!(noted.contains("pull ai/small\n"), "{noted}");
    assert!(noted.contains("configure --context-size 4096 ai/small -- --temp 0\n"), "{noted}");
    let ids = project.ids();
    let again = project.run(&["up", "-d"]).exits(0);
    assert_eq!(ids, project.ids(), "{}", again.err);
}
