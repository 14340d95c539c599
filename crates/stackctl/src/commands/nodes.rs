//! `stackctl nodes`

use std::process::ExitCode;

use crate::args::Global;
use crate::commands::swarm::There;
use crate::render::format::Form;
use crate::{render, settings};

/// What `nodes` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  stackctl nodes --format 'table {{.Name}}\\t{{.Status}}\\t{{.Tasks}}'\n\n\
    Without a stack file and without -p it shows the nodes, and no tasks."
)]
pub(crate) struct NodesArgs {
    /// Form of the output: table, json, or a template as 'table {{.Name}}\t{{.Tasks}}'
    #[arg(long, value_name = "FORM", default_value = "table", hide_default_value = true)]
    format: String,
    /// Only the names
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) async fn run(global: &Global, args: NodesArgs) -> anyhow::Result<ExitCode> {
    let form = if global.json { Form::Json } else { Form::parse(&args.format, &render::nodes::COLUMNS)? };
    // Nodes are there without a stack. What is asked for by name must be there, however.
    let asked = !global.files.is_empty() || global.project_name.is_some();
    let subject = match asked {
        true => settings::read_or_name(global)?,
        false => match settings::loaded(global)? {
            Some(project) => {
                let name = project.desired.project.clone();
                (Some(project), name)
            }
            None => (None, String::new()),
        },
    };
    let there = There::look(global, subject, &[]).await?;
    if args.quiet {
        let names = there.observed.nodes.iter().map(|node| format!("{}\n", node.name));
        render::text(&names.collect::<String>())?;
    } else {
        render::text(&render::nodes::show(&there.observed, &form)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
