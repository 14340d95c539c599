//! `stackctl plan`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use stack_engine::engine::Engine;
use stack_file::destination::Backend;
use stack_plan::containers::{self, Policy};

use crate::args::Global;
use crate::commands::change::ChangeArgs;
use crate::commands::swarm::{self, Cluster};
use crate::error::{self, Fault, Kind};
use crate::plan_file::PlanFile;
use crate::render::plan::Next;
use crate::render::words;
use crate::{render, settings};

/// What `plan` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 when there is nothing to change, 2 when there is.\n\nExample:\n  stackctl plan --out next.plan && stackctl apply next.plan"
)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Plan to wait, too, until every container is ready
    #[arg(long)]
    wait: bool,
    /// Every single step, one per line, with the steps it comes after
    #[arg(long, conflicts_with = "format")]
    steps: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write the plan down too, for `stackctl apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Pretty,
    /// Every single step, one per line
    Steps,
    /// A JSON object
    Json,
}

impl PlanArgs {
    /// What is asked for.
    pub(crate) fn policy(&self) -> Policy {
        Policy { wait: self.wait, ..self.change.policy() }
    }

    /// The arguments that make the same plan again, as they are typed after `stackctl plan`.
    fn words(&self) -> Vec<String> {
        let mut words = self.change.words();
        if self.wait {
            words.insert(0, "--wait".to_owned());
        }
        words
    }
}

pub(crate) async fn run(global: &Global, args: PlanArgs) -> anyhow::Result<ExitCode> {
    let reads_stdin = global.files.iter().any(|file| file.as_os_str() == "-");
    if args.out.is_some() && reads_stdin {
        return Err(Fault::new(
            Kind::Usage,
            "a plan for a file from standard input cannot be applied later: nothing keeps the file",
        )
        .hint("save the file, and name it with -f")
        .into());
    }
    let scale = args.change.scale()?;
    let project = args.change.project(global)?;
    let policy = args.policy();
    project.check_services(&policy.services)?;
    project.check_services(&scale.into_keys().collect::<Vec<_>>())?;
    let (engine, plan) = match settings::backend(global)? {
        Backend::Docker => {
            let engine = settings::engine(global, true).await?;
            let observed = engine.observe(&project.query()).await?;
            let plan = containers::plan(&project.desired, &observed, &policy);
            (engine, plan)
        }
        Backend::Swarm => {
            args.change.refuse_on_swarm()?;
            swarm::refuse(&[(args.out.is_some(), "--out", "what a swarm has changes by itself")])?;
            let engine = settings::manager(global).await?;
            let policy = Policy { wait: true, ..policy };
            let (desired, pace) = (project.on_swarm(), global.pace());
            let cluster = Cluster { global, engine: &engine, project: &project, desired, policy, pace };
            let (plan, _) = cluster.look().await?;
            (engine, plan)
        }
    };

    let mut next = format!("stackctl {}", words::command_line(&command(global, "up", &args.words())));
    if let Some(path) = &args.out {
        let arguments = command(global, "plan", &args.words());
        let file = PlanFile::of(&plan, &project, &engine.connection().address, arguments)?;
        file.write(path).with_context(|| format!("the plan cannot be written to {}", path.display()))?;
        next = format!("stackctl apply {}", words::shell_word(&path.to_string_lossy()));
    }
    let format = match args.format {
        _ if global.json => Format::Json,
        _ if args.steps => Format::Steps,
        format => format,
    };
    let text = match format {
        Format::Pretty => render::plan::pretty(&plan, Some(&project), &Next::Command(next)),
        Format::Steps => plan.to_string(),
        Format::Json => format!("{}\n", render::plan::json(&plan, Some(&project))),
    };
    render::text(&text)?;
    Ok(if plan.changes_something() { error::changes() } else { ExitCode::SUCCESS })
}

/// The words of a command line after the program's name.
fn command(global: &Global, command: &str, words: &[String]) -> Vec<String> {
    let mut all = global.words();
    all.push(command.to_owned());
    all.extend_from_slice(words);
    all
}
