//! `stackctl images`

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::json;
use stack_engine::look::{ImageFacts, Listed};
use time::format_description::well_known::Rfc3339;

use crate::args::Global;
use crate::commands::look::{Subject, is_of};
use crate::commands::ls::Format;
use crate::render::table::WIDE;
use crate::render::units::{ago, decimal};
use crate::{render, settings};

/// What `images` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl images --format json")]
pub(crate) struct ImagesArgs {
    /// Only these services
    services: Vec<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only the ids
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) async fn run(global: &Global, args: ImagesArgs) -> anyhow::Result<ExitCode> {
    let subject = Subject::read(global)?;
    let engine = settings::engine(global, true).await?;
    let listed = subject.containers(&engine, &args.services, true, false).await?;
    let containers: Vec<&Listed> =
        listed.iter().filter(|container| is_of(container, &args.services)).collect();
    let ids: BTreeSet<String> = containers.iter().map(|container| container.image_id.clone()).collect();
    let images = engine.images(&ids).await?;
    if args.quiet {
        let bare = |id: &String| format!("{}\n", id.strip_prefix("sha256:").unwrap_or(id));
        render::text(&ids.iter().filter(|id| images.contains_key(*id)).map(bare).collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let found =
        containers.into_iter().filter_map(|container| Some((container, images.get(&container.image_id)?)));
    if global.json || args.format == Format::Json {
        let list: Vec<_> = found
            .map(|(container, image)| {
                let (repository, tag) = reference(container, image);
                let tagged = image.last_tagged.and_then(|at| at.format(&Rfc3339).ok());
                json!({
                    "ID": image.id,
                    "ContainerName": container.name,
                    "Repository": repository,
                    "Tag": tag,
                    "Platform": image.platform,
                    "Size": image.size,
                    "LastTagTime": tagged,
                })
            })
            .collect();
        render::line(&serde_json::to_string(&list)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = found.map(|(container, image)| {
        let (repository, tag) = reference(container, image);
        let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
        vec![
            container.name.clone(),
            repository,
            tag,
            image.platform.clone(),
            id[..id.len().min(12)].to_owned(),
            decimal(image.size as f64),
            image.last_tagged.map_or_else(|| "N/A".to_owned(), |at| ago(at.unix_timestamp())),
        ]
    });
    let heads = ["CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"];
    render::rows(&heads, rows, WIDE)?;
    Ok(ExitCode::SUCCESS)
}

/// The repository and the tag of an image: those the container was made with, if the image still
/// has them, else its first.
fn reference(container: &Listed, image: &ImageFacts) -> (String, String) {
    let made_with = image.tags.iter().find(|tag| {
        **tag == container.image || tag.strip_suffix(":latest") == Some(container.image.as_str())
    });
    let none = || "<none>".to_owned();
    match made_with.or(image.tags.first()).and_then(|tag| tag.rsplit_once(':')) {
        Some((repository, tag)) => (repository.to_owned(), tag.to_owned()),
        None => (none(), none()),
    }
}

#[cfg(test)]
mod tests {
    use stack_plan::observed::{ContainerState, Health};

    use super::*;

    #[test]
    fn the_reference_is_the_one_that_the_container_was_made_with() {
        let image = |tags: &[&str]| ImageFacts {
            id: "sha256:01".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            digests: Vec::new(),
            platform: String::new(),
            size: 0,
            last_tagged: None,
            created: None,
        };
        let container = Listed {
            id: String::new(),
            name: String::new(),
            project: String::new(),
            service: String::new(),
            number: 1,
            one_off: false,
            state: ContainerState::Running,
            health: Health::None,
            status: String::new(),
            image: "redis".to_owned(),
            image_id: "sha256:01".to_owned(),
            command: String::new(),
            created: 0,
            labels: Default::default(),
            mounts: Vec::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            size: None,
        };
        let of = |tags: &[&str]| reference(&container, &image(tags));
        assert_eq!(of(&["a:5000/r:7", "redis:latest"]), ("redis".to_owned(), "latest".to_owned()));
        assert_eq!(of(&["a:5000/r:7"]), ("a:5000/r".to_owned(), "7".to_owned()));
        assert_eq!(of(&[]), ("<none>".to_owned(), "<none>".to_owned()));
    }
}
