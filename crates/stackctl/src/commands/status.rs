//! `stackctl status`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use stack_engine::docker::swarm::SwarmQuery;
use stack_engine::engine::{Engine, Query};
use stack_file::destination::Backend;
use stack_plan::generation::{Drift, Generation, KeptFields, KeptValue};

use crate::args::Global;
use crate::error::{self, Fault, Kind};
use crate::generations::{self, Store};
use crate::render::format::Form;
use crate::{render, settings};

/// What `status` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It compares what runs with the newest generation, which `stackctl history` lists: what the last run \
                  of stackctl has brought the project to. `stackctl up` mends it.\n\n\
                  Exit codes: 0 when all is as it was left, 2 when something was changed since. A file that is ahead \
                  of what runs changes nothing about that.\n\nExample:\n  stackctl status"
)]
pub(crate) struct StatusArgs {
    /// Form of the output: table, json, or a template as '{{.Resource}} {{.Field}}'
    #[arg(long, value_name = "FORM")]
    format: Option<String>,
}

pub(crate) async fn run(global: &Global, args: StatusArgs) -> anyhow::Result<ExitCode> {
    let form = args.format.as_deref().map(|text| Form::parse(text, &render::status::COLUMNS)).transpose()?;
    let name = settings::name(global)?;
    let (engine, backend) = settings::either(global).await?;
    let store = Store { engine: &engine, backend };
    let kept = store.list(&name).await?;
    let Some(newest) = kept.listed.last() else {
        return Err(Fault::new(Kind::Engine, format!("{name} has no generation to compare with"))
            .hint("`stackctl up` makes one when it changes something; compare with the file: stackctl plan")
            .into());
    };
    let generation = generations::of_listed(store, newest).await?;
    let (drift, containers) = match backend {
        Backend::Docker => {
            let observed = engine.observe(&query(&generation)).await?;
            (generation.drift(&observed), observed.containers.len())
        }
        Backend::Swarm => {
            let query = SwarmQuery {
                project: name.clone(),
                networks: generation.network_names(),
                ..SwarmQuery::default()
            };
            (generation.drift_on_swarm(&engine.survey(&query).await?), 0)
        }
    };
    // Without a file there is nothing that could be ahead.
    let ahead = match settings::loaded(global)? {
        Some(project) if project.desired.project == name => {
            let asked = match backend {
                Backend::Docker => Generation::asked(&project.loaded, &project.desired),
                Backend::Swarm => {
                    Generation::asked_of_swarm(&project.loaded, &project.desired, &project.on_swarm())
                }
            };
            asked.since(&generation)
        }
        _ => Vec::new(),
    };
    match form {
        _ if global.json => render::line(&render::status::json(&generation, &drift, &ahead).to_string())?,
        Some(form) => render::text(&render::status::list(&drift, &form)?)?,
        None => {
            let mend = mend(&drift, containers);
            render::text(&render::status::text(&generation, &drift, &ahead, &mend))?;
        }
    }
    Ok(if drift.is_empty() { ExitCode::SUCCESS } else { error::changes() })
}

/// What mends it: in a large stack, `up` does not see by itself what only each container tells.
fn mend(drift: &[Drift], containers: usize) -> String {
    let listed = ["container", "state", "name", "network", "image id"];
    let set = drift.iter().filter(|found| !listed.contains(&found.field.as_str()));
    let services: BTreeSet<&str> = set.filter_map(|found| found.resource.split('/').next()).collect();
    if containers <= settings::CLOSELY || services.is_empty() {
        return "stackctl up".to_owned();
    }
    let services: Vec<&str> = services.into_iter().collect();
    format!("stackctl up; stackctl up --no-deps --force-recreate {}", services.join(" "))
}

/// What to look at for a generation.
fn query(generation: &Generation) -> Query {
    let names = |kept: &BTreeMap<String, KeptFields>| {
        let names = kept.values().filter_map(|fields| match fields.get("name") {
            Some(KeptValue::Text(name)) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    };
    let images = generation.services.values().filter_map(|service| service.image.as_ref());
    Query {
        project: generation.project.clone(),
        images: images.map(|image| image.reference.clone()).collect(),
        aging: Vec::new(),
        networks: names(&generation.networks),
        volumes: names(&generation.volumes),
        actual: usize::MAX,
    }
}
