//! The planner for Docker Swarm: services of a cluster in place of containers of one engine.

mod anew;
mod await_tasks;
mod desired;
mod fit;
mod objects;
mod observed;
mod services;
mod shipping;
mod teardown;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use crate::containers::Policy;
use crate::plan::{Draft, Obstacle, Plan, StepId};

pub use self::anew::anew;
pub use self::desired::{ObjectSpec, SwarmDesired, SwarmFile, SwarmNetwork, SwarmService};
pub use self::fit::{Misfit, misfit};
pub use self::observed::{
    Availability, ObservedNode, ObservedObject, ObservedOverlay, ObservedService, ObservedTask,
    ObservedUpdate, SwarmImage, SwarmObserved, TaskState, UpdateState,
};
pub use self::services::PRIVILEGES;
pub use self::teardown::{SwarmTeardown, teardown};
pub use self::verdict::{Trouble, Verdict};

/// Says what brings the services of a swarm to what the file asks for.
#[must_use]
pub fn plan(desired: &SwarmDesired, observed: &SwarmObserved, policy: &Policy) -> Plan {
    let selected: BTreeSet<&str> =
        desired.selection(&policy.services, !policy.no_deps).into_iter().map(|spec| spec.key()).collect();
    let mut planner = Planner {
        desired,
        observed,
        policy,
        selected,
        draft: Draft::default(),
        plan: Plan { project: desired.project.clone(), ..Plan::default() },
        ground: BTreeMap::new(),
        images: BTreeMap::new(),
        reached: BTreeMap::new(),
        pushed: BTreeSet::new(),
        shipped: BTreeMap::new(),
        settled: Vec::new(),
    };
    planner.images();
    planner.networks();
    planner.objects();
    for spec in &desired.services {
        if planner.selected.contains(spec.key()) {
            planner.service(spec);
        }
    }
    planner.remove_orphans();
    planner.remove_objects();
    let Planner { draft, mut plan, .. } = planner;
    plan.steps = draft.finish();
    plan
}

/// How far a service is once its steps are done.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// The call after which it has begun, if there is one.
    begun: Option<StepId>,
    /// The wait after which its tasks are there, if there is one.
    settled: Option<StepId>,
    /// Whether its tasks are replaced.
    replaced: bool,
}

struct Planner<'a> {
    desired: &'a SwarmDesired,
    observed: &'a SwarmObserved,
    policy: &'a Policy,
    selected: BTreeSet<&'a str>,
    draft: Draft,
    plan: Plan,
    /// The steps that make networks, configs and secrets, by the name on the swarm.
    ground: BTreeMap<String, StepId>,
    /// The steps that pull or build, by image reference.
    images: BTreeMap<&'a str, StepId>,
    /// The image references that are pushed, so that a registry has them.
    pushed: BTreeSet<&'a str>,
    /// The steps that bring images to other nodes, by reference and node.
    shipped: BTreeMap<(String, String), StepId>,
    /// What is known of the services planned so far.
    reached: BTreeMap<&'a str, Reached>,
    /// All waits for services: what is not used any more is removed after them.
    settled: Vec<StepId>,
}

impl Planner<'_> {
    fn in_the_way(&mut self, obstacle: Obstacle) {
        let same = |known: &Obstacle| known.address == obstacle.address && known.what == obstacle.what;
        if !self.plan.obstacles.iter().any(same) {
            self.plan.obstacles.push(obstacle);
        }
    }
}
