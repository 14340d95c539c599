//! `stackctl top`

use std::process::ExitCode;

use serde_json::{Map, Value};
use stack_engine::look::Listed;

use crate::args::Global;
use crate::commands::look::{Subject, is_of};
use crate::render::table::NARROW;
use crate::{render, settings};

/// What `top` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl top web")]
pub(crate) struct TopArgs {
    /// Only these services
    services: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: TopArgs) -> anyhow::Result<ExitCode> {
    let subject = Subject::read(global)?;
    let engine = settings::engine(global, true).await?;
    let listed = subject.containers(&engine, &args.services, true, false).await?;
    let runs = |container: &&Listed| container.state.is_up() && is_of(container, &args.services);
    let containers: Vec<&Listed> = listed.iter().filter(runs).collect();
    let ids: Vec<String> = containers.iter().map(|container| container.id.clone()).collect();
    let found: Vec<_> = containers
        .into_iter()
        .zip(engine.top(&ids).await?)
        .filter_map(|(container, processes)| Some((container, processes?)))
        .collect();

    // The machines of one engine are alike, but nothing promises that their columns are.
    let mut titles: Vec<String> = Vec::new();
    for title in found.iter().flat_map(|(_, processes)| &processes.titles) {
        if !titles.contains(title) {
            titles.push(title.clone());
        }
    }
    let mut rows = Vec::new();
    for (container, processes) in &found {
        for process in &processes.rows {
            let number = if container.one_off { String::new() } else { container.number.to_string() };
            let mut row = vec![container.service.clone(), number];
            row.extend(titles.iter().map(|title| {
                let column = processes.titles.iter().position(|own| own == title);
                column.and_then(|column| process.get(column)).cloned().unwrap_or_else(|| "-".to_owned())
            }));
            rows.push(row);
        }
    }
    let heads: Vec<&str> = ["SERVICE", "#"].into_iter().chain(titles.iter().map(String::as_str)).collect();
    if global.json {
        for row in rows {
            let values = heads.iter().zip(row).map(|(head, value)| ((*head).to_owned(), Value::from(value)));
            render::line(&Value::Object(values.collect::<Map<_, _>>()).to_string())?;
        }
    } else if !rows.is_empty() {
        render::rows(&heads, rows, NARROW)?;
    }
    Ok(ExitCode::SUCCESS)
}
