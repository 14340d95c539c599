//! `stackctl scale`

use std::collections::BTreeMap;
use std::process::ExitCode;

use stack_file::destination::Backend;
use stack_plan::containers::Policy;

use crate::args::Global;
use crate::commands::change::{LockedArgs, number_of};
use crate::commands::converge::Converge;
use crate::commands::swarm;
use crate::error::{Fault, Kind};
use crate::render::Renderer;
use crate::settings;

/// What `scale` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl scale web=3 worker=2")]
pub(crate) struct ScaleArgs {
    /// The services, each with the number of its containers
    #[arg(required = true, value_name = "SERVICE=NUMBER")]
    numbers: Vec<String>,
    /// Leave out what the services need
    #[arg(long)]
    no_deps: bool,
    #[command(flatten)]
    locked: LockedArgs,
}

pub(crate) async fn run(global: &Global, args: ScaleArgs) -> anyhow::Result<ExitCode> {
    let mut scale = BTreeMap::new();
    for text in &args.numbers {
        let Some((service, number)) = number_of(text) else {
            return Err(Fault::new(Kind::Usage, format!("{text} names no service and number"))
                .hint("write: stackctl scale web=3")
                .into());
        };
        scale.insert(service, number);
    }
    let project = args.locked.obeyed_by(settings::to_act(global, &scale)?)?;
    let services: Vec<String> = scale.into_keys().collect();
    project.check_services(&services)?;
    let mut renderer = Renderer::new(global);
    let policy = Policy { services, no_deps: args.no_deps, ..Policy::default() };
    let (pace, may_lose) = (global.pace(), Vec::new());
    if settings::backend(global)? == Backend::Swarm {
        let policy = Policy { wait: true, ..policy };
        return swarm::up::run(global, &project, policy, pace, "scale", &mut renderer).await;
    }
    let engine = settings::engine(global, true).await?;
    let converge = Converge { engine: &engine, project: &project, policy, pace, may_lose };
    converge.run_alone("scale", &mut renderer).await
}
