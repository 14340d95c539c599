//! Configs and secrets on the real engine.

use std::process::Command;

use crate::support::{Project, inside};

/// What every value that may be secret has in it.
const PLANTED: &str = "planted";

const FILES: &str = "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    init: true
    user: '1000:1001'
    configs:
      - bound
      - { source: text, target: /etc/deep/text, mode: 0400 }
    secrets:
      - token
      - { source: token, target: /copied, uid: '7', gid: '8', mode: 0440 }
      - variable
      - { source: variable, target: other/name, mode: 0444 }
configs:
  bound: { file: ./bound.conf }
  text: { content: \"planted-text ${WORD:-none}\\n\" }
secrets:
  token: { file: ./token }
  variable: { environment: SECRET }
";

fn project(yaml: &str) -> Project {
    let mut project = Project::new(yaml);
    write(&project, "token", "planted-token");
    write(&project, "bound.conf", "planted-bound");
    project.env("SECRET", "planted-variable");
    project
}

fn write(project: &Project, name: &str, content: &str) {
    std::fs::write(project.directory.path().join(name), content).expect("written");
}

#[test]
fn every_config_and_secret_must_be_where_it_is_expected_with_its_owner_and_bits() {
    let project = project(FILES);
    project.run(&["up", "-d"]).exits(0);
    let app = format!("{}-app-1", project.name);
    let stat = |path: &str| inside(&app, &format!("stat -c '%u:%g %a' {path}; cat {path}"));
    assert_eq!(inside(&app, "cat /bound /run/secrets/token"), "planted-boundplanted-token");
    // Nobody says who owns it: the user of the container does.
    assert_eq!(stat("/etc/deep/text"), "1000:1001 400\nplanted-text none\n");
    assert_eq!(stat("/run/secrets/variable"), "1000:1001 444\nplanted-variable");
    assert_eq!(stat("/run/secrets/other/name"), "1000:1001 444\nplanted-variable");
    let as_root = ["exec", "--user", "0", &app, "stat", "-c", "%u:%g %a", "/copied"];
    let copied = Command::new("docker").args(as_root).output().expect("docker runs");
    assert_eq!(String::from_utf8_lossy(&copied.stdout), "7:8 440\n");
    assert!(inside(&app, "touch /bound 2>&1 || echo kept").contains("kept"), "a bound file is read-only");
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
}

#[test]
fn other_content_must_replace_the_container_and_be_shown_nowhere() {
    let mut project = project(FILES);
    let mut told = Vec::new();
    let up = project.run(&["up", "-d"]).exits(0);
    told.push(up.err + &up.out);
    let app = format!("{}-app-1", project.name);
    let id = project.ids();
    write(&project, "token", "planted-other");
    project.env("SECRET", "planted-other");
    for arguments in [&["plan"][..], &["plan", "--steps"], &["plan", "--json"], &["up", "--dry-run"]] {
        let mut command = project.command(arguments);
        if arguments.contains(&"--json") {
            command = project.command(&["--json", "plan"]);
        }
        let output = command.output().expect("stackctl runs");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("secrets.token") && text.contains("secrets.variable"), "{text}");
        assert!(!text.contains("configs.bound"), "{text}");
        told.push(text);
    }
    assert!(told[1].contains("secrets.token  content changed"), "{}", told[1]);
    let out = project.directory.path().join("plan.json");
    project.run(&["plan", "--out", &out.display().to_string()]);
    told.push(std::fs::read_to_string(&out).expect("the plan is written"));
    let up = project.run(&["--json", "up", "-d"]).exits(0);
    told.push(up.err + &up.out);
    assert_ne!(id, project.ids());
    assert_eq!(inside(&app, "cat /run/secrets/token /run/secrets/variable"), "planted-otherplanted-other");
    let inspect = Command::new("docker").args(["inspect", &app]).output().expect("docker runs");
    told.push(String::from_utf8_lossy(&inspect.stdout).into_owned());
    for text in told {
        assert!(!text.contains(PLANTED), "a secret is shown:\n{text}");
    }
}

#[test]
fn a_read_only_root_must_take_bound_files_and_copies_into_a_volume_and_refuse_the_rest() {
    let yaml = "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    init: true
    read_only: true
    volumes: ['vault:/vault']
    secrets: [token, { source: variable, target: /vault/deep/name, mode: 0400 }]
volumes: { vault: {} }
secrets: { token: { file: ./token }, variable: { environment: SECRET } }
";
    let project = project(yaml);
    project.run(&["up", "-d"]).exits(0);
    let app = format!("{}-app-1", project.name);
    assert_eq!(inside(&app, "cat /run/secrets/token /vault/deep/name"), "planted-tokenplanted-variable");
    assert_eq!(inside(&app, "stat -c %a /vault/deep/name"), "400\n");

    let refused = self::project(&yaml.replace("/vault/deep", "/elsewhere"));
    refused
        .run(&["up", "-d"])
        .exits(8)
        .says("the secret variable cannot be copied to /elsewhere/name: the root file system is read-only")
        .says("add a volume at /elsewhere")
        .says("stack.yaml:10:22");
    assert!(refused.observe().containers.is_empty() && refused.observe().networks.is_empty());
}

#[test]
fn all_that_is_missing_must_be_told_at_once_before_anything_is_touched() {
    let project = Project::new(
        "
services:
  app:
    image: redis:latest
    secrets: [gone, unset, { source: outside, uid: me }]
    networks: [elsewhere]
    volumes: ['nowhere:/data']
secrets:
  gone: { file: ./gone }
  unset: { environment: NOBODY_SETS_THIS }
  outside: { external: true }
networks: { elsewhere: { external: true, name: stackctl-no-such-network } }
volumes: { nowhere: { external: true, name: stackctl-no-such-volume } }
",
    );
    project
        .run(&["up", "-d"])
        .exits(3)
        .says("the file of the secret `gone` cannot be read: there is no such file")
        .says("the variable `NOBODY_SETS_THIS`, with the content of the secret `unset`, is not set")
        .says("the secret `outside` is external")
        .says("`uid` needs a number");
    project.write(
        "
services: { app: { image: 'redis:latest', networks: [elsewhere], volumes: ['nowhere:/data'] } }
networks: { elsewhere: { external: true, name: stackctl-no-such-network } }
volumes: { nowhere: { external: true, name: stackctl-no-such-volume } }
",
    );
    project
        .run(&["up", "-d"])
        .exits(8)
        .says("the engine has no network stackctl-no-such-network")
        .says("stack.yaml:3:13")
        .says("docker network create stackctl-no-such-network")
        .says("the engine has no volume stackctl-no-such-volume")
        .says("stack.yaml:4:12")
        .says("nothing was done");
    assert!(project.observe().containers.is_empty());
    project.run(&["plan"]).shows("in the way");
}

#[test]
fn a_container_with_the_socket_must_reach_the_engine_with_the_users_credentials() {
    let mut project = Project::new(
        "
services:
  app:
    image: redis:latest
    command: [sleep, '600']
    stop_grace_period: 0s
    init: true
    use_api_socket: true
",
    );
    let settings = tempfile::tempdir().expect("a folder");
    std::fs::write(
        settings.path().join("config.json"),
        r#"{ "auths": { "registry.test": { "auth": "YWRhOnBsYW50ZWQ=" } } }"#,
    )
    .expect("written");
    project.env("DOCKER_CONFIG", settings.path().display());
    let up = project.run(&["up", "-d"]);
    assert!(!up.err.contains("YWRhOnBsYW50ZWQ"), "{}", up.err);
    if up.err.contains("path escapes from parent") {
        // Some engines after 28 copy nothing into a container with a mount below a link of its image.
        up.exits(1).says("a mount lies below /var/run, a link of the image").says("stack.yaml:8:");
        return;
    }
    up.exits(0);
    let app = format!("{}-app-1", project.name);
    let config = inside(&app, "test -S /var/run/docker.sock && cat $DOCKER_CONFIG/config.json");
    assert!(config.contains("registry.test") && config.contains("YWRhOnBsYW50ZWQ="), "{config}");
    project.run(&["up", "-d"]).exits(0).says("nothing to change");
}
