//! `stackctl why`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use futures_util::future::join_all;
use serde_json::json;
use stack_engine::engine::{Engine, Query};
use stack_engine::evidence::Evidence;
use stack_file::destination::Backend;
use stack_plan::containers::{Policy, plan};

use crate::args::Global;
use crate::commands::swarm;
use crate::diagnose::present::{Scene, last_run};
use crate::diagnose::{Diagnosis, Told, together};
use crate::error::{Fault, Kind, failed};
use crate::render::stream::SCHEMA;
use crate::render::{GREEN, RED, paint};
use crate::{record, render, settings};

/// What `why` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  stackctl why          whatever is not well, causes first\n  stackctl why web      this service, and what its trouble comes from\n\n\
                  Exit codes: 0 when all is well and as the file says, 1 when it is not."
)]
pub(crate) struct WhyArgs {
    /// These services, and those that they need [default: all of them]
    services: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: WhyArgs) -> anyhow::Result<ExitCode> {
    let (project, name) = settings::read_or_name(global)?;
    if settings::backend(global)? == Backend::Swarm {
        return swarm::why::run(global, (project, name), &args.services).await;
    }
    let engine = settings::engine(global, false).await?;
    let query = match &project {
        Some(project) => project.query(),
        None => Query { project: name.clone(), ..Query::default() },
    };
    let observed = engine.observe(&query).await?;
    let there: BTreeSet<&str> = observed.containers.iter().map(|found| found.service.as_str()).collect();
    let unknown: Vec<String> =
        args.services.iter().filter(|name| !there.contains(name.as_str())).cloned().collect();
    match &project {
        Some(project) => project.check_services(&unknown)?,
        None if unknown.is_empty() => {}
        None => {
            let message = format!("there is no service {} in the project {name}", unknown.join(", "));
            return Err(Fault::new(Kind::Usage, message)
                .hint("see what there is with: stackctl ls -a")
                .into());
        }
    }
    let mut asked: BTreeSet<String> = args.services.iter().cloned().collect();
    if asked.is_empty() {
        asked.extend(there.iter().map(|name| (*name).to_owned()));
        let wanted = project.iter().flat_map(|project| &project.desired.services);
        asked.extend(wanted.map(|spec| spec.name().to_owned()));
    }
    let needed = project.iter().flat_map(|project| asked.iter().flat_map(|name| project.needs(name)));
    let looked_at: BTreeSet<String> = asked.iter().cloned().chain(needed).collect();

    let ids = observed.containers.iter().filter(|found| !found.one_off && looked_at.contains(&found.service));
    let looks = ids.map(|found| async { (found.id.clone(), engine.evidence(&found.id).await) });
    let evidence: BTreeMap<String, Evidence> =
        (join_all(looks).await.into_iter()).filter_map(|(id, evidence)| Some((id, *evidence?))).collect();
    let changes = project.as_ref().map(|project| plan(&project.desired, &observed, &Policy::default()));
    let record = std::fs::read_to_string(record::path(&engine.connection().address, &name)).ok();
    let scene = Scene {
        project: project.as_ref(),
        observed: &observed,
        evidence: &evidence,
        changes: changes.as_ref(),
        last: last_run(record.as_deref()),
    };
    let mut troubles = Vec::new();
    let mut well = Vec::new();
    for service in &looked_at {
        let found = scene.of(service);
        if found.is_empty() && asked.contains(service) {
            well.push(service.clone());
        }
        troubles.extend(found);
    }
    let named: BTreeSet<&String> = args.services.iter().collect();
    let states =
        States { of: &|service| scene.state_of(service), ended: &|service| scene.has_ended(service) };
    tell(&states, &name, (&troubles, &well, &[]), &named, global)?;
    let is_asked = |trouble: &Diagnosis| trouble.service.as_ref().is_some_and(|name| asked.contains(name));
    Ok(if troubles.iter().any(is_asked) { failed() } else { ExitCode::SUCCESS })
}

/// What is to be said of services that are well.
pub(super) struct States<'a> {
    /// In a few words.
    pub(super) of: &'a dyn Fn(&str) -> String,
    /// Whether it is over.
    pub(super) ended: &'a dyn Fn(&str) -> bool,
}

/// Shows what is not well, causes first; a service that was named is told whole. Notes come last.
pub(super) fn tell(
    states: &States<'_>,
    project: &str,
    (troubles, well, notes): (&[Diagnosis], &[String], &[String]),
    named: &BTreeSet<&String>,
    global: &Global,
) -> anyhow::Result<()> {
    let told = together(troubles);
    if global.json {
        let values: Vec<_> = (told.iter())
            .map(|told| {
                let mut value = json!(told.diagnosis());
                value["address"] = told.diagnosis().address.clone().into();
                value
            })
            .collect();
        let mut value = json!({ "schema": SCHEMA, "project": project, "troubles": values, "well": well });
        if !notes.is_empty() {
            value["notes"] = notes.into();
        }
        return Ok(render::line(&value.to_string())?);
    }
    let width = render::width();
    let mut text = String::new();
    for told in &told {
        let diagnosis = told.diagnosis();
        let is_named = diagnosis.service.as_ref().is_some_and(|service| named.contains(service));
        let words = match told {
            Told::Brief(_, line) if !is_named && !global.verbose => Diagnosis::broken(line, width),
            _ => diagnosis.text(width, global.verbose),
        };
        text.push_str(&format!("{} {words}\n", paint(RED, "✗")));
    }
    if named.is_empty() {
        let count = well.len();
        match (troubles.is_empty(), count) {
            (true, 0) => text.push_str(&format!("{project} has no services and no containers\n")),
            (true, 1) => text.push_str(&format!("{} {} is well\n", paint(GREEN, "✓"), well[0])),
            (true, _) => text.push_str(&format!("{} all {count} services are well\n", paint(GREEN, "✓"))),
            (false, 0) => {}
            (false, _) => text.push_str(&format!("{} well: {}\n", paint(GREEN, "✓"), well.join(", "))),
        }
        let ended: Vec<&str> = well.iter().filter(|name| (states.ended)(name)).map(String::as_str).collect();
        if !ended.is_empty() {
            text.push_str(&format!("  of these ended with exit code 0: {}\n", ended.join(", ")));
        }
    } else {
        for service in well {
            let state = (states.of)(service);
            text.push_str(&format!("{} {service} is well: {state}\n", paint(GREEN, "✓")));
        }
    }
    for note in notes {
        text.push_str(&format!("  {note}\n"));
    }
    Ok(render::text(&text)?)
}
