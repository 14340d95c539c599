//! Generations: after a run that changed something, what it has brought the project to is kept on
//! the engine, for `history`, `rollback` and `status`.

use std::collections::{BTreeMap, BTreeSet};

use stack_engine::docker::DockerEngine;
use stack_engine::docker::generations::{KeptGenerations, ListedGeneration};
use stack_engine::engine::{Engine, EngineError};
use stack_engine::lock::host;
use stack_plan::generation::{Generation, Occasion, images_of, summary};
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

/// Keeps what a run has brought the project to, unless the newest generation says the same. The
/// run is done: what goes wrong here is a warning.
pub(crate) async fn keep(
    engine: &DockerEngine,
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
    if let Err(error) = keep_new(engine, project, command.join(" "), limit, renderer).await {
        renderer.warn(&format!("the engine keeps no generation of this: {error}"));
    }
}

async fn keep_new(
    engine: &DockerEngine,
    project: &Project,
    command: String,
    limit: usize,
    renderer: &mut Renderer,
) -> Result<(), EngineError> {
    let name = &project.desired.project;
    let query = project.query();
    let (observed, kept) = tokio::join!(engine.observe(&query), engine.generations(name));
    let (observed, kept) = (observed?, kept?);
    let ids = images_of(&observed);
    let last = async {
        match kept.listed.last() {
            Some(listed) => engine.generation_record(&listed.reference).await,
            None => Ok(None),
        }
    };
    let (facts, last) = tokio::join!(engine.images(&ids), last);
    let digests: BTreeMap<String, Vec<String>> =
        facts?.into_iter().map(|(id, image)| (id, image.digests)).collect();
    let now = OffsetDateTime::now_utc();
    let occasion = Occasion {
        at: now.replace_nanosecond(0).ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default(),
        command,
        by: format!("{}@{}", user(), host()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let number = kept.listed.last().map_or(0, |listed| listed.number) + 1;
    let new = Generation::of(number, occasion, &project.loaded, &project.desired, &observed, &digests);
    let last = last?.as_deref().and_then(Generation::read);
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
    if record.len() > SIZE_LIMIT {
        renderer.warn("no generation is kept of this: the stack files are larger than 1 MiB");
        return Ok(());
    }
    engine.keep_generation(name, number, &notes(&new, changed), &record).await?;
    for (service, kept) in &new.services {
        // What a registry has can be had again; what was built is kept.
        if let Some(image) = kept.image.as_ref().filter(|image| image.digests.is_empty()) {
            engine.keep_image(name, number, service, &image.id).await?;
        }
    }
    forget_older(engine, &kept, (number as usize).saturating_sub(limit)).await
}

/// Forgets the generations up to a number, and the images that were kept for them.
async fn forget_older(engine: &DockerEngine, kept: &KeptGenerations, last: usize) -> Result<(), EngineError> {
    let listed = kept.listed.iter().map(|listed| (listed.number, &listed.reference));
    let images = kept.images.iter().map(|(number, name)| (*number, name));
    for (_, reference) in listed.chain(images).filter(|(number, _)| *number as usize <= last) {
        engine.forget(reference).await?;
    }
    Ok(())
}

/// Forgets all generations of a project, and says how many.
pub(crate) async fn forget_all(engine: &DockerEngine, project: &str) -> Result<usize, EngineError> {
    let kept = engine.generations(project).await?;
    forget_older(engine, &kept, usize::MAX).await?;
    Ok(kept.listed.len())
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
    engine: &DockerEngine,
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
    of_listed(engine, listed).await
}

/// The record of a generation.
///
/// # Errors
/// When it is gone, or another version of stackctl wrote it in another form.
pub(crate) async fn of_listed(
    engine: &DockerEngine,
    listed: &ListedGeneration,
) -> anyhow::Result<Generation> {
    let record = engine.generation_record(&listed.reference).await?;
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
