//! Runs a plan: starts every step whose turn has come, at once, and tells what happens.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use stack_plan::address::Address;
use stack_plan::plan::{Action, Plan, Step, StepId};
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::engine::{Engine, Failure, Ledger, Outcome, Work};
use crate::event::{Event, EventKind, Progress, Summary};

/// How a plan is run.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many engine calls may be under way at once; waits do not count.
    pub parallel: usize,
    /// How long the waits may take, from the start of the plan.
    pub wait_timeout: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { parallel: 48, wait_timeout: None }
    }
}

/// Runs `plan` on `engine` and sends what happens to `events`, [`EventKind::Finished`] last.
///
/// A step that fails does not stop steps that do not need it. Dropping the
/// future stops it between two engine calls; what is there then, the next run finishes.
pub async fn execute<E: Engine>(
    engine: &E,
    plan: &Arc<Plan>,
    pace: Pace,
    events: &UnboundedSender<Event>,
) -> Summary {
    let begun = Instant::now();
    let tell = |step: Option<StepId>, kind: EventKind| {
        // Nobody listening is no reason to stop.
        let _ = events.send(Event { at: OffsetDateTime::now_utc(), step, kind });
    };
    tell(None, EventKind::PlanReady(Arc::clone(plan)));

    let ledger = Ledger::default();
    let deadline = pace.wait_timeout.map(|timeout| begun + timeout);
    let mut run = Run::new(plan);
    let mut under_way = FuturesUnordered::new();
    let mut calls = 0;
    let mut summary = Summary::default();

    loop {
        while let Some(id) = run.next(calls < pace.parallel) {
            let step = &plan.steps[id.0 as usize - 1];
            if !is_wait(step) {
                calls += 1;
            }
            tell(Some(id), EventKind::StepStarted);
            let ledger = &ledger;
            let report = move |progress| tell(Some(id), EventKind::Progress(progress));
            under_way.push(async move {
                let work = Work { action: &step.action, ledger, deadline, report: &report };
                (id, engine.perform(work).await)
            });
        }
        let Some((id, result)) = under_way.next().await else { break };
        let step = &plan.steps[id.0 as usize - 1];
        if !is_wait(step) {
            calls -= 1;
        }
        match result {
            Ok(Outcome { made }) => {
                if let Some(made) = made {
                    ledger.enter(id, made);
                }
                summary.done += 1;
                tell(Some(id), EventKind::StepDone);
                run.done(step);
            }
            Err(failure) => {
                let tolerated = matches!(step.action, Action::Await { required: false, .. });
                tell(Some(id), EventKind::StepFailed { failure: Arc::new(failure), tolerated });
                if tolerated {
                    run.done(step);
                    continue;
                }
                summary.failed.push(id);
                for skipped in run.skip_after(id) {
                    tell(Some(skipped), EventKind::StepSkipped { because: id });
                    summary.skipped.push(skipped);
                }
                let undo = run.undo(&step.address);
                if !undo.is_empty() {
                    take_back(engine, undo, &ledger).await;
                    tell(Some(id), EventKind::RolledBack);
                }
            }
        }
    }
    summary.took = begun.elapsed();
    tell(None, EventKind::Finished(summary.clone()));
    summary
}

/// Takes back what was done. What cannot be taken back now, the next run finds by its labels.
async fn take_back<E: Engine>(engine: &E, undo: Vec<&Action>, ledger: &Ledger) {
    for action in undo {
        let work = Work { action, ledger, deadline: None, report: &|_: Progress| {} };
        let _: Result<Outcome, Failure> = engine.perform(work).await;
    }
}

fn is_wait(step: &Step) -> bool {
    matches!(step.action, Action::Await { .. })
}

/// Which steps are done, and whose turn it is.
struct Run<'a> {
    plan: &'a Plan,
    /// How many steps each still waits for.
    open: Vec<usize>,
    /// The steps that wait for each.
    dependents: Vec<Vec<StepId>>,
    skipped: Vec<bool>,
    calls: VecDeque<StepId>,
    waits: VecDeque<StepId>,
    /// The steps done, by resource.
    done: HashMap<&'a Address, Vec<&'a Step>>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut run = Self {
            plan,
            open: plan.steps.iter().map(|step| step.after.len()).collect(),
            dependents: vec![Vec::new(); plan.steps.len()],
            skipped: vec![false; plan.steps.len()],
            calls: VecDeque::new(),
            waits: VecDeque::new(),
            done: HashMap::new(),
        };
        for step in &plan.steps {
            for earlier in &step.after {
                run.dependents[earlier.0 as usize - 1].push(step.id);
            }
            if step.after.is_empty() {
                run.queue(step);
            }
        }
        run
    }

    fn queue(&mut self, step: &Step) {
        if is_wait(step) { &mut self.waits } else { &mut self.calls }.push_back(step.id);
    }

    fn next(&mut self, may_call: bool) -> Option<StepId> {
        self.waits.pop_front().or_else(|| if may_call { self.calls.pop_front() } else { None })
    }

    fn done(&mut self, step: &'a Step) {
        self.done.entry(&step.address).or_default().push(step);
        for id in self.dependents[step.id.0 as usize - 1].clone() {
            let index = id.0 as usize - 1;
            self.open[index] -= 1;
            if self.open[index] == 0 && !self.skipped[index] {
                self.queue(&self.plan.steps[index]);
            }
        }
    }

    /// Everything that needs `failed`, directly or not, and was not skipped before.
    fn skip_after(&mut self, failed: StepId) -> Vec<StepId> {
        let mut skipped = Vec::new();
        let mut next = vec![failed];
        while let Some(id) = next.pop() {
            for dependent in &self.dependents[id.0 as usize - 1] {
                let index = dependent.0 as usize - 1;
                if !std::mem::replace(&mut self.skipped[index], true) {
                    skipped.push(*dependent);
                    next.push(*dependent);
                }
            }
        }
        skipped.sort_unstable();
        skipped
    }

    /// What takes back the steps done for a resource: nothing when one of them cannot be taken back.
    fn undo(&self, address: &Address) -> Vec<&'a Action> {
        let done = self.done.get(address).map(Vec::as_slice).unwrap_or_default();
        if done.iter().any(|step| step.undo.is_empty()) {
            return Vec::new();
        }
        done.iter().rev().flat_map(|step| &step.undo).collect()
    }
}
