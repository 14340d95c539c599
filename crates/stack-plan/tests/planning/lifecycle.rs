//! What `start`, `restart`, `kill`, `pause`, `unpause`, `rm` and `wait` have to do, case by case.

use std::time::Duration;

use crate::support::{assert_plan, container, desired, up};
use stack_plan::lifecycle::{
    Kill, Removal, Restart, Start, kill, pause, remove, restart, start, unpause, wait,
};
use stack_plan::observed::{ContainerState, Health, Observed, ObservedMount};
use stack_plan::plan::{Action, Plan};

const TEXT: &str = "
services:
  front: { image: front, depends_on: { app: { condition: service_started, restart: true } } }
  app:
    image: app
    stop_grace_period: 2s
    depends_on:
      db: { condition: service_healthy, restart: true }
      migrate: { condition: service_completed_successfully }
  migrate: { image: migrate, depends_on: { db: { condition: service_healthy } } }
  db: { image: db, scale: 2, healthcheck: { test: [CMD, look] } }
  apart: { image: apart }
";

/// The stack of the text, with its job done.
fn standing() -> Observed {
    let mut observed = up(TEXT);
    container(&mut observed, "shop-migrate-1").state = ContainerState::Exited(0);
    observed
}

/// The same, stopped.
fn stopped() -> Observed {
    let mut observed = standing();
    for container in &mut observed.containers {
        container.state = ContainerState::Exited(0);
        container.health = Health::None;
    }
    container(&mut observed, "shop-app-1").state = ContainerState::Exited(137);
    observed
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The same plan from the file and from the labels alone.
#[track_caller]
fn assert_both(plan: impl Fn(bool) -> Plan, steps: &[&str]) {
    assert_plan(&plan(true), steps);
    assert_plan(&plan(false), steps);
}

#[test]
fn start_goes_up_the_dependencies_and_waits_for_their_conditions() {
    let (desired, observed) = (desired(TEXT), stopped());
    let policy = Start::default();
    assert_both(
        |file| start("shop", file.then_some(&desired), &observed, &policy),
        &[
            "[] -> #1 apart/1, start, is exited",
            "[] -> #2 db/1, start, is exited",
            "[] -> #3 db/2, start, is exited",
            "[2] -> #4 db/1, await healthy, waited for",
            "[3] -> #5 db/2, await healthy, waited for",
            "[4,5] -> #6 app/1, start, is exited",
            "[6] -> #7 front/1, start, is exited",
        ],
    );
}

#[test]
fn a_named_service_starts_with_what_it_needs_and_a_named_job_runs_again() {
    let (desired, observed) = (desired(TEXT), stopped());
    let policy = Start { services: names(&["migrate"]), wait: false };
    assert_both(
        |file| start("shop", file.then_some(&desired), &observed, &policy),
        &[
            "[] -> #1 db/1, start, is exited",
            "[] -> #2 db/2, start, is exited",
            "[1] -> #3 db/1, await healthy, waited for",
            "[2] -> #4 db/2, await healthy, waited for",
            "[3,4] -> #5 migrate/1, start, is exited",
        ],
    );
}

#[test]
fn start_waits_for_all_only_when_asked_and_leaves_what_runs() {
    let (desired, mut observed) = (desired(TEXT), standing());
    container(&mut observed, "shop-app-1").state = ContainerState::Created;
    container(&mut observed, "shop-db-2").health = Health::Starting;
    let plan = |wait| start("shop", Some(&desired), &observed, &Start { services: Vec::new(), wait });
    let steps = ["[] -> #1 db/2, await healthy, waited for", "[1] -> #2 app/1, start, is created"];
    assert_plan(&plan(false), &steps);
    assert_eq!(plan(false).unchanged.len(), 5);
    let all = [&steps[..], &["[2] -> #3 app/1, await ready, waited for"]].concat();
    assert_plan(&plan(true), &all);
}

#[test]
fn what_is_frozen_goes_on_when_it_is_to_start() {
    let mut observed = standing();
    container(&mut observed, "shop-apart-1").state = ContainerState::Paused;
    assert_plan(
        &start("shop", None, &observed, &Start::default()),
        &["[] -> #1 apart/1, unpause, is paused"],
    );
}

#[test]
fn a_disabled_service_starts_only_by_its_name() {
    let text = "services: { web: { image: web }, debug: { image: debug, profiles: [extra] } }";
    let mut observed = up("services: { web: { image: web }, debug: { image: debug } }");
    observed.containers.iter_mut().for_each(|found| found.state = ContainerState::Created);
    let desired = desired(text);
    let plan = |services: &[&str]| {
        let policy = Start { services: names(services), wait: false };
        start("shop", Some(&desired), &observed, &policy)
    };
    assert_plan(&plan(&[]), &["[] -> #1 web/1, start, is created"]);
    assert_plan(&plan(&["debug"]), &["[] -> #1 debug/1, start, is created"]);
}

#[test]
fn restart_takes_along_what_is_to_be_restarted_with_it() {
    let (desired, observed) = (desired(TEXT), standing());
    let plan = |file: bool, no_deps| {
        let policy = Restart { services: names(&["db"]), no_deps, ..Restart::default() };
        restart("shop", file.then_some(&desired), &observed, &policy)
    };
    assert_both(
        |file| plan(file, false),
        &[
            "[] -> #1 db/1, stop, asked for",
            "[1] -> #2 db/1, start, asked for",
            "[] -> #3 db/2, stop, asked for",
            "[3] -> #4 db/2, start, asked for",
            "[2] -> #5 db/1, await healthy, waited for",
            "[4] -> #6 db/2, await healthy, waited for",
            "[5,6] -> #7 app/1, stop, depends on db/1, replaced",
            "[7] -> #8 app/1, start, depends on db/1, replaced",
            "[8] -> #9 front/1, stop, depends on app/1, replaced",
            "[9] -> #10 front/1, start, depends on app/1, replaced",
        ],
    );
    assert_both(
        |file| plan(file, true),
        &[
            "[] -> #1 db/1, stop, asked for",
            "[1] -> #2 db/1, start, asked for",
            "[] -> #3 db/2, stop, asked for",
            "[3] -> #4 db/2, start, asked for",
        ],
    );
}

#[test]
fn a_restart_of_all_leaves_jobs_done_and_keeps_to_the_grace_periods() {
    let (desired, mut observed) = (desired(TEXT), standing());
    container(&mut observed, "shop-apart-1").state = ContainerState::Exited(1);
    let grace = |plan: &Plan, address: &str| {
        plan.steps
            .iter()
            .find_map(|step| match &step.action {
                Action::Stop { grace, .. } if step.address.to_string() == address => Some(*grace),
                _ => None,
            })
            .expect("a stop")
    };
    let plan = restart("shop", Some(&desired), &observed, &Restart::default());
    assert!(!plan.to_string().contains("migrate"), "{plan}");
    assert!(plan.to_string().contains("apart/1, start") && !plan.to_string().contains("apart/1, stop"));
    assert_eq!(grace(&plan, "app/1"), Some(Duration::from_secs(2)));
    assert_eq!(grace(&plan, "db/1"), None);
    let hurried = Restart { grace: Some(Duration::ZERO), ..Restart::default() };
    let plan = restart("shop", Some(&desired), &observed, &hurried);
    assert_eq!(grace(&plan, "app/1"), Some(Duration::ZERO));
}

#[test]
fn kill_reaches_all_that_runs_at_once_and_those_of_run() {
    let (desired, mut observed) = (desired(TEXT), standing());
    let mut busy = container(&mut observed, "shop-apart-1").clone();
    (busy.id, busy.name, busy.one_off, busy.number) =
        ("run".to_owned(), "shop-apart-run".to_owned(), true, 0);
    observed.containers.push(busy);
    container(&mut observed, "shop-db-2").state = ContainerState::Paused;
    let mut stray = container(&mut observed, "shop-front-1").clone();
    (stray.id, stray.name, stray.service) = ("stray".to_owned(), "shop-old-1".to_owned(), "old".to_owned());
    observed.containers.push(stray);
    let plan = |orphans| {
        let policy = Kill { services: Vec::new(), signal: "HUP".to_owned(), orphans };
        kill("shop", Some(&desired), &observed, &policy)
    };
    let mut lines: Vec<String> = plan(false).steps.iter().map(|step| step.address.to_string()).collect();
    lines.sort();
    assert_eq!(lines, ["apart/1", "apart/run", "app/1", "db/1", "db/2", "front/1"]);
    assert!(plan(false).steps.iter().all(|step| step.after.is_empty()));
    assert!(plan(true).to_string().contains("old/1, kill"));
    let policy = Kill { services: names(&["db"]), signal: "KILL".to_owned(), orphans: false };
    let some = kill("shop", None, &observed, &policy);
    assert_plan(&some, &["[] -> #1 db/1, kill, asked for", "[] -> #2 db/2, kill, asked for"]);
}

#[test]
fn what_is_frozen_is_frozen_from_above_and_goes_on_from_below() {
    let (desired, mut observed) = (desired(TEXT), standing());
    assert_both(
        |file| pause("shop", file.then_some(&desired), &observed, &names(&["front", "app", "db"])),
        &[
            "[] -> #1 front/1, pause, asked for",
            "[1] -> #2 app/1, pause, asked for",
            "[1,2] -> #3 db/1, pause, asked for",
            "[1,2] -> #4 db/2, pause, asked for",
        ],
    );
    assert_plan(
        &pause("shop", None, &observed, &names(&["front", "db"])),
        &[
            "[] -> #1 front/1, pause, asked for",
            "[1] -> #2 db/1, pause, asked for",
            "[1] -> #3 db/2, pause, asked for",
        ],
    );
    for name in ["shop-front-1", "shop-db-1"] {
        container(&mut observed, name).state = ContainerState::Paused;
    }
    assert_both(
        |file| unpause("shop", file.then_some(&desired), &observed, &[]),
        &["[] -> #1 db/1, unpause, asked for", "[1] -> #2 front/1, unpause, asked for"],
    );
    let again = pause("shop", None, &observed, &names(&["front"]));
    assert!(again.is_empty() && again.unchanged.len() == 1, "{again}");
}

#[test]
fn only_what_does_not_run_is_removed_unless_it_is_stopped_before() {
    let (desired, mut observed) = (desired(TEXT), standing());
    container(&mut observed, "shop-front-1").state = ContainerState::Created;
    let plan = |file: bool, stop| {
        let policy = Removal { services: names(&["front", "app", "migrate"]), stop, ..Removal::default() };
        remove("shop", file.then_some(&desired), &observed, &policy)
    };
    assert_both(
        |file| plan(file, false),
        &["[] -> #1 front/1, remove, asked for", "[1] -> #2 migrate/1, remove, asked for"],
    );
    assert_both(
        |file| plan(file, true),
        &[
            "[] -> #1 front/1, remove, asked for",
            "[1] -> #2 app/1, stop, asked for",
            "[2] -> #3 app/1, remove, asked for",
            "[1,3] -> #4 migrate/1, remove, asked for",
        ],
    );
}

#[test]
fn rm_takes_along_the_anonymous_volumes_that_were_passed_on_when_it_is_told_so() {
    let mut observed = stopped();
    let name = "0f".repeat(32);
    let volume = ObservedMount { name: name.clone(), target: "/data".to_owned() };
    let passed = container(&mut observed, "shop-db-1");
    (passed.volumes, passed.replaced_another) = (vec![volume.clone()], true);
    let first = container(&mut observed, "shop-apart-1");
    first.volumes = vec![ObservedMount { name: "1a".repeat(32), ..volume }];
    let plan = |volumes| {
        let policy = Removal { volumes, ..Removal::default() };
        remove("shop", None, &observed, &policy)
    };
    let removed = |plan: &Plan| {
        let of = |action: &Action| match action {
            Action::RemoveVolume(name) => Some(name.clone()),
            _ => None,
        };
        plan.steps.iter().filter_map(|step| of(&step.action)).collect::<Vec<_>>()
    };
    assert!(removed(&plan(false)).is_empty());
    assert_eq!(removed(&plan(true)), [name]);
}

#[test]
fn containers_of_run_are_in_nobodys_way() {
    let mut observed = standing();
    observed.containers.retain(|found| found.service == "apart");
    observed.containers[0].one_off = true;
    assert!(pause("shop", None, &observed, &[]).is_empty());
    assert!(restart("shop", None, &observed, &Restart::default()).is_empty());
    observed.containers[0].state = ContainerState::Exited(0);
    assert!(start("shop", None, &observed, &Start::default()).is_empty());
    assert!(remove("shop", None, &observed, &Removal::default()).is_empty());
}

#[test]
fn the_end_of_everything_that_runs_is_waited_for() {
    let observed = standing();
    assert_plan(
        &wait("shop", None, &observed, &names(&["db", "migrate"])),
        &["[] -> #1 db/1, await ended, asked for", "[] -> #2 db/2, await ended, asked for"],
    );
}
