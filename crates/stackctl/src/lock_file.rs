//! `stack.lock`: the images that a stack takes from registries, each with the digest that its tag
//! had. It has the form of an override file, so that docker compose can be given it, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value, json};
use stack_engine::image::digest::full;
use stack_file::diagnostic::Diagnostic;
use stack_file::load::{Request, load};
use stack_file::model::PullPolicy;
use stack_plan::desired::{Desired, ImageSpec};

use crate::error::{Fault, Kind};
use crate::render;
use crate::settings::Project;

/// Its name, beside the stack file.
pub(crate) const NAME: &str = "stack.lock";

/// What stands above the images.
const HEAD: &str = "# The images of this stack and the digests that their tags had. `stackctl lock` writes this\n\
                    # file, `stackctl up --locked` obeys it; docker compose takes it as a second -f.\n";

/// Where the lock of a stack is.
pub(crate) fn place(project: &Project) -> PathBuf {
    project.loaded.stack.directory.join(NAME)
}

/// The images that come from registries: neither built nor only ever on the engine.
pub(crate) fn pulled(desired: &Desired) -> impl Iterator<Item = &ImageSpec> {
    let pulled = |image: &&ImageSpec| {
        image.build.is_none() && image.named && !matches!(image.policy, PullPolicy::Never | PullPolicy::Build)
    };
    desired.images.iter().filter(pulled)
}

/// The text of a lock, from pinned images by service.
pub(crate) fn text(pinned: &BTreeMap<String, String>) -> String {
    let services: Map<String, Value> =
        pinned.iter().map(|(service, image)| (service.clone(), json!({ "image": image }))).collect();
    format!("{HEAD}{}", render::yaml::document(&json!({ "services": services })))
}

/// The pinned images of a lock by service.
///
/// # Errors
/// When it is not there, or is no lock.
pub(crate) fn read(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    if !path.is_file() {
        let message = format!("there is no lock at {}", path.display());
        return Err(Fault::new(Kind::File, message).hint("write it with: stackctl lock").into());
    }
    let loaded = load(&Request {
        files: vec![path.to_owned()],
        directory: path.parent().map(Path::to_owned).unwrap_or_default(),
        project_directory: None,
        project_name: Some("lock".to_owned()),
        env_files: Vec::new(),
        profiles: vec!["*".to_owned()],
        environment: &BTreeMap::new(),
        stdin: None,
    });
    if loaded.has_errors() {
        render::diagnostics(&loaded.diagnostics, &loaded.sources);
        let message = format!("{} is no lock of images", path.display());
        return Err(Fault::new(Kind::File, message).hint("write it anew with: stackctl lock").into());
    }
    let services = loaded.stack.services.into_iter();
    Ok(services.filter_map(|(name, service)| Some((name, service.image?.value))).collect())
}

/// Writes a lock.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(path: &Path, pinned: &BTreeMap<String, String>) -> anyhow::Result<()> {
    std::fs::write(path, text(pinned)).with_context(|| format!("{} cannot be written", path.display()))
}

/// The project with its images as the lock pins them.
///
/// # Errors
/// When the lock lacks an image of the file, or has another: all of it is shown with its lines.
pub(crate) fn obey(project: Project, path: Option<&Path>) -> anyhow::Result<Project> {
    let path = path.map_or_else(|| place(&project), Path::to_owned);
    let lock = read(&path)?;
    let mut told = Vec::new();
    let mut pinned = BTreeMap::new();
    for image in pulled(&project.desired) {
        let wanted = full(&image.references[0]);
        for service in &image.services {
            let why = match lock.get(service) {
                Some(locked) if is_pin_of(locked, &wanted) => {
                    pinned.insert(service.clone(), locked.clone());
                    continue;
                }
                Some(locked) if !locked.contains('@') => format!("the lock gives {service} no digest"),
                Some(locked) => {
                    let (name, _) = locked.split_once('@').unwrap_or((locked, ""));
                    format!("the lock is of another image of {service}: {name}")
                }
                None => format!("the lock has no image of {service}"),
            };
            told.push(Diagnostic::error(why).at(&image.origin).help("lock it with: stackctl lock"));
        }
    }
    if !told.is_empty() {
        render::diagnostics(&told, &project.loaded.sources);
        let message = format!("nothing was done: {} does not fit the stack file", path.display());
        return Err(Fault::new(Kind::Refused, message).into());
    }
    Ok(project.with_images(&pinned))
}

/// Whether a reference with a digest is that of the image that is wanted, itself named in full.
fn is_pin_of(locked: &str, wanted: &str) -> bool {
    match locked.split_once('@') {
        Some((name, _)) => locked == wanted || name == wanted,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_of_the_very_image() {
        assert!(is_pin_of("docker.io/library/redis:7@sha256:ab", &full("redis:7")));
        assert!(is_pin_of("docker.io/library/redis@sha256:ab", &full("redis:7@sha256:ab")));
        assert!(!is_pin_of("docker.io/library/redis:7@sha256:ab", &full("redis:8")));
        assert!(!is_pin_of("docker.io/library/redis:7@sha256:ab", &full("redis@sha256:cd")));
        assert!(!is_pin_of("docker.io/library/redis:7", &full("redis:7")));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NAME);
        let pinned = BTreeMap::from([
            ("web".to_owned(), "127.0.0.1:5000/a/b:1@sha256:ab".to_owned()),
            ("1".to_owned(), "docker.io/library/redis:7@sha256:cd".to_owned()),
        ]);
        write(&path, &pinned).expect("written");
        assert_eq!(read(&path).expect("a lock"), pinned);
    }
}
