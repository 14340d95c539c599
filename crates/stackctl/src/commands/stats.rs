//! `stackctl stats`

use std::collections::{BTreeMap, HashMap};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{SelectAll, Stream, StreamExt};
use stack_engine::docker::DockerEngine;
use stack_engine::engine::EngineError;
use stack_engine::look::{Listed, Sample};

use crate::args::Global;
use crate::commands::look::{Subject, is_of};
use crate::render::format::Form;
use crate::render::stats::Screen;
use crate::{render, settings};

/// How often what is shown is brought up to date.
const REFRESH: Duration = Duration::from_secs(1);

/// What `stats` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl stats --no-stream")]
pub(crate) struct StatsArgs {
    /// Only these services
    services: Vec<String>,
    /// Also containers that do not run
    #[arg(short, long)]
    all: bool,
    /// Form of the output: table, json, or a template as 'table {{.Name}}\t{{.CPUPerc}}'
    #[arg(long, value_name = "FORM", default_value = "table", hide_default_value = true)]
    format: String,
    /// Show it once
    #[arg(long)]
    no_stream: bool,
    /// Show ids in full
    #[arg(long)]
    no_trunc: bool,
}

type Samples = Pin<Box<dyn Stream<Item = (String, Result<Sample, EngineError>)>>>;

pub(crate) async fn run(global: &Global, args: StatsArgs) -> anyhow::Result<ExitCode> {
    let form = if global.json { Form::Json } else { Form::parse(&args.format, &render::stats::COLUMNS)? };
    let subject = Subject::read(global)?;
    let engine = settings::engine(global, true).await?;
    if !args.services.is_empty() {
        subject.containers(&engine, &args.services, true, false).await?;
    }
    let look = async || -> Result<Vec<Listed>, EngineError> {
        let mut listed = engine.list(Some(&subject.name), args.all, false).await?;
        listed.retain(|container| is_of(container, &args.services));
        Ok(listed)
    };
    if args.no_stream {
        let listed = look().await?;
        let rows = once(&engine, &listed).await?;
        render::text(&render::stats::show(&rows, &form, args.no_trunc)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut screen = Screen::new(form, args.no_trunc);
    let mut stop = pin!(super::interrupt());
    let mut samples: SelectAll<Samples> = SelectAll::new();
    // The latest of each container that is listened to, if there is one yet.
    let mut latest: HashMap<String, Option<Sample>> = HashMap::new();
    let mut tick = tokio::time::interval(REFRESH);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let listed = look().await?;
                for container in listed.iter().filter(|container| container.state.is_up()) {
                    if !latest.contains_key(&container.id) {
                        latest.insert(container.id.clone(), None);
                        let id = container.id.clone();
                        samples.push(Box::pin(engine.stats(&id, true).map(move |sample| (id.clone(), sample))));
                    }
                }
                latest.retain(|id, _| listed.iter().any(|container| container.id == *id && container.state.is_up()));
                let of: BTreeMap<&str, Option<Sample>> =
                    latest.iter().map(|(id, sample)| (id.as_str(), sample.clone())).collect();
                let rows: Vec<(&Listed, Option<Sample>)> = listed
                    .iter()
                    .map(|container| match of.get(container.id.as_str()) {
                        Some(sample) => (container, sample.clone()),
                        None => (container, Some(Sample::default())),
                    })
                    .collect();
                // Nothing is shown before the first sample: it takes the engine a second or two.
                if rows.is_empty() || rows.iter().any(|(_, sample)| sample.is_some()) {
                    screen.show(&rows)?;
                }
            }
            Some((id, sample)) = samples.next() => {
                if let Some(known) = latest.get_mut(&id) {
                    *known = Some(sample?);
                }
            }
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// One sample of each container; what does not run uses nothing.
async fn once<'a>(
    engine: &DockerEngine,
    listed: &'a [Listed],
) -> Result<Vec<(&'a Listed, Option<Sample>)>, EngineError> {
    try_join_all(listed.iter().map(|container| async move {
        if !container.state.is_up() {
            return Ok((container, Some(Sample::default())));
        }
        let mut samples = pin!(engine.stats(&container.id, false));
        Ok((container, samples.next().await.transpose()?))
    }))
    .await
}
