//! `stackctl down`

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use stack_file::destination::Backend;
use stack_plan::swarm::SwarmTeardown;
use stack_plan::teardown::{RemoveImages, Teardown, teardown};

use crate::args::Global;
use crate::commands::standing::{Scope, Standing};
use crate::commands::swarm;
use crate::generations::{self, Store};
use crate::{grace, record, settings};

/// What `down` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl down --volumes")]
pub(crate) struct DownArgs {
    /// Only these services; networks and volumes stay then
    services: Vec<String>,
    /// Remove named and anonymous volumes too: their data is lost, and so are the generations
    #[arg(short, long)]
    volumes: bool,
    /// Seconds a container may take to stop before it is killed; -1 waits without end
    #[arg(short, long, value_name = "SECONDS", value_parser = grace::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    /// Remove containers of services that the file does not have
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", value_parser = clap::builder::FalseyValueParser::new())]
    remove_orphans: bool,
    /// Remove images too: `local` those without a name in the file, `all` every one; and the generations
    #[arg(long, value_enum, value_name = "WHICH")]
    rmi: Option<Rmi>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rmi {
    Local,
    All,
}

pub(crate) async fn run(global: &Global, args: DownArgs) -> anyhow::Result<ExitCode> {
    let subject = settings::read_or_name(global)?;
    if settings::backend(global)? == Backend::Swarm {
        swarm::refuse(&[
            (args.timeout.is_some(), "--timeout", "write stop_grace_period in the file"),
            (args.rmi.is_some(), "--rmi", "each node has images of its own: docker image prune"),
        ])?;
        let (services, volumes, remove_orphans) = (args.services, args.volumes, args.remove_orphans);
        let policy = SwarmTeardown { services, volumes, remove_orphans };
        return swarm::down::run(global, subject, &policy).await;
    }
    let whole = args.services.is_empty();
    // Who removes the data, or the images, leaves nothing to go back to.
    let forget = whole && (args.volumes || args.rmi.is_some());
    let mut standing = Standing::of(global, subject, "down", &args.services, Scope::Everything).await?;
    let policy = Teardown {
        services: args.services,
        grace: args.timeout,
        stop_only: false,
        volumes: args.volumes,
        images: match args.rmi {
            None => RemoveImages::None,
            Some(Rmi::Local) => RemoveImages::Local,
            Some(Rmi::All) => RemoveImages::All,
        },
        remove_orphans: args.remove_orphans,
    };
    let plan = teardown(&standing.name, standing.desired(), &standing.observed, &policy);
    let nothing = format!("nothing to remove: {} has no containers or networks", standing.name);
    let engine = standing.engine.connection().address.clone();
    let name = standing.name.clone();
    let ended = standing.run(plan, &nothing).await?;
    if forget && !global.dry_run && ended.is_some() {
        let store = Store { engine: &standing.engine, backend: Backend::Docker };
        generations::forget(store, &name, &mut standing.renderer).await;
    }
    let code = standing.finish(ended);
    if !global.dry_run {
        record::undone(&engine, &name, "down");
    }
    Ok(code)
}
