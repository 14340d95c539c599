//! What `down` and `stop` have to do, case by case.

use std::time::Duration;

use crate::support::{assert_plan, container, desired, up};
use stack_plan::labels;
use stack_plan::observed::{ContainerState, Observed, ObservedMount};
use stack_plan::plan::{Action, Plan};
use stack_plan::teardown::{RemoveImages, Teardown, teardown};

const TEXT: &str = "
services:
  app: { image: app, depends_on: [db], stop_grace_period: 2s, networks: [front] }
  db: { image: db, volumes: ['data:/data'], networks: [back] }
networks: { front: {}, back: {} }
volumes: { data: {} }
";

fn down(observed: &Observed, policy: &Teardown) -> Plan {
    teardown("shop", Some(&desired(TEXT)), observed, policy)
}

#[test]
fn dependents_go_first_as_the_labels_alone_tell() {
    assert_plan(
        &teardown("shop", None, &up(TEXT), &Teardown::default()),
        &[
            "[] -> #1 app/1, stop, asked for",
            "[1] -> #2 app/1, remove, asked for",
            "[2] -> #3 db/1, stop, asked for",
            "[3] -> #4 db/1, remove, asked for",
            "[2] -> #5 network:front, remove, asked for",
            "[4] -> #6 network:back, remove, asked for",
        ],
    );
}

#[test]
fn labels_that_go_in_a_circle_end_nothing_but_the_order() {
    let mut observed = up(TEXT);
    container(&mut observed, "shop-db-1").depends_on =
        labels::dependencies("app:service_started:false,db:service_started:false,gone:service_healthy:true");
    let plan = teardown("shop", None, &observed, &Teardown::default());
    assert_eq!(plan.steps.len(), 6);
    assert!(plan.steps.iter().all(|step| step.after.iter().all(|earlier| *earlier < step.id)), "{plan}");
}

#[test]
fn the_grace_period_is_the_files_unless_another_is_asked_for() {
    let grace = |policy: &Teardown| match down(&up(TEXT), policy).steps[0].action {
        Action::Stop { grace, .. } => grace,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(grace(&Teardown::default()), Some(Duration::from_secs(2)));
    let asked = Teardown { grace: Some(Duration::from_secs(9)), ..Teardown::default() };
    assert_eq!(grace(&asked), Some(Duration::from_secs(9)));
}

#[test]
fn volumes_go_only_when_asked_and_that_loses_data() {
    let plan = down(&up(TEXT), &Teardown { volumes: true, ..Teardown::default() });
    let text = plan.to_string();
    assert_eq!(text.lines().last(), Some("[4] -> #7 volume:data, remove, asked for, loses data"));
    let with_container =
        |step: &stack_plan::plan::Step| matches!(step.action, Action::RemoveContainer { volumes: true, .. });
    assert_eq!(plan.steps.iter().filter(|step| with_container(step)).count(), 2, "anonymous ones go too");
    assert_eq!(plan.data_losses().len(), 1);
}

#[test]
fn anonymous_volumes_that_were_passed_on_go_too_unless_somebody_else_has_them() {
    let mut observed = up(TEXT);
    let name = "0f".repeat(32);
    observed.containers[0].volumes = vec![ObservedMount { name: name.clone(), target: "/data".to_owned() }];
    observed.containers[0].replaced_another = true;
    let removals = |observed: &Observed| {
        let plan = down(observed, &Teardown { volumes: true, ..Teardown::default() });
        let is = |action: &Action| matches!(action, Action::RemoveVolume(volume) if *volume == name);
        plan.steps.iter().filter(|step| is(&step.action)).map(|step| step.after.len()).collect::<Vec<_>>()
    };
    assert_eq!(removals(&observed), [1], "after the container");
    observed.containers[1].volumes = observed.containers[0].volumes.clone();
    assert_eq!(removals(&observed), [2], "once, after both");
    observed.containers[0].replaced_another = false;
    assert!(removals(&observed).is_empty(), "the engine takes those of a first container along by itself");
    observed.containers[0].replaced_another = true;
    observed.containers[1].service = "elsewhere".to_owned();
    observed.containers[1].config_files = "/other/stack.yaml".to_owned();
    assert!(removals(&observed).is_empty());
}

#[test]
fn images_go_after_the_containers_made_from_them() {
    let local = "services: { a: { build: . }, b: { image: b } }";
    let removed = |images: RemoveImages| -> Vec<String> {
        let plan =
            teardown("shop", Some(&desired(local)), &up(local), &Teardown { images, ..Teardown::default() });
        plan.to_string().lines().filter(|line| line.contains(" image:")).map(str::to_owned).collect()
    };
    assert!(removed(RemoveImages::None).is_empty());
    assert_eq!(removed(RemoveImages::Local), ["[2] -> #6 image:shop-a, remove, asked for"]);
    assert_eq!(
        removed(RemoveImages::All),
        ["[2] -> #6 image:shop-a, remove, asked for", "[4] -> #7 image:b, remove, asked for"]
    );
}

#[test]
fn to_stop_is_to_stop_what_runs_and_to_leave_it() {
    let mut observed = up(TEXT);
    container(&mut observed, "shop-app-1").state = ContainerState::Exited(1);
    let stop = Teardown { stop_only: true, ..Teardown::default() };
    let plan = down(&observed, &stop);
    assert_plan(&plan, &["[] -> #1 db/1, stop, asked for"]);
    assert_eq!(plan.unchanged.iter().map(ToString::to_string).collect::<Vec<_>>(), ["app/1"]);
}

#[test]
fn named_services_go_alone_and_networks_stay() {
    let policy = Teardown { services: vec!["app".to_owned()], ..Teardown::default() };
    assert_plan(
        &down(&up(TEXT), &policy),
        &["[] -> #1 app/1, stop, asked for", "[1] -> #2 app/1, remove, asked for"],
    );
}

#[test]
fn a_busy_container_of_run_and_another_stack_stay_with_what_they_use() {
    let mut observed = up(TEXT);
    let mut busy = observed.containers[0].clone();
    (busy.id, busy.name, busy.one_off, busy.number) = ("run".to_owned(), "shop-db-run".to_owned(), true, 0);
    observed.containers.push(busy);
    let volumes = Teardown { volumes: true, ..Teardown::default() };
    let plan = down(&observed, &volumes);
    assert_eq!(
        plan.warnings,
        [
            "shop-db-run, with the networks in use, stays: it belongs to other files or to `run`; remove all with: stackctl down --remove-orphans",
            "volume:data stays: shop-db-run uses it",
        ]
    );
    assert!(
        plan.to_string().contains("network:front") && !plan.to_string().contains("network:back"),
        "{plan}"
    );

    let all = down(&observed, &Teardown { remove_orphans: true, ..volumes.clone() });
    assert!(all.warnings.is_empty() && all.to_string().contains("db/run, stop"), "{all}");
    // Whoever stops services does not stop what somebody works in.
    let stop = down(&observed, &Teardown { stop_only: true, ..Teardown::default() });
    assert!(!stop.to_string().contains("db/run"), "{stop}");
    // One that has ended is in nobody's way.
    container(&mut observed, "shop-db-run").state = ContainerState::Exited(0);
    assert!(down(&observed, &volumes).warnings.is_empty());

    let other = container(&mut observed, "shop-db-run");
    (other.one_off, other.service, other.config_files) =
        (false, "other".to_owned(), "/elsewhere/stack.yaml".to_owned());
    assert!(!down(&observed, &volumes).to_string().contains("other/run"));
    assert!(teardown("shop", None, &observed, &volumes).to_string().contains("other/run"));
}

#[test]
fn where_nothing_is_nothing_is_done() {
    assert!(down(&Observed::default(), &Teardown { volumes: true, ..Teardown::default() }).is_empty());
}
