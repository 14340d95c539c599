//! What is kept on the engine, and what a difference says.

use std::collections::BTreeMap;

use crate::support::{desired, plan, up};
use stack_plan::containers::Policy;
use stack_plan::fields::{Recorded, Shown};
use stack_plan::labels;

const SECRETS: &str = "
services:
  db:
    image: db
    environment: { PASSWORD: hunter2, UNSET: }
    logging: { driver: json-file, options: { token: hunter2 } }
    volumes: ['data:/data']
volumes:
  data: { driver_opts: { o: 'password=hunter2' } }
";

#[test]
fn secrets_are_in_no_record_no_label_and_no_plan() {
    let stack = desired(SECRETS);
    let spec = &stack.services[0];
    for text in
        [spec.fields.record().write(), format!("{:?}", spec.labels), format!("{:?}", stack.volumes[0].labels)]
    {
        assert!(!text.contains("hunter2") && text.contains("sha256:"), "{text}");
    }
    let told = |text: &str| {
        let plan = plan(&text.replace("hunter2", "hunter3"), &up(text), &Policy::default());
        let causes: Vec<_> = plan.steps.iter().map(|step| &step.cause).collect();
        let told = format!("{plan}{causes:?}");
        assert!(!told.contains("hunter"), "{told}");
        told
    };
    assert!(told(SECRETS).contains("driver_opts.o"));
    let container = told(&SECRETS.replace("    volumes: ['data:/data']\n", ""));
    assert!(container.contains("environment.PASSWORD, logging.options.token"), "{container}");
}

#[test]
fn a_difference_names_every_field_in_order_with_what_may_be_shown() {
    let was = desired("services: { a: { image: 'a:1', user: root, environment: { KEY: one, NEW: } } }");
    let now = desired("services: { a: { image: 'a:2', init: true, environment: { KEY: two, NEW: } } }");
    let spec = &now.services[0];
    let changes = spec.fields.difference(&was.services[0].fields.record(), &spec.service.name.origin);
    let told: Vec<_> =
        changes.iter().map(|change| format!("{} {} {}", change.field, change.was, change.now)).collect();
    assert_eq!(
        told,
        ["environment.KEY (hidden) (hidden)", "image a:1 a:2", "init (none) true", "user root (none)"]
    );
    assert_eq!(changes[0].was, Shown::Hidden);
    // Each cites the place that says so; what is gone, the service itself.
    assert_eq!(changes[3].origin, spec.service.name.origin);
    assert!(changes[1].origin.span.start() > spec.service.name.origin.span.start());
}

#[test]
fn only_what_changes_a_container_is_recorded() {
    let plain = "services: { b: { image: b }, a: { image: a } }";
    let more = "
services:
  b: { image: b }
  a:
    image: a
    pull_policy: always
    scale: 1
    depends_on: [b]
    profiles: []
    x-note: for people
    deploy: { replicas: 1, mode: replicated }
";
    let fields = |text: &str| desired(text).service("a").expect("a").fields.record();
    assert_eq!(fields(plain), fields(more));
    let limited =
        "services: { b: { image: b }, a: { image: a, deploy: { resources: { limits: { memory: 1m } } } } }";
    assert_ne!(fields(plain), fields(limited));
}

#[test]
fn a_record_reads_as_it_is_written_and_others_are_none() {
    let record = desired(SECRETS).services[0].fields.record();
    assert_eq!(Recorded::read(&record.write()), Some(record));
    for text in ["", "{}", "not json", r#"{"form":2,"fields":{}}"#, r#"{"form":1}"#] {
        assert_eq!(Recorded::read(text), None, "{text}");
    }
}

#[test]
fn the_labels_are_those_of_docker_compose() {
    let stack = desired(
        "
services:
  redis: { image: redis, healthcheck: { test: [CMD, look] } }
  job: { image: job }
  app:
    image: app
    labels: { com.docker.compose.project: mine, own: kept }
    networks: [front]
    depends_on:
      redis: { condition: service_healthy }
      job: { condition: service_completed_successfully, restart: true }
networks: { front: {} }
",
    );
    let app = &stack.service("app").expect("app").labels;
    let label = |key: &str| app.get(key).map(String::as_str);
    assert_eq!(label("com.docker.compose.project"), Some("shop"));
    assert_eq!(label("com.docker.compose.service"), Some("app"));
    assert_eq!(label("com.docker.compose.oneoff"), Some("False"));
    assert_eq!(label("com.docker.compose.project.working_dir"), Some("/nowhere/shop"));
    assert_eq!(label("com.docker.compose.config-hash").map(str::len), Some(64));
    assert_eq!(
        label("com.docker.compose.depends_on"),
        Some("redis:service_healthy:false,job:service_completed_successfully:true")
    );
    assert_eq!(label("own"), Some("kept"));
    let network: &BTreeMap<_, _> = &stack.networks[0].labels;
    assert_eq!(network.get(labels::PROJECT).map(String::as_str), Some("shop"));
    assert!(
        stack
            .networks
            .iter()
            .any(|spec| spec.labels.get("com.docker.compose.network").is_some_and(|key| key == "front"))
    );
}

#[test]
fn a_made_container_carries_its_number_its_image_and_what_it_replaces() {
    use stack_plan::plan::Action;
    let text = "services: { a: { image: a, scale: 2 } }";
    let plan = plan(&text.replace("scale", "init: true, scale"), &up(text), &Policy::default());
    let made: Vec<_> = (plan.steps.iter())
        .filter_map(|step| match &step.action {
            Action::CreateContainer(new) => Some(new),
            _ => None,
        })
        .collect();
    let second = &made[1];
    assert_eq!(second.labels[labels::NUMBER], "2");
    assert_eq!(second.labels[labels::IMAGE], "sha256:a");
    assert_eq!(second.labels[labels::REPLACE], "a-2");
    assert_eq!(second.known_as, "shop-a-2");
    assert!(
        second.name.ends_with("_shop-a-2") && second.name.len() == "shop-a-2".len() + 13,
        "{}",
        second.name
    );
}
