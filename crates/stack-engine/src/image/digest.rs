//! References in full, and the digests that registries tell for them, through the engine: nothing is pulled.

use bollard::Docker;

use crate::image::credentials;
use crate::image::pull::{PullError, explain};

/// What is named in full where no registry is.
const HUB: &str = "docker.io";

/// An image reference pinned to its digest, with its registry: `redis:7` becomes
/// `docker.io/library/redis:7@sha256:…`. One that has a digest keeps it, and loses its
/// tag, which says nothing then; no registry is asked about it.
///
/// # Errors
/// When the registry does not tell, and why.
pub(crate) async fn pinned(docker: &Docker, reference: &str) -> Result<String, PullError> {
    let name = full(reference);
    if name.contains('@') {
        return Ok(name);
    }
    let registry = credentials::registry(reference);
    let credentials = credentials::of(registry).await;
    let found = docker
        .inspect_registry_image(&name, credentials)
        .await
        .map_err(|error| explain(&error, reference, registry))?;
    match found.descriptor.digest {
        Some(digest) => Ok(format!("{name}@{digest}")),
        None => Err(PullError::Other(format!("the engine tells no digest of {reference}"))),
    }
}

/// A reference with its registry, and with a tag or a digest, but not both: `redis` is
/// `docker.io/library/redis:latest`.
#[must_use]
pub fn full(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let (first, rest) = name.split_once('/').unwrap_or(("", name));
    let has_registry = first.contains(['.', ':']) || first == "localhost";
    let (registry, path) = match (has_registry, first) {
        (true, "index.docker.io") => (HUB, rest),
        (true, first) => (first, rest),
        (false, _) => (HUB, name),
    };
    let official = if registry == HUB && !path.contains('/') { "library/" } else { "" };
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    let tag = path[last..].find(':').map(|colon| last + colon);
    let ending = match (digest, tag) {
        (Some(digest), _) => format!("@{digest}"),
        (None, Some(tag)) => path[tag..].to_owned(),
        (None, None) => ":latest".to_owned(),
    };
    format!("{registry}/{official}{}{ending}", &path[..tag.unwrap_or(path.len())])
}

#[cfg(test)]
mod tests {
    use super::full;

    #[test]
    fn names_are_written_in_full() {
        for (reference, name) in [
            ("redis", "docker.io/library/redis:latest"),
            ("redis:7", "docker.io/library/redis:7"),
            ("docker.io/redis", "docker.io/library/redis:latest"),
            ("a/b:1", "docker.io/a/b:1"),
            ("index.docker.io/a/b", "docker.io/a/b:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            ("ghcr.io/a/b:1@sha256:ab", "ghcr.io/a/b@sha256:ab"),
            ("redis@sha256:ab", "docker.io/library/redis@sha256:ab"),
        ] {
            assert_eq!(full(reference), name);
        }
    }
}
