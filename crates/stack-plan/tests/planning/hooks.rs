//! Hooks are steps: after the start and before what waits for it, and before the stop.

use crate::support::{assert_plan, container, desired, images_of, plan, up};
use stack_plan::containers::Policy;
use stack_plan::observed::ContainerState;
use stack_plan::plan::Action;
use stack_plan::teardown::{Teardown, teardown};

const HOOKED: &str = "
services:
  app: { image: app, depends_on: [db] }
  db:
    image: db
    post_start: [{ command: [one] }, { command: two, user: root, environment: { PASSWORD: planted } }]
    pre_stop: [{ command: bye }]
";

#[test]
fn what_depends_on_a_service_waits_for_its_hooks() {
    assert_plan(
        &plan(HOOKED, &images_of(HOOKED), &Policy::default()),
        &[
            "[] -> #1 network:default, create, missing",
            "[1] -> #2 db/1, create, missing",
            "[2] -> #3 db/1, start, missing",
            "[3] -> #4 db/1, run post_start, missing",
            "[4] -> #5 db/1, run post_start, missing",
            "[1] -> #6 app/1, create, missing",
            "[5,6] -> #7 app/1, start, missing",
        ],
    );
}

#[test]
fn a_replacement_says_goodbye_before_the_stop_and_runs_its_own_hooks() {
    let changed = HOOKED.replace("image: db", "image: db\n    hostname: other");
    let plan = plan(&changed, &up(HOOKED), &Policy::default());
    assert_plan(
        &plan,
        &[
            "[] -> #1 db/1, create, changed: hostname",
            "[1] -> #2 db/1, run pre_stop, changed: hostname",
            "[2] -> #3 db/1, stop, changed: hostname",
            "[3] -> #4 db/1, remove, changed: hostname",
            "[4] -> #5 db/1, rename, changed: hostname",
            "[5] -> #6 db/1, start, changed: hostname",
            "[6] -> #7 db/1, run post_start, changed: hostname",
            "[7] -> #8 db/1, run post_start, changed: hostname",
        ],
    );
    // A failed hook stops the container: its next start runs the hooks again.
    assert_eq!(plan.steps[6].undo.iter().map(Action::word).collect::<Vec<_>>(), ["stop"]);
}

#[test]
fn a_restart_runs_both_and_what_does_not_run_has_no_goodbye() {
    let text = HOOKED.replace("depends_on: [db]", "restart: always").replace(
        "    image: db\n",
        "    image: db\n    depends_on: { app: { condition: service_started, restart: true } }\n",
    );
    let changed = text.replace("image: app", "image: app, hostname: other");
    let told = plan(&changed, &up(&text), &Policy::default()).to_string();
    let of_db: Vec<_> = told.lines().filter(|line| line.contains("db/1")).collect();
    let words: Vec<_> = of_db.iter().map(|line| line.split(", ").nth(1).expect("an action")).collect();
    assert_eq!(words, ["run pre_stop", "stop", "start", "run post_start", "run post_start"], "{told}");

    let mut paused = up(HOOKED);
    container(&mut paused, "shop-db-1").state = ContainerState::Paused;
    let told = plan(HOOKED, &paused, &Policy::default()).to_string();
    assert!(!told.contains("pre_stop") && told.contains("post_start"), "{told}");
}

#[test]
fn without_a_start_there_are_no_hooks() {
    let told = plan(HOOKED, &images_of(HOOKED), &Policy { no_start: true, ..Policy::default() }).to_string();
    assert!(!told.contains("run "), "{told}");
}

#[test]
fn a_teardown_with_the_file_says_goodbye_and_one_without_cannot() {
    let observed = up(HOOKED);
    let with = desired(HOOKED);
    let told = teardown("shop", Some(&with), &observed, &Teardown::default()).to_string();
    assert!(told.contains("-> #3 db/1, run pre_stop, asked for\n[3] -> #4 db/1, stop"), "{told}");
    let stop = Teardown { stop_only: true, ..Teardown::default() };
    assert!(teardown("shop", Some(&with), &observed, &stop).to_string().contains("run pre_stop"));
    assert!(!teardown("shop", None, &observed, &Teardown::default()).to_string().contains("run pre_stop"));
}

#[test]
fn the_variables_of_a_hook_are_recorded_as_digests() {
    let stack = desired(HOOKED);
    let record = stack.service("db").expect("it is there").fields.record().write();
    assert!(record.contains("post_start[1].environment.PASSWORD") && !record.contains("planted"), "{record}");
    let changed = HOOKED.replace("planted", "other");
    let told = plan(&changed, &up(HOOKED), &Policy::default()).to_string();
    assert!(told.contains("changed: post_start[1].environment.PASSWORD"), "{told}");
}
