//! What the tests of the executor share: stacks from text, and runs on the engine in memory.

use std::future::Future;
use std::sync::Arc;

#[path = "../stacks/mod.rs"]
mod stacks;

use stack_engine::engine::{Engine, Query};
use stack_engine::event::{Event, Summary};
use stack_engine::execute::{Pace, execute};
use stack_engine::fake::FakeEngine;
use stack_plan::containers::{self, Policy};
use stack_plan::desired::Desired;
use stack_plan::observed::Observed;
use stack_plan::plan::Plan;
use tokio::sync::mpsc;

pub(crate) use stacks::desired;

/// Runs a test with tokio's time paused.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(test)
}

/// Looks at everything of the project.
pub(crate) async fn observe(engine: &FakeEngine, desired: &Desired) -> Observed {
    let query = Query {
        project: desired.project.clone(),
        images: desired.references(),
        aging: desired.aging(),
        networks: desired.networks.iter().map(|spec| spec.network.name.clone()).collect(),
        volumes: desired.volumes.iter().map(|spec| spec.volume.name.clone()).collect(),
        actual: 0,
    };
    engine.observe(&query).await.expect("the engine answers")
}

/// Says what is to be done now.
pub(crate) async fn plan(engine: &FakeEngine, desired: &Desired, policy: &Policy) -> Plan {
    containers::plan(desired, &observe(engine, desired).await, policy)
}

/// Runs a plan and tells how it ended and all that happened.
pub(crate) async fn run(engine: &FakeEngine, plan: Plan, pace: Pace) -> (Summary, Vec<Event>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let summary = execute(engine, &Arc::new(plan), pace, &sender).await;
    drop(sender);
    let mut events = Vec::new();
    while let Some(event) = receiver.recv().await {
        events.push(event);
    }
    (summary, events)
}
