//! Credentials for registries, from docker's own configuration. They are never shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bollard::auth::DockerCredentials;
use docker_credential::DockerCredential;
use serde::Deserialize;
use serde_json::json;

use crate::checkup::CredentialsCheckup;
use crate::engine::EngineError;

/// The name under which docker keeps the credentials of Docker Hub.
pub(super) const HUB: &str = "https://index.docker.io/v1/";

/// The registry of an image reference; Docker Hub when none is named.
pub(crate) fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// What docker's configuration knows about a registry. Helper programs may be asked, so it may take a while.
pub(crate) async fn of(registry: &str) -> Option<DockerCredentials> {
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

/// The part of docker's configuration that says where credentials are.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default)]
    creds_store: String,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

/// All credentials that docker's configuration and its helper programs have, as a
/// `config.json` that needs no helper.
///
/// # Errors
/// When the configuration is there and cannot be read.
pub(crate) async fn config_json() -> Result<Vec<u8>, EngineError> {
    let made = tokio::task::spawn_blocking(|| -> Result<Vec<u8>, String> {
        let mut auths = serde_json::Map::new();
        for server in servers()? {
            let entry = match docker_credential::get_credential(&server) {
                Ok(DockerCredential::UsernamePassword(user, password)) => {
                    json!({ "auth": BASE64_STANDARD.encode(format!("{user}:{password}")) })
                }
                Ok(DockerCredential::IdentityToken(token)) => json!({ "identitytoken": token }),
                // A registry that was logged out from keeps its place without credentials.
                Err(_) => continue,
            };
            auths.insert(server, entry);
        }
        Ok(json!({ "auths": auths }).to_string().into_bytes())
    });
    made.await.map_err(|error| error.to_string()).and_then(|made| made).map_err(|why| {
        EngineError::Unsupported(format!("the credentials for registries cannot be read: {why}"))
    })
}

/// Docker's configuration; that of nobody where there is none.
fn config() -> Result<Config, String> {
    let folder = std::env::var_os("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    let text = match folder.map(|folder| std::fs::read(folder.join("config.json"))) {
        Some(Ok(text)) => text,
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.to_string()),
        _ => return Ok(Config::default()),
    };
    serde_json::from_slice(&text).map_err(|_| "config.json is no valid JSON".to_owned())
}

/// The registries for which docker's configuration has credentials.
fn servers() -> Result<BTreeSet<String>, String> {
    let config = config()?;
    let mut servers: BTreeSet<String> = config.auths.into_keys().collect();
    servers.extend(config.cred_helpers.into_keys());
    if !config.creds_store.is_empty() {
        servers.extend(listed(&format!("docker-credential-{}", config.creds_store))?);
    }
    Ok(servers)
}

/// The registries that a helper program knows.
fn listed(program: &str) -> Result<Vec<String>, String> {
    let answer = std::process::Command::new(program)
        .arg("list")
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let listed: BTreeMap<String, serde::de::IgnoredAny> =
        serde_json::from_slice(&answer.stdout).map_err(|_| format!("{program} gave no list"))?;
    Ok(listed.into_keys().collect())
}

/// Whether the configuration can be read, and whether the programs that it names answer.
pub(crate) fn checkup() -> CredentialsCheckup {
    let config = match config() {
        Ok(config) => config,
        Err(fault) => return CredentialsCheckup { fault: Some(fault), ..CredentialsCheckup::default() },
    };
    let store = Some(config.creds_store).filter(|store| !store.is_empty());
    let programs: BTreeSet<String> = (config.cred_helpers.into_values().chain(store))
        .map(|helper| format!("docker-credential-{helper}"))
        .collect();
    let helpers = programs.into_iter().map(|program| {
        let found = listed(&program).map(|registries| registries.len());
        (program, found)
    });
    let helpers: Vec<_> = helpers.collect();
    // With a helper the entries only name the registries that were logged in to.
    let plain = if helpers.is_empty() { config.auths.into_keys().collect() } else { Vec::new() };
    CredentialsCheckup { fault: None, plain, helpers }
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
