//! stackctl as the plugin that the real docker runs for `docker compose`.

use std::process::{Command, Output, Stdio};

use crate::scenarios::SLEEPER;
use crate::support::Project;

fn docker(project: &Project, arguments: &[&str]) -> Output {
    let mut command = Command::new("docker");
    command.args(["--config", "config"]).args(arguments).current_dir(project.directory.path());
    command.env("COMPOSE_PROGRESS", "plain").env_remove("DOCKER_CONFIG").stdin(Stdio::null());
    command.output().expect("these tests need the docker command")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn docker_compose_must_run_stackctl_once_it_is_installed_and_not_after() {
    let project = Project::new(&format!("services:\n  one:\n    {SLEEPER}\n"));
    let plugins = project.directory.path().join("config/cli-plugins");
    let plugins = plugins.to_str().expect("a path");
    project
        .run(&["install-plugin", "--directory", plugins])
        .exits(0)
        .shows("docker compose runs stackctl now");

    let version = docker(&project, &["compose", "version"]);
    assert!(text(&version).contains("(stackctl "), "{}", text(&version));
    let up = docker(&project, &["compose", "-p", &project.name, "up", "-d"]);
    assert!(up.status.success() && text(&up).contains("one/1  started"), "{}", text(&up));
    assert_eq!(project.observe().containers.len(), 1);
    // The exit code passes through docker.
    let wrong = docker(&project, &["compose", "-p", &project.name, "logs", "two"]);
    assert!(!wrong.status.success() && text(&wrong).contains("there is no service two"), "{}", text(&wrong));

    project.run(&["install-plugin", "--directory", plugins, "--remove"]).exits(0).shows("is removed");
    assert!(!text(&docker(&project, &["compose", "version"])).contains("stackctl"));
}
