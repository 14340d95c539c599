//! `stackctl build`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use stack_engine::engine::Engine;
use stack_file::source::Spanned;
use stack_plan::containers::{BuildPolicy, Policy, plan_images};
use stack_plan::desired::{Desired, ImageSpec};
use stack_plan::plan::{Action, Plan};
use stack_plan::registry::{PushRequest, push};

use crate::args::Global;
use crate::commands::pull::hushed;
use crate::error::{Fault, Kind, interrupted};
use crate::render::{self, Renderer};
use crate::settings;

/// What `build` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl build --pull web")]
pub(crate) struct BuildArgs {
    /// Only these services [default: all that have something to build]
    services: Vec<String>,
    /// Leave the layer cache unused
    #[arg(long)]
    no_cache: bool,
    /// Pull newer base images first
    #[arg(long)]
    pull: bool,
    /// Build argument, in place of the file's
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_args: Vec<String>,
    /// Also what the named services depend on
    #[arg(long)]
    with_dependencies: bool,
    /// Push what was built
    #[arg(long)]
    push: bool,
    /// Remove the images of the project that no tag names any more and no container uses
    #[arg(long)]
    prune: bool,
    /// SSH agent or key for RUN steps, in place of the file's: `default`, or an id with a socket or a key file
    #[arg(long, value_name = "ID[=PATH]")]
    ssh: Vec<String>,
    /// Make an attestation of the provenance: `true`, `false`, `mode=max`
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    provenance: Option<String>,
    /// Make a bill of materials: `true`, `false`, `generator=IMAGE`
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    sbom: Option<String>,
    /// Say nothing but what goes wrong, and print the ids of the images
    #[arg(short, long)]
    quiet: bool,
    /// Builder to use: only the engine's own, `default`
    #[arg(long, value_name = "NAME", env = "BUILDX_BUILDER", hide_env = true)]
    builder: Option<String>,
    /// Refused: BuildKit has no limit of memory for a build
    #[arg(short, long, value_name = "BYTES", hide = true)]
    memory: Option<String>,
    /// Has no effect, and is there for old scripts
    #[arg(long, hide = true)]
    compress: bool,
    /// Has no effect, and is there for old scripts: the builder leaves no containers behind
    #[arg(long, alias = "no-rm", hide = true)]
    force_rm: bool,
    /// Refused: `stackctl check` checks the stack file
    #[arg(long, hide = true)]
    check: bool,
    /// Refused: builds are not handed to bake
    #[arg(long, hide = true)]
    print: bool,
}

impl BuildArgs {
    /// Refuses what cannot be done, with what to do instead.
    fn refuse(&self) -> anyhow::Result<()> {
        let builder = self.builder.as_deref().is_some_and(|name| !matches!(name, "" | "default"));
        let memory = self.memory.as_deref().is_some_and(|bytes| bytes != "0");
        let refused = [
            (
                builder,
                "--builder",
                "images are built by the engine itself; name another engine with --host or --context",
            ),
            (memory, "--memory", "the builder of the engine knows no limit of memory; leave it out"),
            (self.check, "--check", "the engine checks a Dockerfile only while it builds; leave it out"),
            (
                self.print,
                "--print",
                "there is no bake file: nothing but the engine builds; `stackctl config` shows the builds",
            ),
        ];
        match refused.into_iter().find(|(asked, ..)| *asked) {
            Some((_, flag, why)) => {
                Err(Fault::new(Kind::Usage, format!("{flag} cannot be honoured")).hint(why).into())
            }
            None => Ok(()),
        }
    }

    /// Puts what the command line says in place of what the file says.
    fn apply(&self, image: &mut ImageSpec) {
        let origin = image.origin.clone();
        let Some(build) = &mut image.build else { return };
        if self.no_cache {
            build.no_cache = Some(Spanned::new(true, origin.clone()));
        }
        if self.pull {
            build.pull = Some(Spanned::new(true, origin.clone()));
        }
        for arg in &self.build_args {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (arg.as_str(), std::env::var(arg).ok()),
            };
            build.args.insert(name.to_owned(), Spanned::new(value, origin.clone()));
        }
        for ssh in &self.ssh {
            let (id, place) = match ssh.split_once('=') {
                Some((id, place)) => (id, Some(place.to_owned())),
                None => (ssh.as_str(), None),
            };
            build.ssh.insert(id.to_owned(), Spanned::new(place, origin.clone()));
        }
        if let Some(kind) = &self.provenance {
            build.provenance = Some(Spanned::new(kind.clone(), origin.clone()));
        }
        if let Some(kind) = &self.sbom {
            build.sbom = Some(Spanned::new(kind.clone(), origin));
        }
    }
}

pub(crate) async fn run(global: &Global, args: BuildArgs) -> anyhow::Result<ExitCode> {
    args.refuse()?;
    let mut project = settings::to_act(global, &BTreeMap::new())?;
    project.check_services(&args.services)?;
    for image in &mut project.desired.images {
        args.apply(image);
    }
    let engine = settings::any_engine(global, true).await?;
    let observed = engine.observe(&project.query()).await?;
    let policy = Policy {
        services: with_bases(&project.desired, &args.services),
        no_deps: !args.with_dependencies,
        build: BuildPolicy::Always,
        ..Policy::default()
    };
    let mut plan: Plan = plan_images(&project.desired, &observed, &policy).build_steps();
    plan.unchanged.clear();
    let mut renderer = Renderer::new(&hushed(global, args.quiet));
    if plan.is_empty() {
        renderer.note("nothing to build: no service has `build`");
        return Ok(ExitCode::SUCCESS);
    }
    let built: Vec<String> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Build(spec) => spec.references.first().cloned(),
            _ => None,
        })
        .collect();
    let work = async {
        let mut summary = super::carry_out(&engine, plan, global.pace(), Some(&project), &mut renderer).await;
        if args.push && summary.succeeded() {
            let request =
                PushRequest { services: args.services.clone(), dependencies: args.with_dependencies };
            let plan = push(&project.desired, &request);
            summary = super::carry_out(&engine, plan, global.pace(), Some(&project), &mut renderer).await;
        }
        summary
    };
    let summary = tokio::select! {
        summary = work => summary,
        () = super::interrupt() => {
            renderer.interrupted("`stackctl build` goes on from here: steps that are done stay in the cache");
            return Ok(interrupted());
        }
    };
    if !summary.succeeded() {
        return Ok(renderer.code(&summary));
    }
    if args.prune && !global.dry_run {
        let count = engine.prune_images(&project.desired.project).await?;
        let (plural, was) = if count == 1 { ("", "was") } else { ("s", "were") };
        renderer.note(&format!("{count} image{plural} without a name {was} removed"));
    }
    if args.quiet && !global.dry_run {
        for reference in &built {
            if let Some(id) = engine.image_id(reference).await? {
                render::line(&id)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The named services, and those whose images their builds use as contexts.
pub(super) fn with_bases(desired: &Desired, services: &[String]) -> Vec<String> {
    let mut all: Vec<String> = services.to_vec();
    let mut next = 0;
    while next < all.len() {
        let of_service = desired.images.iter().filter(|image| image.services.contains(&all[next]));
        let bases: BTreeSet<&str> = of_service.flat_map(ImageSpec::bases).collect();
        let makers = desired.images.iter().filter(|image| {
            image.build.is_some() && image.references.iter().any(|name| bases.contains(name.as_str()))
        });
        let further: Vec<String> =
            makers.flat_map(|image| &image.services).filter(|name| !all.contains(name)).cloned().collect();
        all.extend(further);
        next += 1;
    }
    all
}
