//! Runs a plan: starts every step whose turn has come, at once, and tells what happens.

mod rolling;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use stack_plan::address::Address;
use stack_plan::plan::{Action, Change, HookEvent, Plan, Step, StepId};
use stack_plan::swarm::Trouble;
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::engine::{Deadline, Engine, EngineError, Failure, Ledger, Outcome, Work};
use crate::event::{Event, EventKind, Progress, Summary};

use self::rolling::{Courses, put_back};

/// How a plan is run.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many engine calls may be under way at once; waits do not count.
    pub parallel: usize,
    /// How long the waits may take, from the start of the plan.
    pub wait_timeout: Option<Duration>,
    /// Whether the run is over when the first step has ended; what is under way is let go.
    pub only_first: bool,
    /// Whether a step that fails is no failure of the run: what comes after goes on.
    pub tolerant: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { parallel: 48, wait_timeout: None, only_first: false, tolerant: false }
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
    let deadline = pace.wait_timeout.map(|limit| Deadline { at: begun + limit, limit });
    let parallel = pace.parallel.max(1);
    let mut run = Run::new(plan);
    let mut under_way = FuturesUnordered::new();
    let mut taking_back: FuturesUnordered<Pin<Box<dyn Future<Output = Back> + '_>>> = FuturesUnordered::new();
    let mut courses = Courses::of(plan);
    let mut calls = 0;
    // The steps that end when what a replica had done is taken back, by the step that failed.
    let mut held: HashMap<StepId, Vec<StepId>> = HashMap::new();
    let mut summary = Summary::default();

    loop {
        let ended = summary.done + summary.failed.len();
        if pace.only_first && ended > 0 {
            break;
        }
        while let Some(id) = run.next(calls < parallel) {
            let step = &plan.steps[id.0 as usize - 1];
            if !is_wait(step) {
                calls += 1;
            }
            courses.started(id, &step.action);
            tell(Some(id), EventKind::StepStarted);
            let ledger = &ledger;
            let report = move |progress| tell(Some(id), EventKind::Progress(progress));
            under_way.push(async move {
                let work = Work { action: &step.action, ledger, deadline, report: &report };
                (id, engine.perform(work).await)
            });
        }
        let ended = tokio::select! {
            Some(ended) = under_way.next() => Some(ended),
            Some(back) = taking_back.next() => {
                match back {
                    Back::Step { id, failure } => {
                        match failure {
                            None => tell(Some(id), EventKind::RolledBack),
                            Some(failure) => {
                                summary.rolled_back.retain(|failed| *failed != id);
                                tell(Some(id), EventKind::TakeBackFailed { failure: Arc::new(failure) });
                            }
                        }
                        if let Some(ended) = held.remove(&id) {
                            courses.taken_back(id);
                            run.release(&ended);
                        }
                    }
                    Back::Service { because, whole } if !whole => {
                        summary.rolled_back.retain(|failed| *failed != because);
                    }
                    Back::Service { .. } => {}
                }
                None
            }
            else => break,
        };
        if let Some((id, result)) = ended {
            let step = &plan.steps[id.0 as usize - 1];
            if !is_wait(step) {
                calls -= 1;
            }
            match result {
                Ok(Outcome { made, exit_code, provided }) => {
                    if let Some(made) = made {
                        ledger.enter(id, made);
                    }
                    summary.ended.extend(exit_code.map(|code| (id, code)));
                    summary.provided.extend(provided);
                    summary.done += 1;
                    tell(Some(id), EventKind::StepDone);
                    run.done(step);
                    courses.done(id);
                }
                Err(failure) => {
                    let tolerated = pace.tolerant || is_tolerated(step, &failure.error);
                    let lost = matches!(failure.error, EngineError::Lost(_));
                    let stale = matches!(failure.error, EngineError::ChangedMeanwhile);
                    let swarm_went_back = matches!(&failure.error, EngineError::Tasks(why) if why.trouble == Trouble::RolledBack);
                    let replica = courses.has(id);
                    // Whether a lost call took effect is not known, so nothing is taken back after it.
                    let undo = match failure.error {
                        EngineError::Lost(_) => Vec::new(),
                        _ if courses.settles(id) => Vec::new(),
                        _ if replica => run.undo_all(step),
                        // What a failed hook takes back is the start before it.
                        _ if is_start_hook(step) => step.undo.iter().collect(),
                        _ => run.undo(step),
                    };
                    tell(Some(id), EventKind::StepFailed { failure: Arc::new(failure), tolerated });
                    if tolerated {
                        run.done(step);
                        courses.done(id);
                        continue;
                    }
                    summary.failed.push(id);
                    if stale {
                        summary.stale.push(id);
                    }
                    if swarm_went_back {
                        summary.rolled_back.push(id);
                        tell(Some(id), EventKind::RolledBack);
                    }
                    let mut ended = vec![id];
                    ended.extend(run.skip_after(id));
                    let further = run.skip(&courses.failed(id, lost));
                    for skipped in ended.iter().skip(1).chain(&further) {
                        tell(Some(*skipped), EventKind::StepSkipped { because: id });
                        courses.skipped(*skipped);
                        summary.skipped.push(*skipped);
                    }
                    run.release(&further);
                    if replica && !lost {
                        // Whoever follows has its turn when the old one serves again.
                        summary.rolled_back.push(id);
                        held.insert(id, ended);
                        taking_back.push(Box::pin(take_back_all(engine, id, undo, &ledger)));
                        continue;
                    }
                    run.release(&ended);
                    if !undo.is_empty() {
                        taking_back.push(Box::pin(take_back(engine, id, undo, &ledger)));
                    }
                }
            }
        }
        for returning in courses.returning() {
            let (ledger, tell) = (&ledger, &tell);
            taking_back.push(Box::pin(async move {
                let whole = put_back(engine, &returning, ledger, tell).await;
                Back::Service { because: returning.because, whole }
            }));
        }
    }
    summary.took = begun.elapsed();
    tell(None, EventKind::Finished(summary.clone()));
    summary
}

/// The end of a way back.
enum Back {
    /// What the steps of one resource had done was taken back, as far as it could be.
    Step { id: StepId, failure: Option<Failure> },
    /// The replicas of a service that were replaced are put back.
    Service { because: StepId, whole: bool },
}

/// Takes back what was done. What cannot be taken back now, the next run finds by its labels.
async fn take_back<E: Engine>(engine: &E, id: StepId, undo: Vec<&Action>, ledger: &Ledger) -> Back {
    let _: Back = take_back_all(engine, id, undo, ledger).await;
    Back::Step { id, failure: None }
}

/// The same, with what could not be taken back: the first of it.
async fn take_back_all<E: Engine>(engine: &E, id: StepId, undo: Vec<&Action>, ledger: &Ledger) -> Back {
    let mut first = None;
    for action in undo {
        let work = Work { action, ledger, deadline: None, report: &|_: Progress| {} };
        let done: Result<Outcome, Failure> = engine.perform(work).await;
        first = first.or(done.err());
    }
    Back::Step { id, failure: first }
}

/// Whether the run goes on as if the step were done: a wait that nothing requires, and the
/// removal of what others use.
fn is_tolerated(step: &Step, error: &EngineError) -> bool {
    matches!(step.action, Action::Await { required: false, .. }) || matches!(error, EngineError::InUse { .. })
}

fn is_wait(step: &Step) -> bool {
    matches!(step.action, Action::Await { .. } | Action::Delay(_))
}

/// Whether the step runs a hook after a start.
fn is_start_hook(step: &Step) -> bool {
    matches!(step.action, Action::Run { event: HookEvent::PostStart, .. })
}

/// Whether the step leaves nothing behind that could be taken back.
fn leaves_nothing(step: &Step) -> bool {
    matches!(
        step.action,
        Action::Await { .. } | Action::Delay(_) | Action::Run { event: HookEvent::PreStop, .. }
    )
}

/// Which steps are done, and whose turn it is.
struct Run<'a> {
    plan: &'a Plan,
    /// How many steps each still waits for.
    open: Vec<usize>,
    /// The steps that wait until each is done.
    dependents: Vec<Vec<StepId>>,
    /// The steps that wait until each has ended, well or not.
    followers: Vec<Vec<StepId>>,
    skipped: Vec<bool>,
    begun: Vec<bool>,
    calls: VecDeque<StepId>,
    waits: VecDeque<StepId>,
    /// The steps done, by resource and by what they do to it.
    done: HashMap<(&'a Address, Change), Vec<&'a Step>>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut run = Self {
            plan,
            open: plan.steps.iter().map(|step| step.after.len() + step.after_any.len()).collect(),
            dependents: vec![Vec::new(); plan.steps.len()],
            followers: vec![Vec::new(); plan.steps.len()],
            skipped: vec![false; plan.steps.len()],
            begun: vec![false; plan.steps.len()],
            calls: VecDeque::new(),
            waits: VecDeque::new(),
            done: HashMap::new(),
        };
        for (index, step) in plan.steps.iter().enumerate() {
            for earlier in &step.after {
                run.dependents[earlier.0 as usize - 1].push(step.id);
            }
            for earlier in &step.after_any {
                run.followers[earlier.0 as usize - 1].push(step.id);
            }
            if run.open[index] == 0 {
                run.queue(step);
            }
        }
        run
    }

    fn queue(&mut self, step: &Step) {
        if is_wait(step) { &mut self.waits } else { &mut self.calls }.push_back(step.id);
    }

    fn next(&mut self, may_call: bool) -> Option<StepId> {
        loop {
            let id =
                self.waits.pop_front().or_else(|| if may_call { self.calls.pop_front() } else { None })?;
            let index = id.0 as usize - 1;
            if !self.skipped[index] {
                self.begun[index] = true;
                return Some(id);
            }
        }
    }

    fn done(&mut self, step: &'a Step) {
        self.done.entry((&step.address, step.group)).or_default().push(step);
        let index = step.id.0 as usize - 1;
        let waiting = std::mem::take(&mut self.dependents[index]);
        self.come_nearer(&waiting);
        self.ended(index);
    }

    /// Lets those go on that wait for the end of a step, whatever it was.
    fn ended(&mut self, index: usize) {
        let waiting = std::mem::take(&mut self.followers[index]);
        self.come_nearer(&waiting);
    }

    fn come_nearer(&mut self, waiting: &[StepId]) {
        for id in waiting {
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

    /// Skips steps that have not begun, and everything that needs them.
    fn skip(&mut self, steps: &[StepId]) -> Vec<StepId> {
        let mut all = Vec::new();
        for id in steps {
            let index = id.0 as usize - 1;
            if !self.begun[index] && !std::mem::replace(&mut self.skipped[index], true) {
                all.push(*id);
                all.extend(self.skip_after(*id));
            }
        }
        all.sort_unstable();
        all
    }

    /// Lets those go on that wait for the end of steps that failed or are skipped.
    fn release(&mut self, ended: &[StepId]) {
        for id in ended {
            self.ended(id.0 as usize - 1);
        }
    }

    /// What takes back a step that failed and those done before it for its replica.
    fn undo_all(&self, failed: &'a Step) -> Vec<&'a Action> {
        let own = match failed.action {
            // What was not made cannot be removed, and what did not start is removed as it is.
            Action::CreateContainer(_) | Action::Start(_) => &[][..],
            _ => &failed.undo[..],
        };
        own.iter().chain(self.undo(failed)).collect()
    }

    /// What takes back the steps done for the resource of a step that failed: nothing when
    /// one of them cannot be taken back.
    fn undo(&self, failed: &Step) -> Vec<&'a Action> {
        let done = self.done.get(&(&failed.address, failed.group)).map(Vec::as_slice).unwrap_or_default();
        if done.iter().any(|step| step.undo.is_empty() && !leaves_nothing(step)) {
            return Vec::new();
        }
        done.iter().rev().flat_map(|step| &step.undo).collect()
    }
}
