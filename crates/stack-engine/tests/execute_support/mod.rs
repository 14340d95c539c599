//! What the tests of the executor share: stacks from text, and runs on the engine in memory.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use stack_engine::engine::{Engine, Query};
use stack_engine::event::{Event, Summary};
use stack_engine::execute::{Pace, execute};
use stack_engine::fake::FakeEngine;
use stack_file::load::{Request, load};
use stack_plan::containers::{self, Policy};
use stack_plan::desired::Desired;
use stack_plan::observed::Observed;
use stack_plan::plan::Plan;
use tokio::sync::mpsc;

/// The stack of a file's text, as the project `shop`.
pub(crate) fn desired(text: &str) -> Desired {
    let environment = BTreeMap::new();
    let loaded = load(&Request {
        files: vec![PathBuf::from("-")],
        directory: PathBuf::from("/nowhere/shop"),
        project_directory: None,
        project_name: Some("shop".to_owned()),
        env_files: Vec::new(),
        profiles: Vec::new(),
        environment: &environment,
        stdin: Some(text),
    });
    assert!(!loaded.has_errors(), "{text}\n{:#?}", loaded.diagnostics);
    Desired::of(&loaded.stack, &BTreeMap::new())
}

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
        networks: desired.networks.iter().map(|spec| spec.network.name.clone()).collect(),
        volumes: desired.volumes.iter().map(|spec| spec.volume.name.clone()).collect(),
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
