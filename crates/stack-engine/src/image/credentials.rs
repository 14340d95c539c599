//! Credentials for registries, from docker's own configuration. They are never shown.

use bollard::auth::DockerCredentials;
use docker_credential::DockerCredential;

/// The name under which docker keeps the credentials of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// The registry of an image reference; Docker Hub when none is named.
pub(super) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// What docker's configuration knows about a registry. Helper programs may be asked, so it may take a while.
pub(super) async fn of(registry: &str) -> Option<DockerCredentials> {
    let name = registry.to_owned();
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&name)).await.ok()?;
    let mut credentials =
        DockerCredentials { serveraddress: Some(registry.to_owned()), ..Default::default() };
    match found {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            credentials.username = Some(user);
            credentials.password = Some(password);
        }
        Ok(DockerCredential::IdentityToken(token)) => credentials.identitytoken = Some(token),
        // Most registries need none; one that does says so itself.
        Err(_) => return None,
    }
    Some(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_read_from_the_reference() {
        for (reference, name) in [
            ("redis", HUB),
            ("library/redis:7", HUB),
            ("ghcr.io/a/b:1", "ghcr.io"),
            ("localhost/a", "localhost"),
            ("localhost:5000/a", "localhost:5000"),
        ] {
            assert_eq!(registry(reference), name);
        }
    }
}
