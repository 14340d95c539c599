//! Generations: after a run that changed something, what it has brought the project to is kept on
//! the engine or the swarm, for `history`, `rollback` and `status`.

use std::collections::{BTreeMap, BTreeSet};

use stack_engine::docker::DockerEngine;
use stack_engine::docker::generations::{KeptGenerations, ListedGeneration};
use stack_engine::docker::swarm::SwarmQuery;
use stack_engine::docker::swarm::generations::LARGEST_RECORD;
use stack_engine::engine::{Engine, EngineError};
use stack_engine::lock::host;
use stack_file::destination::Backend;
use stack_plan::generation::{Generation, KeptImage, Occasion, images_of, summary};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Fault, Kind};
use crate::render::Renderer;
use crate::settings::Project;

/// How many generations of a project are kept, where nothing else is said.
const KEPT: usize = 10;

/// The variable that says how many are kept; 0 keeps none.
const LIMIT: &str = "STACKCTL_GENERATIONS";

/// The size of a record, at most, in bytes. A stack whose files are larger cannot be gone back to.
const SIZE_LIMIT: usize = 1 << 20;

/// How many generations are to be kept.
///
/// # Errors
/// When the variable is no number.
pub(crate) fn limit() -> Result<usize, Fault> {
    match std::env::var(LIMIT) {
        Err(_) => Ok(KEPT),
        Ok(text) if text.is_empty() => Ok(KEPT),
        Ok(text) => text.parse().map_err(|_| {
            Fault::new(Kind::Usage, format!("{LIMIT} is no number of generations"))
                .hint("write how many are kept, or 0 for none")
        }),
    }
}

/// Where the generations of projects are kept: on one engine as images, on a swarm as configs.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    pub(crate) engine: &'a DockerEngine,
    pub(crate) backend: Backend,
}

impl Store<'_> {
    /// The generations of a project.
    pub(crate) async fn list(&self, project: &str) -> Result<KeptGenerations, EngineError> {
        match self.backend {
            Backend::Docker => self.engine.generations(project).await,
            Backend::Swarm => self.engine.swarm_generations(project).await,
        }
    }

    async fn record(&self, reference: &str) -> Result<Option<String>, EngineError> {
        match self.backend {
            Backend::Docker => self.engine.generation_record(reference).await,
            Backend::Swarm => self.engine.swarm_generation_record(reference).await,
        }
    }

    async fn keep(&self, generation: &Generation, changed: String, record: &str) -> Result<(), EngineError> {
        let (project, number) = (&generation.project, generation.number);
        let notes = notes(generation, changed);
        match self.backend {
            Backend::Docker => self.engine.keep_generation(project, number, &notes, record).await,
            Backend::Swarm => self.engine.keep_swarm_generation(project, number, &notes, record).await,
        }
    }

    /// The largest record that can be kept, bytes.
    fn limit(&self) -> usize {
        match self.backend {
            Backend::Docker => SIZE_LIMIT,
            Backend::Swarm => LARGEST_RECORD,
        }
    }

    /// What the project has come to, if that can be seen.
    async fn look(
        &self,
        project: &Project,
        number: u32,
        occasion: Occasion,
    ) -> Result<Generation, EngineError> {
        let (loaded, desired) = (&project.loaded, &project.desired);
        match self.backend {
            Backend::Docker => {
                let observed = self.engine.observe(&project.query()).await?;
                let facts = self.engine.images(&images_of(&observed)).await?;
                let digests: BTreeMap<String, Vec<String>> =
                    facts.into_iter().map(|(id, image)| (id, image.digests)).collect();
                Ok(Generation::of(number, occasion, loaded, desired, &observed, &digests))
            }
            Backend::Swarm => {
                let swarm = project.on_swarm();
                let observed = self.engine.survey(&SwarmQuery::of(&swarm)).await?;
                Ok(Generation::of_swarm(number, occasion, loaded, (desired, &swarm), &observed))
            }
        }
    }
}

/// Keeps what a run has brought the project to, unless the newest generation says the same. The
/// run is done: what goes wrong here is a warning.
pub(crate) async fn keep(
    store: Store<'_>,
    project: &Project,
    command: &str,
    services: &[String],
    renderer: &mut Renderer,
) {
    let limit = match limit() {
        Ok(0) => return,
        Ok(limit) => limit,
        Err(fault) => {
            renderer.warn(&format!("{fault}: no generation is kept"));
            return;
        }
    };
    let command: Vec<&str> = std::iter::once(command).chain(services.iter().map(String::as_str)).collect();
    if let Err(error) = keep_new(store, project, command.join(" "), limit, renderer).await {
        renderer.warn(&format!("no generation is kept of this: {error}"));
    }
}

async fn keep_new(
    store: Store<'_>,
    project: &Project,
    command: String,
    limit: usize,
    renderer: &mut Renderer,
) -> Result<(), EngineError> {
    let engine = store.engine;
    let name = &project.desired.project;
    let kept = store.list(name).await?;
    let last = async {
        match kept.listed.last() {
            Some(listed) => store.record(&listed.reference).await,
            None => Ok(None),
        }
    };
    let now = OffsetDateTime::now_utc();
    let occasion = Occasion {
        at: now.replace_nanosecond(0).ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default(),
        command,
        by: format!("{}@{}", user(), host()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let number = kept.listed.last().map_or(0, |listed| listed.number) + 1;
    let (new, last) = tokio::join!(store.look(project, number, occasion), last);
    let (new, last) = (new?, last?.as_deref().and_then(Generation::read));
    let changed = match &last {
        Some(last) => {
            let changes = new.since(last);
            if changes.is_empty() {
                return Ok(());
            }
            summary(&changes)
        }
        None => "first".to_owned(),
    };
    let record = new.write();
    if record.len() > store.limit() {
        let kibibytes = store.limit() >> 10;
        renderer
            .warn(&format!("no generation is kept of this: the stack files are larger than {kibibytes} KiB"));
        return Ok(());
    }
    store.keep(&new, changed, &record).await?;
    for (service, kept) in &new.services {
        // What a registry has can be had again; what was built is kept.
        let built = |image: &&KeptImage| image.digests.is_empty() && !image.id.is_empty();
        if let Some(image) = kept.image.as_ref().filter(built) {
            engine.keep_image(name, number, service, &image.id).await?;
        }
    }
    forget_older(store, &kept, (number as usize).saturating_sub(limit)).await
}

/// Forgets the generations up to a number, and the images that were kept for them.
async fn forget_older(store: Store<'_>, kept: &KeptGenerations, last: usize) -> Result<(), EngineError> {
    for listed in kept.listed.iter().filter(|listed| listed.number as usize <= last) {
        match store.backend {
            Backend::Docker => drop(store.engine.forget(&listed.reference).await?),
            Backend::Swarm => store.engine.forget_swarm_generation(&listed.reference).await?,
        }
    }
    for (_, reference) in kept.images.iter().filter(|(number, _)| *number as usize <= last) {
        store.engine.forget(reference).await?;
    }
    Ok(())
}

/// Forgets all generations of a project, and says how many.
async fn forget_all(store: Store<'_>, project: &str) -> Result<usize, EngineError> {
    let kept = store.list(project).await?;
    forget_older(store, &kept, usize::MAX).await?;
    Ok(kept.listed.len())
}

/// Forgets all generations of a project that was taken down with its data, and says so.
pub(crate) async fn forget(store: Store<'_>, project: &str, renderer: &mut Renderer) {
    match forget_all(store, project).await {
        Ok(0) => {}
        Ok(1) => renderer.note("1 generation removed: there is no way back to it"),
        Ok(count) => renderer.note(&format!("{count} generations removed: there is no way back to them")),
        Err(error) => renderer.warn(&format!("its generations are left: {error}")),
    }
}

/// What a list shows of a generation without its record.
fn notes(generation: &Generation, changed: String) -> BTreeMap<String, String> {
    let images = generation.services.iter().filter_map(|(name, service)| {
        let image = service.image.as_ref()?;
        let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
        Some(format!("{name}={}", id.get(..12).unwrap_or(id)))
    });
    let images: Vec<String> = images.collect();
    let notes = [
        ("at", generation.at.clone()),
        ("command", generation.command.clone()),
        ("by", generation.by.clone()),
        ("changed", changed),
        ("images", images.join(",")),
    ];
    notes.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Who runs this.
fn user() -> String {
    let variables = ["USER", "LOGNAME", "USERNAME"].into_iter();
    let mut names = variables.filter_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty());
    names.next().unwrap_or_else(|| "somebody".to_owned())
}

/// The generations that are kept, and the one of this number among them.
///
/// # Errors
/// When there is none of this number, or it cannot be read.
pub(crate) async fn read(
    store: Store<'_>,
    project: &str,
    kept: &KeptGenerations,
    number: u32,
) -> anyhow::Result<Generation> {
    let Some(listed) = kept.listed.iter().find(|listed| listed.number == number) else {
        let there = match numbers(kept) {
            there if there.is_empty() => format!("{project} has no generations: `stackctl up` makes them"),
            there => format!("{project} has: {there}; see them with: stackctl history"),
        };
        return Err(Fault::new(Kind::Usage, format!("there is no generation {number}")).hint(there).into());
    };
    of_listed(store, listed).await
}

/// The record of a generation.
///
/// # Errors
/// When it is gone, or another version of stackctl wrote it in another form.
pub(crate) async fn of_listed(store: Store<'_>, listed: &ListedGeneration) -> anyhow::Result<Generation> {
    let record = store.record(&listed.reference).await?;
    record.as_deref().and_then(Generation::read).ok_or_else(|| {
        let message = format!("the record of generation {} cannot be read", listed.number);
        Fault::new(Kind::Engine, message)
            .hint("it was removed, or written by a newer stackctl: take another one, or that stackctl")
            .into()
    })
}

/// The numbers that are there, as `1, 2, 5`.
fn numbers(kept: &KeptGenerations) -> String {
    let numbers: BTreeSet<u32> = kept.listed.iter().map(|listed| listed.number).collect();
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
