//! Containers that lend namespaces and mounts to others.

use std::collections::BTreeMap;

use crate::support::{assert_plan, container, desired, images_of, plan, up};
use stack_plan::api::Api;
use stack_plan::containers::{Policy, Recreate};
use stack_plan::observed::{ContainerState, Observed};
use stack_plan::plan::{Action, NewContainer, Plan, Target};

const SHARED: &str = "
services:
  app: { image: app, network_mode: 'service:db' }
  db: { image: db, network_mode: bridge }
";

fn default(text: &str, observed: &Observed) -> Plan {
    plan(text, observed, &Policy::default())
}

/// The new container of a service.
fn made<'a>(plan: &'a Plan, service: &str) -> &'a NewContainer {
    let found = plan.steps.iter().find_map(|step| match &step.action {
        Action::CreateContainer(new) if new.spec.name() == service => Some(&**new),
        _ => None,
    });
    found.expect("a new container")
}

/// The containers that are made.
fn replaced(plan: &Plan) -> Vec<String> {
    let made = plan.steps.iter().filter(|step| matches!(step.action, Action::CreateContainer(_)));
    made.map(|step| step.address.to_string()).collect()
}

#[test]
fn a_borrower_is_made_after_its_lender_and_starts_after_it() {
    let plan = default(SHARED, &images_of(SHARED));
    assert_plan(
        &plan,
        &[
            "[] -> #1 db/1, create, missing",
            "[1] -> #2 db/1, start, missing",
            "[1] -> #3 app/1, create, missing",
            "[2,3] -> #4 app/1, start, missing",
        ],
    );
    let made_by = Target::Made(plan.steps[0].id);
    assert_eq!(made(&plan, "app").lenders, BTreeMap::from([("db".to_owned(), made_by)]));
}

#[test]
fn what_is_as_wanted_stays_with_its_lender() {
    let plan = default(SHARED, &up(SHARED));
    assert!(plan.is_empty(), "{plan}");
}

#[test]
fn a_borrower_is_replaced_with_its_lender() {
    let now = SHARED.replace("image: db", "image: db, user: root");
    assert_plan(
        &default(&now, &up(SHARED)),
        &[
            "[] -> #1 db/1, create, changed: user",
            "[1] -> #2 db/1, stop, changed: user",
            "[2] -> #3 db/1, remove, changed: user",
            "[3] -> #4 db/1, rename, changed: user",
            "[4] -> #5 db/1, start, changed: user",
            "[1] -> #6 app/1, create, depends on db/1, replaced",
            "[5,6] -> #7 app/1, stop, depends on db/1, replaced",
            "[7] -> #8 app/1, remove, depends on db/1, replaced",
            "[8] -> #9 app/1, rename, depends on db/1, replaced",
            "[9] -> #10 app/1, start, depends on db/1, replaced",
        ],
    );
}

#[test]
fn a_borrower_of_a_container_that_is_no_more_is_replaced() {
    let mut observed = up(SHARED);
    container(&mut observed, "shop-app-1").lenders.insert("db".to_owned(), "another".to_owned());
    let plan = default(SHARED, &observed);
    assert_eq!(plan.steps[0].address.to_string(), "app/1");
    assert_eq!(plan.steps[0].cause.to_string(), "depends on db/1, replaced");
    let kept = Policy { recreate: Recreate::Never, ..Policy::default() };
    assert!(crate::support::plan(SHARED, &observed, &kept).is_empty());

    let mut alone = observed.clone();
    alone.containers.retain(|container| container.service == "app");
    let plan = default(SHARED, &alone);
    let causes: Vec<_> = plan.steps.iter().map(|step| step.cause.to_string()).collect();
    assert_eq!(causes[0], "missing");
    assert!(causes[2..].iter().all(|cause| cause == "depends on db/1, replaced"), "{plan}");
}

#[test]
fn a_lender_that_starts_again_takes_its_borrowers_along() {
    let mut observed = up(SHARED);
    container(&mut observed, "shop-db-1").state = ContainerState::Exited(1);
    assert_plan(
        &default(SHARED, &observed),
        &[
            "[] -> #1 db/1, start, is exited",
            "[1] -> #2 app/1, stop, depends on db/1, replaced",
            "[2] -> #3 app/1, start, depends on db/1, replaced",
        ],
    );
    // Mounts outlive the container that lends them.
    let mounts = SHARED.replace("network_mode: 'service:db'", "volumes_from: [db]");
    let mut observed = up(&mounts);
    container(&mut observed, "shop-db-1").state = ContainerState::Exited(1);
    assert_plan(&default(&mounts, &observed), &["[] -> #1 db/1, start, is exited"]);
}

#[test]
fn the_first_container_lends() {
    let text = "
services:
  app: { image: app, volumes_from: ['db:ro'], ipc: 'service:db' }
  db: { image: db, scale: 2 }
";
    let mut observed = up(text);
    container(&mut observed, "shop-db-2").image_id = "sha256:older".to_owned();
    assert_eq!(replaced(&default(text, &observed)), ["db/2"]);
    let mut observed = up(text);
    container(&mut observed, "shop-db-1").image_id = "sha256:older".to_owned();
    assert_eq!(replaced(&default(text, &observed)), ["db/1", "app/1"]);
}

#[test]
fn a_lender_that_is_not_asked_for_lends_as_it_is() {
    let mut observed = up(SHARED);
    observed.containers.retain(|container| container.service == "db");
    let alone = Policy { services: vec!["app".to_owned()], no_deps: true, ..Policy::default() };
    let plan = plan(SHARED, &observed, &alone);
    let known = Target::Known("shop-db-1-id".to_owned());
    assert_eq!(made(&plan, "app").lenders["db"], known);
}

#[test]
fn a_borrower_whose_port_is_wanted_is_made_before_its_turn_and_its_lender_before_it() {
    let before = "
services:
  b: { image: b }
  a: { image: a, volumes_from: [c], ports: ['80:80'] }
  c: { image: c }
";
    let now = "
services:
  b: { image: b, ports: ['80:80'] }
  a: { image: a, volumes_from: [c] }
  c: { image: c, user: root }
";
    let plan = default(now, &up(before));
    let step = |what: &str| {
        plan.steps.iter().position(|step| format!("{} {}", step.address, step.action.word()) == what)
    };
    assert!(step("c/1 create") < step("a/1 create") && step("a/1 create") < step("a/1 remove"), "{plan}");
    assert!(step("a/1 remove") < step("b/1 start"), "{plan}");
    let created = plan.steps[step("c/1 create").expect("a step")].id;
    assert_eq!(made(&plan, "a").lenders["c"], Target::Made(created));
}

#[test]
fn volumes_of_a_lender_are_not_kept_for_a_borrower() {
    let text = "
services:
  app: { image: app, volumes: [/own], volumes_from: [db] }
  db: { image: db, volumes: [/data] }
";
    let mut observed = up(text);
    let lent = "b".repeat(64);
    container(&mut observed, "shop-db-1").volumes[0].name.clone_from(&lent);
    let mut mount = container(&mut observed, "shop-db-1").volumes[0].clone();
    mount.target = "/data".to_owned();
    container(&mut observed, "shop-app-1").volumes.push(mount);
    let now = text.replace("image: app", "image: app, user: root");
    let plan = default(&now, &observed);
    assert_eq!(made(&plan, "app").keep, [("/own".to_owned(), "a".repeat(64))]);
}

#[test]
fn a_newer_engine_needs_no_steps_for_further_networks() {
    let text = "
services: { web: { image: web, networks: [back, front] } }
networks: { front: {}, back: {} }
";
    let connects =
        |plan: &Plan| plan.steps.iter().filter(|step| matches!(step.action, Action::Connect { .. })).count();
    let old = images_of(text);
    assert_eq!(connects(&default(text, &old)), 1);
    let new = Observed { api: Api(1, 44), ..old };
    let plan = default(text, &new);
    assert_eq!(connects(&plan), 0);
    assert_eq!(made(&plan, "web").networks.len(), 2);
}

#[test]
fn an_image_is_pulled_again_when_it_is_old() {
    for (policy, age, pulled) in [
        ("daily", 24 * 3600 + 1, true),
        ("daily", 24 * 3600 - 1, false),
        ("weekly", 8 * 24 * 3600, true),
        ("weekly", 24 * 3600, false),
        ("every_90m", 5401, true),
        ("every_90m", 5399, false),
    ] {
        let text = format!("services: {{ web: {{ image: web, pull_policy: {policy} }} }}");
        let mut observed = Observed { at: 1_000_000, ..up(&text) };
        observed.images.get_mut("web").expect("an image").tagged = Some(1_000_000 - age);
        let plan = default(&text, &observed);
        assert_eq!(plan.has_image_steps(), pulled, "{policy} {age}\n{plan}");
        assert_eq!(desired(&text).aging(), ["web"]);
    }
    let after = "services: { web: { image: web, pull_policy: refresh, pull_refresh_after: 1h } }";
    let mut observed = Observed { at: 1_000_000, ..up(after) };
    assert!(default(after, &observed).has_image_steps(), "an image of unknown age is old");
    observed.images.get_mut("web").expect("an image").tagged = Some(1_000_000 - 60);
    assert!(default(after, &observed).is_empty());
}

#[test]
fn what_docker_compose_made_with_its_lender_stays_with_it() {
    let mut observed = up(SHARED);
    let stack = desired(SHARED);
    let lenders = BTreeMap::from([("db".to_owned(), "shop-db-1-id".to_owned())]);
    let hash = stack.service("app").expect("a service").config_hash(&lenders);
    let app = container(&mut observed, "shop-app-1");
    (app.recorded, app.config_hash) = (None, hash);
    app.lenders.clear();
    assert!(default(SHARED, &observed).is_empty());
    container(&mut observed, "shop-db-1").id = "another".to_owned();
    let plan = default(SHARED, &observed);
    assert_eq!(replaced(&plan), ["app/1"], "{plan}");
}
