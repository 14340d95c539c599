//! The present trouble of the services of a project, in the form of a failure.

use std::collections::BTreeMap;
use std::time::Duration;

use stack_engine::evidence::Evidence;
use stack_engine::exit;
use stack_file::model::{DependencyCondition, Restart};
use stack_file::source::Origin;
use stack_plan::desired::ServiceSpec;
use stack_plan::observed::{ContainerState, Health, Observed, ObservedContainer};
use stack_plan::plan::{Cause, Change, Plan, Step};

use super::{Diagnosis, Place, commands, place};
use crate::record;
use crate::render::stream::{Line, What};
use crate::render::words;
use crate::settings::Project;

/// A container that was started again is watched for so long before it counts as well.
pub(super) const SETTLED: Duration = Duration::from_secs(10 * 60);
/// How many settings that differ from the file are shown.
pub(super) const SHOWN_CHANGES: usize = 8;

/// Everything that is known about a project now.
pub(crate) struct Scene<'a> {
    /// The stack, if its file can be found.
    pub(crate) project: Option<&'a Project>,
    /// What the engine has.
    pub(crate) observed: &'a Observed,
    /// What is known of each container, by id.
    pub(crate) evidence: &'a BTreeMap<String, Evidence>,
    /// What `up` would do.
    pub(crate) changes: Option<&'a Plan>,
    /// What the last recorded run did not bring about, by resource.
    pub(crate) last: BTreeMap<String, Diagnosis>,
}

/// Why the last run has not made a service: it failed there, or before it got to it.
pub(super) fn why_not_made(service: &str, failure: &Diagnosis) -> String {
    let told = format!("{} {}: {}", failure.address, failure.what, failure.cause);
    match failure.service.as_deref() == Some(service) {
        true => format!("the last run could not: {told}"),
        false => format!("the last run did not get to it, because {told}"),
    }
}

/// What the last recorded run did not bring about, by resource; what was skipped has the failure
/// that it was skipped for.
pub(crate) fn last_run(record: Option<&str>) -> BTreeMap<String, Diagnosis> {
    let lines: Vec<Line> =
        record.and_then(|text| record::read(text).ok()).map(record::lines).unwrap_or_default();
    let mut missed = BTreeMap::new();
    let mut failed: BTreeMap<u32, Diagnosis> = BTreeMap::new();
    for line in &lines {
        match (&line.what, &line.of) {
            (What::Plan { .. }, _) => failed.clear(),
            // Whatever was not there then was taken down since.
            (What::Run { .. }, _) => missed.clear(),
            (What::Failed { tolerated: false, diagnosis, .. }, Some(of)) => {
                failed.insert(of.step, (**diagnosis).clone());
                missed.insert(of.address.clone(), (**diagnosis).clone());
                // An image fails for all services that need it.
                for service in &diagnosis.waiting {
                    missed.entry(format!("{service}/")).or_insert_with(|| (**diagnosis).clone());
                }
            }
            (What::Skipped { because }, Some(of)) => {
                if let Some(cause) = failed.get(because) {
                    missed.entry(of.address.clone()).or_insert_with(|| cause.clone());
                }
            }
            _ => {}
        }
    }
    missed
}

impl Scene<'_> {
    /// What is not well with a service; nothing when it is.
    pub(crate) fn of(&self, service: &str) -> Vec<Diagnosis> {
        let mut containers = self.containers(service).peekable();
        let scale = self.spec(service).map_or(0, |spec| spec.scale);
        if containers.peek().is_none() {
            let needs_none = scale == 0 || self.spec(service).is_none_or(|spec| spec.provider.is_some());
            return if needs_none { Vec::new() } else { vec![self.absent(service)] };
        }
        containers.filter_map(|container| self.container(container)).collect()
    }

    /// A service that is well, in a few words.
    pub(crate) fn state_of(&self, service: &str) -> String {
        let states = self.containers(service).map(|container| {
            let state = container.state.word();
            let time = self.evidence.get(&container.id).and_then(|evidence| evidence.started);
            let time = time.filter(|_| container.state == ContainerState::Running);
            let time = time.map(|time| format!(" for {}", words::took(time))).unwrap_or_default();
            let health = match container.health.word() {
                "" => String::new(),
                health => format!(", {health}"),
            };
            match container.state {
                ContainerState::Exited(0) => "ended with exit code 0".to_owned(),
                _ => format!("{state}{time}{health}"),
            }
        });
        let mut states: Vec<String> = states.collect();
        states.dedup();
        match (states.is_empty(), self.project.is_some()) {
            (true, _) => "no container is asked for".to_owned(),
            (false, true) => format!("{}, as the file says", states.join("; ")),
            (false, false) => states.join("; "),
        }
    }

    fn spec(&self, service: &str) -> Option<&ServiceSpec> {
        self.project?.desired.service(service)
    }

    fn containers<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a ObservedContainer> {
        self.observed.containers.iter().filter(move |found| !found.one_off && found.service == service)
    }

    /// The steps that would change a container, other than waits.
    fn steps<'a>(&'a self, address: &'a str) -> impl Iterator<Item = &'a Step> {
        let steps = self.changes.into_iter().flat_map(|plan| &plan.steps);
        steps.filter(move |step| step.group != Change::Await && step.address.to_string() == address)
    }

    /// The trouble of one container; `None` when it is well.
    fn container(&self, container: &ObservedContainer) -> Option<Diagnosis> {
        let address = format!("{}/{}", container.service, container.number);
        let nothing = Evidence::default();
        let evidence = self.evidence.get(&container.id).unwrap_or(&nothing);
        let (what, cause, attributes) = self.judge(container, evidence)?;
        let mut diagnosis = self.begin(&container.service, &address, what, cause);
        diagnosis.look(evidence);
        self.unmet(&container.service, &mut diagnosis);
        self.drift(&address, &mut diagnosis);
        let hint = match container.state {
            ContainerState::Paused => {
                Some(format!("let it go on with: stackctl unpause {}", container.service))
            }
            ContainerState::Created | ContainerState::Exited(_) | ContainerState::Dead => {
                Some(format!("bring it up with: stackctl up -d {}", container.service))
            }
            _ if what == NOT_AS_THE_FILE => Some(format!(
                "see all of it with: stackctl plan {0}; apply it with: stackctl up -d {0}",
                container.service
            )),
            _ => None,
        };
        if evidence.out_of_memory {
            diagnosis.next.push("raise its memory limit, or let the program use less".to_owned());
        }
        diagnosis.next.extend(hint);
        if !evidence.container.is_empty() {
            diagnosis.next.extend(commands(evidence, &container.service));
        }
        diagnosis.declared = self.declared(&container.service, attributes).or(diagnosis.declared);
        Some(diagnosis.finish())
    }

    /// What is wrong with a container, why, and the attributes that have to do with it.
    fn judge(
        &self,
        container: &ObservedContainer,
        evidence: &Evidence,
    ) -> Option<(&'static str, String, &'static [&'static str])> {
        const HEALTH: &[&str] = &["healthcheck.test", "healthcheck"];
        const MEMORY: &[&str] = &["mem_limit", "deploy.resources.limits.memory"];
        const PROGRAM: &[&str] = &["command", "entrypoint"];
        let coded = |code: i64| match exit::meaning(code) {
            Some(meaning) => format!("exit code {code}: {meaning}"),
            None => format!("exit code {code}"),
        };
        let attributes: &[&str] = match container.state {
            _ if evidence.out_of_memory => MEMORY,
            ContainerState::Exited(126 | 127) => PROGRAM,
            _ => &[],
        };
        let memory = if evidence.out_of_memory { "out of memory: " } else { "" };
        let recently = evidence.started.is_some_and(|started| started < SETTLED);
        Some(match (container.state, container.health) {
            (ContainerState::Running, Health::Unhealthy) => {
                let failed = evidence.probes.iter().rev().take_while(|probe| probe.exit_code != 0).count();
                let plural = if failed == 1 { "" } else { "s" };
                let cause = format!("unhealthy: its last {failed} probe{plural} failed");
                ("is not ready", cause, HEALTH)
            }
            (ContainerState::Running, Health::Starting) => {
                let since =
                    evidence.started.map(|started| format!(" since its start {} ago", words::took(started)));
                let cause = format!("no probe has passed{}", since.unwrap_or_default());
                ("is not ready", cause, HEALTH)
            }
            (ContainerState::Running, _) if evidence.restarts > 0 && recently => {
                let times = match evidence.restarts {
                    1 => "once".to_owned(),
                    restarts => format!("{restarts} times"),
                };
                let since = words::took(evidence.started.unwrap_or_default());
                let cause = format!("{memory}the engine has started it again {times}, last {since} ago");
                ("is not steady", cause, attributes)
            }
            (ContainerState::Running, _) => {
                let address = format!("{}/{}", container.service, container.number);
                let step = self.steps(&address).next()?;
                (NOT_AS_THE_FILE, drifted(step), &[])
            }
            (ContainerState::Restarting, _) => {
                let code = evidence.exit_code.map(|code| format!(", last with {}", coded(code)));
                let restarts = evidence.restarts;
                let cause = format!(
                    "{memory}ends again and again: {restarts} restarts so far{}",
                    code.unwrap_or_default()
                );
                ("is not ready", cause, attributes)
            }
            (ContainerState::Paused, _) => ("is paused", "somebody has frozen it".to_owned(), &[]),
            (ContainerState::Created, _) => {
                ("is not running", "it was made and never started".to_owned(), &[])
            }
            (ContainerState::Removing, _) => ("is not running", "it is being removed".to_owned(), &[]),
            (ContainerState::Dead, _) => {
                ("is not running", "the engine could not remove it whole".to_owned(), &[])
            }
            (ContainerState::Exited(0), _) if self.may_end(container) => return None,
            (ContainerState::Exited(code), _) => {
                ("is not running", format!("{memory}ended with {}", coded(code)), attributes)
            }
        })
    }

    /// Whether it is no trouble that a container has ended with exit code 0: nothing starts such a
    /// one again. Without a file, nobody can say that anything should.
    fn may_end(&self, container: &ObservedContainer) -> bool {
        let restart = self.spec(&container.service).and_then(|spec| spec.service.restart.as_ref());
        !restart.is_some_and(|restart| matches!(restart.value, Restart::Always | Restart::UnlessStopped))
    }

    /// Whether all containers of a service have ended.
    pub(crate) fn has_ended(&self, service: &str) -> bool {
        let mut containers = self.containers(service).peekable();
        containers.peek().is_some() && containers.all(|found| found.state == ContainerState::Exited(0))
    }

    /// A service without a container.
    fn absent(&self, service: &str) -> Diagnosis {
        let own = |address: &&String| address.split_once('/').is_some_and(|(name, _)| name == service);
        let last = self.last.iter().find(|(address, _)| own(address)).map(|(_, failure)| failure);
        let cause =
            last.map_or_else(|| "nothing has made one".to_owned(), |failure| why_not_made(service, failure));
        let mut diagnosis = self.begin(service, service, "has no container", cause);
        if let Some(failure) = last {
            diagnosis.rows.clone_from(&failure.rows);
            diagnosis.next.extend(failure.next.iter().take(1).cloned());
            diagnosis.declared.clone_from(&failure.declared);
        }
        self.unmet(service, &mut diagnosis);
        diagnosis.next.push(format!("bring it up with: stackctl up -d {service}"));
        if diagnosis.declared.is_none() {
            diagnosis.declared = self.declared(service, &[]);
        }
        diagnosis.finish()
    }

    fn begin(&self, service: &str, address: &str, what: &str, cause: String) -> Diagnosis {
        Diagnosis {
            address: address.to_owned(),
            what: what.to_owned(),
            cause: super::harmless(&cause),
            service: Some(service.to_owned()),
            waiting: self.waiting_for(service),
            needs: self.project.map(|project| project.needs(service)).into_iter().flatten().collect(),
            declared: self.declared(service, &[]),
            ..Diagnosis::default()
        }
    }

    /// The services that need this one and do not run.
    fn waiting_for(&self, service: &str) -> Vec<String> {
        let Some(project) = self.project else { return Vec::new() };
        let runs = |name: &str| self.containers(name).any(|found| found.state == ContainerState::Running);
        let ended = |name: &str| self.containers(name).any(|found| found.state == ContainerState::Exited(0));
        let names = project.desired.services.iter().map(|spec| spec.name());
        names
            .filter(|name| !runs(name) && !ended(name) && project.needs(name).contains(service))
            .map(str::to_owned)
            .collect()
    }

    /// Tells what the service needs and does not have.
    fn unmet(&self, service: &str, diagnosis: &mut Diagnosis) {
        let Some(spec) = self.spec(service) else { return };
        let mut lines = Vec::new();
        for (name, dependency) in &spec.service.depends_on {
            let (wanted, met): (_, fn(&ObservedContainer) -> bool) = match dependency.condition {
                DependencyCondition::Started => ("started", |found| found.state.is_up()),
                DependencyCondition::Healthy => ("healthy", |found| found.health == Health::Healthy),
                DependencyCondition::CompletedSuccessfully => {
                    ("completed", |found| found.state == ContainerState::Exited(0))
                }
            };
            let found: Vec<&ObservedContainer> = self.containers(name).collect();
            let unmet = found.iter().find(|found| !met(found));
            let state = match (found.is_empty(), unmet) {
                (true, _) => "it has no container".to_owned(),
                (false, None) => continue,
                (false, Some(found)) => {
                    let health = match found.health.word() {
                        "" => String::new(),
                        health => format!(", {health}"),
                    };
                    let code = match found.state {
                        ContainerState::Exited(code) => format!(" with exit code {code}"),
                        _ => String::new(),
                    };
                    format!("{}/{} is {}{code}{health}", found.service, found.number, found.state.word())
                }
            };
            let place = self.project.map(|project| project.place(&dependency.origin));
            let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
            lines.push(format!("{name} {wanted}: {state}{place}"));
        }
        diagnosis.row("needs", &lines.join("\n"), None);
    }

    /// Tells where a container differs from the file.
    fn drift(&self, address: &str, diagnosis: &mut Diagnosis) {
        let mut lines = Vec::new();
        for step in self.steps(address) {
            if let Cause::Changed(changes) | Cause::Altered(changes) = &step.cause {
                lines =
                    changes.iter().map(|change| self.change(&change.origin, &change.to_string())).collect();
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

    fn change(&self, origin: &Origin, text: &str) -> String {
        match self.project {
            Some(project) => format!("{}  {text}", project.place(origin)),
            None => text.to_owned(),
        }
    }

    /// Where the file has the first of these attributes of a service, else the service itself.
    fn declared(&self, service: &str, attributes: &[&str]) -> Option<Place> {
        let project = self.project?;
        let entry = project.loaded.stack.tree.get("services")?.as_mapping()?.get(service)?;
        let found = attributes.iter().find_map(|path| place::at(&entry.node, path));
        Some(Place::of(project, &found.unwrap_or_else(|| entry.key.clone())))
    }
}

pub(super) const NOT_AS_THE_FILE: &str = "is not as the file says";

/// How what runs differs from the file.
pub(super) fn drifted(step: &Step) -> String {
    match &step.cause {
        Cause::Changed(changes) => match changes.as_slice() {
            [change] => format!("{} has changed", change.field),
            [first, rest @ ..] => format!("{} and {} more settings have changed", first.field, rest.len()),
            [] => "its settings have changed".to_owned(),
        },
        other => other.to_string(),
    }
}
