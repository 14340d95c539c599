//! `stackctl ps`

use std::process::ExitCode;

use stack_engine::look::Listed;
use stack_file::destination::Backend;
use stack_plan::swarm::TaskState;

use crate::args::Global;
use crate::commands::look::{Subject, filters, is_of};
use crate::commands::swarm::ps::{self, Shown};
use crate::error::{Fault, Kind};
use crate::render::format::Form;
use crate::settings::{Project, Unplanned};
use crate::{render, settings};

/// The states that a container can be in, in the Docker API's words.
const STATES: [&str; 7] = ["created", "dead", "exited", "paused", "removing", "restarting", "running"];

/// What `ps` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl ps --format 'table {{.Name}}\\t{{.Status}}'")]
pub(crate) struct PsArgs {
    /// Only these services
    services: Vec<String>,
    /// Also containers that do not run, and those of `run`
    #[arg(short, long)]
    all: bool,
    /// Only containers that fit: status=STATE
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Form of the output: table, json, or a template as 'table {{.Name}}\t{{.Status}}'
    #[arg(long, value_name = "FORM", default_value = "table", hide_default_value = true)]
    format: String,
    /// Show ids, commands and mounts in full
    #[arg(long)]
    no_trunc: bool,
    /// Whether to show containers of services that the file does not have
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    orphans: bool,
    /// Only the ids
    #[arg(short, long, group = "short")]
    quiet: bool,
    /// Only the names of the services
    #[arg(long = "services", group = "short")]
    names: bool,
    /// Only containers in this state: running, exited, …
    #[arg(long, value_name = "STATE")]
    status: Vec<String>,
}

pub(crate) async fn run(global: &Global, args: PsArgs) -> anyhow::Result<ExitCode> {
    let (read, name) = settings::unplanned_or_name(global)?;
    if settings::backend(global)? == Backend::Swarm {
        return on_swarm(global, args, (read.map(Unplanned::planned), name)).await;
    }
    let form =
        if global.json { Form::Json } else { Form::parse(&args.format, &render::containers::COLUMNS)? };
    let mut states = args.status;
    states.extend(filters(&args.filter, &["status"])?.remove("status").unwrap_or_default());
    if let Some(state) = states.iter().find(|state| !STATES.contains(&state.as_str())) {
        let hint = format!("there are: {}", STATES.join(", "));
        return Err(Fault::new(Kind::Usage, format!("there is no state {state}")).hint(hint).into());
    }
    let subject = Subject::of((read, name));
    let engine = settings::engine(global, true).await?;
    // A name may be one of a container that does not run, so that all are looked at for it.
    let all = args.all || !states.is_empty();
    let also_ended = all || !args.services.is_empty();
    let listed = subject.containers(&engine, &args.services, also_ended, form.asks_for("Size")).await?;
    let shown = |container: &&Listed| {
        is_of(container, &args.services)
            && (all || (container.state.is_up() && !container.one_off))
            && (states.is_empty() || states.iter().any(|state| state == container.state.word()))
            && (args.orphans || !subject.has_file() || subject.declares(&container.service))
    };
    let containers: Vec<&Listed> = listed.iter().filter(shown).collect();
    if args.quiet {
        let ids: String = containers.iter().map(|container| format!("{}\n", container.id)).collect();
        render::text(&ids)?;
    } else if args.names {
        let mut names: Vec<&str> = Vec::new();
        for container in &containers {
            if !names.contains(&container.service.as_str()) {
                names.push(&container.service);
            }
        }
        render::text(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    } else {
        render::text(&render::containers::show(&containers, &form, args.no_trunc)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The tasks of a swarm in place of containers.
async fn on_swarm(
    global: &Global,
    args: PsArgs,
    subject: (Option<Project>, String),
) -> anyhow::Result<ExitCode> {
    let form = if global.json { Form::Json } else { Form::parse(&args.format, &render::tasks::COLUMNS)? };
    let mut states = args.status;
    states.extend(filters(&args.filter, &["status"])?.remove("status").unwrap_or_default());
    let known = |state: &String| TaskState::ALL.iter().any(|known| known.word() == state);
    if let Some(state) = states.iter().find(|state| !known(state)) {
        let all: Vec<&str> = TaskState::ALL.iter().map(|state| state.word()).collect();
        let hint = format!("there are: {}", all.join(", "));
        return Err(Fault::new(Kind::Usage, format!("there is no state {state}")).hint(hint).into());
    }
    let shown = Shown {
        services: args.services,
        all: args.all,
        form,
        whole: args.no_trunc,
        quiet: args.quiet,
        names: args.names,
        states,
    };
    ps::run(global, subject, &shown).await
}
