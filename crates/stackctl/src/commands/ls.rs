//! `stackctl ls`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::ValueEnum;
use regex::Regex;
use serde_json::json;
use stack_plan::labels;

use crate::args::Global;
use crate::commands::look::filters;
use crate::error::{Fault, Kind};
use crate::render::table::WIDE;
use crate::{render, settings};

/// What `ls` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl ls --filter name=shop")]
pub(crate) struct LsArgs {
    /// Also projects of which nothing runs
    #[arg(short, long)]
    all: bool,
    /// Only projects that fit: name=REGEX
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only the names
    #[arg(short, long)]
    quiet: bool,
}

/// Form of a list that has no templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table
    #[default]
    Table,
    /// A JSON array
    Json,
}

/// What there is of one project.
#[derive(Default)]
struct Found {
    /// How many containers are in each state.
    states: BTreeMap<&'static str, usize>,
    files: BTreeSet<String>,
}

pub(crate) async fn run(global: &Global, args: LsArgs) -> anyhow::Result<ExitCode> {
    let names = filters(&args.filter, &["name"])?.remove("name").unwrap_or_default();
    let names: Vec<Regex> = names
        .iter()
        .map(|name| {
            Regex::new(name).map_err(|error| {
                Fault::new(Kind::Usage, format!("--filter name={name} is no pattern: {error}"))
            })
        })
        .collect::<Result<_, _>>()?;
    let engine = settings::any_engine(global, true).await?;
    let mut projects: BTreeMap<String, Found> = BTreeMap::new();
    for container in engine.list(None, args.all, false).await? {
        if !names.is_empty() && !names.iter().any(|name| name.is_match(&container.project)) {
            continue;
        }
        let found = projects.entry(container.project).or_default();
        *found.states.entry(container.state.word()).or_default() += 1;
        let files = container.labels.get(labels::CONFIG_FILES).filter(|files| !files.is_empty());
        found.files.extend(files.into_iter().flat_map(|files| files.split(',')).map(str::to_owned));
    }
    if args.quiet {
        let names: String = projects.keys().map(|name| format!("{name}\n")).collect();
        render::text(&names)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = projects.into_iter().map(|(name, found)| {
        let states: Vec<_> = found.states.iter().map(|(state, count)| format!("{state}({count})")).collect();
        let files: Vec<_> = found.files.into_iter().collect();
        let files = if files.is_empty() { "N/A".to_owned() } else { files.join(",") };
        [name, states.join(", "), files]
    });
    if global.json || args.format == Format::Json {
        let list: Vec<_> = rows
            .map(|[name, status, files]| json!({ "Name": name, "Status": status, "ConfigFiles": files }))
            .collect();
        render::line(&serde_json::to_string(&list)?)?;
    } else {
        render::rows(&["NAME", "STATUS", "CONFIG FILES"], rows.map(Vec::from), WIDE)?;
    }
    Ok(ExitCode::SUCCESS)
}
