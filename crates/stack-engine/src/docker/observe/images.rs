//! Which of the images that a stack names are there.

use std::collections::{BTreeMap, HashMap};

use bollard::Docker;
use bollard::models::ImageSummary;
use bollard::query_parameters::ListImagesOptionsBuilder;
use futures_util::future::join_all;
use stack_plan::observed::ObservedImage;

use crate::docker::{answered, is_not_found};
use crate::engine::EngineError;

/// As many images are asked for one by one. From there on one list is cheaper.
const FEW: usize = 2;

/// Looks up images by reference; those that are not there are left out. Of those in `aging`
/// it is told when they were tagged.
pub(super) async fn look_up(
    docker: &Docker,
    references: &[String],
    aging: &[String],
) -> Result<BTreeMap<String, ObservedImage>, EngineError> {
    let mut images = BTreeMap::new();
    if references.len() > FEW {
        let filters = HashMap::from([("reference", references.to_vec())]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        // An engine that cannot make sense of one reference refuses them all.
        if let Ok(listed) = docker.list_images(Some(options)).await {
            images = among(references, &listed);
            images.retain(|reference, _| !aging.contains(reference));
        }
    }
    // What a list does not tell, such as an image named by its id, an inspection does.
    let open: Vec<_> = references.iter().filter(|reference| !images.contains_key(*reference)).collect();
    let answers = join_all(open.iter().map(|reference| docker.inspect_image(reference))).await;
    for (reference, answer) in open.into_iter().zip(answers) {
        match answer {
            Ok(image) => {
                let tagged = image.metadata.and_then(|metadata| metadata.last_tag_time);
                let found = ObservedImage {
                    id: image.id.unwrap_or_default(),
                    tagged: tagged.map(|tagged| tagged.unix_timestamp()),
                };
                images.insert(reference.clone(), found);
            }
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(answered(error)),
        }
    }
    Ok(images)
}

/// The images of a list by the references that name them.
fn among(references: &[String], listed: &[ImageSummary]) -> BTreeMap<String, ObservedImage> {
    let mut ids: HashMap<&str, &str> = HashMap::new();
    for image in listed {
        for name in image.repo_tags.iter().chain(&image.repo_digests) {
            ids.insert(name, &image.id);
        }
    }
    let found = references.iter().filter_map(|reference| {
        let id = ids.get(familiar(reference).as_str())?;
        Some((reference.clone(), ObservedImage { id: (*id).to_owned(), tagged: None }))
    });
    found.collect()
}

/// A reference as the engine lists it: without the registry that is meant anyway, and with a tag.
fn familiar(reference: &str) -> String {
    let short = reference
        .strip_prefix("docker.io/")
        .or_else(|| reference.strip_prefix("index.docker.io/"))
        .unwrap_or(reference);
    let short = short.strip_prefix("library/").filter(|_| short != reference).unwrap_or(short);
    let last = short.rsplit('/').next().unwrap_or(short);
    if last.contains([':', '@']) { short.to_owned() } else { format!("{short}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_found_under_the_name_that_the_engine_lists() {
        for (reference, listed) in [
            ("redis", "redis:latest"),
            ("redis:7", "redis:7"),
            ("docker.io/library/redis", "redis:latest"),
            ("docker.io/shop/web:2", "shop/web:2"),
            ("library/redis", "library/redis:latest"),
            ("localhost:5000/web", "localhost:5000/web:latest"),
            ("redis@sha256:01", "redis@sha256:01"),
        ] {
            assert_eq!(familiar(reference), listed);
        }
    }

    #[test]
    fn tags_and_digests_name_an_image() {
        let image = ImageSummary {
            id: "sha256:aa".to_owned(),
            repo_tags: vec!["web:1".to_owned()],
            repo_digests: vec!["web@sha256:bb".to_owned()],
            ..ImageSummary::default()
        };
        let references = ["web:1", "web@sha256:bb", "web"].map(str::to_owned);
        let found = among(&references, &[image]);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["web:1", "web@sha256:bb"]);
        assert!(found.values().all(|image| image.id == "sha256:aa"));
    }
}
