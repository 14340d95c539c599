//! Replacing running containers one after the other, over all ways in which a file can ask for
//! it: enough of them serve at every moment, and a bad version never stays.

#[path = "execute_support/cases.rs"]
mod cases;
mod execute_support;

use std::collections::BTreeMap;
use std::time::Duration;

use cases::cases;
use execute_support::{desired, observe, paused, plan, run};
use proptest::prelude::*;
use stack_engine::engine::EngineError;
use stack_engine::event::{EventKind, Summary};
use stack_engine::execute::Pace;
use stack_engine::fake::{Behaviour, FakeEngine, Fault, When};
use stack_plan::containers::Policy;
use stack_plan::observed::ContainerState;

/// How a service is replaced.
#[derive(Clone, Debug)]
struct Update {
    replicas: u32,
    checked: bool,
    port: bool,
    named: bool,
    parallelism: u32,
    start_first: bool,
    action: usize,
    ratio: f64,
    delay: bool,
    back_parallelism: u32,
    back_start_first: bool,
    seed: u64,
}

fn update() -> impl Strategy<Value = Update> {
    let what = (1..5_u32, any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let how = (0..4_u32, any::<bool>(), 0..3_usize, prop::sample::select(vec![0.0, 0.3, 1.0]), any::<bool>());
    let back = (0..4_u32, any::<bool>(), any::<u64>());
    (what, how, back).prop_map(|((replicas, checked, port, named), how, back)| {
        let (parallelism, start_first, action, ratio, delay) = how;
        let (back_parallelism, back_start_first, seed) = back;
        Update {
            replicas: if port || named { 1 } else { replicas },
            checked,
            port,
            named,
            parallelism,
            start_first,
            action,
            ratio,
            delay,
            back_parallelism,
            back_start_first,
            seed,
        }
    })
}

const ACTIONS: [&str; 3] = ["pause", "continue", "rollback"];

fn order(start_first: bool) -> &'static str {
    if start_first { "start-first" } else { "stop-first" }
}

impl Update {
    fn text(&self, image: &str) -> String {
        let check = if self.checked { "    healthcheck: { test: [CMD, look] }\n" } else { "" };
        let port = if self.port { "    ports: [\"8000:80\"]\n" } else { "" };
        let name = if self.named { "    container_name: the-web\n" } else { "" };
        let delay = if self.delay { ", delay: 2s" } else { "" };
        format!(
            "services:\n  web:\n    image: {image}\n    scale: {}\n{check}{port}{name}    deploy:\n      update_config: \
             {{ parallelism: {}, order: {}, failure_action: {}, max_failure_ratio: {}, monitor: 1s{delay} }}\n      \
             rollback_config: {{ parallelism: {}, order: {}, monitor: 1s{delay} }}\n",
            self.replicas,
            self.parallelism,
            order(self.start_first),
            ACTIONS[self.action],
            self.ratio,
            self.back_parallelism,
            order(self.back_start_first),
        )
    }

    /// How many replicas may be away at a time.
    fn away(&self, parallelism: u32, start_first: bool) -> usize {
        match (start_first && !self.port, parallelism) {
            (true, _) => 0,
            (false, 0) => self.replicas as usize,
            (false, number) => number.min(self.replicas) as usize,
        }
    }

    /// The least number of replicas that serve, also on the way back.
    fn least(&self) -> usize {
        let there = self.away(self.parallelism, self.start_first);
        // What fails before the old one has stopped comes back without one that is away.
        let back = if self.action == 2 { self.away(self.back_parallelism, self.back_start_first) } else { 0 };
        (self.replicas as usize) - there.max(back)
    }

    async fn old(&self) -> FakeEngine {
        let engine = FakeEngine::new();
        for image in ["old", "new"] {
            engine.put_image(image, &format!("sha256:{image}"));
        }
        engine.take(Duration::from_millis(10));
        engine.stagger(self.seed);
        self.up(&engine, "old").await;
        // Its health check is looked at, so that all of them are known to be good.
        let waited = Policy { wait: true, ..Policy::default() };
        let stack = desired(&self.text("old"));
        run(&engine, plan(&engine, &stack, &waited).await, Pace::default()).await;
        engine.forget_calls();
        engine
    }

    async fn up(&self, engine: &FakeEngine, image: &str) -> Summary {
        let stack = desired(&self.text(image));
        let plan = plan(engine, &stack, &Policy::default()).await;
        let (summary, events) = run(engine, plan, Pace::default()).await;
        for event in &events {
            if let EventKind::TakeBackFailed { failure } = &event.kind {
                assert!(matches!(failure.error, EngineError::Lost(_)), "{} in {self:?}", failure.error);
            }
        }
        summary
    }
}

/// The containers: name to image and id, of those that run.
async fn serving(engine: &FakeEngine, update: &Update) -> BTreeMap<String, (String, String)> {
    let observed = observe(engine, &desired(&update.text("old"))).await;
    let running = observed.containers.into_iter().filter(|found| found.state == ContainerState::Running);
    running.map(|found| (found.name, (found.image, found.id))).collect()
}

async fn all(engine: &FakeEngine, update: &Update) -> usize {
    observe(engine, &desired(&update.text("old"))).await.containers.len()
}

fn images(serving: &BTreeMap<String, (String, String)>) -> Vec<&str> {
    serving.values().map(|(image, _)| image.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn a_good_version_takes_over_while_enough_serve(update in update()) {
        paused(async {
            let engine = update.old().await;
            let names: Vec<String> = serving(&engine, &update).await.into_keys().collect();
            let summary = update.up(&engine, "new").await;
            prop_assert!(summary.succeeded());
            let least = update.replicas as usize - update.away(update.parallelism, update.start_first);
            prop_assert!(engine.least_good("web") >= Some(least), "{:?} in {update:?}", engine.least_good("web"));
            let after = serving(&engine, &update).await;
            prop_assert_eq!(images(&after), vec!["new"; update.replicas as usize]);
            prop_assert_eq!(after.into_keys().collect::<Vec<_>>(), names);
            prop_assert_eq!(all(&engine, &update).await, update.replicas as usize);
            Ok(())
        })?;
    }

    #[test]
    fn a_bad_version_ends_in_the_old_state(update in update(), dies in any::<bool>()) {
        paused(async {
            let engine = update.old().await;
            let before = serving(&engine, &update).await;
            let exits = (dies || !update.checked).then_some((Duration::from_millis(300), 1));
            engine.behave_by_image("new", Behaviour { unhealthy: true, healthy_after: 2, exits, ..Behaviour::default() });
            let summary = update.up(&engine, "new").await;
            prop_assert!(summary.is_rolled_back(), "{summary:?} in {update:?}");
            prop_assert!(engine.least_good("web") >= Some(update.least()), "{:?} in {update:?}", engine.least_good("web"));
            prop_assert_eq!(serving(&engine, &update).await, before);
            prop_assert_eq!(all(&engine, &update).await, update.replicas as usize);
            Ok(())
        })?;
    }

    #[test]
    fn what_was_replaced_is_put_back_when_a_later_one_is_bad(update in update(), good in 0..12_u32) {
        let replicas = update.replicas.max(2);
        let update = Update { replicas, port: false, named: false, action: 2, ratio: 0.0, checked: true, ..update };
        // At least one is good, and not all are.
        let good = 1 + good % (replicas - 1);
        paused(async {
            let engine = update.old().await;
            let before = serving(&engine, &update).await;
            engine.behave_by_image("new", Behaviour { unwell_after: Some(good), ..Behaviour::default() });
            let summary = update.up(&engine, "new").await;
            prop_assert!(summary.is_rolled_back(), "{summary:?} in {update:?}");
            prop_assert!(engine.least_good("web") >= Some(update.least()), "{:?} in {update:?}", engine.least_good("web"));
            prop_assert_eq!(serving(&engine, &update).await, before);
            prop_assert_eq!(all(&engine, &update).await, update.replicas as usize);
            Ok(())
        })?;
    }

    #[test]
    fn after_a_crash_the_next_run_finishes_a_good_version_and_undoes_a_bad_one(
        update in update(), bad in any::<bool>(), nth in 1..40_usize, done in any::<bool>()
    ) {
        paused(async {
            let engine = update.old().await;
            if bad {
                engine.behave_by_image("new", Behaviour { exits: Some((Duration::from_millis(300), 1)), ..Behaviour::default() });
            }
            engine.fail(When::Nth(nth), Fault::Die { done });
            update.up(&engine, "new").await;
            engine.revive();
            let summary = update.up(&engine, "new").await;
            prop_assert_eq!(summary.succeeded(), !bad, "{:?} in {:?}", summary, update);
            let image = if bad { "old" } else { "new" };
            let after = serving(&engine, &update).await;
            prop_assert_eq!(images(&after), vec![image; update.replicas as usize]);
            prop_assert_eq!(all(&engine, &update).await, update.replicas as usize);
            Ok(())
        })?;
    }
}

#[test]
fn a_pause_leaves_those_that_are_good_and_touches_no_further_one() {
    paused(async {
        let update = Update {
            replicas: 4,
            checked: true,
            port: false,
            named: false,
            parallelism: 1,
            start_first: true,
            action: 0,
            ratio: 0.0,
            delay: true,
            back_parallelism: 1,
            back_start_first: false,
            seed: 1,
        };
        let engine = update.old().await;
        engine.behave_by_image("new", Behaviour { unwell_after: Some(1), ..Behaviour::default() });
        let summary = update.up(&engine, "new").await;
        assert!(summary.is_rolled_back(), "{summary:?}");
        assert_eq!(images(&serving(&engine, &update).await), ["new", "old", "old", "old"]);
        assert_eq!(engine.least_good("web"), Some(4));
        let calls = engine.calls();
        assert!(!calls.iter().any(|call| call.ends_with("web/3")), "{calls:?}");

        // A failure that may be is none that stops the others.
        let update = Update { ratio: 0.75, ..update };
        let summary = update.up(&engine, "new").await;
        assert_eq!(summary.failed.len(), 3, "{summary:?}");
    });
}
