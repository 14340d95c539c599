//! `stackctl timeline`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use crate::args::Global;
use crate::commands::replay::recorded;
use crate::commands::target;
use crate::error::{Fault, Kind};
use crate::render::timeline::{Timeline, html, svg};
use crate::{record, render, settings};

/// What `timeline` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl timeline                    the last run of this project\n  \
                  stackctl timeline --format html -o run.html\n  stackctl --json up -d 2> run.jsonl; stackctl timeline run.jsonl")]
pub(crate) struct TimelineArgs {
    /// A recorded run, as `--json` writes it to standard error [default: the last one of the project]
    file: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write it to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// A picture
    Svg,
    /// A page that needs nothing else
    Html,
    /// A JSON object
    Json,
}

/// The width of the text where no terminal has one.
const COLUMNS: usize = 100;

pub(crate) async fn run(global: &Global, args: TimelineArgs) -> anyhow::Result<ExitCode> {
    let file = match args.file {
        Some(file) => file,
        None => {
            let project = target::project(global)?;
            let engine = settings::any_engine(global, false).await?;
            let path = record::path(&engine.connection().address, &project);
            if !path.exists() {
                return Err(Fault::new(Kind::Usage, format!("no run of {project} was recorded"))
                    .hint("every `stackctl up` that does something is; or name a file")
                    .into());
            }
            path
        }
    };
    let lines = record::lines(recorded(&file)?);
    let Some(timeline) = Timeline::of(&lines) else {
        return Err(Fault::new(Kind::Usage, format!("{} has no step that was begun", file.display())).into());
    };
    let format = if global.json { Format::Json } else { args.format };
    let text = match format {
        Format::Text => {
            let width = if args.output.is_some() { None } else { render::width() };
            timeline.text(width.unwrap_or(COLUMNS))
        }
        Format::Svg => svg(&timeline),
        Format::Html => html(&timeline),
        Format::Json => format!("{}\n", timeline.value()),
    };
    match args.output {
        Some(path) => {
            let text = anstream::adapter::strip_str(&text).to_string();
            std::fs::write(&path, text)
                .with_context(|| format!("the timeline cannot be written to {}", path.display()))?;
        }
        None => render::text(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}
