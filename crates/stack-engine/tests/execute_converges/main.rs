//! Over stacks that chance makes: what is planned and run reaches what is wanted,
//! also after a crash at any call, and nothing is lost on the way.

#[path = "../execute_support/cases.rs"]
mod cases;
mod commands;
#[path = "../execute_support/mod.rs"]
mod execute_support;
mod stacks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cases::cases;
use commands::Command;
use execute_support::{desired, observe, paused, plan, run};
use proptest::collection::vec;
use proptest::prelude::*;
use stack_engine::event::EventKind;
use stack_engine::execute::Pace;
use stack_engine::fake::{FakeEngine, Fault, When};
use stack_plan::address::Address;
use stack_plan::containers::{Policy, Recreate};
use stack_plan::desired::Desired;
use stack_plan::observed::Observed;
use stack_plan::plan::{Action, Cause, Change, Plan, Step, StepId, Target};
use stack_plan::teardown::{Teardown, teardown};
use stacks::{Generation, generations};

fn engine(seed: u64) -> FakeEngine {
    let engine = FakeEngine::new();
    for image in ["base", "image0", "image1"] {
        engine.put_image(image, &format!("sha256:{image}"));
    }
    engine.take(Duration::from_millis(3));
    engine.stagger(seed);
    engine
}

fn policy(wait: bool) -> Policy {
    Policy { remove_orphans: true, wait, ..Policy::default() }
}

/// All that a step comes after, directly or not.
fn before(plan: &Plan, id: StepId) -> BTreeSet<StepId> {
    let mut all = BTreeSet::new();
    let mut next = vec![id];
    while let Some(id) = next.pop() {
        let step = plan.step(id).expect("a step of the plan");
        for earlier in step.after.iter().chain(&step.after_any) {
            assert!(*earlier < id, "{earlier} is not before {id}:\n{plan}");
            if all.insert(*earlier) {
                next.push(*earlier);
            }
        }
    }
    all
}

/// What holds for every plan, whatever is planned.
fn assert_sound(plan: &Plan, changed_volumes: &BTreeSet<String>) {
    for step in &plan.steps {
        let before = before(plan, step.id);
        let target = match &step.action {
            Action::Start(target)
            | Action::Stop { target, .. }
            | Action::Kill { target, .. }
            | Action::Pause(target)
            | Action::Unpause(target)
            | Action::RemoveContainer { target, .. }
            | Action::Rename { target, .. }
            | Action::Connect { target, .. }
            | Action::Disconnect { target, .. }
            | Action::Upload { target, .. }
            | Action::Run { target, .. }
            | Action::Await { target, .. } => Some(target),
            _ => None,
        };
        if let Some(Target::Made(maker)) = target {
            assert!(before.contains(maker), "{} does not wait for {maker}:\n{plan}", step.id);
        }
        let replaced = matches!(step.cause, Cause::Changed(_) | Cause::ImageMoved | Cause::Asked);
        let removes = matches!(step.action, Action::RemoveContainer { .. });
        if replaced && removes && step.group == Change::Replace {
            let made = before.iter().filter_map(|id| plan.step(*id)).any(|earlier| {
                matches!(earlier.action, Action::CreateContainer(_)) && earlier.address == step.address
            });
            assert!(
                made || borrows_what_is_made(plan, step),
                "{} goes before another takes its place:\n{plan}",
                step.id
            );
        }
    }
    for lost in plan.data_losses() {
        let Address::Volume(key) = lost else { panic!("{lost} has no data") };
        assert!(changed_volumes.contains(key), "{lost} is lost:\n{plan}");
    }
}

/// Whether the container of a step borrows from one that is made, too: where that one cannot be
/// made before its turn, the old one may have to go first.
fn borrows_what_is_made(plan: &Plan, step: &Step) -> bool {
    let made = |address: &Address| {
        plan.steps.iter().find_map(|other| match &other.action {
            Action::CreateContainer(new) if other.address == *address => Some(new),
            _ => None,
        })
    };
    made(&step.address).is_some_and(|new| {
        let mut lenders = new.spec.lenders.iter();
        lenders.any(|lender| made(&Address::Container(lender.service.clone(), 1)).is_some())
    })
}

/// What is not asked for is touched only when a network or volume goes from under it.
fn assert_others_stay(plan: &Plan, desired: &Desired, policy: &Policy) {
    let selected = desired.selection(&policy.services, !policy.no_deps);
    for step in &plan.steps {
        let Some(service) = step.address.service() else { continue };
        let asked = selected.iter().any(|spec| spec.name() == service);
        let orphaned = step.cause == Cause::Orphaned && policy.remove_orphans;
        let falls = match &step.cause {
            Cause::DependencyReplaced(ground) => ground.service().is_none(),
            Cause::Awaited => true,
            _ => false,
        };
        assert!(asked || orphaned || falls, "{} is not asked for:\n{plan}", step.id);
    }
}

/// What is there when the jobs are done, without the ids.
async fn standing(engine: &FakeEngine, desired: &Desired) -> BTreeMap<String, String> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let observed = observe(engine, desired).await;
    let mut all = BTreeMap::new();
    for container in observed.containers {
        let mut mounts: Vec<_> = (container.volumes.iter())
            .map(|mount| if mount.is_anonymous() { &mount.target } else { &mount.name })
            .collect();
        mounts.sort();
        let text = format!(
            "{}/{} {:?} {} {:?} {:?} {:?} {:?} {:?}",
            container.service,
            container.number,
            container.state,
            container.image_id,
            container.networks.keys(),
            mounts,
            container.ports,
            engine.files(&container.name),
            container.recorded
        );
        all.insert(container.name, text);
    }
    for network in observed.networks {
        all.insert(format!("network:{}", network.name), format!("{:?}", network.recorded));
    }
    for volume in observed.volumes {
        all.insert(format!("volume:{}", volume.name), format!("{:?}", volume.recorded));
    }
    all
}

async fn up(
    engine: &FakeEngine,
    generation: &Generation,
    desired: &Desired,
    wait: bool,
    parallel: usize,
) -> Plan {
    generation.behave(engine);
    let plan = plan(engine, desired, &policy(wait)).await;
    let (summary, events) =
        run(engine, plan.clone(), Pace { parallel, wait_timeout: None, only_first: false, tolerant: false })
            .await;
    let failures: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::StepFailed { failure, .. } => Some((event.step, failure.error.to_string())),
            _ => None,
        })
        .collect();
    assert!(summary.succeeded() && failures.is_empty(), "{failures:?}\n{plan}\n{}", generation.text());
    for step in plan.steps.iter().filter(|step| matches!(step.action, Action::Start(_))) {
        let Address::Container(service, number) = &step.address else { continue };
        let spec = desired.service(service).expect("a service of the file");
        let ran = engine.hooks(&spec.container_name(&desired.project, *number));
        if !spec.hooks.post_start.is_empty() {
            assert_eq!(ran.last().map(String::as_str), Some("hello"), "{}\n{plan}", step.address);
        }
    }
    plan
}

async fn assert_nothing_to_do(engine: &FakeEngine, desired: &Desired, wait: bool) {
    let left = plan(engine, desired, &policy(wait)).await;
    assert!(left.is_empty(), "there is more to do:\n{left}");
    let made = observe(engine, desired).await.volumes;
    for name in engine.volumes().iter().filter(|name| name.len() != 64) {
        let labelled = made.iter().any(|volume| volume.name == *name && volume.key.is_some());
        assert!(labelled, "the volume {name} was made by the way");
    }
}

/// How many containers a stack has.
fn wanted_containers(desired: &Desired) -> usize {
    desired.services.iter().map(|spec| spec.scale as usize).sum()
}

fn changed(first: &Generation, second: &Generation) -> BTreeSet<String> {
    let versions = first.volumes.iter().zip(&second.volumes).enumerate();
    versions.filter(|(_, (was, now))| was != now).map(|(index, _)| format!("v{index}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn what_is_planned_and_run_reaches_what_is_wanted(
        (first, second) in generations(),
        seed in any::<u64>(),
        wait in any::<bool>(),
        parallel in 1..20_usize,
    ) {
        paused(async {
            let engine = engine(seed);
            let (one, two) = (desired(&first.text()), desired(&second.text()));
            assert_sound(&up(&engine, &first, &one, wait, parallel).await, &BTreeSet::new());
            assert_nothing_to_do(&engine, &one, wait).await;
            assert_sound(&up(&engine, &second, &two, wait, parallel).await, &changed(&first, &second));
            assert_nothing_to_do(&engine, &two, wait).await;
            // The way does not matter: from nothing, the same is reached.
            let fresh = self::engine(seed);
            up(&fresh, &second, &two, wait, parallel).await;
            let (there, wanted) = (standing(&engine, &two).await, standing(&fresh, &two).await);
            for (name, text) in &wanted {
                if !name.starts_with("network:") {
                    assert_eq!(there.get(name), Some(text), "{name}");
                }
            }
        });
    }

    #[test]
    fn the_same_input_gives_the_same_plan((first, second) in generations(), seed in any::<u64>()) {
        paused(async {
            let engine = engine(seed);
            up(&engine, &first, &desired(&first.text()), false, 8).await;
            let one = plan(&engine, &desired(&second.text()), &policy(true)).await;
            let two = plan(&engine, &desired(&second.text()), &policy(true)).await;
            assert_eq!(format!("{one:?}"), format!("{two:?}"));
            assert_eq!(one.to_string(), two.to_string());
        });
    }

    #[test]
    fn after_a_crash_at_any_call_the_next_run_reaches_the_same_end(
        (first, second) in generations(),
        seed in any::<u64>(),
        point in any::<prop::sample::Index>(),
        again in any::<prop::sample::Index>(),
        done in any::<bool>(),
    ) {
        paused(async {
            let (one, two) = (desired(&first.text()), desired(&second.text()));
            let whole = engine(seed);
            up(&whole, &first, &one, false, 8).await;
            whole.forget_calls();
            up(&whole, &second, &two, false, 8).await;
            let calls = whole.calls().len();
            if calls == 0 {
                return;
            }
            let broken = engine(seed);
            up(&broken, &first, &one, false, 8).await;
            second.behave(&broken);
            // Once while it changes, and once while it recovers from that.
            for (index, among) in [(point, calls), (again, calls)] {
                broken.forget_calls();
                broken.fail(When::Nth(index.index(among) + 1), Fault::Die { done });
                let planned = plan(&broken, &two, &policy(false)).await;
                assert_sound(&planned, &changed(&first, &second));
                run(&broken, planned, Pace { parallel: 8, wait_timeout: None, only_first: false, tolerant: false }).await;
                broken.revive();
            }
            up(&broken, &second, &two, false, 8).await;
            assert_nothing_to_do(&broken, &two, false).await;
            assert_eq!(standing(&broken, &two).await, standing(&whole, &two).await);
        });
    }

    #[test]
    fn after_a_refusal_and_what_it_takes_back_the_next_run_reaches_the_same_end(
        (first, second) in generations(),
        seed in any::<u64>(),
        point in any::<prop::sample::Index>(),
    ) {
        paused(async {
            let (one, two) = (desired(&first.text()), desired(&second.text()));
            let whole = engine(seed);
            up(&whole, &first, &one, false, 8).await;
            whole.forget_calls();
            up(&whole, &second, &two, false, 8).await;
            let calls = whole.calls().len();
            if calls == 0 {
                return;
            }
            let broken = engine(seed);
            up(&broken, &first, &one, false, 8).await;
            second.behave(&broken);
            broken.forget_calls();
            broken.fail(When::Nth(point.index(calls) + 1), Fault::Refuse);
            let planned = plan(&broken, &two, &policy(false)).await;
            let (summary, _) = run(&broken, planned, Pace { parallel: 8, wait_timeout: None, only_first: false, tolerant: false }).await;
            assert!(!summary.failed.is_empty(), "{summary:?}");
            broken.revive();
            up(&broken, &second, &two, false, 8).await;
            assert_nothing_to_do(&broken, &two, false).await;
            assert_eq!(standing(&broken, &two).await, standing(&whole, &two).await);
        });
    }

    #[test]
    fn a_run_for_some_services_is_sound_and_a_whole_run_ends_it(
        (first, second) in generations(),
        seed in any::<u64>(),
        named in vec(0..8_usize, 1..3),
        (no_deps, no_start, remove_orphans, wait) in any::<(bool, bool, bool, bool)>(),
        recreate in prop::sample::select(vec![Recreate::Changed, Recreate::Always, Recreate::Never]),
    ) {
        paused(async {
            let (one, two) = (desired(&first.text()), desired(&second.text()));
            let engine = engine(seed);
            up(&engine, &first, &one, false, 8).await;
            second.behave(&engine);
            let services: Vec<_> = named.iter().map(|index| format!("s{index}")).collect();
            let services: Vec<_> = services.into_iter().filter(|name| two.service(name).is_some()).collect();
            let some = Policy { services, no_deps, no_start, remove_orphans, wait, recreate, ..Policy::default() };
            let planned = plan(&engine, &two, &some).await;
            assert_sound(&planned, &changed(&first, &second));
            assert_others_stay(&planned, &two, &some);
            // Something that is not asked for may hold a port or a name: then it fails, and does no harm.
            let told = planned.to_string();
            let pace = Pace { parallel: 8, wait_timeout: Some(Duration::from_secs(5)), only_first: false, tolerant: false };
            let (summary, _) = run(&engine, planned, pace).await;
            up(&engine, &second, &two, false, 8).await;
            assert_nothing_to_do(&engine, &two, false).await;
            let fresh = self::engine(seed);
            up(&fresh, &second, &two, false, 8).await;
            let (there, wanted) = (standing(&engine, &two).await, standing(&fresh, &two).await);
            for (name, text) in wanted.iter().filter(|(name, _)| !name.starts_with("network:")) {
                let files = [first.text(), second.text()].join("\n");
                assert_eq!(there.get(name), Some(text), "{name}\n{told}\n{summary:?}\n{files}");
            }
        });
    }

    #[test]
    fn down_leaves_nothing_but_volumes((first, second) in generations(), seed in any::<u64>()) {
        paused(async {
            let engine = engine(seed);
            let two = desired(&second.text());
            up(&engine, &first, &desired(&first.text()), false, 8).await;
            up(&engine, &second, &two, false, 8).await;
            let observed = observe(&engine, &two).await;
            let plan = teardown("shop", None, &observed, &Teardown::default());
            assert_sound(&plan, &BTreeSet::new());
            let (summary, _) = run(&engine, plan, Pace::default()).await;
            assert!(summary.succeeded());
            let left = observe(&engine, &two).await;
            assert!(left.containers.is_empty() && left.networks.is_empty(), "{left:?}");
            let names = |observed: &Observed| -> Vec<_> {
                observed.volumes.iter().map(|volume| volume.name.clone()).collect()
            };
            assert_eq!(names(&left), names(&observed));
        });
    }

    #[test]
    fn after_any_command_and_a_crash_in_it_the_command_and_up_reach_their_ends(
        (first, _) in generations(),
        seed in any::<u64>(),
        commands in vec(prop::sample::select(Command::ALL.to_vec()), 1..4),
        named in vec(0..8_usize, 0..3),
        with_file in any::<bool>(),
        point in any::<prop::sample::Index>(),
        done in any::<bool>(),
    ) {
        paused(async {
            let one = desired(&first.text());
            let desired = with_file.then_some(&one);
            let whole = engine(seed);
            up(&whole, &first, &one, false, 8).await;
            let wanted = standing(&whole, &one).await;
            let broken = engine(seed);
            up(&broken, &first, &one, false, 8).await;
            let services: Vec<_> = named.iter().map(|index| format!("s{index}")).collect();
            let services: Vec<_> = services.into_iter().filter(|name| one.service(name).is_some()).collect();
            let pace = Pace { parallel: 8, ..Pace::default() };
            for command in commands {
                let planned = command.plan(desired, &observe(&broken, &one).await, &services);
                assert_sound(&planned, &BTreeSet::new());
                let calls = planned.steps.iter().filter(|step| !matches!(step.action, Action::Await { .. }));
                let calls = calls.count();
                broken.forget_calls();
                if calls > 0 {
                    broken.fail(When::Nth(point.index(calls) + 1), Fault::Die { done });
                }
                run(&broken, planned, pace).await;
                broken.revive();
                let planned = command.plan(desired, &observe(&broken, &one).await, &services);
                assert_sound(&planned, &BTreeSet::new());
                let told = planned.to_string();
                let (summary, _) = run(&broken, planned, pace).await;
                // Only what depends on something that was removed may be kept from starting.
                let whole = observe(&broken, &one).await.containers.len() == wanted_containers(&one);
                assert!(summary.succeeded() || !whole, "{command:?} {summary:?}\n{told}\n{}", first.text());
                for container in observe(&broken, &one).await.containers {
                    let meant = services.is_empty() || services.contains(&container.service);
                    let reached = command.is_reached(container.state) || !whole;
                    assert!(!meant || reached, "{command:?} {container:?}\n{told}\n{}", first.text());
                }
            }
            up(&broken, &first, &one, false, 8).await;
            assert_nothing_to_do(&broken, &one, false).await;
            assert_eq!(standing(&broken, &one).await, wanted);
        });
    }

    #[test]
    fn everything_can_be_made_anew_at_once((first, _) in generations(), seed in any::<u64>()) {
        paused(async {
            let engine = engine(seed);
            let one = desired(&first.text());
            up(&engine, &first, &one, false, 8).await;
            let anew = Policy { recreate: Recreate::Always, ..policy(false) };
            let plan = plan(&engine, &one, &anew).await;
            assert_sound(&plan, &BTreeSet::new());
            assert!(plan.unchanged.iter().all(|address| !matches!(address, Address::Container(..))), "{plan}");
            let before = standing(&engine, &one).await;
            let (summary, _) = run(&engine, plan, Pace::default()).await;
            assert!(summary.succeeded());
            assert_nothing_to_do(&engine, &one, false).await;
            assert_eq!(standing(&engine, &one).await, before);
        });
    }
}
