//! Namespaces and mounts of other containers, and links to them.

use serde_json::{Value, json};
use stack_engine::engine::{Engine, Ledger, Work};
use stack_plan::containers::{self, Policy};
use stack_plan::observed::Observed;
use stack_plan::plan::{Action, Target};

use crate::recorder::{Recorder, up};
use crate::stacks::desired;

#[tokio::test]
async fn a_service_stands_for_its_container() {
    let text = "
services:
  a:
    image: a
    network_mode: service:db
    ipc: service:db
    pid: service:db
    volumes_from: [db, 'cache:ro', 'container:named:rw', 'container:other']
  db: { image: db, ipc: shareable }
  cache: { image: cache }
";
    let recorder = up("1.41", text).await;
    let body = recorder.body("POST /v1.41/containers/create?name=shop-a-1");
    let host = &body["HostConfig"];
    for namespace in ["NetworkMode", "IpcMode", "PidMode"] {
        assert_eq!(host[namespace], "container:made", "{namespace}");
    }
    assert_eq!(host["VolumesFrom"], json!(["made", "made:ro", "named:rw", "other"]));
    assert_eq!(body["Labels"]["stackctl.lenders"], "cache=made,db=made");
    assert_eq!(body["NetworkingConfig"], Value::Null);
    let lender = recorder.body("POST /v1.41/containers/create?name=shop-db-1");
    assert_eq!(lender["HostConfig"]["IpcMode"], "shareable");
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    let place = |name: &str| lines.iter().position(|line| line.contains(name)).expect("it was called");
    assert!(
        place("name=shop-db-1") < place("name=shop-a-1")
            && place("name=shop-cache-1") < place("name=shop-a-1")
    );
}

#[tokio::test]
async fn containers_and_names_of_the_engine_stay_as_they_are() {
    let text = "
services:
  a: { image: a, network_mode: 'container:b', ipc: 'container:b', pid: host }
  c: { image: c, network_mode: somewhere }
  d: { image: d, network_mode: disabled }
";
    let recorder = up("1.51", text).await;
    let a = recorder.body("POST /v1.51/containers/create?name=shop-a-1");
    assert_eq!(a["HostConfig"]["NetworkMode"], "container:b");
    assert_eq!(
        (&a["HostConfig"]["IpcMode"], &a["HostConfig"]["PidMode"]),
        (&json!("container:b"), &json!("host"))
    );
    let c = recorder.body("POST /v1.51/containers/create?name=shop-c-1");
    assert_eq!(c["HostConfig"]["NetworkMode"], "somewhere");
    let d = recorder.body("POST /v1.51/containers/create?name=shop-d-1");
    assert_eq!(d["NetworkDisabled"], true);
}

#[tokio::test]
async fn a_service_without_a_container_lends_nothing() {
    let stack = desired("services: { a: { image: a, ipc: service:db }, db: { image: db, scale: 0 } }");
    let plan = containers::plan(&stack, &Observed::default(), &Policy::default());
    let is_create = |action: &Action| matches!(action, Action::CreateContainer(_));
    let step = plan.steps.iter().find(|step| is_create(&step.action)).expect("a step");
    let work = Work { action: &step.action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    let recorder = Recorder::start("1.41", None);
    let failure = recorder.engine().await.perform(work).await.expect_err("it is refused");
    assert_eq!(
        failure.error.to_string(),
        "ipc names the service db, which has no container; start it with: stackctl up db"
    );
    assert!(recorder.changes().is_empty());
}

#[tokio::test]
async fn links_are_names_on_every_network() {
    let text = "
services:
  a:
    image: a
    links: ['db:database', cache]
    external_links: ['old:legacy', other]
    networks: [front, back]
  db: { image: db, networks: [front], scale: 2 }
  cache: { image: cache, networks: [back] }
networks: { front: {}, back: {} }
";
    let links = json!([
        "shop-db-1:database",
        "shop-db-1:db-1",
        "shop-db-1:shop-db-1",
        "shop-db-2:database",
        "shop-db-2:db-2",
        "shop-db-2:shop-db-2",
        "shop-cache-1:cache",
        "shop-cache-1:cache-1",
        "shop-cache-1:shop-cache-1",
        "old:legacy",
        "other:other",
    ]);
    let new = up("1.51", text).await.body("POST /v1.51/containers/create?name=shop-a-1");
    for network in ["shop_front", "shop_back"] {
        assert_eq!(new["NetworkingConfig"]["EndpointsConfig"][network]["Links"], links, "{network}");
    }
    assert_eq!(new["HostConfig"]["Links"], Value::Null);
    let old = up("1.41", text).await;
    let body = old.body("POST /v1.41/containers/create?name=shop-a-1");
    assert_eq!(body["NetworkingConfig"]["EndpointsConfig"]["shop_back"]["Links"], links);
    let connect = old.body("POST /v1.41/networks/shop_front/connect");
    assert_eq!(connect["EndpointConfig"]["Links"], links);
}

#[tokio::test]
async fn on_the_default_bridge_links_are_of_the_host() {
    let text = "
services:
  a: { image: a, network_mode: bridge, links: [db] }
  db: { image: db, network_mode: bridge }
";
    let recorder = up("1.41", text).await;
    let body = recorder.body("POST /v1.41/containers/create?name=shop-a-1");
    assert_eq!(body["HostConfig"]["Links"], json!(["shop-db-1:db", "shop-db-1:db-1", "shop-db-1:shop-db-1"]));
}

#[tokio::test]
async fn a_lender_that_is_there_is_known_by_its_id() {
    let stack = desired("services: { a: { image: a, pid: service:db }, db: { image: db } }");
    let plan = containers::plan(&stack, &Observed::default(), &Policy::default());
    let new = plan.steps.iter().find_map(|step| match &step.action {
        Action::CreateContainer(new) if new.spec.name() == "a" => Some(new),
        _ => None,
    });
    let mut new = new.expect("a step").clone();
    new.lenders.insert("db".to_owned(), Target::Known("abc".to_owned()));
    let action = Action::CreateContainer(new);
    let work = Work { action: &action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    let recorder = Recorder::start("1.41", None);
    recorder.engine().await.perform(work).await.expect("it is made");
    let body = recorder.body("POST /v1.41/containers/create");
    assert_eq!(body["HostConfig"]["PidMode"], "container:abc");
    assert_eq!(body["Labels"]["stackctl.lenders"], "db=abc");
    assert_ne!(
        body["Labels"]["com.docker.compose.config-hash"],
        stack.services[1].labels["com.docker.compose.config-hash"]
    );
}
