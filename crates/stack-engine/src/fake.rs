//! A small engine in memory, for tests: the rules of a real one, health that turns after
//! some looks, and faults when they are asked for.
//!
//! It keeps tokio's time, so that a test with paused time takes none.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use stack_plan::observed::Observed;
use stack_plan::plan::{Action, Condition};
use stack_plan::ports::HeldPort;
use tokio::time::{Instant, sleep};

use self::rules::{Container, State};
use crate::engine::{
    Channel, Deadline, Engine, EngineError, Failure, LogLine, NotReady, Outcome, Query, Selection, Work,
};
use crate::event::{Progress, Waiting};
use crate::evidence::{Evidence, Said};

/// The time between two looks at a container that is waited for.
const LOOK: Duration = Duration::from_millis(50);
/// How long a container may take to stop, when nobody says.
const GRACE: Duration = Duration::from_secs(10);

/// An engine in memory.
#[derive(Debug, Default)]
pub struct FakeEngine {
    state: Mutex<State>,
}

/// How the containers of a service behave.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// How many looks its health check takes to pass; without a health check it has no meaning.
    pub healthy_after: u32,
    /// Whether its health check never passes, and fails for good after `healthy_after` looks.
    pub unhealthy: bool,
    /// How long it runs, and the exit code it ends with; `None` runs until it is stopped.
    pub exits: Option<(Duration, i64)>,
    /// How many containers may start before the health check of all later ones fails for good.
    pub unwell_after: Option<u32>,
    /// How long it takes to stop; the kill comes after the grace period.
    pub stops_in: Duration,
}

/// Which call a fault is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// The nth call to the engine that is not a wait, from 1.
    Nth(usize),
    /// Every call whose line in the log begins so: `start web/1`, `remove`.
    Call(String),
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The engine refuses the call.
    Refuse,
    /// The engine does not answer any more, until [`FakeEngine::revive`]; whether the call took effect is told.
    Die {
        /// Whether the call took effect before.
        done: bool,
    },
}

impl FakeEngine {
    /// An engine with nothing on it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an image there, or moves a reference to another image.
    pub fn put_image(&self, reference: &str, id: &str) {
        self.state().images.insert(reference.to_owned(), id.to_owned());
    }

    /// Puts an image into the registry.
    pub fn offer_image(&self, reference: &str, id: &str) {
        self.state().registry.insert(reference.to_owned(), id.to_owned());
    }

    /// Gives a port of the host to somebody who is not a container of this engine.
    pub fn occupy(&self, port: HeldPort) {
        self.state().occupied.push(port);
    }

    /// Makes a network that no project owns.
    pub fn put_network(&self, name: &str) {
        self.state().put_network(name, BTreeMap::new());
    }

    /// Makes a volume that no project owns.
    pub fn put_volume(&self, name: &str) {
        self.state().put_volume(name, BTreeMap::new());
    }

    /// Says how the containers of a service behave from their next start on.
    pub fn behave(&self, service: &str, behaviour: Behaviour) {
        self.state().behaviours.insert(service.to_owned(), behaviour);
    }

    /// Says how the containers of an image behave from their next start on, whatever their service.
    pub fn behave_by_image(&self, image: &str, behaviour: Behaviour) {
        self.state().image_behaviours.insert(image.to_owned(), behaviour);
    }

    /// The least number of containers of a service that ran and were not known to be unwell, of
    /// all moments since the calls were forgotten.
    #[must_use]
    pub fn least_good(&self, service: &str) -> Option<usize> {
        self.state().least_good.get(service).copied()
    }

    /// Ends a running container with this exit code.
    pub fn end(&self, name: &str, code: i64) {
        if let Some(container) = self.state().named(name) {
            container.end(code);
        }
    }

    /// Asks for a fault.
    pub fn fail(&self, when: When, fault: Fault) {
        self.state().faults.push((when, fault));
    }

    /// Takes back every fault; an engine that had died answers again.
    pub fn revive(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.dead = false;
    }

    /// How long each call takes.
    pub fn take(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Lets calls take between no time and eight times [`FakeEngine::take`], by chance of this seed.
    pub fn stagger(&self, seed: u64) {
        self.state().seed = Some(seed);
    }

    /// Every call so far that is not a wait, one line each: `create web/1`, `remove network:front`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Forgets the calls so far, and how many there were at once.
    pub fn forget_calls(&self) {
        let mut state = self.state();
        state.calls.clear();
        state.least_good.clear();
        state.count_good();
        state.peak = 0;
    }

    /// The highest number of calls that were under way at once; waits do not count.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.state().peak
    }

    /// The names of all volumes.
    #[must_use]
    pub fn volumes(&self) -> Vec<String> {
        self.state().volumes.keys().cloned().collect()
    }

    /// Moves the engine to another machine, which has other files.
    pub fn move_away(&self) {
        self.state().remote = true;
    }

    /// Says which variables the program of a service sets.
    pub fn provide(&self, service: &str, variables: &[(&str, &str)]) {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.state().provides.insert(service.to_owned(), variables.collect());
    }

    /// The configs and secrets in a container, by path: what was copied with its owner and
    /// permission bits, and what it sees of this machine.
    #[must_use]
    pub fn files(&self, name: &str) -> BTreeMap<String, String> {
        self.state().named(name).map(|container| container.files.clone()).unwrap_or_default()
    }

    /// The hooks that have run in a container, with their commands.
    #[must_use]
    pub fn hooks(&self, name: &str) -> Vec<String> {
        self.state().named(name).map(|container| container.hooks.clone()).unwrap_or_default()
    }

    /// Lets a container say a line.
    pub fn say(&self, name: &str, line: &str) {
        if let Some(container) = self.state().named(name) {
            container.lines.push(line.to_owned());
        }
    }

    async fn call(&self, work: &Work<'_>) -> Result<Outcome, Failure> {
        let id = target(work)?;
        let lenders = match work.action {
            Action::CreateContainer(new) => work.ledger.lenders(new)?,
            _ => BTreeMap::new(),
        };
        let (fault, pause) = {
            let mut state = self.state();
            let line = state.line(work.action, id.as_deref());
            state.calls.push(line.clone());
            let nth = state.calls.len();
            state.under_way += 1;
            state.peak = state.peak.max(state.under_way);
            let fault = state.fault(nth, &line);
            if matches!(fault, Some(Fault::Die { .. })) {
                state.dead = true;
            }
            (fault, state.pause(nth) + state.stopping(work.action, id.as_deref()))
        };
        sleep(pause).await;
        let mut state = self.state();
        state.under_way -= 1;
        match fault {
            Some(Fault::Refuse) => {
                return Err(EngineError::Refused { status: 500, message: "no".to_owned() }.into());
            }
            Some(Fault::Die { done: true }) => {
                // The answer never comes back, whatever it was.
                let _: Result<Outcome, EngineError> = state.perform(work.action, id.as_deref(), &lenders);
                return Err(lost());
            }
            Some(Fault::Die { done: false }) => return Err(lost()),
            None if state.dead => return Err(lost()),
            None => {}
        }
        let performed = state.perform(work.action, id.as_deref(), &lenders).map_err(Failure::from);
        state.count_good();
        performed
    }

    async fn wait(&self, work: &Work<'_>, condition: Condition) -> Result<Outcome, Failure> {
        let id = target(work)?.unwrap_or_default();
        loop {
            let verdict = {
                let mut state = self.state();
                if state.dead {
                    return Err(lost());
                }
                match state.containers.get_mut(&id) {
                    None => Err(NotReady::Gone),
                    Some(container) => container.look(condition),
                }
            };
            match verdict {
                Ok(true) => {
                    let ended = self.state().containers.get(&id).and_then(Container::exit_code);
                    let exit_code = ended.filter(|_| condition == Condition::Ended);
                    return Ok(Outcome { exit_code, ..Outcome::default() });
                }
                Ok(false) => (work.report)(Progress::Waiting(Waiting::Probed {
                    failures: 1,
                    counted: None,
                    last: String::new(),
                })),
                Err(why) => return Err(self.failure(&id, why)),
            }
            if let Some(Deadline { at, limit }) = work.deadline
                && Instant::now() + LOOK > at
            {
                tokio::time::sleep_until(at).await;
                return Err(self.failure(&id, NotReady::TimedOut { limit }));
            }
            sleep(LOOK).await;
        }
    }

    fn failure(&self, id: &str, why: NotReady) -> Failure {
        let evidence = self.state().containers.get(id).map(|container| Box::new(evidence(container)));
        Failure { error: EngineError::NotReady(why), evidence }
    }
}

impl Engine for FakeEngine {
    async fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        let mut state = self.state();
        if state.dead {
            return Err(EngineError::Lost("it is dead".to_owned()));
        }
        Ok(state.observe(query))
    }

    async fn perform(&self, work: Work<'_>) -> Result<Outcome, Failure> {
        match work.action {
            Action::Await { condition, .. } => self.wait(&work, *condition).await,
            Action::Delay(time) => {
                sleep(*time).await;
                Ok(Outcome::default())
            }
            _ => self.call(&work).await,
        }
    }

    async fn held_ports(&self, ports: &BTreeSet<(String, u16)>) -> Result<Vec<HeldPort>, EngineError> {
        let mut held = self.state().held_ports();
        held.retain(|held| ports.contains(&(held.protocol.clone(), held.port)));
        Ok(held)
    }

    fn follow(&self, selection: Selection) -> impl Stream<Item = Result<LogLine, EngineError>> {
        let state = self.state();
        let mut lines = Vec::new();
        for source in selection.containers {
            for text in state.containers.get(&source.id).into_iter().flat_map(|found| &found.lines) {
                let text = Bytes::copy_from_slice(text.as_bytes());
                lines.push(Ok(LogLine { source: source.clone(), channel: Channel::Stdout, at: None, text }));
            }
        }
        stream::iter(lines)
    }
}

fn lost() -> Failure {
    EngineError::Lost("it is dead".to_owned()).into()
}

/// The id of the container that an action is about, if it is about one that is there.
fn target(work: &Work<'_>) -> Result<Option<String>, EngineError> {
    match work.action {
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
        | Action::Await { target, .. } => work.ledger.resolve(target).map(Some),
        _ => Ok(None),
    }
}

fn evidence(container: &Container) -> Evidence {
    Evidence {
        container: container.name.clone(),
        state: container.state.word().to_owned(),
        log: container.lines.iter().map(|text| Said { stderr: false, text: text.clone() }).collect(),
        ..Evidence::default()
    }
}
