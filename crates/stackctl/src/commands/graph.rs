//! `stackctl graph`, and docker compose's `viz`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use crate::args::Global;
use crate::render::graph::{Graph, VizStyle, dot, mermaid, svg, viz};
use crate::render::{self, Renderer};
use crate::settings;

/// What `graph` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  stackctl graph -o stack.svg           a picture of the stack as it is now\n  stackctl graph --no-state >> README.md"
)]
pub(crate) struct GraphArgs {
    /// Form of the output [default: that of the file's name, else mermaid]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write it to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Do not ask the engine how the services are
    #[arg(long)]
    no_state: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For pages of text that draw Mermaid
    Mermaid,
    /// For graphviz
    Dot,
    /// A picture
    Svg,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "svg" => Some(Self::Svg),
            "dot" | "gv" => Some(Self::Dot),
            "mmd" | "mermaid" | "md" => Some(Self::Mermaid),
            _ => None,
        }
    }
}

pub(crate) async fn run(global: &Global, args: GraphArgs) -> anyhow::Result<ExitCode> {
    let project = settings::read(global, &BTreeMap::new())?;
    let mut renderer = Renderer::new(global);
    let containers = if args.no_state {
        None
    } else {
        let listed = async {
            let engine = settings::engine(global, false).await?;
            anyhow::Ok(engine.list(Some(&project.desired.project), true, false).await?)
        };
        match listed.await {
            Ok(listed) => Some(listed),
            Err(error) => {
                renderer.warn(&format!("the graph does not say how the services are: {error:#}"));
                None
            }
        }
    };
    let graph = Graph::of(&project.desired, containers.as_deref());
    let named = args.output.as_deref().and_then(Format::of);
    let text = match args.format.or(named).unwrap_or(Format::Mermaid) {
        Format::Mermaid => mermaid(&graph),
        Format::Dot => dot(&graph),
        Format::Svg => svg(&graph),
    };
    match args.output {
        Some(path) => std::fs::write(&path, text)
            .with_context(|| format!("the graph cannot be written to {}", path.display()))?,
        None => render::text(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What `viz` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl viz --ports | dot -Tsvg > stack.svg")]
pub(crate) struct VizArgs {
    #[command(flatten)]
    style: VizStyle,
}

pub(crate) fn run_viz(global: &Global, args: &VizArgs) -> anyhow::Result<ExitCode> {
    let project = settings::read(global, &BTreeMap::new())?;
    render::text(&viz(&project.desired, &args.style))?;
    Ok(ExitCode::SUCCESS)
}
