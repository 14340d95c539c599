//! What is mounted into a container.

use serde_json::{Value, json};
use stack_engine::engine::{Engine, Ledger, Work};
use stack_plan::containers::{self, Policy};
use stack_plan::observed::Observed;
use stack_plan::plan::Action;

use crate::recorder::{Recorder, up, up_with_words};
use crate::stacks::desired;

fn mount<'a>(body: &'a Value, target: &str) -> &'a Value {
    let mounts = body["HostConfig"]["Mounts"].as_array().expect("mounts");
    mounts.iter().find(|mount| mount["Target"] == target).unwrap_or_else(|| panic!("{target} of {body:#}"))
}

const MOUNTS: &str = "
services:
  a:
    image: a
    volumes:
      - { type: volume, source: data, target: /sub, volume: { nocopy: true, subpath: logs, labels: { team: shop } } }
      - { type: volume, target: /labelled, volume: { labels: [team=shop] } }
      - { type: volume, target: /locked, read_only: true }
      - { type: volume, target: /plain }
      - { type: bind, source: /srv, target: /flat, bind: { recursive: disabled, propagation: rslave } }
      - { type: bind, source: /srv, target: /frozen, read_only: true, bind: { recursive: readonly, create_host_path: false } }
      - { type: bind, source: /srv, target: /above, read_only: true, bind: { recursive: writable } }
      - { type: bind, source: /srv, target: /usual, read_only: true, bind: { recursive: enabled, selinux: z } }
      - { type: tmpfs, target: /tmp, tmpfs: { size: 1m, mode: 0755 } }
volumes: { data: {} }
";

#[tokio::test]
async fn every_kind_of_mount_with_all_its_options() {
    let body = up("1.51", MOUNTS).await.body("POST /v1.51/containers/create");
    for (target, pointer, wanted) in [
        ("/sub", "/Source", json!("shop_data")),
        (
            "/sub",
            "/VolumeOptions",
            json!({ "NoCopy": true, "Subpath": "logs", "Labels": { "team": "shop" } }),
        ),
        ("/labelled", "/VolumeOptions/Labels", json!({ "team": "shop" })),
        ("/locked", "/ReadOnly", json!(true)),
        (
            "/flat",
            "/BindOptions",
            json!({ "NonRecursive": true, "Propagation": "rslave", "CreateMountpoint": true }),
        ),
        ("/frozen", "/BindOptions", json!({ "ReadOnlyForceRecursive": true })),
        ("/above", "/BindOptions/ReadOnlyNonRecursive", json!(true)),
        ("/tmp", "/TmpfsOptions", json!({ "SizeBytes": 1 << 20, "Mode": 0o755 })),
    ] {
        let found = mount(&body, target);
        assert_eq!(found.pointer(pointer), Some(&wanted), "{pointer} of {found:#}");
    }
    assert!(mount(&body, "/labelled").get("Source").is_none());
    assert_eq!(body["Volumes"], json!({ "/plain": {} }));
    assert_eq!(body["HostConfig"]["Binds"], json!(["/srv:/usual:ro,z"]));
}

#[tokio::test]
async fn an_older_engine_gets_what_it_knows_and_the_rest_is_said() {
    let (recorder, told) = up_with_words("1.41", MOUNTS).await;
    let body = recorder.body("POST /v1.41/containers/create");
    assert_eq!(mount(&body, "/sub")["VolumeOptions"]["Subpath"], Value::Null);
    assert_eq!(mount(&body, "/flat")["BindOptions"]["NonRecursive"], true);
    assert_eq!(mount(&body, "/frozen")["BindOptions"], Value::Null);
    assert_eq!(
        told,
        [
            "volumes[0].volume.subpath of a needs an engine with API 1.45, and this one has 1.41: the whole volume is mounted",
            "bind.recursive at /frozen of a needs an engine with API 1.44, and this one has 1.41: mounts below stay writable",
        ]
    );
}

#[tokio::test]
async fn the_files_of_an_image_are_mounted_or_refused() {
    const TEXT: &str = "
services:
  a:
    image: a
    volumes: [{ type: image, source: site, target: /site, image: { subpath: html } }]
";
    let body = up("1.48", TEXT).await.body("POST /v1.48/containers/create");
    let found = mount(&body, "/site");
    assert_eq!((&found["Type"], &found["Source"]), (&json!("image"), &json!("site")));
    assert_eq!(found["ImageOptions"], json!({ "Subpath": "html" }));

    let recorder = Recorder::start("1.47", None);
    let stack = desired(TEXT);
    assert_eq!(stack.references(), ["a", "site"], "the mounted image is had first");
    let plan = containers::plan(&stack, &Observed::default(), &Policy::default());
    let is_create = |action: &Action| matches!(action, Action::CreateContainer(_));
    let step = plan.steps.iter().find(|step| is_create(&step.action)).expect("a step");
    let work = Work { action: &step.action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    let failure = recorder.engine().await.perform(work).await.expect_err("it is refused");
    let said = failure.error.to_string();
    assert!(said.contains("type image") && said.contains("1.48") && said.contains("1.47"), "{said}");
    assert!(recorder.changes().is_empty());
}

#[tokio::test]
async fn what_no_engine_does_is_said() {
    let text = "
services:
  a:
    image: a
    volumes: [{ type: bind, source: /srv, target: /srv, bind: { selinux: z, create_host_path: false } }]
";
    let (_, told) = up_with_words("1.51", text).await;
    assert!(told.len() == 1 && told[0].starts_with("bind.selinux at /srv of a has no effect"), "{told:#?}");
}
