//! `stackctl rollback`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use stack_engine::docker::generations::KeptGenerations;
use stack_engine::execute::Pace;
use stack_file::destination::Backend;
use stack_file::diagnostic::Diagnostic;
use stack_plan::containers::{BuildPolicy, Policy};
use stack_plan::generation::{Generation, Unlike};

use crate::args::Global;
use crate::commands::converge::Converge;
use crate::commands::swarm::{self, Cluster};
use crate::error::{Fault, Kind};
use crate::generations::{self, Store};
use crate::render::Renderer;
use crate::settings::{self, Project};
use crate::{grace, render};

/// What `rollback` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "No stack file is needed: the engine keeps what each run was made from. Variables, environment \
                  files and the contents of configs and secrets are not kept, but taken as they are now.\n\n\
                  Example:\n  stackctl rollback --dry-run && stackctl rollback --wait"
)]
pub(crate) struct RollbackArgs {
    /// The generation, as `stackctl history` lists it [default: the one before the newest]
    generation: Option<u32>,
    /// Take variables, environment files, configs and secrets as they are now, although some are
    /// not what they were
    #[arg(long)]
    use_present_values: bool,
    /// Wait until every container is ready
    #[arg(long)]
    wait: bool,
    /// How long `--wait` waits, in seconds
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u64>,
    /// Replace running containers one after the other, the new one first where ports and volumes allow
    #[arg(long)]
    rolling: bool,
    /// Seconds a container may take to stop before it is killed; -1 waits without end
    #[arg(short, long, value_name = "SECONDS", value_parser = grace::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    /// Agree that this volume is made anew and loses its data, as `volume:NAME`, or `all`
    #[arg(long, value_name = "ADDRESS")]
    allow_data_loss: Vec<String>,
    /// Say yes to every question, also to the loss of data
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(global: &Global, args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let name = settings::name(global)?;
    let backend = settings::backend(global)?;
    let engine = match backend {
        Backend::Docker => settings::engine(global, true).await?,
        Backend::Swarm => {
            swarm::refuse(&[
                (args.timeout.is_some(), "--timeout", "write stop_grace_period in the file"),
                (args.rolling, "--rolling", "it always replaces so; write deploy.update_config in the file"),
            ])?;
            settings::manager(global).await?
        }
    };
    let store = Store { engine: &engine, backend };
    let mut renderer = Renderer::new(global);
    let kept = store.list(&name).await?;
    let number = wanted(args.generation, &kept, &name)?;
    let generation = generations::read(store, &name, &kept, number).await?;
    let project = settings::of_generation(global, &generation)?;
    let unlike = match backend {
        Backend::Docker => generation.unlike(&project.loaded, &project.desired),
        Backend::Swarm => generation.unlike_on_swarm(&project.loaded, &project.desired, &project.on_swarm()),
    };
    if !unlike.is_empty() {
        tell(&unlike, number, &project, args.use_present_values, &mut renderer)?;
    }
    let project = with_its_images(project, &generation, store).await?;
    let mut services = Vec::new();
    if !generation.others.is_empty() {
        services.extend(generation.services.keys().cloned());
        renderer.warn(&format!(
            "generation {number} was not about {}: what is there stays",
            generation.others.iter().cloned().collect::<Vec<_>>().join(", ")
        ));
    }
    let policy = Policy {
        no_deps: !services.is_empty(),
        services,
        build: BuildPolicy::Never,
        retired: since_then(store, &kept, &generation).await,
        wait: args.wait,
        grace: args.timeout,
        rolling: args.rolling,
        ..Policy::default()
    };
    let mut may_lose = args.allow_data_loss;
    if args.yes {
        may_lose.push("all".to_owned());
    }
    let pace = Pace { wait_timeout: args.wait_timeout.map(Duration::from_secs), ..global.pace() };
    let command = format!("rollback {number}");
    if backend == Backend::Swarm {
        // Whether the swarm keeps what it is told is known only once its tasks run.
        let policy = Policy { wait: true, ..policy };
        let desired = project.on_swarm();
        let cluster = Cluster { global, engine: &engine, project: &project, desired, policy, pace };
        return cluster.run_alone(&command, &mut renderer).await;
    }
    let converge = Converge { engine: &engine, project: &project, policy, pace, may_lose };
    converge.run_alone(&command, &mut renderer).await
}

/// The generation that is asked for, else the one before the newest.
fn wanted(asked: Option<u32>, kept: &KeptGenerations, name: &str) -> Result<u32, Fault> {
    if let Some(number) = asked {
        return Ok(number);
    }
    match kept.listed.as_slice() {
        [] => Err(Fault::new(Kind::Usage, format!("{name} has no generations to go back to"))
            .hint("`stackctl up` makes one whenever it has changed something")),
        [only] => {
            let message = format!("{name} has no generation before {}", only.number);
            Err(Fault::new(Kind::Usage, message)
                .hint(format!("go back to that one with: stackctl rollback {}", only.number)))
        }
        [.., before, _] => Ok(before.number),
    }
}

/// Tells what is not what it was, and refuses it unless that was agreed to.
fn tell(
    unlike: &[Unlike],
    number: u32,
    project: &Project,
    agreed: bool,
    renderer: &mut Renderer,
) -> Result<(), Fault> {
    if agreed {
        for found in unlike {
            renderer.warn(&words(found, number));
        }
        return Ok(());
    }
    let told: Vec<Diagnostic> = (unlike.iter())
        .map(|found| {
            let next = match &found.variable {
                Some(name) => format!("set {name} as it was, or agree with --use-present-values"),
                None => "bring back what it was, or agree with --use-present-values".to_owned(),
            };
            Diagnostic::error(words(found, number)).at(&found.origin).help(next)
        })
        .collect();
    render::diagnostics(&told, &project.loaded.sources);
    let message = format!("nothing was done: not everything is what it was in generation {number}");
    Err(Fault::new(Kind::Refused, message))
}

/// What is not what it was, without its value.
fn words(found: &Unlike, number: u32) -> String {
    let Unlike { resource, field, variable, gone, .. } = found;
    let through = variable.as_ref().map(|name| format!(", through the variable {name}")).unwrap_or_default();
    let now = if *gone { "is not there any more" } else { "is not what it was" };
    format!("{resource}: {field} {now} in generation {number}{through}")
}

/// The stack with the very images that its services ran: under their names where these still mean
/// them, else by their ids, else by the digests under which registries have them.
async fn with_its_images(
    project: Project,
    generation: &Generation,
    Store { engine, backend }: Store<'_>,
) -> anyhow::Result<Project> {
    let ids: BTreeSet<String> = generation.image_ids().into_iter().map(str::to_owned).collect();
    let there = engine.images(&ids).await?;
    let mut pins = BTreeMap::new();
    let mut missing = Vec::new();
    for (service, kept) in &generation.services {
        // A manager that never had the image knows its name alone.
        let Some(image) =
            kept.image.as_ref().filter(|image| !image.id.is_empty() || !image.digests.is_empty())
        else {
            continue;
        };
        if let (Backend::Swarm, Some(digest)) = (backend, image.digests.first()) {
            pins.insert(service.clone(), digest.clone());
            continue;
        }
        let pin = match there.contains_key(&image.id) {
            true if backend == Backend::Docker
                && engine.image_id(&image.reference).await?.as_ref() == Some(&image.id) =>
            {
                &image.reference
            }
            true => &image.id,
            false => match image.digests.first() {
                Some(digest) => digest,
                None => {
                    missing.push((service, image));
                    continue;
                }
            },
        };
        pins.insert(service.clone(), pin.clone());
    }
    if missing.is_empty() {
        return Ok(project.pinned(pins));
    }
    let list = missing.iter().map(|(service, image)| {
        let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
        format!("{} of {service} (image {})", image.reference, id.get(..12).unwrap_or(id))
    });
    let list = list.collect::<Vec<_>>().join(", ");
    let message = format!(
        "nothing was done: the engine does not have {list} any more, and no registry had it under a digest"
    );
    let (service, _) = missing[0];
    let hint = format!(
        "build {service} from the sources of that time, or go back to another generation: stackctl history"
    );
    Err(Fault::new(Kind::Refused, message).hint(hint).into())
}

/// The services that came after a generation: they go with the way back.
async fn since_then(store: Store<'_>, kept: &KeptGenerations, generation: &Generation) -> Vec<String> {
    let mut came = BTreeSet::new();
    for listed in kept.listed.iter().filter(|listed| listed.number > generation.number) {
        // One that cannot be read says nothing about what may go.
        if let Ok(later) = generations::of_listed(store, listed).await {
            came.extend(later.services.into_keys());
        }
    }
    came.into_iter()
        .filter(|name| !generation.services.contains_key(name) && !generation.others.contains(name))
        .collect()
}
