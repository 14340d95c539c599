//! What `up` has to do, case by case.

use std::time::Duration;

use crate::support::{assert_plan, container, images_of, plan, up};
use stack_plan::containers::{Policy, Recreate};
use stack_plan::observed::{ContainerState, Health, Observed};
use stack_plan::plan::{Action, Plan, Target};

const CHAIN: &str = "
services:
  app:
    image: app
    depends_on: { db: { condition: service_healthy } }
  db:
    image: db
    healthcheck: { test: [CMD, look] }
";

fn asked(services: &[&str]) -> Policy {
    Policy { services: services.iter().map(|name| (*name).to_owned()).collect(), ..Policy::default() }
}

fn default(text: &str, observed: &Observed) -> Plan {
    plan(text, observed, &Policy::default())
}

#[test]
fn what_is_missing_is_made_and_dependents_wait_until_it_is_healthy() {
    assert_plan(
        &default(CHAIN, &images_of(CHAIN)),
        &[
            "[] -> #1 network:default, create, missing",
            "[1] -> #2 db/1, create, missing",
            "[2] -> #3 db/1, start, missing",
            "[1] -> #4 app/1, create, missing",
            "[3] -> #5 db/1, await healthy, waited for",
            "[4,5] -> #6 app/1, start, missing",
        ],
    );
}

#[test]
fn what_is_as_wanted_stays() {
    let plan = default(CHAIN, &up(CHAIN));
    assert!(plan.is_empty() && !plan.changes_something(), "{plan}");
    let unchanged: Vec<_> = plan.unchanged.iter().map(ToString::to_string).collect();
    assert_eq!(unchanged, ["network:default", "db/1", "app/1"]);
}

#[test]
fn a_changed_service_is_replaced_and_its_dependents_stay() {
    let now = CHAIN.replace("image: db", "image: db\n    environment: { LEVEL: debug }");
    assert_plan(
        &default(&now, &up(CHAIN)),
        &[
            "[] -> #1 db/1, create, changed: environment.LEVEL",
            "[1] -> #2 db/1, stop, changed: environment.LEVEL",
            "[2] -> #3 db/1, remove, changed: environment.LEVEL",
            "[3] -> #4 db/1, rename, changed: environment.LEVEL",
            "[4] -> #5 db/1, start, changed: environment.LEVEL",
        ],
    );
}

#[test]
fn an_old_container_runs_until_what_its_successor_needs_is_ready() {
    let now = CHAIN.replace("image:", "labels: { new: \"yes\" }\n    image:");
    let plan = default(&now, &up(CHAIN));
    assert_plan(
        &plan,
        &[
            "[] -> #1 db/1, create, changed: labels.new",
            "[1] -> #2 db/1, stop, changed: labels.new",
            "[2] -> #3 db/1, remove, changed: labels.new",
            "[3] -> #4 db/1, rename, changed: labels.new",
            "[4] -> #5 db/1, start, changed: labels.new",
            "[] -> #6 app/1, create, changed: labels.new",
            "[5] -> #7 db/1, await healthy, waited for",
            "[6,7] -> #8 app/1, stop, changed: labels.new",
            "[8] -> #9 app/1, remove, changed: labels.new",
            "[9] -> #10 app/1, rename, changed: labels.new",
            "[10] -> #11 app/1, start, changed: labels.new",
        ],
    );
    let undo: Vec<_> = plan.steps.iter().take(3).map(|step| step.undo.len()).collect();
    assert_eq!(undo, [1, 1, 0], "create and stop can be taken back, remove cannot");
}

#[test]
fn a_newer_image_replaces() {
    let mut observed = up("services: { web: { image: web } }");
    container(&mut observed, "shop-web-1").image_id = "sha256:older".to_owned();
    let plan = default("services: { web: { image: web } }", &observed);
    assert_eq!(plan.steps[0].cause.to_string(), "image is newer");
    assert_eq!(plan.steps.len(), 5);
}

#[test]
fn a_container_of_another_program_is_replaced_unless_its_hash_is_the_same() {
    let mut observed = up("services: { web: { image: web } }");
    container(&mut observed, "shop-web-1").recorded = None;
    let plan = default("services: { web: { image: web } }", &observed);
    assert!(plan.is_empty(), "{plan}");
    container(&mut observed, "shop-web-1").config_hash = "another".to_owned();
    let plan = default("services: { web: { image: web } }", &observed);
    assert_eq!(plan.steps[0].cause.to_string(), "made by another program");
}

#[test]
fn a_container_that_ended_is_started_again_unless_it_is_a_job_that_ended_well() {
    let text = "
services:
  web: { image: web }
  once: { image: once, restart: 'no' }
  migrate: { image: migrate }
  app:
    image: app
    depends_on: { migrate: { condition: service_completed_successfully } }
";
    let mut observed = up(text);
    for name in ["shop-web-1", "shop-once-1", "shop-migrate-1"] {
        container(&mut observed, name).state = ContainerState::Exited(0);
    }
    assert_plan(&default(text, &observed), &["[] -> #1 web/1, start, is exited"]);
    // Naming it runs it again, and so does an end that was not well.
    let named = plan(text, &observed, &asked(&["once"]));
    assert_plan(&named, &["[] -> #1 once/1, start, asked for"]);
    container(&mut observed, "shop-migrate-1").state = ContainerState::Exited(1);
    let failed = plan(text, &observed, &asked(&["app"]));
    assert_plan(&failed, &["[] -> #1 migrate/1, start, is exited"]);
}

#[test]
fn a_frozen_container_is_stopped_before_it_is_started() {
    let text = "services: { web: { image: web, stop_grace_period: 3s } }";
    let mut observed = up(text);
    container(&mut observed, "shop-web-1").state = ContainerState::Paused;
    let plan = default(text, &observed);
    assert_plan(&plan, &["[] -> #1 web/1, stop, is paused", "[1] -> #2 web/1, start, is paused"]);
    assert!(
        matches!(plan.steps[0].action, Action::Stop { grace: Some(grace), .. } if grace == Duration::from_secs(3))
    );
}

#[test]
fn a_dead_container_is_replaced_even_when_nothing_is_to_be_recreated() {
    let text = "services: { web: { image: web } }";
    let mut observed = up(text);
    container(&mut observed, "shop-web-1").state = ContainerState::Dead;
    let never = Policy { recreate: Recreate::Never, ..Policy::default() };
    assert_plan(
        &plan(text, &observed, &never),
        &[
            "[] -> #1 web/1, create, is dead",
            "[1] -> #2 web/1, remove, is dead",
            "[2] -> #3 web/1, rename, is dead",
            "[3] -> #4 web/1, start, is dead",
        ],
    );
}

#[test]
fn a_container_off_its_network_is_replaced_also_when_it_does_not_run() {
    let text = "services: { web: { image: web, networks: [a, b] } }\nnetworks: { a: {}, b: {} }";
    let mut running = up(text);
    container(&mut running, "shop-web-1").networks.remove("shop_b");
    assert_eq!(default(text, &running).steps[0].cause.to_string(), "is detached from a network");

    let mut half_made = running.clone();
    container(&mut half_made, "shop-web-1").state = ContainerState::Created;
    assert_eq!(default(text, &half_made).steps[0].cause.to_string(), "is detached from a network");

    // Before its first start the engine tells no id, and that is no difference.
    let mut made = up(text);
    let created = container(&mut made, "shop-web-1");
    created.state = ContainerState::Created;
    created.networks.values_mut().for_each(String::clear);
    assert_plan(&default(text, &made), &["[] -> #1 web/1, start, is created"]);

    // The network was removed and made again by hand while the container was down.
    let mut remade = up(text);
    container(&mut remade, "shop-web-1").state = ContainerState::Exited(137);
    remade.networks[0].id = "another".to_owned();
    assert_eq!(default(text, &remade).steps[0].cause.to_string(), "is detached from a network");
}

#[test]
fn dependents_that_ask_for_it_are_restarted_in_a_chain() {
    let text = |level: &str| {
        format!(
            "
services:
  a: {{ image: a, environment: {{ LEVEL: {level} }} }}
  b: {{ image: b, depends_on: {{ a: {{ condition: service_started, restart: true }} }} }}
  c: {{ image: c, depends_on: {{ b: {{ condition: service_started, restart: true }} }} }}
  d: {{ image: d, depends_on: {{ a: {{ condition: service_started }} }} }}
"
        )
    };
    let plan = default(&text("two"), &up(&text("one")));
    let rest: Vec<_> = plan.to_string().lines().skip(5).map(str::to_owned).collect();
    assert_eq!(
        rest,
        [
            "[5] -> #6 b/1, stop, depends on a/1, replaced",
            "[6] -> #7 b/1, start, depends on a/1, replaced",
            "[7] -> #8 c/1, stop, depends on b/1, replaced",
            "[8] -> #9 c/1, start, depends on b/1, replaced",
        ]
    );
}

#[test]
fn a_dependency_that_is_only_started_restarts_nobody() {
    let text = "
services:
  a: { image: a }
  b: { image: b, depends_on: { a: { condition: service_started, restart: true } } }
";
    let mut observed = up(text);
    container(&mut observed, "shop-a-1").state = ContainerState::Exited(1);
    assert_plan(&default(text, &observed), &["[] -> #1 a/1, start, is exited"]);
}

#[test]
fn an_optional_dependency_may_fail() {
    let text = "
services:
  a: { image: a, healthcheck: { test: [CMD, look] } }
  b: { image: b }
  c:
    image: c
    depends_on:
      a: { condition: service_healthy, required: false }
      b: { condition: service_started, required: false }
";
    let plan = default(text, &images_of(text));
    let text = plan.to_string();
    let last = text.lines().last().expect("a step");
    assert_eq!(last, "[6,5?,7?] -> #8 c/1, start, missing", "{text}");
    assert!(matches!(plan.steps[6].action, Action::Await { required: false, .. }));
}

#[test]
fn dependents_wait_for_every_replica() {
    let text = "
services:
  a: { image: a, scale: 2, healthcheck: { test: [CMD, look] } }
  b: { image: b, depends_on: { a: { condition: service_healthy } } }
";
    let mut observed = up(text);
    observed.containers.retain(|found| found.service == "a");
    container(&mut observed, "shop-a-2").health = Health::Starting;
    assert_plan(
        &default(text, &observed),
        &[
            "[] -> #1 b/1, create, missing",
            "[] -> #2 a/2, await healthy, waited for",
            "[1,2] -> #3 b/1, start, missing",
        ],
    );
}

#[test]
fn no_replica_is_a_number_too() {
    let text = "services: { a: { image: a, scale: 0 }, b: { image: b, depends_on: [a] } }";
    let observed = up(&text.replace("scale: 0", "scale: 2"));
    assert_plan(
        &default(text, &observed),
        &[
            "[] -> #1 a/1, stop, more than asked for",
            "[1] -> #2 a/1, remove, more than asked for",
            "[] -> #3 a/2, stop, more than asked for",
            "[3] -> #4 a/2, remove, more than asked for",
        ],
    );
}

#[test]
fn the_lowest_numbers_stay_and_gaps_are_filled() {
    let text = |scale: u32| format!("services: {{ a: {{ image: a, scale: {scale} }} }}");
    let mut observed = up(&text(3));
    observed.containers.retain(|found| found.number != 2);
    assert!(default(&text(2), &observed).is_empty());
    assert_plan(
        &default(&text(3), &observed),
        &["[] -> #1 a/2, create, missing", "[1] -> #2 a/2, start, missing"],
    );
    assert_plan(
        &default(&text(1), &observed),
        &["[] -> #1 a/3, stop, more than asked for", "[1] -> #2 a/3, remove, more than asked for"],
    );
}

#[test]
fn a_container_without_a_number_or_with_a_taken_one_goes() {
    let text = "services: { a: { image: a } }";
    let mut observed = up(text);
    let mut odd = observed.containers[0].clone();
    (odd.id, odd.name, odd.number) = ("odd".to_owned(), "odd".to_owned(), 0);
    let mut twin = observed.containers[0].clone();
    (twin.id, twin.name) = ("twin".to_owned(), "another-a".to_owned());
    observed.containers.extend([odd, twin]);
    assert_plan(
        &default(text, &observed),
        &[
            "[] -> #1 a/run, stop, more than asked for",
            "[1] -> #2 a/run, remove, more than asked for",
            "[] -> #3 a/1, stop, more than asked for",
            "[3] -> #4 a/1, remove, more than asked for",
        ],
    );
}

#[test]
fn a_host_port_is_free_before_another_container_takes_it() {
    let text = |a: u16, b: u16| {
        format!(
            "
services:
  a: {{ image: a, ports: ['{a}:80'] }}
  b: {{ image: b, ports: ['{b}:80'], depends_on: [a] }}
"
        )
    };
    // They swap: both old ones go before either new one starts, each after its successor is made.
    let plan = default(&text(8001, 8000), &up(&text(8000, 8001)));
    let text = plan.to_string();
    let order: Vec<_> = text.lines().filter_map(|line| line.split(", changed").next()).collect();
    assert_eq!(
        order,
        [
            "[] -> #1 a/1, create",
            "[1] -> #2 a/1, stop",
            "[2] -> #3 a/1, remove",
            "[] -> #4 b/1, create",
            "[4] -> #5 b/1, stop",
            "[5] -> #6 b/1, remove",
            "[3] -> #7 a/1, rename",
            "[6,7] -> #8 a/1, start",
            "[6] -> #9 b/1, rename",
            "[3,8,9] -> #10 b/1, start",
        ]
    );
}

#[test]
fn a_port_of_another_address_or_protocol_is_another_port() {
    let before = "
services:
  a: { image: a, ports: ['127.0.0.1:53:53/tcp', '54:54/udp'] }
  b: { image: b, ports: ['127.0.0.2:53:53/tcp', '54:54/tcp'] }
";
    // Both change, and neither has anything of the other's.
    let now = before.replace("image:", "environment: { NEW: one }, image:");
    let plan = default(&now, &up(before));
    let starts: Vec<_> = plan.steps.iter().filter(|step| matches!(step.action, Action::Start(_))).collect();
    assert!(starts.iter().all(|step| step.after.len() == 1), "{plan}");
}

#[test]
fn a_name_is_free_before_another_container_takes_it() {
    let before = "services: { a: { image: a, container_name: one }, b: { image: b } }";
    let now = "services: { a: { image: a }, b: { image: b, container_name: one } }";
    let plan = default(now, &up(before));
    let renames: Vec<_> =
        plan.steps.iter().filter(|step| matches!(step.action, Action::Rename { .. })).collect();
    let removal = plan
        .steps
        .iter()
        .find(|step| {
            step.address.to_string() == "a/1" && matches!(step.action, Action::RemoveContainer { .. })
        })
        .expect("a's old container goes");
    assert!(renames[1].after.contains(&removal.id), "{plan}");
}

#[test]
fn a_replaced_container_keeps_its_anonymous_volumes() {
    let text = |more: &str| format!("services: {{ a: {{ image: a, volumes: [/data{more}] }} }}");
    let keep = |text: &str, observed: &Observed, policy: &Policy| match &plan(text, observed, policy).steps[0]
        .action
    {
        Action::CreateContainer(new) => new.keep.clone(),
        other => panic!("{other:?}"),
    };
    let changed = text("]\n    , environment: [A=1");
    let kept = [("/data".to_owned(), "a".repeat(64))];
    assert_eq!(keep(&changed, &up(&text("")), &Policy::default()), kept);
    // Asked to renew, given up by the file, or something else mounted there.
    let renew = Policy { renew_anonymous_volumes: true, ..Policy::default() };
    assert!(keep(&changed, &up(&text("")), &renew).is_empty());
    assert!(keep("services: { a: { image: a } }", &up(&text("")), &Policy::default()).is_empty());
    let tmpfs = "services: { a: { image: a, tmpfs: ['/data:size=1m'] } }";
    assert!(keep(tmpfs, &up(&text("")), &Policy::default()).is_empty());
    // One that only the image declares stays.
    let mut images_own = up("services: { a: { image: a } }");
    let mount = up(&text("")).containers[0].volumes[0].clone();
    images_own.containers[0].volumes.push(mount);
    assert_eq!(keep("services: { a: { image: a, init: true } }", &images_own, &Policy::default()), kept);
}

/// An interrupted replacement: the new container has the name it is made with.
fn interrupted(text: &str, with_old: bool) -> Observed {
    let mut observed = up(text);
    let mut new = observed.containers[0].clone();
    new.name = format!("0123456789ab_{}", new.name);
    new.id = "new".to_owned();
    new.state = ContainerState::Created;
    new.ports.clear();
    new.networks.values_mut().for_each(String::clear);
    if !with_old {
        observed.containers.clear();
    }
    observed.containers.push(new);
    observed
}

#[test]
fn an_interrupted_replacement_is_finished_when_the_old_container_is_gone() {
    let text = "services: { a: { image: a } }";
    let plan = default(text, &interrupted(text, false));
    assert_plan(
        &plan,
        &["[] -> #1 a/1, rename, left by an interrupted run", "[1] -> #2 a/1, start, is created"],
    );
    assert!(
        matches!(&plan.steps[0].action, Action::Rename { target: Target::Known(id), to } if id == "new" && to == "shop-a-1")
    );
}

#[test]
fn an_interrupted_replacement_is_undone_when_the_old_container_is_there() {
    let text = "services: { a: { image: a } }";
    assert_plan(
        &default(text, &interrupted(text, true)),
        &["[] -> #1 a/1, remove, left by an interrupted run"],
    );
}

#[test]
fn what_an_interrupted_replacement_left_is_replaced_when_the_file_has_changed_since() {
    let text = "services: { a: { image: a } }";
    let now = "services: { a: { image: a, init: true } }";
    assert_plan(
        &default(now, &interrupted(text, false)),
        &[
            "[] -> #1 a/1, create, changed: init",
            "[1] -> #2 a/1, remove, changed: init",
            "[2] -> #3 a/1, rename, changed: init",
            "[3] -> #4 a/1, start, changed: init",
        ],
    );
}

#[test]
fn a_container_name_that_only_looks_temporary_is_none() {
    let text = "services: { a: { image: a, container_name: 0123456789ab_web } }";
    assert!(default(text, &up(text)).is_empty());
}

#[test]
fn always_means_the_services_that_are_asked_for() {
    let always = |services: &[&str]| Policy { recreate: Recreate::Always, ..asked(services) };
    let plan = plan(CHAIN, &up(CHAIN), &always(&["app"]));
    assert!(plan.steps.iter().all(|step| step.address.to_string() == "app/1"), "{plan}");
    assert_eq!(plan.steps[0].cause.to_string(), "asked for");
}

#[test]
fn only_what_is_asked_for_and_what_it_needs_is_touched() {
    let text = format!("{CHAIN}  other: {{ image: other }}\n");
    let observed = images_of(&text);
    let touched = |policy: &Policy| {
        let plan = plan(&text, &observed, policy);
        plan.by_address().keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(touched(&asked(&["app"])), ["network:default", "db/1", "app/1"]);
    assert_eq!(touched(&Policy { no_deps: true, ..asked(&["app"]) }), ["network:default", "app/1"]);
}

#[test]
fn without_start_containers_are_made_and_nothing_waits() {
    let policy = Policy { no_start: true, wait: true, ..Policy::default() };
    assert_plan(
        &plan(CHAIN, &images_of(CHAIN), &policy),
        &[
            "[] -> #1 network:default, create, missing",
            "[1] -> #2 db/1, create, missing",
            "[1] -> #3 app/1, create, missing",
        ],
    );
}

#[test]
fn to_wait_is_to_wait_for_everything_that_is_not_known_to_be_ready() {
    let wait = Policy { wait: true, ..Policy::default() };
    assert!(plan(CHAIN, &up(CHAIN), &wait).is_empty());
    let mut observed = up(CHAIN);
    container(&mut observed, "shop-db-1").health = Health::Starting;
    let waits = plan(CHAIN, &observed, &wait);
    assert_plan(&waits, &["[] -> #1 db/1, await ready, waited for"]);
    assert!(!waits.changes_something());

    let job = "
services:
  job: { image: job }
  app: { image: app, depends_on: { job: { condition: service_completed_successfully } } }
";
    assert_plan(&plan(job, &up(job), &wait), &["[] -> #1 job/1, await completed, waited for"]);
}

#[test]
fn an_address_without_an_interface_is_told() {
    for (mode, told) in [("host", true), ("none", true), ("\"service:b\"", true), ("bridge", false)] {
        let file = format!(
            "services: {{ a: {{ image: a, mac_address: \"02:42:ac:11:00:03\", network_mode: {mode} }}, b: {{ image: b }} }}"
        );
        let plan = default(&file, &Observed { images: up(&file).images, ..Observed::default() });
        let found: Vec<String> = plan.shortfalls.iter().map(ToString::to_string).collect();
        let line = "mac_address of a has no effect: the container has no network of its own".to_owned();
        assert_eq!(found, if told { vec![line] } else { Vec::new() }, "{mode}");
    }
}

#[test]
fn orphans_of_this_file_are_named_and_removed_only_when_asked() {
    let before = "services: { a: { image: a }, old: { image: old } }";
    let now = "services: { a: { image: a } }";
    let mut observed = up(before);
    let plan = default(now, &observed);
    assert!(plan.is_empty());
    assert_eq!(
        plan.warnings,
        ["the file no longer has old; remove what is left with: stackctl up --remove-orphans"]
    );
    let silent = Policy { ignore_orphans: true, ..Policy::default() };
    assert_eq!(crate::support::plan(now, &observed, &silent).warnings, Vec::<String>::new());
    let remove = Policy { remove_orphans: true, ..Policy::default() };
    assert_plan(
        &crate::support::plan(now, &observed, &remove),
        &["[] -> #1 old/1, stop, not in the file", "[1] -> #2 old/1, remove, not in the file"],
    );
    // What other files made is another stack, and what runs once is nobody's orphan.
    container(&mut observed, "shop-old-1").config_files = "/elsewhere/stack.yaml".to_owned();
    assert!(default(now, &observed).warnings.is_empty());
    container(&mut observed, "shop-old-1").one_off = true;
    assert!(crate::support::plan(now, &observed, &remove).is_empty());
}

#[test]
fn containers_of_a_profile_that_is_off_are_left_alone() {
    let before = "services: { a: { image: a }, debug: { image: debug } }";
    let now = "services: { a: { image: a }, debug: { image: debug, profiles: [debug] } }";
    let remove = Policy { remove_orphans: true, ..Policy::default() };
    let plan = plan(now, &up(before), &remove);
    assert!(plan.is_empty() && plan.warnings.is_empty(), "{plan}");
}

#[test]
fn the_same_input_gives_the_same_text() {
    let one = default(CHAIN, &images_of(CHAIN));
    let two = default(CHAIN, &images_of(CHAIN));
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
}

#[test]
fn five_hundred_services_are_planned_quickly_and_with_few_edges() {
    use std::fmt::Write;
    let text = |level: &str| {
        let mut text = String::from("services:\n");
        for index in 0..500_u32 {
            let _ = write!(text, "  s{index}:\n    image: s\n    environment: {{ LEVEL: {level} }}\n");
            let _ = writeln!(text, "    ports: ['{}:80']", 10_000 + index);
            if index > 0 {
                let _ = writeln!(text, "    depends_on: [s{}]", index / 2);
            }
        }
        text
    };
    let (observed, desired) = (up(&text("one")), crate::support::desired(&text("two")));
    let begun = std::time::Instant::now();
    let plan = stack_plan::containers::plan(&desired, &observed, &Policy::default());
    let took = begun.elapsed();
    assert_eq!(plan.steps.len(), 2500);
    let edges: usize = plan.steps.iter().map(|step| step.after.len()).sum();
    assert!(edges < 5000, "{edges} edges");
    assert!(took < Duration::from_secs(2), "{took:?}");
}
