//! The present trouble of the services of a project on a swarm, in the form of a failure.

use std::collections::{BTreeMap, BTreeSet};

use stack_engine::engine::{EngineError, Failure};
use stack_engine::evidence::Evidence;
use stack_engine::exit;
use stack_file::model::DependencyCondition;
use stack_plan::plan::{Cause, Change, Plan, Step};
use stack_plan::swarm::{
    Availability, ObservedNode, ObservedService, ObservedTask, SwarmDesired, SwarmObserved, SwarmService,
    TaskState, Trouble, Verdict, misfit,
};

use super::present::{NOT_AS_THE_FILE, SETTLED, SHOWN_CHANGES, drifted, why_not_made};
use super::{Diagnosis, Place, harmless, place};
use crate::render::words;
use crate::settings::Project;

/// How many tasks of a service are shown.
const SHOWN_TASKS: usize = 8;

/// Everything that is known about a project on a swarm now.
pub(crate) struct Scene<'a> {
    /// The stack, if its file can be found.
    pub(crate) project: Option<&'a Project>,
    /// The same as a swarm sees it.
    pub(crate) desired: Option<&'a SwarmDesired>,
    /// What the swarm has.
    pub(crate) observed: &'a SwarmObserved,
    /// What `up` would do.
    pub(crate) changes: Option<&'a Plan>,
    /// What the last recorded run did not bring about, by resource.
    pub(crate) last: BTreeMap<String, Diagnosis>,
}

impl Scene<'_> {
    /// What the tasks of a service come to. A change that was put back is no news once the file asks
    /// for nothing else any more.
    pub(crate) fn verdict(&self, service: &ObservedService) -> Verdict {
        let none = BTreeSet::new();
        match self.steps(&service.service).next() {
            Some(_) => service.verdict(&none),
            None => service.clone().settled().verdict(&none),
        }
    }

    /// The task that tells most of a service that is not ready and has not failed yet, or that failed a
    /// short time ago.
    pub(crate) fn telling<'a>(&self, service: &'a ObservedService) -> Option<&'a ObservedTask> {
        match self.verdict(service) {
            Verdict::Failed(_) => None,
            Verdict::Converged => self.lately(service).into_iter().max_by_key(|task| task.since),
            Verdict::Working { .. } => {
                let up = |task: &&ObservedTask| task.wanted <= TaskState::Running && task.container.is_some();
                let starting = service.tasks.iter().filter(up).find(|task| task.state != TaskState::Running);
                service.worst(&BTreeSet::new()).or(starting)
            }
        }
    }

    /// What is not well with a service; nothing when it is. `failure` is that of its tasks, `evidence`
    /// what is known of the task that tells most.
    pub(crate) fn of(
        &self,
        service: &str,
        failure: Option<&Failure>,
        evidence: Option<&Evidence>,
    ) -> Option<Diagnosis> {
        let Some(there) = self.observed.service(service) else {
            let wanted = self.spec(service)?;
            return (wanted.mode.is_global() || wanted.replicas > 0).then(|| self.absent(service));
        };
        let verdict = self.verdict(there);
        let (what, cause) = self.judge(there, &verdict, failure)?;
        let mut diagnosis = self.begin(service, what, cause);
        let attributes = match failure.map(|failure| &failure.error) {
            Some(EngineError::Tasks(why)) => place::of_tasks(why),
            _ => &[],
        };
        diagnosis.row("tasks", &self.tasks(there).join("\n"), None);
        let waits = |task: &ObservedTask| task.node.is_empty() && task.wanted <= TaskState::Running;
        if there.tasks.iter().any(waits) {
            diagnosis.row("nodes", &self.nodes(there).join("\n"), None);
        }
        let evidence = failure.and_then(|failure| failure.evidence.as_deref()).or(evidence);
        // Of a task that never had a container there is nothing to see.
        let seen = |evidence: &&Evidence| !evidence.log.is_empty() || !evidence.probe.is_empty();
        if let Some(evidence) = evidence.filter(seen) {
            diagnosis.look(evidence);
        }
        self.unmet(service, &mut diagnosis);
        self.drift(service, &mut diagnosis);
        if let Some(failure) = failure {
            diagnosis.kind = failure.error.kind().to_owned();
            diagnosis.next.extend(self.remedy(service, &verdict).or_else(|| failure.error.hint()));
        }
        if what == NOT_AS_THE_FILE {
            diagnosis.next.push(format!(
                "see all of it with: stackctl plan {service}; apply it with: stackctl up -d {service}"
            ));
        }
        diagnosis.next.push(format!("stackctl logs {service} · stackctl ps -a {service}"));
        diagnosis.declared = self.declared(service, attributes);
        Some(diagnosis.finish())
    }

    /// What lets a node take the tasks for which there is none.
    fn remedy(&self, service: &str, verdict: &Verdict) -> Option<String> {
        if !matches!(verdict, Verdict::Failed(Trouble::NoNode { .. })) {
            return None;
        }
        let spec = self.spec(service)?;
        let mut nodes = self.observed.nodes.iter();
        nodes.find_map(|node| Some(misfit(spec, node)?.next(self.observed.call(node))))
    }

    /// What is wrong with a service, and why.
    fn judge(
        &self,
        there: &ObservedService,
        verdict: &Verdict,
        failure: Option<&Failure>,
    ) -> Option<(&'static str, String)> {
        let cause = failure.map(|failure| failure.error.to_string());
        Some(match verdict {
            Verdict::Failed(Trouble::RolledBack | Trouble::Paused | Trouble::RollbackPaused) => {
                (NOT_AS_THE_FILE, cause.unwrap_or_else(|| "its last change did not hold".to_owned()))
            }
            Verdict::Failed(_) => {
                ("is not ready", cause.unwrap_or_else(|| "its tasks have failed".to_owned()))
            }
            Verdict::Working { ready, of } => {
                let lost = self.lost(there);
                let lost = match lost.is_empty() {
                    true => String::new(),
                    false => format!("; {} does not answer, and its tasks move", lost.join(", ")),
                };
                let word = if there.mode.is_job() { "have ended well" } else { "are ready" };
                ("is not ready", format!("{ready} of {of} tasks {word}{lost}"))
            }
            Verdict::Converged => {
                let lately = self.lately(there);
                match (lately.iter().max_by_key(|task| task.since), self.steps(&there.service).next()) {
                    (Some(last), _) => {
                        let times = match lately.len() {
                            1 => "a task of it has failed".to_owned(),
                            count => format!("{count} tasks of it have failed"),
                        };
                        let cause = format!("{times}, last {} ago{}", self.since(last), ended(last));
                        ("is not steady", cause)
                    }
                    (None, Some(step)) => (NOT_AS_THE_FILE, drifted(step)),
                    (None, None) => return None,
                }
            }
        })
    }

    /// The tasks that failed a short time ago and were made as the service is now.
    fn lately<'a>(&self, service: &'a ObservedService) -> Vec<&'a ObservedTask> {
        let settled = i64::try_from(SETTLED.as_secs()).unwrap_or(i64::MAX);
        let failed = |task: &&ObservedTask| {
            // One that was told to stop may fail on the way, and has done what it should.
            let stopped = task.exit_code == Some(0) && !task.error.contains("unhealthy");
            task.current
                && !stopped
                && matches!(task.state, TaskState::Failed | TaskState::Rejected)
                && self.observed.at.saturating_sub(task.since) < settled
        };
        if service.mode.is_job() { Vec::new() } else { service.tasks.iter().filter(failed).collect() }
    }

    /// The nodes that do not answer and had tasks of a service that are to run.
    fn lost(&self, service: &ObservedService) -> Vec<&str> {
        let nodes = self.observed.nodes.iter().filter(|node| !node.ready);
        let had = |node: &&ObservedNode| service.tasks.iter().any(|task| task.node == node.id);
        nodes.filter(had).map(|node| self.observed.call(node)).collect()
    }

    /// A service that is well, in a few words.
    pub(crate) fn state_of(&self, service: &str) -> String {
        let Some(there) = self.observed.service(service) else { return "no task is asked for".to_owned() };
        if self.has_ended(service) {
            return "ended with exit code 0".to_owned();
        }
        let running: Vec<&ObservedTask> = there.tasks.iter().filter(|task| runs(task)).collect();
        let on: BTreeSet<&str> = running.iter().map(|task| self.observed.node_name(&task.node)).collect();
        let on = on.into_iter().collect::<Vec<_>>().join(", ");
        let file = if self.project.is_some() { ", as the file says" } else { "" };
        match running.len() {
            0 => "no task is asked for".to_owned(),
            1 => format!("1 task runs on {on}{file}"),
            count => format!("{count} tasks run on {on}{file}"),
        }
    }

    /// Whether a service is a job that has ended well.
    pub(crate) fn has_ended(&self, service: &str) -> bool {
        self.observed.service(service).is_some_and(|there| there.mode.is_job() && there.completed > 0)
    }

    /// The nodes that do not answer, with what was there.
    pub(crate) fn lost_nodes(&self, services: &BTreeSet<String>) -> Vec<Diagnosis> {
        let mut lost = Vec::new();
        for node in self.observed.nodes.iter().filter(|node| !node.ready) {
            let name = self.observed.call(node);
            let mut tasks = Vec::new();
            for service in self.observed.services.iter().filter(|there| services.contains(&there.service)) {
                let there = service.tasks.iter().filter(|task| task.node == node.id);
                tasks.extend(there.filter(|task| task.state <= TaskState::Running).map(|task| {
                    format!("{}.{}  {} as last heard of", service.service, task.slot, task.state.word())
                }));
            }
            tasks.truncate(SHOWN_TASKS);
            let message =
                if node.message.is_empty() { "nothing is heard of its engine" } else { &node.message };
            let mut diagnosis = Diagnosis {
                address: format!("node {name}"),
                what: "does not answer".to_owned(),
                kind: "node".to_owned(),
                cause: harmless(message),
                next: vec![format!(
                    "start its engine, or remove the node with: docker node rm --force {name}"
                )],
                ..Diagnosis::default()
            };
            diagnosis.row("tasks", &tasks.join("\n"), None);
            lost.push(diagnosis.finish());
        }
        lost
    }

    /// What is worth knowing and no trouble: nodes that take no tasks because somebody said so.
    pub(crate) fn notes(&self) -> Vec<String> {
        let nodes = self.observed.nodes.iter().filter(|node| node.ready);
        let nodes = nodes.filter(|node| node.availability != Availability::Active);
        nodes
            .map(|node| {
                let word = if node.availability == Availability::Drain { "drained" } else { "paused" };
                format!("the node {} is {word}: it gets no tasks", self.observed.call(node))
            })
            .collect()
    }

    fn spec(&self, service: &str) -> Option<&SwarmService> {
        self.desired?.service(service)
    }

    /// The steps that would change a service, other than waits.
    fn steps<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Step> {
        let steps = self.changes.into_iter().flat_map(|plan| &plan.steps);
        steps.filter(move |step| {
            let own =
                step.address.service() == Some(service) && step.address.to_string().starts_with("service:");
            own && step.group != Change::Await
        })
    }

    fn since(&self, task: &ObservedTask) -> String {
        let seconds = u64::try_from(self.observed.at.saturating_sub(task.since)).unwrap_or_default();
        words::took(std::time::Duration::from_secs(seconds))
    }

    /// The latest task of each place that is not as it is to be, and the failures before it.
    fn tasks(&self, service: &ObservedService) -> Vec<String> {
        let lost =
            |task: &ObservedTask| self.observed.nodes.iter().any(|node| node.id == task.node && !node.ready);
        let ends = |task: &ObservedTask| {
            task.state <= TaskState::Running && task.wanted > TaskState::Running && !lost(task)
        };
        let over = [TaskState::Complete, TaskState::Shutdown, TaskState::Remove];
        let told = |task: &&ObservedTask| !runs(task) && !ends(task) && !over.contains(&task.state);
        let mut tasks: Vec<&ObservedTask> = service.tasks.iter().filter(told).collect();
        tasks.sort_by_key(|task| (task.wanted > TaskState::Running, -task.created));
        let more = tasks.len().saturating_sub(SHOWN_TASKS);
        tasks.truncate(SHOWN_TASKS);
        let mut lines: Vec<String> = (tasks.into_iter())
            .map(|task| {
                let node = match self.observed.nodes.iter().find(|node| node.id == task.node) {
                    None => "without a node".to_owned(),
                    Some(node) if node.ready => format!("on {}", self.observed.call(node)),
                    Some(node) => format!("on {}, which does not answer", self.observed.call(node)),
                };
                let place = match service.mode.is_global() {
                    true => service.service.clone(),
                    false => format!("{}.{}", service.service, task.slot),
                };
                let why = match (task.error.is_empty(), task.exit_code) {
                    (true, _) => String::new(),
                    (false, Some(code)) if task.error.contains("non-zero exit") => {
                        let meaning = exit::meaning(code).map(|meaning| format!(": {meaning}"));
                        format!(": exit code {code}{}", meaning.unwrap_or_default())
                    }
                    (false, _) => format!(": {}", task.error),
                };
                format!("{place}  {} {node} for {}{why}", task.state.word(), self.since(task))
            })
            .collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }

    /// What keeps each node from taking a task of a service.
    fn nodes(&self, service: &ObservedService) -> Vec<String> {
        let spec = self.spec(&service.service);
        let places = spec.and_then(SwarmService::places_per_node);
        let lines = self.observed.nodes.iter().filter_map(|node| {
            let name = self.observed.call(node);
            let why = match spec {
                Some(spec) => misfit(spec, node).map(|found| found.why),
                None if !node.ready => Some("does not answer".to_owned()),
                None if node.availability != Availability::Active => {
                    Some(format!("is set to {}", node.availability.word()))
                }
                None => None,
            };
            if let Some(why) = why {
                return Some(format!("{name} {why}"));
            }
            let here = service.tasks.iter().filter(|task| task.node == node.id && runs(task)).count() as u64;
            let places = places.filter(|places| here >= *places)?;
            Some(format!("{name} has {here} of its tasks, and no room for more than {places}"))
        });
        lines.collect()
    }

    /// A service that the swarm does not have.
    fn absent(&self, service: &str) -> Diagnosis {
        let last = self.last.get(&format!("service:{service}"));
        let cause =
            last.map_or_else(|| "nothing has made it".to_owned(), |failure| why_not_made(service, failure));
        let mut diagnosis = self.begin(service, "is not on the swarm", cause);
        if let Some(failure) = last {
            diagnosis.rows.clone_from(&failure.rows);
            diagnosis.next.extend(failure.next.iter().take(1).cloned());
        }
        self.unmet(service, &mut diagnosis);
        diagnosis.next.push(format!("bring it up with: stackctl up -d {service}"));
        diagnosis.finish()
    }

    fn begin(&self, service: &str, what: &str, cause: String) -> Diagnosis {
        let waiting = match self.project {
            Some(project) => (project.desired.services.iter())
                .map(|spec| spec.name())
                .filter(|name| !self.is_well(name) && project.needs(name).contains(service))
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        Diagnosis {
            address: service.to_owned(),
            what: what.to_owned(),
            cause: harmless(&cause),
            service: Some(service.to_owned()),
            waiting,
            needs: self.project.map(|project| project.needs(service)).into_iter().flatten().collect(),
            declared: self.declared(service, &[]),
            ..Diagnosis::default()
        }
    }

    fn is_well(&self, service: &str) -> bool {
        let there = self.observed.service(service);
        there.is_some_and(|there| there.clone().settled().verdict(&BTreeSet::new()) == Verdict::Converged)
    }

    /// Tells what the service needs and does not have.
    fn unmet(&self, service: &str, diagnosis: &mut Diagnosis) {
        let Some(spec) = self.spec(service) else { return };
        let lines: Vec<String> = (spec.service.depends_on.iter())
            .filter(|(name, wanted)| match wanted.condition {
                DependencyCondition::Started => self.observed.service(name).is_none(),
                _ => !self.is_well(name),
            })
            .map(|(name, wanted)| {
                let word = match wanted.condition {
                    DependencyCondition::Started => "started",
                    DependencyCondition::Healthy => "healthy",
                    DependencyCondition::CompletedSuccessfully => "completed",
                };
                let state = match self.observed.service(name) {
                    None => "it is not on the swarm",
                    Some(_) => "its tasks are not as they are to be",
                };
                let place = self.project.map(|project| format!(" ({})", project.place(&wanted.origin)));
                format!("{name} {word}: {state}{}", place.unwrap_or_default())
            })
            .collect();
        diagnosis.row("needs", &lines.join("\n"), None);
    }

    /// Tells where a service differs from the file.
    fn drift(&self, service: &str, diagnosis: &mut Diagnosis) {
        let mut lines = Vec::new();
        for step in self.steps(service) {
            if let Cause::Changed(changes) | Cause::Altered(changes) = &step.cause {
                let place = |change: &stack_plan::fields::FieldChange| match self.project {
                    Some(project) => format!("{}  {change}", project.place(&change.origin)),
                    None => change.to_string(),
                };
                lines = changes.iter().map(place).collect();
                break;
            }
        }
        if lines.len() > SHOWN_CHANGES {
            let more = lines.len() - SHOWN_CHANGES;
            lines.truncate(SHOWN_CHANGES);
            lines.push(format!("and {more} more settings"));
        }
        diagnosis.row("drift", &lines.join("\n"), None);
    }

    /// Where the file has the first of these attributes of a service, else the service itself.
    fn declared(&self, service: &str, attributes: &[&str]) -> Option<Place> {
        let project = self.project?;
        let entry = project.loaded.stack.tree.get("services")?.as_mapping()?.get(service)?;
        let found = attributes.iter().find_map(|path| place::at(&entry.node, path));
        Some(Place::of(project, &found.unwrap_or_else(|| entry.key.clone())))
    }
}

fn runs(task: &ObservedTask) -> bool {
    task.state == TaskState::Running && task.wanted == TaskState::Running
}

/// How a task ended, as far as that is known.
fn ended(task: &ObservedTask) -> String {
    match (task.exit_code, task.error.is_empty()) {
        (Some(code), _) => match exit::meaning(code) {
            Some(meaning) => format!(", with exit code {code}: {meaning}"),
            None => format!(", with exit code {code}"),
        },
        (None, false) => format!(": {}", task.error),
        (None, true) => String::new(),
    }
}
