//! What `run` does before its container starts.

use stack_file::given;
use stack_plan::address::Address;
use stack_plan::containers::{self, Policy};
use stack_plan::labels;
use stack_plan::observed::Observed;
use stack_plan::one_off::{Changes, Published, Run};
use stack_plan::plan::{Action, NewContainer, Plan};

use crate::support::{assert_plan, container, desired, images_of, up};

const SHOP: &str = "
services:
  web:
    image: web
    command: [serve]
    restart: always
    container_name: the-web
    ports: ['8080:80']
    cap_drop: [NET_RAW, CHOWN]
    cap_add: [SYS_TIME]
    volumes: ['data:/data', '/cache']
    labels: { a: '1', b: '1' }
    environment: { A: '1', B: '1' }
    networks: { front: { aliases: [www] }, back: {} }
    depends_on:
      db: { condition: service_healthy }
      job: { condition: service_completed_successfully }
  db: { image: db, healthcheck: { test: [CMD, 'true'] }, networks: [back] }
  job: { image: job, networks: [back] }
  other: { image: other, networks: [back], volumes: ['spare:/spare'] }
networks: { front: {}, back: {} }
volumes: { data: {}, spare: {} }
";

fn changes() -> Changes {
    Changes { slug: "0123456789abcdef".repeat(4), ..Changes::default() }
}

fn run(observed: &Observed, policy: &Policy, changes: &Changes) -> Plan {
    let run = Run { service: "web".to_owned(), changes: changes.clone() };
    let policy = Policy { services: vec!["web".to_owned()], run: Some(run.into()), ..policy.clone() };
    containers::plan(&desired(SHOP), observed, &policy)
}

fn made(plan: &Plan) -> NewContainer {
    let made = plan.steps.iter().find_map(|step| match &step.action {
        Action::CreateContainer(new) if new.number == 0 => Some((**new).clone()),
        _ => None,
    });
    made.expect("a container of `run`")
}

#[test]
fn what_the_service_needs_comes_up_first_and_is_waited_for() {
    let plan = run(&images_of(SHOP), &Policy::default(), &changes());
    assert_plan(
        &plan,
        &[
            "[] -> #1 volume:data, create, missing",
            "[] -> #2 network:front, create, missing",
            "[] -> #3 network:back, create, missing",
            "[3] -> #4 db/1, create, missing",
            "[4] -> #5 db/1, start, missing",
            "[3] -> #6 job/1, create, missing",
            "[6] -> #7 job/1, start, missing",
            "[5] -> #8 db/1, await healthy, waited for",
            "[7] -> #9 job/1, await completed, waited for",
            "[1,2,3,8,9] -> #10 web/run, create, asked for",
            "[10] -> #11 web/run, connect, asked for",
            "[11] -> #12 web/run, start, asked for",
        ],
    );
}

#[test]
fn the_containers_of_the_service_itself_stay_as_they_are() {
    // One of them is out of date, and it does not run.
    let mut observed = up(&SHOP.replace("[serve]", "[other]"));
    container(&mut observed, "the-web").state = stack_plan::observed::ContainerState::Exited(1);
    container(&mut observed, "shop-job-1").state = stack_plan::observed::ContainerState::Exited(0);
    let plan = run(&observed, &Policy::default(), &changes());
    assert_plan(
        &plan,
        &[
            "[] -> #1 web/run, create, asked for",
            "[1] -> #2 web/run, connect, asked for",
            "[2] -> #3 web/run, start, asked for",
        ],
    );
    assert_eq!(plan.until_last_start().steps.len(), 2);
}

#[test]
fn without_its_dependencies_only_the_ground_is_made() {
    let policy = Policy { no_deps: true, ..Policy::default() };
    assert_plan(
        &run(&images_of(SHOP), &policy, &changes()),
        &[
            "[] -> #1 volume:data, create, missing",
            "[] -> #2 network:front, create, missing",
            "[] -> #3 network:back, create, missing",
            "[1,2,3] -> #4 web/run, create, asked for",
            "[4] -> #5 web/run, connect, asked for",
            "[5] -> #6 web/run, start, asked for",
        ],
    );
}

#[test]
fn the_image_is_pulled_before_the_container_is_made() {
    let policy = Policy { no_deps: true, ..Policy::default() };
    let plan = run(&Observed::default(), &policy, &changes());
    let first = plan.to_string().lines().find(|line| line.contains("image:")).map(str::to_owned);
    assert_eq!(first.as_deref(), Some("[] -> #4 image:web, pull, missing"));
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn the_container_is_one_off() {
    let plan = run(&images_of(SHOP), &Policy::default(), &changes());
    let new = made(&plan);
    let service = &new.spec.service;
    assert_eq!(
        (new.name.as_str(), new.known_as.as_str()),
        ("shop-web-run-0123456789ab", "shop-web-run-0123456789ab")
    );
    assert_eq!(new.labels.get(labels::ONE_OFF).map(String::as_str), Some("True"));
    assert_eq!(new.labels.get(labels::SLUG), Some(&changes().slug));
    assert_eq!(new.labels.get(labels::SERVICE).map(String::as_str), Some("web"));
    assert!(!new.labels.contains_key(labels::NUMBER));
    assert!(service.ports.is_empty() && service.restart.is_none() && service.container_name.is_none());
    assert!(new.spec.networks.iter().all(|joined| joined.aliases.is_empty()));
    assert!(!new.auto_remove && !new.stdin_once);
    assert_eq!("web/run".parse(), Ok(Address::Container("web".to_owned(), 0)));
}

#[test]
fn the_command_line_stands_in_the_place_of_the_file() {
    let asked = Changes {
        name: Some("mine".to_owned()),
        command: vec!["ls".to_owned()],
        environment: [("B".to_owned(), "2".to_owned()), ("C".to_owned(), "3".to_owned())].into(),
        labels: [("b", "2"), (labels::PROJECT, "elsewhere")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        user: Some("1000".to_owned()),
        working_dir: Some("/srv".to_owned()),
        cap_add: vec!["NET_RAW".to_owned()],
        cap_drop: vec!["SYS_TIME".to_owned()],
        mounts: ["spare:/data", "/new"]
            .iter()
            .map(|text| given::mount(text, std::path::Path::new("/"), None).expect("a mount"))
            .collect(),
        ports: Published::These(given::ports("9000:90").expect("ports")),
        use_aliases: true,
        stdin_open: true,
        auto_remove: true,
        ..changes()
    };
    let plan = run(&images_of(SHOP), &Policy::default(), &asked);
    assert!(plan.to_string().contains("volume:spare, create, missing"), "{plan}");
    let new = made(&plan);
    let service = &new.spec.service;
    let value = |name: &str| service.environment[name].value.clone();
    assert_eq!(new.name, "mine");
    assert_eq!(service.command.as_ref().map(|command| command.value.clone()), Some(vec!["ls".to_owned()]));
    assert_eq!((value("A"), value("B"), value("C")), (Some("1".into()), Some("2".into()), Some("3".into())));
    let label = |key: &str| new.labels.get(key).map(String::as_str);
    assert_eq!((label("a"), label("b"), label(labels::PROJECT)), (Some("1"), Some("2"), Some("shop")));
    let caps = |caps: &[stack_file::source::Spanned<String>]| {
        caps.iter().map(|cap| cap.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(caps(&service.cap_add), ["NET_RAW"]);
    assert_eq!(caps(&service.cap_drop), ["CHOWN", "SYS_TIME"]);
    let targets: Vec<_> = service.volumes.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/cache", "/data", "/new"]);
    assert_eq!(new.spec.volume_names["spare"], "shop_spare");
    assert_eq!(service.ports.len(), 1);
    assert!(new.spec.networks.iter().any(|joined| joined.aliases.contains(&"www".to_owned())));
    assert!(new.auto_remove && new.stdin_once);
}

#[test]
fn another_entry_point_clears_the_command() {
    let asked = Changes { entrypoint: Some(vec!["sh".to_owned()]), ..changes() };
    let plan = run(&images_of(SHOP), &Policy::default(), &asked);
    let service = made(&plan).spec.service.clone();
    assert_eq!(service.entrypoint.as_ref().map(|words| words.value.clone()), Some(vec!["sh".to_owned()]));
    assert_eq!(service.command.as_ref().map(|words| words.value.len()), Some(0));
    let asked = Changes { ports: Published::OfTheService, ..changes() };
    assert_eq!(made(&run(&images_of(SHOP), &Policy::default(), &asked)).spec.service.ports.len(), 1);
}
