//! Pulls an image.

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use crate::event::Progress;
use crate::image::attempts::persist;
use crate::image::credentials;
use crate::image::layers::Layers;

/// How a pull or a push goes on: sums over the layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Layers that are there.
    pub layers_done: usize,
    /// Layers known so far.
    pub layers: usize,
    /// Bytes on their way so far.
    pub current: u64,
    /// Bytes in all, as far as they are known.
    pub total: u64,
}

/// Why an image cannot be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry does not have it, or does not show it to us.
    #[error("{registry} has no {reference}, or does not show it to you")]
    NotFound {
        /// The image.
        reference: String,
        /// Who was asked.
        registry: String,
    },
    /// The registry wants other credentials.
    #[error("{registry} refuses: {message}")]
    Denied {
        /// Who was asked.
        registry: String,
        /// The engine's words.
        message: String,
    },
    /// The registry does not answer.
    #[error("{registry} does not answer: {message}")]
    Unreachable {
        /// Who was asked.
        registry: String,
        /// The engine's words.
        message: String,
    },
    /// The registry has had enough of us.
    #[error("{registry} has had too many pulls from here")]
    RateLimited {
        /// Who was asked.
        registry: String,
    },
    /// The engine's disk is full.
    #[error("no space is left on the engine's disk")]
    NoSpace,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl PullError {
    /// Whether the same may go well a moment later. A registry to which there is no way, or that
    /// does not listen, is not worth the time.
    pub(super) fn passes(&self) -> bool {
        let Self::Unreachable { message, .. } = self else { return false };
        let message = message.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let passing = [
            "connection reset",
            "broken pipe",
            "eof",
            "timeout",
            "service unavailable",
            "bad gateway",
            "unexpected http status: 5",
        ];
        has(&passing) && !has(&["dial tcp", "x509", "no such host"])
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NotFound { .. } => "see whether the name is right; a private image needs: docker login",
                Self::Denied { .. } => "log in with: docker login",
                Self::Unreachable { .. } => "see whether the engine reaches the registry; an image that is there already needs no pull",
                Self::RateLimited { .. } => "wait, or log in with: docker login",
                Self::NoSpace => "free space on the engine's disk",
                Self::Other(_) => return None,
            }
            .to_owned(),
        )
    }
}

/// Pulls `reference`, and tells `report` how it goes on. What may go well the next time is
/// tried again: a connection that was reset, a registry that is overloaded.
///
/// # Errors
/// When the image is not there afterwards, and why.
pub async fn pull(
    docker: &Docker,
    reference: &str,
    platform: Option<&str>,
    report: &dyn Fn(Progress),
) -> Result<(), PullError> {
    let credentials = credentials::of(credentials::registry(reference)).await;
    persist(report, async || once(docker, reference, platform, credentials.clone(), report).await).await
}

async fn once(
    docker: &Docker,
    reference: &str,
    platform: Option<&str>,
    credentials: Option<DockerCredentials>,
    report: &dyn Fn(Progress),
) -> Result<(), PullError> {
    let registry = credentials::registry(reference);
    let tagged = with_tag(reference);
    let mut options = CreateImageOptionsBuilder::new().from_image(&tagged);
    if let Some(platform) = platform {
        options = options.platform(platform);
    }
    let mut stream = docker.create_image(Some(options.build()), None, credentials);
    let mut layers = Layers::default();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| explain(&error, reference, registry))?;
        if let Some(message) = part.error_detail.and_then(|detail| detail.message) {
            return Err(classify(&message, reference, registry));
        }
        let (Some(id), Some(status)) = (part.id, part.status) else { continue };
        let detail = part.progress_detail.unwrap_or_default();
        if let Some(sums) = layers.note(id, &status, detail.current, detail.total) {
            report(Progress::Pull(sums));
        }
    }
    Ok(())
}

/// Without a tag the engine would pull every one.
pub(super) fn with_tag(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

pub(super) fn explain(error: &Error, reference: &str, registry: &str) -> PullError {
    match error {
        Error::DockerResponseServerError { message, .. } => classify(message, reference, registry),
        Error::DockerStreamError { error } => classify(error, reference, registry),
        other => PullError::Other(other.to_string()),
    }
}

/// The engine hands the registry's words on as text: this is the only way to tell them apart.
fn classify(message: &str, reference: &str, registry: &str) -> PullError {
    let registry = match registry.strip_prefix("https://index.") {
        Some(_) => "Docker Hub".to_owned(),
        None => registry.to_owned(),
    };
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let message = message.trim().trim_start_matches("Error response from daemon: ").to_owned();
    if has(&["toomanyrequests", "too many requests", "rate limit"]) {
        PullError::RateLimited { registry }
    } else if has(&["no space left"]) {
        PullError::NoSpace
    } else if has(&[
        "no such host",
        "dial tcp",
        "i/o timeout",
        "connection refused",
        "connection reset",
        "timeout",
        "tls:",
        "x509",
        "eof",
        "network is unreachable",
        "server misbehaving",
        "service unavailable",
        "bad gateway",
        "broken pipe",
        "unexpected http status: 5",
    ]) {
        PullError::Unreachable { registry, message }
    } else if has(&[
        "manifest unknown",
        "not found",
        "does not exist",
        "repository name not known",
        "manifest for",
    ]) {
        PullError::NotFound { reference: reference.to_owned(), registry }
    } else if has(&["denied", "unauthorized", "no basic auth", "authentication required"]) {
        PullError::Denied { registry, message }
    } else {
        PullError::Other(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_without_a_tag_is_latest() {
        assert_eq!(with_tag("redis"), "redis:latest");
        assert_eq!(with_tag("localhost:5000/redis"), "localhost:5000/redis:latest");
        assert_eq!(with_tag("redis:7"), "redis:7");
        assert_eq!(with_tag("redis@sha256:ab"), "redis@sha256:ab");
    }

    #[test]
    fn the_registrys_words_are_told_apart() {
        let kind = |message: &str| match classify(message, "x", "https://index.docker.io/v1/") {
            PullError::NotFound { .. } => "not found",
            PullError::Denied { .. } => "denied",
            PullError::Unreachable { .. } => "unreachable",
            PullError::RateLimited { .. } => "limited",
            PullError::NoSpace => "space",
            PullError::Other(_) => "other",
        };
        for (message, expected) in [
            (
                "pull access denied for x, repository does not exist or may require 'docker login'",
                "not found",
            ),
            ("manifest for x:9 not found: manifest unknown: manifest unknown", "not found"),
            ("Head \"https://r/v2/\": unauthorized: authentication required", "denied"),
            (
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
                "unreachable",
            ),
            ("toomanyrequests: You have reached your pull rate limit", "limited"),
            ("write /var/lib/docker/tmp/x: no space left on device", "space"),
            ("received unexpected HTTP status: 500 Internal Server Error", "unreachable"),
            ("something new", "other"),
        ] {
            assert_eq!(kind(message), expected, "{message}");
        }
    }
}
