//! Replacing running containers one after the other.

use crate::support::{assert_plan, container, plan, up};
use stack_plan::containers::Policy;
use stack_plan::observed::{ContainerState, Health, Observed};
use stack_plan::plan::{Action, Plan};

const WEB: &str = "
services:
  web:
    image: web
    scale: 2
    healthcheck: { test: [CMD, look] }
    deploy:
      update_config: { order: start-first, delay: 3s }
";

fn changed(text: &str) -> String {
    text.replacen("image: web", "image: web\n    environment: { LEVEL: debug }", 1)
}

fn default(text: &str, observed: &Observed) -> Plan {
    plan(text, observed, &Policy::default())
}

fn rolling(text: &str, observed: &Observed) -> Plan {
    plan(text, observed, &Policy { rolling: true, ..Policy::default() })
}

#[test]
fn each_replica_follows_the_end_of_one_before_it_and_the_old_goes_when_the_new_is_good() {
    assert_plan(
        &default(&changed(WEB), &up(WEB)),
        &[
            "[] -> #1 web/1, create, changed: environment.LEVEL; taken back by: remove",
            "[1] -> #2 web/1, start, changed: environment.LEVEL; taken back by: stop",
            "[2] -> #3 web/1, await steady, changed: environment.LEVEL",
            "[3] -> #4 web/1, stop, changed: environment.LEVEL; taken back by: start, await steady",
            "[4] -> #5 web/1, remove, changed: environment.LEVEL",
            "[5] -> #6 web/1, rename, changed: environment.LEVEL",
            "[4?] -> #7 web/2, delay, changed: environment.LEVEL",
            "[7?] -> #8 web/2, create, changed: environment.LEVEL; taken back by: remove",
            "[8] -> #9 web/2, start, changed: environment.LEVEL; taken back by: stop",
            "[9] -> #10 web/2, await steady, changed: environment.LEVEL",
            "[10] -> #11 web/2, stop, changed: environment.LEVEL; taken back by: start, await steady",
            "[11] -> #12 web/2, remove, changed: environment.LEVEL",
            "[12] -> #13 web/2, rename, changed: environment.LEVEL",
            "web: start-first; when more than 0 % fail: pause, those that are replaced stay so",
        ],
    );
}

#[test]
fn with_a_rollback_nothing_old_is_removed_before_all_that_is_new_is_good() {
    let text = WEB.replace("order: start-first, delay: 3s", "failure_action: rollback, parallelism: 0");
    assert_plan(
        &default(&changed(&text), &up(&text)),
        &[
            "[] -> #1 web/1, create, changed: environment.LEVEL; taken back by: remove",
            "[1] -> #2 web/1, stop, changed: environment.LEVEL; taken back by: start, await steady",
            "[2] -> #3 web/1, start, changed: environment.LEVEL; taken back by: stop",
            "[3] -> #4 web/1, await steady, changed: environment.LEVEL",
            "[] -> #5 web/2, create, changed: environment.LEVEL; taken back by: remove",
            "[5] -> #6 web/2, stop, changed: environment.LEVEL; taken back by: start, await steady",
            "[6] -> #7 web/2, start, changed: environment.LEVEL; taken back by: stop",
            "[7] -> #8 web/2, await steady, changed: environment.LEVEL",
            "[4,8?] -> #9 web/1, remove, changed: environment.LEVEL",
            "[9] -> #10 web/1, rename, changed: environment.LEVEL",
            "[8,4?] -> #11 web/2, remove, changed: environment.LEVEL",
            "[11] -> #12 web/2, rename, changed: environment.LEVEL",
            "web: stop-first; when more than 0 % fail: rollback, 1 at a time",
            "  web/1 back: stop, start, await steady, remove",
            "  web/2 back: stop, start, await steady, remove",
        ],
    );
}

#[test]
fn what_only_one_can_have_makes_the_old_go_first_and_the_plan_says_why() {
    let reason = |text: &str| {
        let plan = rolling(&changed(text), &up(text));
        plan.rollouts[0].reason.clone().unwrap_or_else(|| "none".to_owned())
    };
    let with = |more: &str| format!("services:\n  web:\n    image: web\n{more}");
    assert_eq!(reason(&with("")), "none");
    assert_eq!(
        reason(&with("    ports: [\"8080:80\"]\n")),
        "only one container at a time can have port 8080 of the host"
    );
    assert_eq!(reason(&with("    ports: [\"8080-8081:80\"]\n")), "none");
    assert_eq!(reason(&with("    ports: [80]\n")), "none");
    assert_eq!(
        reason(&with("    scale: 2\n    ports: [\"8080-8081:80\"]\n")),
        "the ports 8080-8081 of the host have none to spare"
    );
    assert_eq!(reason(&with("    network_mode: host\n")), "it is on the network of the host");
    assert_eq!(
        reason(&format!("{}volumes: {{ data: }}\n", with("    volumes: [\"data:/data\"]\n"))),
        "both would write to the volume data"
    );
}

#[test]
fn without_a_word_of_the_file_or_the_command_line_a_container_is_replaced_at_once() {
    let text = "services: { web: { image: web } }";
    let plan = default(&text.replace("image: web", "image: web, environment: { A: b }"), &up(text));
    assert!(plan.rollouts.is_empty(), "{plan}");
}

#[test]
fn how_it_is_replaced_is_no_setting_of_a_container() {
    let now = WEB.replace("delay: 3s", "delay: 4s, parallelism: 2");
    assert!(default(&now, &up(WEB)).is_empty());
}

#[test]
fn a_lender_is_replaced_at_once_and_the_plan_says_why() {
    let text = format!("{WEB}  side: {{ image: side, network_mode: \"service:web\" }}\n");
    let text = text.replace("    scale: 2\n", "");
    let plan = default(&changed(&text), &up(&text));
    assert!(plan.rollouts.is_empty());
    assert_eq!(plan.warnings, ["web is replaced at once, because side borrows from it"]);
}

/// What a run has left that was broken off after it had stopped the old container.
fn broken_off(text: &str, health: Health) -> Observed {
    let mut observed = up(text);
    let mut new = container(&mut up(&changed(text)), "shop-web-1").clone();
    new.id = "new-id".to_owned();
    new.name = broken_off_name(text);
    new.health = health;
    container(&mut observed, "shop-web-1").state = ContainerState::Exited(0);
    observed.containers.push(new);
    observed
}

/// The name that the new container has until it takes the place of the old one.
fn broken_off_name(text: &str) -> String {
    let plan = default(&changed(text), &up(text));
    let names = plan.steps.iter().filter_map(|step| match &step.action {
        Action::CreateContainer(new) => Some(new.name.clone()),
        _ => None,
    });
    names.take(1).collect()
}

#[test]
fn a_run_that_was_broken_off_is_finished_where_the_new_one_serves() {
    let text = WEB.replace("    scale: 2\n", "");
    assert_plan(
        &default(&changed(&text), &broken_off(&text, Health::Healthy)),
        &[
            "[] -> #1 web/1, await steady, left by an interrupted run; taken back by: stop, start, await steady, remove",
            "[1] -> #2 web/1, remove, left by an interrupted run",
            "[2] -> #3 web/1, rename, left by an interrupted run",
            "web: start-first; when more than 0 % fail: pause, those that are replaced stay so",
        ],
    );
}

#[test]
fn a_run_that_was_broken_off_is_undone_first_where_the_new_one_does_not_serve() {
    let text = WEB.replace("    scale: 2\n", "");
    let plan = default(&changed(&text), &broken_off(&text, Health::Unhealthy));
    let lines: Vec<String> = plan.to_string().lines().take(4).map(str::to_owned).collect();
    assert_eq!(
        lines,
        [
            "[] -> #1 web/1, stop, left by an interrupted run",
            "[1] -> #2 web/1, remove, left by an interrupted run",
            "[2] -> #3 web/1, start, left by an interrupted run",
            "[2,3?] -> #4 web/1, create, changed: environment.LEVEL; taken back by: remove",
        ]
    );
}

#[test]
fn the_command_line_asks_for_one_at_a_time_across_services() {
    let text = "services: { a: { image: a, ports: ['81:81'] }, b: { image: b, ports: ['82:82'] } }";
    let now = text.replace("image: ", "environment: { A: b }, image: ");
    let plan = rolling(&now, &up(text));
    let lines: Vec<String> = plan.to_string().lines().map(str::to_owned).collect();
    assert!(lines[3].starts_with("[3] -> #4 a/1, await steady"), "{plan}");
    assert!(lines[4].starts_with("[4] -> #5 b/1, create"), "{plan}");
}

/// One container with a name of its own.
const NAMED: &str = "
services:
  web:
    image: web
    container_name: the-web
    healthcheck: { test: [CMD, look] }
    deploy:
      update_config: { order: start-first }
";

#[test]
fn a_name_of_its_own_goes_to_the_new_one_last() {
    let plan = default(&changed(NAMED), &up(NAMED));
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    assert_plan(
        &plan,
        &[
            "[] -> #1 web/1, create, changed: environment.LEVEL; taken back by: remove",
            "[1] -> #2 web/1, start, changed: environment.LEVEL; taken back by: stop",
            "[2] -> #3 web/1, await steady, changed: environment.LEVEL",
            "[3] -> #4 web/1, stop, changed: environment.LEVEL; taken back by: start, await steady",
            "[4] -> #5 web/1, remove, changed: environment.LEVEL",
            "[5] -> #6 web/1, rename, changed: environment.LEVEL",
            "web: start-first; when more than 0 % fail: pause, those that are replaced stay so",
        ],
    );
}

#[test]
fn what_a_broken_off_run_has_stopped_goes_at_once_where_another_gets_its_name() {
    let now = NAMED.replace("the-web", "anew");
    let mut observed = up(NAMED);
    let begun = default(&now, &observed);
    let mut new = container(&mut up(&now), "anew").clone();
    new.id = "new-id".to_owned();
    new.name = begun
        .steps
        .iter()
        .find_map(|step| match &step.action {
            Action::CreateContainer(new) => Some(new.name.clone()),
            _ => None,
        })
        .expect("a new container");
    container(&mut observed, "the-web").state = ContainerState::Exited(0);
    observed.containers.push(new);
    let with_another = format!("{now}  api: {{ image: api, container_name: the-web }}\n");
    observed.images = up(&with_another).images;
    assert_plan(
        &default(&with_another, &observed),
        &[
            "[] -> #1 web/1, remove, left by an interrupted run",
            "[] -> #2 web/1, rename, left by an interrupted run",
            "[1] -> #3 api/1, create, missing",
            "[3] -> #4 api/1, start, missing",
        ],
    );
}
