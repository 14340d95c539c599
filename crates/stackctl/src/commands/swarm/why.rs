//! `stackctl why` on a swarm.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use futures_util::future::join_all;
use stack_engine::engine::Failure;
use stack_engine::evidence::Evidence;
use stack_plan::containers::Policy;
use stack_plan::swarm::{self, ObservedService, Verdict};

use super::{There, ways};
use crate::args::Global;
use crate::commands::why::{States, tell};
use crate::diagnose::present::last_run;
use crate::diagnose::tasks::Scene;
use crate::error::failed;
use crate::record;
use crate::settings::Project;

/// Says what is not well with services and why: of tasks that fail or wait, of changes that did not
/// hold, of nodes.
pub(crate) async fn run(
    global: &Global,
    subject: (Option<Project>, String),
    services: &[String],
) -> anyhow::Result<ExitCode> {
    let there = There::look_with_images(global, subject, services).await?;
    let observed = &there.observed;
    let mut asked: BTreeSet<String> = services.iter().cloned().collect();
    if asked.is_empty() {
        asked.extend(observed.services.iter().map(|found| found.service.clone()));
        let wanted = there.desired.iter().flat_map(|desired| &desired.services);
        asked.extend(wanted.map(|spec| spec.key().to_owned()));
    }
    let project = there.project.as_ref();
    let needed = project.iter().flat_map(|project| asked.iter().flat_map(|name| project.needs(name)));
    let looked_at: BTreeSet<String> = asked.iter().cloned().chain(needed).collect();
    let policy = Policy { allowed: global.allow_unsupported.clone(), ..Policy::default() };
    let changes = there.desired.as_ref().map(|desired| swarm::plan(desired, observed, &policy));
    let record = record::path(&there.engine.connection().address, &there.name);
    let scene = Scene {
        project,
        desired: there.desired.as_ref(),
        observed,
        changes: changes.as_ref(),
        last: last_run(std::fs::read_to_string(record).ok().as_deref()),
    };

    let found = observed.services.iter().filter(|found| looked_at.contains(&found.service));
    let (failures, evidence) = look_at_tasks(global, &there, &scene, found.collect()).await;
    let mut troubles = scene.lost_nodes(&looked_at);
    let mut well = Vec::new();
    for service in &looked_at {
        match scene.of(service, failures.get(service), evidence.get(service)) {
            Some(trouble) => troubles.push(trouble),
            None if asked.contains(service) => well.push(service.clone()),
            None => {}
        }
    }
    let named: BTreeSet<&String> = services.iter().collect();
    let states =
        States { of: &|service| scene.state_of(service), ended: &|service| scene.has_ended(service) };
    tell(&states, &there.name, (&troubles, &well, &scene.notes()), &named, global)?;
    let matters = |service: Option<&String>| match service {
        Some(service) => asked.contains(service),
        // A node that is lost is a trouble of the whole, and none of a service whose tasks have moved.
        None => services.is_empty(),
    };
    let is_bad = troubles.iter().any(|trouble| matters(trouble.service.as_ref()));
    Ok(if is_bad { failed() } else { ExitCode::SUCCESS })
}

/// What is known of the tasks that tell most, on whatever node they are.
async fn look_at_tasks(
    global: &Global,
    there: &There,
    scene: &Scene<'_>,
    services: Vec<&ObservedService>,
) -> (BTreeMap<String, Failure>, BTreeMap<String, Evidence>) {
    let verdicts: Vec<(&ObservedService, Verdict)> =
        services.into_iter().map(|service| (service, scene.verdict(service))).collect();
    let elsewhere = |service: &ObservedService| {
        service.tasks.iter().any(|task| task.container.is_some() && task.node != there.observed.here)
    };
    let troubled = |(service, verdict): &(&ObservedService, Verdict)| {
        *verdict != Verdict::Converged || scene.telling(service).is_some()
    };
    // What the swarm tells of a task on another node is less than what its engine tells.
    if verdicts.iter().any(|found| troubled(found) && elsewhere(found.0)) && !there.engine.knows_nodes() {
        let (ways, _) = ways::connect(global, there.project.as_ref(), &there.observed).await;
        there.engine.know_nodes(ways);
    }
    let looks = verdicts.into_iter().map(async |(service, verdict)| {
        let failure = match verdict {
            Verdict::Failed(trouble) => Some(there.engine.trouble(service, trouble).await),
            _ => None,
        };
        let evidence = match scene.telling(service) {
            Some(task) => Some(there.engine.task_evidence(service, task).await),
            None => None,
        };
        (service.service.clone(), failure, evidence)
    });
    let (mut failures, mut evidence) = (BTreeMap::new(), BTreeMap::new());
    for (service, failure, known) in join_all(looks).await {
        failures.extend(failure.map(|failure| (service.clone(), failure)));
        evidence.extend(known.map(|known| (service, known)));
    }
    (failures, evidence)
}
