//! Services: made, changed, replaced, left alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use stack_file::model::{FailureAction, UpdateConfig};
use stack_file::source::Origin;

use super::desired::SwarmService;
use super::fit::misfit;
use super::observed::{ObservedService, UpdateState};
use super::verdict::{Verdict, is_failed};
use super::{Planner, Reached};
use crate::address::Address;
use crate::api::Api;
use crate::containers::Recreate;
use crate::fields::{FieldChange, Shown};
use crate::plan::{Action, Cause, Change, Condition, Obstacle, StepId, Target};
use crate::rollout::{Rollout, WayBack};

/// The longest name of a service.
const LONGEST_NAME: usize = 63;
/// The setting that says how many tasks there are.
const REPLICAS: &str = "deploy.replicas";
/// The version of the Docker API from which on services have more of `security_opt` than labels.
pub const PRIVILEGES: Api = Api(1, 44);

impl<'a> Planner<'a> {
    /// Plans one service. What it depends on was planned before.
    pub(super) fn service(&mut self, spec: &'a SwarmService) {
        let mut spec = spec.clone();
        self.pin(&mut spec);
        self.look_for_obstacles(&spec);
        let address = spec.address();
        let (mut after, after_any, restarted) = self.dependencies(&spec);
        let ground = spec.networks.iter().map(|joined| &joined.name);
        let ground = ground.chain(spec.files.iter().map(|file| &file.object));
        after.extend(ground.filter_map(|name| self.ground.get(name).copied()));
        after.extend(self.images.get(spec.reference.as_str()).copied());
        after.extend(self.shipments(&spec));
        let awaited = self.is_awaited(&spec);
        let key = self.desired.service(spec.key()).map_or("", |own| own.key());

        let found = self.observed.service(spec.key());
        let cause = found.filter(|there| there.mode == spec.mode);
        let cause = cause.map(|there| self.cause(&spec, there, restarted.as_deref()));
        if cause.as_ref().is_none_or(Option::is_some) {
            self.look_for_nodes(&spec);
        }
        let Some(there) = found else {
            let action = Action::CreateService(Arc::new(spec.clone()));
            let begun = self.draft.add(&address, action, Change::Create, &Cause::Missing, after);
            self.draft.after_any(begun, &after_any);
            let settled = awaited.then(|| self.settle(&spec, Target::Made(begun), Change::Create, &[begun]));
            self.reached.insert(key, Reached { begun: Some(begun), settled, replaced: false });
            return;
        };
        if there.mode != spec.mode {
            return self.replace(key, &spec, there, (after, after_any), awaited);
        }
        let target = Target::Known(there.id.clone());
        let Some((cause, force)) = cause.flatten() else {
            if awaited && there.clone().settled().verdict(&BTreeSet::new()) != Verdict::Converged {
                let settled = self.settle(&spec, target, Change::Await, &after);
                self.draft.after_any(settled, &after_any);
                let settled = Some(settled);
                self.reached.insert(key, Reached { begun: settled, settled, replaced: false });
            } else {
                self.reached.insert(key, Reached::default());
            }
            self.plan.unchanged.push(address);
            return;
        };
        let group = if force { Change::Restart } else { Change::Update };
        let action = Action::UpdateService {
            id: there.id.clone(),
            version: there.version,
            force_update: there.force_update + u64::from(force),
            spec: Arc::new(spec.clone()),
        };
        let begun = self.draft.add(&address, action, group, &cause, after);
        self.draft.after_any(begun, &after_any);
        let settled = awaited.then(|| self.settle(&spec, target, group, &[begun]));
        self.reached.insert(key, Reached { begun: Some(begun), settled, replaced: true });
        if !spec.mode.is_job() {
            self.plan.rollouts.push(rollout(&spec));
        }
    }

    /// A swarm cannot make a job of a service, nor give each node one task: it goes, and comes anew.
    fn replace(
        &mut self,
        key: &'a str,
        spec: &SwarmService,
        there: &ObservedService,
        (after, after_any): (Vec<StepId>, Vec<StepId>),
        awaited: bool,
    ) {
        let address = spec.address();
        let cause = Cause::Changed(vec![FieldChange {
            field: "deploy.mode".to_owned(),
            was: Shown::Text(there.mode.word().to_owned()),
            now: Shown::Text(spec.mode.word().to_owned()),
            origin: spec.origin().clone(),
        }]);
        let group = Change::Replace;
        let remove = Action::RemoveService(there.id.clone());
        let removed = self.draft.add(&address, remove, group, &cause, after);
        self.draft.after_any(removed, &after_any);
        let target = Target::Known(there.id.clone());
        let gone = Action::Await { target, condition: Condition::NoTasks, required: true };
        let gone = self.draft.add(&address, gone, group, &cause, [removed]);
        let create = Action::CreateService(Arc::new(spec.clone()));
        let begun = self.draft.add(&address, create, group, &cause, [gone]);
        let settled = awaited.then(|| self.settle(spec, Target::Made(begun), group, &[begun]));
        self.reached.insert(key, Reached { begun: Some(begun), settled, replaced: true });
    }

    /// Why a service that is there is changed, and whether its tasks are replaced even where nothing
    /// of theirs is another.
    fn cause(
        &self,
        spec: &SwarmService,
        there: &ObservedService,
        restarted: Option<&str>,
    ) -> Option<(Cause, bool)> {
        if self.policy.recreate == Recreate::Never {
            return None;
        }
        let named = |name: &str| {
            self.policy.services.is_empty() || self.policy.services.iter().any(|service| service == name)
        };
        let asked = self.policy.recreate == Recreate::Always
            && (named(spec.key()) || self.policy.recreate_dependencies);
        let Some(recorded) = &there.recorded else { return Some((Cause::Unrecorded, asked)) };
        let mut changes = spec.fields.difference(recorded, spec.origin());
        let mut by_hand = altered(spec, there);
        if !spec.mode.is_global() && there.replicas != spec.replicas {
            let made = Shown::Text(spec.replicas.to_string());
            let scaled = there.altered.iter().any(|found| found.field == REPLICAS && found.made == made);
            let replicas = FieldChange {
                field: REPLICAS.to_owned(),
                was: Shown::Text(there.replicas.to_string()),
                now: made,
                origin: self.place_of_scale(spec),
            };
            if scaled { by_hand.push(replicas) } else { changes.push(replicas) }
        }
        if !changes.is_empty() {
            let told: BTreeSet<String> = changes.iter().map(|change| change.field.clone()).collect();
            changes.extend(by_hand.into_iter().filter(|change| !told.contains(&change.field)));
            return Some((Cause::Changed(changes), asked));
        }
        if !by_hand.is_empty() {
            return Some((Cause::Altered(by_hand), asked));
        }
        if asked || (self.policy.rerun && spec.mode.is_job()) {
            return Some((Cause::Asked, true));
        }
        if there.image != spec.image && !self.images.contains_key(spec.reference.as_str()) {
            return Some((Cause::ImageMoved, false));
        }
        if let Some(name) = restarted {
            return Some((Cause::DependencyReplaced(Address::Service(name.to_owned())), true));
        }
        match there.update.as_ref().map(|update| update.state) {
            Some(UpdateState::Paused) => return Some((Cause::Drifted("paused"), false)),
            Some(UpdateState::RollbackPaused) => return Some((Cause::Drifted("rollback paused"), false)),
            _ => {}
        }
        // A job that has failed and is not tried again by itself gets another run.
        let over = |task: &&super::ObservedTask| is_failed(task) && task.wanted > super::TaskState::Running;
        let waits = there.tasks.iter().any(|task| task.wanted <= super::TaskState::Running);
        let failed = there.completed < there.desired && !waits && there.tasks.iter().any(|task| over(&task));
        (spec.mode.is_job() && failed).then_some((Cause::Drifted("failed"), true))
    }

    fn place_of_scale(&self, spec: &SwarmService) -> Origin {
        spec.service.scale.as_ref().map_or_else(|| spec.origin().clone(), |scale| scale.origin.clone())
    }

    /// Names the very image that the tasks are made from, so that every node takes the same, and
    /// the swarm can go back to the one before.
    fn pin(&self, spec: &mut SwarmService) {
        let Some(known) = self.observed.images.get(&spec.reference) else { return };
        spec.image = match &known.digest {
            Some(_) if spec.reference.contains('@') => spec.reference.clone(),
            Some(digest) => format!("{}@{digest}", spec.reference),
            None => known.id.clone(),
        };
    }

    /// What keeps the tasks of a service from running as the file asks for it.
    fn look_for_obstacles(&mut self, spec: &SwarmService) {
        if !is_name(&spec.name) {
            self.in_the_way(Obstacle {
                address: spec.address(),
                what: format!(
                    "the service would be called {}, and a swarm takes letters, digits, - and _, {LONGEST_NAME} at \
                     most",
                    spec.name
                ),
                next: "give the service another name, or the project a shorter one with `name`".to_owned(),
                origin: spec.origin().clone(),
            });
        }
        if let Some(option) = spec.new_privileges()
            && self.observed.api < PRIVILEGES
            && !self.policy.allowed.iter().any(|name| name == "security_opt")
        {
            self.in_the_way(Obstacle {
                address: spec.address(),
                what: format!(
                    "a swarm honours `{}` from version {PRIVILEGES} of the Docker API on, and this manager speaks {}",
                    option.value, self.observed.api
                ),
                next: "update the engines of the swarm, or go without it: --allow-unsupported security_opt"
                    .to_owned(),
                origin: option.origin.clone(),
            });
        }
        if self.observed.without_ipvs == Some(true) && spec.is_balanced() {
            let named = spec.service.deploy.endpoint_mode.as_ref();
            let port =
                spec.service.ports.iter().find(|port| port.mode == stack_file::model::PortMode::Ingress);
            let origin = port.map(|port| &port.origin).or(named.map(|mode| &mode.origin));
            let next = if port.is_some() {
                "write the port in its long form with `mode: host`, and deploy with `endpoint_mode: dnsrr`"
            } else {
                "add deploy: {endpoint_mode: dnsrr}"
            };
            let obstacle = Obstacle {
                address: spec.address(),
                what: format!(
                    "{} asks for a balancer, and the kernel of this node has no IPVS: connections would time out",
                    spec.key()
                ),
                next: next.to_owned(),
                origin: origin.unwrap_or(spec.origin()).clone(),
            };
            self.in_the_way(obstacle);
        }
    }

    /// Whether there are nodes for the tasks of a service that is made or changed.
    fn look_for_nodes(&mut self, spec: &SwarmService) {
        let mut misfits = Vec::new();
        let mut fit = 0_u64;
        for node in &self.observed.nodes {
            match misfit(spec, node) {
                Some(found) => misfits.push((self.observed.call(node), found)),
                None => fit += 1,
            }
        }
        let places = spec.places_per_node();
        if let (0, Some((node, first))) = (fit, misfits.first()) {
            let why: Vec<String> =
                misfits.iter().map(|(node, found)| format!("{node} {}", found.why)).collect();
            self.in_the_way(Obstacle {
                address: spec.address(),
                what: format!("no node can take tasks of {}: {}", spec.key(), why.join("; ")),
                next: first.next(node),
                origin: first.origin.clone().unwrap_or_else(|| spec.origin().clone()),
            });
        } else if let Some(places) = places.filter(|places| fit.saturating_mul(*places) < spec.replicas) {
            let why: Vec<String> =
                misfits.iter().map(|(node, found)| format!("; {node} {}", found.why)).collect();
            let node = if fit == 1 { "node has" } else { "nodes have" };
            self.plan.warnings.push(format!(
                "{} asks for {} tasks, and {fit} {node} room for {places} each: the others wait{}",
                spec.key(),
                spec.replicas,
                why.concat()
            ));
        }
    }

    /// Whether services stay that the file does not have.
    pub(super) fn kept_orphans(&self) -> bool {
        let stays = |there: &ObservedService| !self.policy.retired.contains(&there.service);
        !self.policy.remove_orphans && self.orphans().any(stays)
    }

    fn orphans(&self) -> impl Iterator<Item = &'a ObservedService> + use<'a> {
        let desired = self.desired;
        self.observed.services.iter().filter(|there| {
            desired.service(&there.service).is_none() && !desired.disabled.contains(&there.service)
        })
    }

    /// Removes services that the file does not have, once all others are as they are to be.
    pub(super) fn remove_orphans(&mut self) {
        let retired = |there: &&ObservedService| self.policy.retired.contains(&there.service);
        let (goes, orphans): (Vec<&ObservedService>, Vec<&ObservedService>) =
            self.orphans().partition(|there| self.policy.remove_orphans || retired(there));
        if !orphans.is_empty() && !self.policy.ignore_orphans {
            let names: Vec<&str> = orphans.iter().map(|there| there.service.as_str()).collect();
            self.plan
                .warnings
                .push(format!("the file does not have {}; remove with --remove-orphans", names.join(", ")));
        }
        let mut gone = Vec::new();
        for there in goes {
            let address = Address::Service(there.service.clone());
            let after = self.settled.clone();
            let remove = Action::RemoveService(there.id.clone());
            let removed = self.draft.add(&address, remove, Change::Remove, &Cause::Orphaned, after);
            let target = Target::Known(there.id.clone());
            let wait = Action::Await { target, condition: Condition::NoTasks, required: true };
            gone.push(self.draft.add(&address, wait, Change::Remove, &Cause::Orphaned, [removed]));
        }
        self.settled.extend(gone);
    }
}

/// Whether a swarm takes a name for a service.
fn is_name(name: &str) -> bool {
    let inner = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    name.len() <= LONGEST_NAME
        && name.chars().all(inner)
        && name.ends_with(|last: char| last.is_ascii_alphanumeric())
}

/// What was changed by hand on a service, but for the number of its tasks: what it is now, and what it is
/// to be.
fn altered(spec: &SwarmService, there: &ObservedService) -> Vec<FieldChange> {
    let place = |field: &str| {
        let mut fields = spec.fields.iter();
        fields
            .find(|(path, ..)| *path == field)
            .map_or_else(|| spec.origin().clone(), |(.., origin)| origin.clone())
    };
    (there.altered.iter())
        .filter(|found| found.field != REPLICAS)
        .map(|found| FieldChange {
            field: found.field.clone(),
            was: found.now.clone(),
            now: found.made.clone(),
            origin: place(&found.field),
        })
        .collect()
}

/// How the swarm replaces the tasks of a service, and what follows when a new one is not good.
fn rollout(spec: &SwarmService) -> Rollout {
    let config = |given: &Option<stack_file::source::Spanned<UpdateConfig>>| {
        given.as_ref().map(|given| given.value.clone()).unwrap_or_default()
    };
    let (update, back) = (config(&spec.service.update), config(&spec.service.rollback));
    Rollout {
        service: spec.key().to_owned(),
        order: update.order,
        reason: None,
        failure_action: update.failure_action,
        max_failure_ratio: update.max_failure_ratio,
        replicas: Vec::new(),
        back: WayBack {
            parallelism: back.parallelism,
            delay: back.delay,
            goes_on: back.failure_action == FailureAction::Continue,
            max_failure_ratio: back.max_failure_ratio,
        },
    }
}
