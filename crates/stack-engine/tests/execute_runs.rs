//! How a plan is run: what is at once, what goes on after a failure, and what is told.

mod execute_support;

use std::time::Duration;

use execute_support::{desired, observe, paused, plan, run};
use stack_engine::engine::{EngineError, NotReady};
use stack_engine::event::{Event, EventKind, Progress};
use stack_engine::execute::Pace;
use stack_engine::fake::{Behaviour, FakeEngine, Fault, When};
use stack_plan::containers::Policy;
use stack_plan::observed::ContainerState;
use stack_plan::plan::{Plan, StepId};
use tokio::time::Instant;

const WAIT: Pace =
    Pace { parallel: 48, wait_timeout: Some(Duration::from_secs(30)), only_first: false, tolerant: false };

fn engine(images: &[&str]) -> FakeEngine {
    let engine = FakeEngine::new();
    for image in images {
        engine.put_image(image, &format!("sha256:{image}"));
    }
    engine.take(Duration::from_millis(10));
    engine
}

/// The steps as a person reads them: `web/1 start`.
fn words(plan: &Plan, ids: &[StepId]) -> Vec<String> {
    let step = |id: &StepId| plan.step(*id).map(|step| format!("{} {}", step.address, step.action.word()));
    ids.iter().filter_map(step).collect()
}

fn skipped(plan: &Plan, events: &[Event]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for event in events {
        if let (Some(step), EventKind::StepSkipped { because }) = (event.step, &event.kind) {
            all.push((words(plan, &[step]).remove(0), words(plan, &[*because]).remove(0)));
        }
    }
    all
}

fn many(count: usize) -> String {
    let services: String = (0..count).map(|index| format!("  s{index}: {{ image: s }}\n")).collect();
    format!("services:\n{services}")
}

#[test]
fn no_more_calls_are_under_way_than_allowed_and_waits_do_not_count() {
    paused(async {
        let stack = desired(&many(20));
        let engine = engine(&["s"]);
        let pace = Pace { parallel: 3, wait_timeout: None, only_first: false, tolerant: false };
        let begun = Instant::now();
        let (summary, _) = run(&engine, plan(&engine, &stack, &Policy::default()).await, pace).await;
        assert!(summary.succeeded());
        assert_eq!(engine.peak(), 3);
        // One network, then 40 calls of 10 ms, three at a time.
        assert_eq!(begun.elapsed(), Duration::from_millis(150));
        assert_eq!(summary.took, begun.elapsed());

        let waiting = "
services:
  a: { image: s, healthcheck: { test: [CMD, look] } }
  b: { image: s, depends_on: { a: { condition: service_healthy } } }
  c: { image: s }
";
        let engine = self::engine(&["s"]);
        engine.behave("a", Behaviour { healthy_after: 100, ..Behaviour::default() });
        let one = Pace { parallel: 1, wait_timeout: None, only_first: false, tolerant: false };
        let stack = desired(waiting);
        let (summary, events) = run(&engine, plan(&engine, &stack, &Policy::default()).await, one).await;
        assert!(summary.succeeded());
        assert_eq!(engine.calls().last().map(String::as_str), Some("start b/1"), "c does not wait for a");
        assert!(events.iter().any(|event| matches!(event.kind, EventKind::Progress(Progress::Waiting(_)))));
    });
}

#[test]
fn not_even_one_call_at_once_is_one() {
    paused(async {
        let stack = desired(&many(2));
        let engine = engine(&["s"]);
        let none = Pace { parallel: 0, wait_timeout: None, only_first: false, tolerant: false };
        let (summary, _) = run(&engine, plan(&engine, &stack, &Policy::default()).await, none).await;
        assert_eq!(summary.done, 5);
    });
}

#[test]
fn what_does_not_need_a_failed_step_goes_on_and_the_rest_is_skipped_with_its_cause() {
    let text = "
services:
  db: { image: s }
  app: { image: s, depends_on: [db] }
  front: { image: s, depends_on: [app] }
  other: { image: s }
";
    paused(async {
        let stack = desired(text);
        let engine = engine(&["s"]);
        engine.fail(When::Call("start db/1".to_owned()), Fault::Refuse);
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, plan.clone(), Pace::default()).await;
        assert_eq!(words(&plan, &summary.failed), ["db/1 start"]);
        assert_eq!(words(&plan, &summary.skipped), ["app/1 start", "front/1 start"]);
        let because = "db/1 start".to_owned();
        let expected = [("app/1 start".to_owned(), because.clone()), ("front/1 start".to_owned(), because)];
        assert_eq!(skipped(&plan, &events), expected);
        assert!(engine.calls().contains(&"start other/1".to_owned()));
        assert_eq!(summary.done + summary.failed.len() + summary.skipped.len(), plan.steps.len());
    });
}

#[test]
fn the_plan_is_told_first_the_end_last_and_each_step_begins_before_it_ends() {
    paused(async {
        let stack = desired(&many(3));
        let engine = engine(&["s"]);
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, plan.clone(), Pace::default()).await;
        assert!(
            matches!(&events[0].kind, EventKind::PlanReady(told) if told.steps.len() == plan.steps.len())
        );
        assert!(matches!(&events[events.len() - 1].kind, EventKind::Finished(told) if *told == summary));
        for step in &plan.steps {
            let at = |wanted: fn(&EventKind) -> bool| {
                events.iter().position(|event| event.step == Some(step.id) && wanted(&event.kind))
            };
            let begun = at(|kind| matches!(kind, EventKind::StepStarted)).expect("a beginning");
            let done = at(|kind| matches!(kind, EventKind::StepDone)).expect("an end");
            assert!(begun < done);
            for earlier in &step.after {
                let done = events.iter().position(|event| {
                    event.step == Some(*earlier) && matches!(event.kind, EventKind::StepDone)
                });
                assert!(done.expect("an end") < begun, "{} began before {earlier} was done", step.id);
            }
        }
    });
}

const OPTIONAL: &str = "
services:
  a: { image: s, healthcheck: { test: [CMD, look] } }
  b:
    image: s
    depends_on: { a: { condition: service_healthy, required: false } }
";

#[test]
fn an_optional_dependency_that_is_never_ready_is_told_and_tolerated() {
    paused(async {
        let stack = desired(OPTIONAL);
        let engine = engine(&["s"]);
        engine.behave("a", Behaviour { unhealthy: true, healthy_after: 2, ..Behaviour::default() });
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, plan, Pace::default()).await;
        assert!(summary.succeeded(), "{summary:?}");
        assert!(engine.calls().contains(&"start b/1".to_owned()));
        assert!(
            events.iter().any(|event| matches!(event.kind, EventKind::StepFailed { tolerated: true, .. }))
        );
    });
}

#[test]
fn an_optional_dependency_that_cannot_even_start_stops_nobody() {
    for condition in ["service_healthy", "service_started"] {
        paused(async {
            let stack = desired(&OPTIONAL.replace("service_healthy", condition));
            let engine = engine(&["s"]);
            engine.fail(When::Call("start a/1".to_owned()), Fault::Refuse);
            let plan = plan(&engine, &stack, &Policy::default()).await;
            let (summary, _) = run(&engine, plan.clone(), Pace::default()).await;
            assert_eq!(words(&plan, &summary.failed), ["a/1 start"]);
            assert!(engine.calls().contains(&"start b/1".to_owned()), "{condition}: {plan}");
        });
    }
}

#[test]
fn a_dependency_that_turns_unhealthy_stops_its_dependents_and_says_why() {
    paused(async {
        let stack = desired(&OPTIONAL.replace("required: false", "required: true"));
        let engine = engine(&["s"]);
        engine.behave("a", Behaviour { unhealthy: true, healthy_after: 2, ..Behaviour::default() });
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, plan.clone(), Pace::default()).await;
        assert_eq!(words(&plan, &summary.failed), ["a/1 await healthy"]);
        assert_eq!(words(&plan, &summary.skipped), ["b/1 start"]);
        let failure = events.iter().find_map(|event| match &event.kind {
            EventKind::StepFailed { failure, tolerated: false } => Some(failure),
            _ => None,
        });
        let failure = failure.expect("a failure");
        assert!(matches!(failure.error, EngineError::NotReady(NotReady::Unhealthy { .. })), "{failure:?}");
        assert_eq!(failure.evidence.as_ref().map(|seen| seen.container.as_str()), Some("shop-a-1"));
    });
}

#[test]
fn a_wait_gives_up_when_its_time_is_over() {
    paused(async {
        let stack = desired(&OPTIONAL.replace("required: false", "required: true"));
        let engine = engine(&["s"]);
        engine.behave("a", Behaviour { healthy_after: u32::MAX, ..Behaviour::default() });
        let begun = Instant::now();
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, plan.clone(), WAIT).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30), "from the start of the plan");
        assert_eq!(words(&plan, &summary.failed), ["a/1 await healthy"]);
        let timed_out = |event: &Event| match &event.kind {
            EventKind::StepFailed { failure, .. } => {
                matches!(failure.error, EngineError::NotReady(NotReady::TimedOut { .. }))
            }
            _ => false,
        };
        assert!(events.iter().any(timed_out), "{events:?}");
    });
}

/// A service that is up and has changed since.
async fn changed(engine: &FakeEngine) -> Plan {
    let text = "services: { a: { image: s, networks: [one, two] } }\nnetworks: { one: {}, two: {} }";
    let first = plan(engine, &desired(text), &Policy::default()).await;
    assert!(run(engine, first, Pace::default()).await.0.succeeded());
    engine.forget_calls();
    plan(engine, &desired(&text.replace("image: s", "image: s, init: true")), &Policy::default()).await
}

fn rolled_back(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event.kind, EventKind::RolledBack))
}

#[test]
fn a_replacement_that_fails_before_the_old_container_is_gone_is_taken_back() {
    for (call, back) in
        [("connect a/1", vec!["remove a/1"]), ("stop a/1", vec!["remove a/1", "remove nothing"])]
    {
        paused(async {
            let engine = engine(&["s"]);
            let plan = changed(&engine).await;
            engine.fail(When::Call(call.to_owned()), Fault::Refuse);
            let (summary, events) = run(&engine, plan, Pace::default()).await;
            assert!(!summary.succeeded() && rolled_back(&events), "{call}");
            let calls = engine.calls();
            let after = calls.iter().position(|line| line == call).expect("the call") + 1;
            assert_eq!(calls[after..], back, "{call}");
            let there = observe(&engine, &desired("services: { a: { image: s } }")).await.containers;
            assert_eq!(there.len(), 1);
            assert_eq!((there[0].name.as_str(), there[0].state), ("shop-a-1", ContainerState::Running));
        });
    }
}

#[test]
fn an_old_container_that_cannot_be_removed_runs_again() {
    paused(async {
        let engine = engine(&["s"]);
        let plan = changed(&engine).await;
        // The first removal is that of the old container; those that take back come later.
        let removal =
            plan.steps.iter().position(|step| step.action.word() == "remove").expect("a removal") + 1;
        engine.fail(When::Nth(removal), Fault::Refuse);
        let (summary, events) = run(&engine, plan, Pace::default()).await;
        assert!(!summary.succeeded() && rolled_back(&events));
        let there = observe(&engine, &desired("services: { a: { image: s } }")).await.containers;
        assert_eq!(there.len(), 1);
        assert_eq!((there[0].name.as_str(), there[0].state), ("shop-a-1", ContainerState::Running));
    });
}

#[test]
fn what_cannot_be_taken_back_is_not_half_taken_back() {
    paused(async {
        let engine = engine(&["s"]);
        let plan = changed(&engine).await;
        engine.fail(When::Call("start a/1".to_owned()), Fault::Refuse);
        let (summary, events) = run(&engine, plan, Pace::default()).await;
        assert!(!summary.succeeded() && !rolled_back(&events));
        assert_eq!(engine.calls().last().map(String::as_str), Some("start a/1"));
    });
}

#[test]
fn nothing_is_taken_back_after_a_lost_call() {
    paused(async {
        let engine = engine(&["s"]);
        let plan = changed(&engine).await;
        engine.fail(When::Call("stop a/1".to_owned()), Fault::Die { done: true });
        let (_, events) = run(&engine, plan, Pace::default()).await;
        assert!(!rolled_back(&events));
        assert_eq!(engine.calls().last().map(String::as_str), Some("stop a/1"));
    });
}

#[test]
fn a_plan_that_is_dropped_can_be_gone_on_with() {
    paused(async {
        let stack = desired(&many(10));
        let engine = engine(&["s"]);
        let first = plan(&engine, &stack, &Policy::default()).await;
        let pace = Pace { parallel: 2, wait_timeout: None, only_first: false, tolerant: false };
        let part = tokio::time::timeout(Duration::from_millis(45), run(&engine, first, pace)).await;
        assert!(part.is_err(), "it was dropped on the way");
        let rest = plan(&engine, &stack, &Policy::default()).await;
        assert!(!rest.is_empty() && rest.steps.len() < 21);
        assert!(run(&engine, rest, pace).await.0.succeeded());
        assert!(plan(&engine, &stack, &Policy::default()).await.is_empty());
    });
}

#[test]
fn a_stop_takes_as_long_as_the_container_and_no_longer_than_its_grace() {
    use stack_plan::teardown::{Teardown, teardown};
    paused(async {
        let text = "services: { quick: { image: s }, slow: { image: s, stop_grace_period: 3s } }";
        let stack = desired(text);
        let engine = engine(&["s"]);
        for (service, seconds) in [("quick", 1), ("slow", 60)] {
            engine.behave(
                service,
                Behaviour { stops_in: Duration::from_secs(seconds), ..Behaviour::default() },
            );
        }
        run(&engine, plan(&engine, &stack, &Policy::default()).await, Pace::default()).await;
        engine.take(Duration::ZERO);
        let stop = Teardown { stop_only: true, ..Teardown::default() };
        let begun = Instant::now();
        let stopping = teardown("shop", Some(&stack), &observe(&engine, &stack).await, &stop);
        assert!(run(&engine, stopping, Pace::default()).await.0.succeeded());
        assert_eq!(begun.elapsed(), Duration::from_secs(3), "both at once");
        let codes: Vec<_> =
            observe(&engine, &stack).await.containers.iter().map(|found| found.state).collect();
        assert_eq!(codes, [ContainerState::Exited(0), ContainerState::Exited(137)]);
    });
}

#[test]
fn a_plan_of_five_hundred_services_runs_quickly() {
    paused(async {
        let stack = desired(&many(500));
        let engine = engine(&["s"]);
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let begun = std::time::Instant::now();
        let (summary, _) = run(&engine, plan, Pace::default()).await;
        assert_eq!(summary.done, 1001);
        assert_eq!(engine.peak(), 48);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
}

const HOOKED: &str = "
services:
  db: { image: s, post_start: [{ command: [migrate] }], configs: [c] }
  app: { image: s, depends_on: [db] }
configs: { c: { content: planted } }
";

#[test]
fn a_container_whose_hook_fails_is_stopped_so_that_the_hook_runs_again() {
    paused(async {
        let stack = desired(HOOKED);
        let engine = engine(&["s"]);
        engine.fail(When::Call("run post_start db/1".to_owned()), Fault::Refuse);
        let first = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, first.clone(), WAIT).await;
        assert_eq!(words(&first, &summary.failed), ["db/1 run post_start"]);
        assert_eq!(words(&first, &summary.skipped), ["app/1 start"]);
        assert!(events.iter().any(|event| matches!(event.kind, EventKind::RolledBack)));
        let state = |observed: &stack_plan::observed::Observed, name: &str| {
            observed.containers.iter().find(|found| found.name == name).map(|found| found.state)
        };
        let there = observe(&engine, &stack).await;
        assert_eq!(state(&there, "shop-db-1"), Some(ContainerState::Exited(0)));
        assert_eq!(state(&there, "shop-app-1"), Some(ContainerState::Created));

        engine.revive();
        let second = plan(&engine, &stack, &Policy::default()).await;
        assert!(run(&engine, second, WAIT).await.0.succeeded());
        assert_eq!(engine.hooks("shop-db-1"), ["migrate"]);
        assert_eq!(state(&observe(&engine, &stack).await, "shop-app-1"), Some(ContainerState::Running));
    });
}

#[test]
fn files_reach_an_engine_elsewhere_and_no_event_shows_them() {
    paused(async {
        let stack = desired(HOOKED);
        let engine = engine(&["s"]);
        engine.move_away();
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, plan, WAIT).await;
        assert!(summary.succeeded());
        assert_eq!(engine.files("shop-db-1")["/c"], "0:0 444 planted");
        assert!(!format!("{events:?}{summary:?}").contains("planted"));
    });
}

#[test]
fn what_a_provider_says_is_handed_back_and_shown_nowhere() {
    paused(async {
        let stack = desired("services: { cloud: { provider: { type: awesome } } }");
        let engine = engine(&[]);
        engine.provide("cloud", &[("CLOUD_URL", "planted")]);
        let plan = plan(&engine, &stack, &Policy::default()).await;
        let (summary, events) = run(&engine, plan, WAIT).await;
        assert!(summary.succeeded() && summary.provided.has("cloud"));
        assert!(!format!("{events:?}{summary:?}").contains("planted"), "{summary:?}");
    });
}
