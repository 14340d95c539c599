//! What happens to the replicas of a service that are replaced one after the other: whose turn
//! still comes after a failure, and the way back.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use stack_file::model::FailureAction;
use stack_plan::plan::{Action, Plan, StepId};
use stack_plan::rollout::Rollout;

use crate::engine::{Engine, EngineError, Failure, Ledger, Work};
use crate::event::{EventKind, Progress};

/// Where a replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its turn has not come.
    Waiting,
    /// It is being replaced.
    UnderWay,
    /// The new one serves.
    Good,
    /// The new one is not good, and what was done is being taken back.
    Failing,
    /// It is as it was, or nothing more happens to it.
    Over,
}

/// One service of which the replicas are replaced one after the other.
struct Course<'a> {
    rollout: &'a Rollout,
    replicas: Vec<Standing>,
    failures: usize,
    /// The failure because of which all that were replaced are put back.
    back: Option<StepId>,
    /// Whether their way back was begun.
    begun: bool,
}

/// All services that are replaced so.
pub(super) struct Courses<'a> {
    courses: Vec<Course<'a>>,
    /// The service and the replica of each step that can be taken back.
    places: HashMap<StepId, (usize, usize)>,
    settling: HashSet<StepId>,
}

/// Replicas that are put back.
pub(super) struct Returning<'a> {
    pub(super) rollout: &'a Rollout,
    pub(super) replicas: Vec<usize>,
    /// The failure because of which they are.
    pub(super) because: StepId,
}

impl<'a> Courses<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        let mut all = Self { courses: Vec::new(), places: HashMap::new(), settling: HashSet::new() };
        for (service, rollout) in plan.rollouts.iter().enumerate() {
            for (turn, replica) in rollout.replicas.iter().enumerate() {
                all.places.extend(replica.steps.iter().map(|step| (*step, (service, turn))));
                all.settling.extend(&replica.settling);
            }
            let replicas = vec![Standing::Waiting; rollout.replicas.len()];
            all.courses.push(Course { rollout, replicas, failures: 0, back: None, begun: false });
        }
        all
    }

    /// Whether the step can be taken back with its replica.
    pub(super) fn has(&self, step: StepId) -> bool {
        self.places.contains_key(&step)
    }

    /// Whether the step comes after the new one serves, so that nothing is taken back for it.
    pub(super) fn settles(&self, step: StepId) -> bool {
        self.settling.contains(&step)
    }

    fn stand(&mut self, step: StepId, from: &[Standing], to: Standing) {
        if let Some((service, turn)) = self.places.get(&step) {
            let standing = &mut self.courses[*service].replicas[*turn];
            if from.contains(standing) {
                *standing = to;
            }
        }
    }

    /// A step was begun; the time between two turns belongs to none of them.
    pub(super) fn started(&mut self, step: StepId, action: &Action) {
        if !matches!(action, Action::Delay(_)) {
            self.stand(step, &[Standing::Waiting], Standing::UnderWay);
        }
    }

    pub(super) fn done(&mut self, step: StepId) {
        let Some((service, turn)) = self.places.get(&step) else { return };
        if self.courses[*service].rollout.replicas[*turn].steps.last() == Some(&step) {
            self.stand(step, &[Standing::UnderWay], Standing::Good);
        }
    }

    pub(super) fn skipped(&mut self, step: StepId) {
        self.stand(step, &[Standing::Waiting, Standing::UnderWay], Standing::Over);
    }

    /// A step failed: the steps whose turn does not come any more. Nothing of the service is put
    /// back when the engine itself was lost.
    pub(super) fn failed(&mut self, step: StepId, lost: bool) -> Vec<StepId> {
        let Some((service, turn)) = self.places.get(&step) else { return Vec::new() };
        let course = &mut self.courses[*service];
        course.replicas[*turn] = if lost { Standing::Over } else { Standing::Failing };
        course.failures += 1;
        let action = course.rollout.failure_action;
        let too_many = course.rollout.is_too_many(course.failures);
        if !lost && (action == FailureAction::Continue || !too_many) {
            return Vec::new();
        }
        let waiting = course.rollout.replicas.iter().zip(&course.replicas);
        let mut skip: Vec<StepId> = waiting
            .filter(|(_, standing)| **standing == Standing::Waiting)
            .flat_map(|(replica, _)| replica.steps.iter().copied())
            .collect();
        if action == FailureAction::Rollback && !lost {
            course.back.get_or_insert(step);
            skip.extend(course.rollout.replicas.iter().flat_map(|replica| &replica.settling));
        }
        skip
    }

    /// What a replica had done was taken back.
    pub(super) fn taken_back(&mut self, step: StepId) {
        self.stand(step, &[Standing::Failing], Standing::Over);
    }

    /// The replicas that are put back now: those of services of which none is under way any more.
    pub(super) fn returning(&mut self) -> Vec<Returning<'a>> {
        let mut returning = Vec::new();
        for course in &mut self.courses {
            let busy = |standing: &Standing| matches!(standing, Standing::UnderWay | Standing::Failing);
            let Some(because) = course.back.filter(|_| !course.begun) else { continue };
            if course.replicas.iter().any(busy) {
                continue;
            }
            course.begun = true;
            let replicas = course.replicas.iter().enumerate().rev();
            let good: Vec<usize> =
                replicas.filter(|(_, standing)| **standing == Standing::Good).map(|(turn, _)| turn).collect();
            if !good.is_empty() {
                returning.push(Returning { rollout: course.rollout, replicas: good, because });
            }
        }
        returning
    }
}

/// Puts replicas back at the pace that the file asks for, and tells of each. Whether all of
/// them are back.
pub(super) async fn put_back<E: Engine>(
    engine: &E,
    returning: &Returning<'_>,
    ledger: &Ledger,
    tell: &impl Fn(Option<StepId>, EventKind),
) -> bool {
    let back = &returning.rollout.back;
    let lanes = match back.parallelism as usize {
        0 => returning.replicas.len(),
        number => number.min(returning.replicas.len()),
    };
    let failures = Cell::new(0);
    let over = Cell::new(false);
    let lane = |first: usize| {
        let (failures, over) = (&failures, &over);
        async move {
            for (turn, replica) in returning.replicas.iter().skip(first).step_by(lanes).enumerate() {
                if over.get() {
                    return;
                }
                if turn > 0 {
                    tokio::time::sleep(back.delay).await;
                }
                let replica = &returning.rollout.replicas[*replica];
                let step = replica.steps.last().copied();
                match all(engine, &replica.back, ledger).await {
                    Ok(()) => tell(step, EventKind::RolledBack),
                    Err(failure) => {
                        failures.set(failures.get() + 1);
                        let lost = matches!(failure.error, EngineError::Lost(_));
                        if lost || back.ends_after(failures.get(), returning.rollout.replicas.len()) {
                            over.set(true);
                        }
                        tell(step, EventKind::TakeBackFailed { failure: Arc::new(failure) });
                    }
                }
            }
        }
    };
    join_all((0..lanes).map(lane)).await;
    failures.get() == 0 && !over.get()
}

/// Does one thing after the other, until one fails.
async fn all<E: Engine>(engine: &E, actions: &[Action], ledger: &Ledger) -> Result<(), Failure> {
    for action in actions {
        let work = Work { action, ledger, deadline: None, report: &|_: Progress| {} };
        engine.perform(work).await?;
    }
    Ok(())
}
