//! `stackctl outdated`

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use futures_util::{StreamExt, stream};
use serde_json::json;
use stack_engine::look::{ImageFacts, Listed};

use crate::args::Global;
use crate::commands::config::digests::AT_A_TIME;
use crate::commands::ls::Format;
use crate::error::{changes, failed, interrupted};
use crate::render::table::WIDE;
use crate::render::{self, Renderer};
use crate::{lock_file, settings};

/// What `outdated` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 when nothing is outdated, 2 when something is, 1 when a registry does not tell.\n\nExample:\n  stackctl outdated --format json"
)]
pub(crate) struct OutdatedArgs {
    /// Only these services [default: all that do not build their image]
    services: Vec<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What the containers of a service run, beside what the registry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// What the tag has now.
    Current,
    /// Something that the tag does not have any more.
    Outdated,
    /// Nothing.
    NotRunning,
    /// An image that no registry has given the engine.
    Local,
    /// That is not known: the registry does not tell.
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Outdated => "outdated",
            Self::NotRunning => "not running",
            Self::Local => "local",
            Self::Unknown => "unknown",
        }
    }

    /// What images with these digests are, one set for each container, when the tag has this one.
    fn of(running: &[Vec<&str>], tag: Option<&str>) -> Self {
        let Some(tag) = tag else { return Self::Unknown };
        let is_old = |digests: &Vec<&str>| !digests.is_empty() && !digests.contains(&tag);
        if running.is_empty() {
            Self::NotRunning
        } else if running.iter().any(is_old) {
            Self::Outdated
        } else if running.iter().any(Vec::is_empty) {
            Self::Local
        } else {
            Self::Current
        }
    }
}

pub(crate) async fn run(global: &Global, args: OutdatedArgs) -> anyhow::Result<ExitCode> {
    let project = settings::read(global, &BTreeMap::new())?;
    project.check_services(&args.services)?;
    let engine = settings::any_engine(global, false).await?;
    let named = |service: &&String| args.services.is_empty() || args.services.contains(service);
    let wanted: Vec<(&String, &str)> = lock_file::pulled(&project.desired)
        .flat_map(|image| {
            image.services.iter().filter(named).map(|name| (name, image.references[0].as_str()))
        })
        .collect();
    let references: BTreeSet<&str> = wanted.iter().map(|(_, image)| *image).collect();
    let ask = stream::iter(&references)
        .map(|reference| async { (*reference, engine.pinned(reference).await) })
        .buffered(AT_A_TIME)
        .collect::<BTreeMap<_, _>>();
    let tags = tokio::select! {
        tags = ask => tags,
        () = super::interrupt() => return Ok(interrupted()),
    };
    let listed = engine.list(Some(&project.desired.project), false, false).await?;
    let running: Vec<&Listed> = listed.iter().filter(|container| !container.one_off).collect();
    let ids = running.iter().map(|container| container.image_id.clone()).collect();
    let images = engine.images(&ids).await?;

    let mut renderer = Renderer::new(global);
    for error in tags.values().filter_map(|tag| tag.as_ref().err()) {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        renderer.warn(&format!("{error}{hint}"));
    }
    let rows: Vec<_> = wanted
        .into_iter()
        .map(|(service, image)| {
            let tag = tags.get(image).and_then(|tag| Some(digest(tag.as_deref().ok()?)));
            let of_service = running.iter().filter(|container| container.service == *service);
            let digests: Vec<Vec<&str>> = of_service
                .map(|container| images.get(&container.image_id).map(digests).unwrap_or_default())
                .collect();
            (service, image, State::of(&digests, tag), digests.concat(), tag)
        })
        .collect();
    let has = |wanted: State| rows.iter().any(|(_, _, state, ..)| *state == wanted);
    let code = match (has(State::Outdated), has(State::Unknown)) {
        (true, _) => changes(),
        (false, true) => failed(),
        (false, false) => ExitCode::SUCCESS,
    };
    if global.json || args.format == Format::Json {
        let list: Vec<_> = rows
            .iter()
            .map(|(service, image, state, running, tag)| {
                json!({ "service": service, "image": image, "state": state.word().replace(' ', "_"),
                        "running": running.iter().collect::<BTreeSet<_>>(), "registry": tag })
            })
            .collect();
        render::line(&serde_json::to_string(&list)?)?;
        return Ok(code);
    }
    let cells = rows.iter().map(|(service, image, state, running, tag)| {
        let running: BTreeSet<String> = running.iter().map(|digest| short(digest)).collect();
        let running: Vec<String> = running.into_iter().collect();
        vec![
            (*service).clone(),
            (*image).to_owned(),
            state.word().to_owned(),
            running.join(","),
            tag.map(short).unwrap_or_default(),
        ]
    });
    render::rows(&["SERVICE", "IMAGE", "STATE", "RUNNING", "REGISTRY"], cells, WIDE)?;
    Ok(code)
}

/// The digests under which registries have an image.
fn digests(image: &ImageFacts) -> Vec<&str> {
    image.digests.iter().map(|reference| digest(reference)).collect()
}

/// The digest of a reference that has one.
fn digest(reference: &str) -> &str {
    reference.split_once('@').map_or("", |(_, digest)| digest)
}

/// The first twelve digits of a digest.
fn short(digest: &str) -> String {
    digest.split_once(':').map_or(digest, |(_, digits)| digits).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_container_with_an_old_image_makes_a_service_outdated() {
        let of = |running: &[&[&str]], tag| {
            let running: Vec<Vec<&str>> = running.iter().map(|digests| digests.to_vec()).collect();
            State::of(&running, tag)
        };
        assert_eq!(of(&[&["a"], &["b", "a"]], Some("a")), State::Current);
        assert_eq!(of(&[&["a"], &["b"]], Some("a")), State::Outdated);
        assert_eq!(of(&[&[], &["a"]], Some("a")), State::Local);
        assert_eq!(of(&[], Some("a")), State::NotRunning);
        assert_eq!(of(&[&["a"]], None), State::Unknown);
    }
}
