//! What the tasks of a service come to: whether they are as they are to be, on the way there,
//! or will not get there.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::{ObservedService, ObservedTask, TaskState, UpdateState};

/// From so many failed tasks of one place on, a service is said to end again and again.
const LOOP: usize = 3;

/// What the tasks of a service come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of them are as they are to be.
    Converged,
    /// They are on the way.
    Working {
        /// So many are as they are to be.
        ready: u64,
        /// Of so many.
        of: u64,
    },
    /// They will not get there by themselves.
    Failed(Trouble),
}

/// Why the tasks of a service are not as they are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The swarm has put the tasks of before back.
    RolledBack,
    /// The swarm has stopped to replace tasks.
    Paused,
    /// The swarm could not put the tasks of before back.
    RollbackPaused,
    /// A task ended, and is not started again.
    Ended {
        /// The exit code; `None` when it never ran.
        code: Option<i64>,
        /// The swarm's words.
        error: String,
    },
    /// Tasks end again and again.
    Loops {
        /// How often.
        times: usize,
        /// The exit code of the last one; `None` when it never ran.
        code: Option<i64>,
        /// The swarm's words.
        error: String,
    },
    /// No node fits a task.
    NoNode {
        /// The swarm's words.
        error: String,
    },
}

impl ObservedService {
    /// The same without a change that was put back in the past, which is no news of the tasks that
    /// are there now.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.update = self.update.filter(|update| update.state != UpdateState::RollbackCompleted);
        self
    }

    /// What its tasks come to. Failures of the tasks in `before` are those of an earlier time.
    #[must_use]
    pub fn verdict(&self, before: &BTreeSet<String>) -> Verdict {
        match self.update.as_ref().map(|update| update.state) {
            Some(UpdateState::RollbackCompleted) => return Verdict::Failed(Trouble::RolledBack),
            Some(UpdateState::RollbackPaused) => return Verdict::Failed(Trouble::RollbackPaused),
            Some(UpdateState::Paused) => return Verdict::Failed(Trouble::Paused),
            Some(UpdateState::Updating | UpdateState::RollbackStarted) => return self.working(),
            Some(UpdateState::Completed) | None => {}
        }
        let done = if self.mode.is_job() { self.completed } else { self.ready() };
        // A swarm that has just heard of a service has not counted its tasks yet.
        let counted = self.replicas.max(self.desired);
        if done >= counted && (counted > 0 || !self.mode.is_global()) {
            return Verdict::Converged;
        }
        match self.trouble(before) {
            Some(trouble) => Verdict::Failed(trouble),
            None => self.working(),
        }
    }

    fn working(&self) -> Verdict {
        let ready = if self.mode.is_job() { self.completed } else { self.ready() };
        Verdict::Working { ready, of: self.replicas.max(self.desired) }
    }

    /// How many of its places have a task that is as it is to be.
    fn ready(&self) -> u64 {
        let good = |task: &&ObservedTask| {
            let runs = task.state == TaskState::Running && task.wanted == TaskState::Running;
            (runs || task.state == TaskState::Complete) && task.current
        };
        let ready = self.latest().values().filter(|task| good(task)).count();
        u64::try_from(ready).unwrap_or(u64::MAX)
    }

    /// The latest task of each place.
    fn latest(&self) -> BTreeMap<(u64, &str), &ObservedTask> {
        let mut latest: BTreeMap<(u64, &str), &ObservedTask> = BTreeMap::new();
        for task in &self.tasks {
            latest
                .entry(self.place(task))
                .and_modify(|known| {
                    // What was put back may be older than what had its place meanwhile.
                    if (runs(task), task.created) > (runs(known), known.created) {
                        *known = task;
                    }
                })
                .or_insert(task);
        }
        latest
    }

    /// What tells one place from another: the slot, or the node where each has one.
    fn place<'a>(&self, task: &'a ObservedTask) -> (u64, &'a str) {
        if self.mode.is_global() { (0, &task.node) } else { (task.slot, "") }
    }

    fn trouble(&self, before: &BTreeSet<String>) -> Option<Trouble> {
        for (place, latest) in self.latest() {
            if latest.state == TaskState::Pending && latest.error.contains("no suitable node") {
                return Some(Trouble::NoNode { error: latest.error.clone() });
            }
            let failed: Vec<&ObservedTask> = (self.tasks.iter())
                .filter(|task| self.place(task) == place && task.current && !before.contains(&task.id))
                .filter(|task| is_failed(task))
                .collect();
            let Some(last) = failed.iter().max_by_key(|task| task.created) else { continue };
            let (code, error) = (last.exit_code, last.error.clone());
            if failed.len() >= LOOP {
                return Some(Trouble::Loops { times: failed.len(), code, error });
            }
            // What is to be started again has a next task, or is not over yet.
            if latest.id == last.id && latest.wanted > TaskState::Running {
                return Some(Trouble::Ended { code, error });
            }
        }
        None
    }

    /// The task that tells most about a trouble: the last one that failed and is not in `before`,
    /// else one that waits.
    #[must_use]
    pub fn worst(&self, before: &BTreeSet<String>) -> Option<&ObservedTask> {
        let new = || self.tasks.iter().filter(|task| !before.contains(&task.id));
        let failed = new().filter(|task| is_failed(task)).max_by_key(|task| task.since);
        failed.or_else(|| new().find(|task| !task.error.is_empty()))
    }

    /// The task because of which a change was stopped or put back: the latest of those that were new.
    #[must_use]
    pub fn rejected_by(&self) -> Option<&ObservedTask> {
        let back = self.update.as_ref().is_some_and(|update| update.state != UpdateState::Paused);
        let over = self.tasks.iter().filter(|task| task.wanted > TaskState::Running && task.current != back);
        // What was only told to stop because the swarm gave up tells less than what ended by itself.
        over.max_by_key(|task| (task.state != TaskState::Shutdown, task.created))
    }

    /// The ids of the tasks that have failed so far.
    #[must_use]
    pub fn failed_tasks(&self) -> BTreeSet<String> {
        self.tasks.iter().filter(|task| is_failed(task)).map(|task| task.id.clone()).collect()
    }
}

/// Whether a task ended otherwise than it is to.
#[must_use]
pub(super) fn is_failed(task: &ObservedTask) -> bool {
    matches!(task.state, TaskState::Failed | TaskState::Rejected)
}

fn runs(task: &ObservedTask) -> bool {
    task.wanted <= TaskState::Running
}
