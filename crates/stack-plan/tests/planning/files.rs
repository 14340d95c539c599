//! Configs and secrets: bound or copied, and replaced when what is in them changes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{assert_plan, images_of, loaded, plan, up_as};
use stack_file::model::FileKind;
use stack_plan::containers::{self, Policy};
use stack_plan::desired::{Desired, FileSpec};
use stack_plan::observed::{ContainerState, Observed};
use stack_plan::plan::{Action, Plan, Target};

/// A stack with files of every source; `%` is a directory with the files.
const FILES: &str = "
services:
  web:
    image: web
    user: '1000:1001'
    configs:
      - app
      - { source: text, target: etc/text, mode: 0400 }
    secrets:
      - token
      - { source: token, target: /copied, uid: '7', gid: '8' }
      - { source: variable, target: deep/name }
configs:
  app: { file: %/app.conf }
  text: { content: planted-content }
secrets:
  token: { file: %/token }
  variable: { environment: SECRET }
";

/// The stack of these files with this content.
fn desired(text: &str, content: &str) -> Desired {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["app.conf", "token"] {
        std::fs::write(folder.path().join(name), format!("{content}-of-{name}")).expect("written");
    }
    let text = text.replace('%', &folder.path().display().to_string());
    let loaded = loaded(&text, &[("SECRET", &format!("{content}-of-variable"))]);
    assert!(loaded.unsupported.is_empty(), "{:#?}", loaded.unsupported);
    Desired::of(&loaded.stack, &BTreeMap::new())
}

fn images(desired: &Desired) -> Observed {
    Observed { images: up_as(desired).images, ..Observed::default() }
}

/// The files that the plan copies, and the directories below which it does.
fn copied(plan: &Plan) -> Vec<(&str, &FileSpec)> {
    let uploads = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Upload { directory, files, .. } => Some((directory, files)),
        _ => None,
    });
    uploads.flat_map(|(directory, files)| files.iter().map(|file| (directory.as_str(), &**file))).collect()
}

/// What the containers of the plan see themselves: path in the container, and whether only to read.
fn bound(plan: &Plan) -> Vec<(&str, bool)> {
    let made = plan.steps.iter().filter_map(|step| match &step.action {
        Action::CreateContainer(new) => Some(&new.binds),
        _ => None,
    });
    made.flatten().map(|bind| (bind.target.as_str(), bind.read_only)).collect()
}

#[test]
fn what_only_names_a_file_is_bound_and_all_else_is_copied_before_the_start() {
    let desired = desired(FILES, "one");
    let plan = containers::plan(&desired, &images(&desired), &Policy::default());
    assert_plan(
        &plan,
        &[
            "[] -> #1 network:default, create, missing",
            "[1] -> #2 web/1, create, missing",
            "[2] -> #3 web/1, upload, missing",
            "[3] -> #4 web/1, start, missing",
        ],
    );
    assert_eq!(bound(&plan), [("/app", true), ("/run/secrets/token", true)]);
    let copied: Vec<_> = (copied(&plan).into_iter())
        .map(|(directory, file)| {
            (directory, file.kind, file.key.as_str(), file.target.as_str(), file.owner, file.mode)
        })
        .collect();
    assert_eq!(
        copied,
        [
            // Nobody says who owns it: the user of the container does.
            ("/", FileKind::Config, "text", "/etc/text", (1000, 1001), 0o400),
            ("/", FileKind::Secret, "token", "/copied", (7, 8), 0o444),
            ("/", FileKind::Secret, "variable", "/run/secrets/deep/name", (1000, 1001), 0o444),
        ]
    );
}

#[test]
fn an_engine_on_another_machine_gets_copies() {
    let desired = desired(FILES, "one");
    let plan = containers::plan(&desired, &Observed { remote: true, ..images(&desired) }, &Policy::default());
    assert!(bound(&plan).is_empty());
    assert_eq!(copied(&plan).len(), 5);
}

#[test]
fn other_content_replaces_the_container_and_is_shown_nowhere() {
    let (one, two) = (desired(FILES, "planted-one"), desired(FILES, "planted-two"));
    let there = up_as(&one);
    assert!(containers::plan(&one, &there, &Policy::default()).is_empty());
    // The folder is another one, too: what is bound is at another place.
    let plan = containers::plan(&two, &there, &Policy::default());
    let text = plan.to_string();
    for field in ["configs.app", "secrets.token", "secrets.variable"] {
        assert!(text.contains(field), "{text}");
    }
    assert!(!text.contains("configs.text"), "{text}");
    let undo: Vec<_> = (plan.steps.iter())
        .filter(|step| matches!(step.action, Action::Upload { .. }))
        .flat_map(|step| &step.undo)
        .map(Action::word)
        .collect();
    assert_eq!(undo, ["remove"]);
    for told in [text, format!("{plan:?}"), format!("{one:?}"), plan.fingerprint()] {
        assert!(!told.contains("planted-one") && !told.contains("planted-two"), "{told}");
    }
    let change = plan.steps.iter().find_map(|step| match &step.cause {
        stack_plan::plan::Cause::Changed(changes) => {
            changes.iter().find(|change| change.field == "secrets.token")
        }
        _ => None,
    });
    assert_eq!(change.expect("it changed").to_string(), "secrets.token  content changed");
}

#[test]
fn the_same_content_has_another_digest_elsewhere() {
    let text = "
services: { a: { image: a, configs: [one, two] } }
configs: { one: { content: same }, two: { content: same } }
";
    let record = desired(text, "").services[0].fields.record().write();
    let digest = |key: &str| {
        let at = record.find(&format!("\"configs.{key}\":")).expect("it is recorded");
        record[at..].split('"').nth(3).expect("a value").to_owned()
    };
    assert!(digest("one").starts_with("sha256:"));
    assert_ne!(digest("one"), digest("two"));
}

#[test]
fn what_an_interrupted_run_has_made_gets_its_files_before_it_starts() {
    let desired = desired(FILES, "one");
    let mut there = up_as(&desired);
    there.containers[0].state = ContainerState::Created;
    let plan = containers::plan(&desired, &there, &Policy::default());
    assert_plan(&plan, &["[] -> #1 web/1, upload, is created", "[1] -> #2 web/1, start, is created"]);
    assert!(matches!(&plan.steps[0].action, Action::Upload { target: Target::Known(_), .. }));
    there.containers[0].state = ContainerState::Exited(1);
    assert_plan(
        &containers::plan(&desired, &there, &Policy::default()),
        &["[] -> #1 web/1, start, is exited"],
    );
}

#[test]
fn a_read_only_root_takes_copies_only_into_a_volume() {
    let text = "
services:
  web:
    image: web
    read_only: true
    secrets: [token, { source: inline, target: /vault/deep/name }]
    volumes: ['vault:/vault']
volumes: { vault: {} }
secrets: { token: { file: %/token }, inline: { environment: SECRET } }
";
    let wanted = desired(text, "one");
    let plan = containers::plan(&wanted, &images(&wanted), &Policy::default());
    assert!(plan.obstacles.is_empty(), "{:?}", plan.obstacles);
    assert_eq!(bound(&plan), [("/run/secrets/token", true)]);
    assert_eq!(copied(&plan).iter().map(|(directory, _)| *directory).collect::<Vec<_>>(), ["/vault"]);

    let wanted = desired(&text.replace("/vault/deep", "/elsewhere"), "one");
    let plan = containers::plan(&wanted, &images(&wanted), &Policy::default());
    let [obstacle] = plan.obstacles.as_slice() else { panic!("{:?}", plan.obstacles) };
    assert_eq!(
        obstacle.what,
        "web/1: the secret inline cannot be copied to /elsewhere/name: the root file system is read-only"
    );
    assert!(obstacle.next.contains("add a volume at /elsewhere"), "{}", obstacle.next);
}

#[test]
fn a_directory_is_bound_and_never_copied() {
    let text = "
services: { web: { image: web, configs: [{ source: folder, target: /etc/folder }] } }
configs: { folder: { file: % } }
";
    let wanted = desired(text, "one");
    let there = images(&wanted);
    let plan = containers::plan(&wanted, &there, &Policy::default());
    assert_eq!((bound(&plan), plan.obstacles.len()), (vec![("/etc/folder", true)], 0));
    let plan = containers::plan(&wanted, &Observed { remote: true, ..there.clone() }, &Policy::default());
    assert!(plan.obstacles[0].what.contains("another machine: it is a directory"), "{:?}", plan.obstacles);
    let with_mode = desired(&text.replace("/etc/folder }", "/etc/folder, mode: 0400 }"), "one");
    let plan = containers::plan(&with_mode, &there, &Policy::default());
    assert!(plan.obstacles[0].what.contains("uid, gid or mode are given"), "{:?}", plan.obstacles);
}

#[test]
fn the_socket_of_the_engine_comes_with_credentials_and_a_variable() {
    let text = "services: { web: { image: web, use_api_socket: true } }";
    let plan = plan(text, &images_of(text), &Policy::default());
    assert_eq!(bound(&plan), [("/var/run/docker.sock", false)]);
    let copied = copied(&plan);
    assert_eq!(copied[0].1.target, "/run/secrets/docker/config.json");
    let Some(Action::CreateContainer(new)) = plan.steps.iter().map(|step| &step.action).nth(1) else {
        panic!("{plan}")
    };
    assert_eq!(new.spec.service.environment["DOCKER_CONFIG"].as_deref(), Some("/run/secrets/docker"));

    let own =
        "services: { web: { image: web, use_api_socket: true, environment: { DOCKER_CONFIG: /mine } } }";
    let spec = &crate::support::desired(own).services[0];
    assert_eq!(spec.service.environment["DOCKER_CONFIG"].as_deref(), Some("/mine"));
    assert_eq!(Path::new(&spec.files[0].target), Path::new("/run/secrets/docker/config.json"));
}
