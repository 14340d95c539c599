//! `stackctl rollback`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use stack_engine::docker::DockerEngine;
use stack_engine::docker::generations::KeptGenerations;
use stack_engine::execute::Pace;
use stack_file::diagnostic::Diagnostic;
use stack_plan::containers::{BuildPolicy, Policy};
use stack_plan::generation::{Generation, Unlike};

use crate::args::Global;
use crate::commands::converge::Converge;
use crate::error::{Fault, Kind};
use crate::render::Renderer;
use crate::settings::{self, Project};
use crate::{generations, grace, render};

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
    let engine = settings::engine(global, true).await?;
    let mut renderer = Renderer::new(global);
    let kept = engine.generations(&name).await?;
    let number = wanted(args.generation, &kept, &name)?;
    let generation = generations::read(&engine, &name, &kept, number).await?;
    let project = settings::of_generation(global, &generation)?;
    let unlike = generation.unlike(&project.loaded, &project.desired);
    if !unlike.is_empty() {
        tell(&unlike, number, &project, args.use_present_values, &mut renderer)?;
    }
    let project = with_its_images(project, &generation, &engine).await?;
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
        retired: since_then(&engine, &kept, &generation).await,
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
    let converge = Converge { engine: &engine, project: &project, policy, pace, may_lose };
    converge.run_alone(&format!("rollback {number}"), &mut renderer).await
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
    engine: &DockerEngine,
) -> anyhow::Result<Project> {
    let ids: BTreeSet<String> = generation.image_ids().into_iter().map(str::to_owned).collect();
    let there = engine.images(&ids).await?;
    let mut pins = BTreeMap::new();
    let mut missing = Vec::new();
    for (service, kept) in &generation.services {
        let Some(image) = &kept.image else { continue };
        let pin = match there.contains_key(&image.id) {
            true if engine.image_id(&image.reference).await?.as_ref() == Some(&image.id) => &image.reference,
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
async fn since_then(engine: &DockerEngine, kept: &KeptGenerations, generation: &Generation) -> Vec<String> {
    let mut came = BTreeSet::new();
    for listed in kept.listed.iter().filter(|listed| listed.number > generation.number) {
        // One that cannot be read says nothing about what may go.
        if let Ok(later) = generations::of_listed(engine, listed).await {
            came.extend(later.services.into_keys());
        }
    }
    came.into_iter()
        .filter(|name| !generation.services.contains_key(name) && !generation.others.contains(name))
        .collect()
}
