//! Pushes an image.

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt;

use crate::docker::connect::Connection;
use crate::engine::EngineError;
use crate::event::Progress;
use crate::image::attempts::persist;
use crate::image::layers::Layers;
use crate::image::pull::{explain, with_tag};
use crate::image::{credentials, pull::PullError};

/// Pushes `reference` to its registry, and tells `report` how it goes on. What may go well the
/// next time is tried again, as with a pull.
///
/// # Errors
/// When the registry does not have the image afterwards, and why.
pub(crate) async fn push(
    connection: &Connection,
    reference: &str,
    report: &dyn Fn(Progress),
) -> Result<(), EngineError> {
    let registry = credentials::registry(reference);
    // The engine wants to be told something, even that there is nothing.
    let credentials = credentials::of(registry).await.unwrap_or_else(DockerCredentials::default);
    let full = with_tag(reference);
    let Some((repository, tag)) = full.rsplit_once(':').filter(|_| !full.contains('@')) else {
        let words = "what is named by its digest cannot be pushed: write a tag";
        return Err(EngineError::Unsupported(words.to_owned()));
    };
    // A pull is answered in the same words, but bollard leaves out the layers of a push.
    let path = format!("/images/{repository}/push?tag={tag}");
    persist(report, async || once(connection, &path, reference, credentials.clone(), report).await).await
}

async fn once(
    connection: &Connection,
    path: &str,
    reference: &str,
    credentials: DockerCredentials,
    report: &dyn Fn(Progress),
) -> Result<(), EngineError> {
    let registry = credentials::registry(reference);
    let docker = connection.asking(path);
    let mut stream = docker.create_image(None::<CreateImageOptions>, None, Some(credentials));
    let mut layers = Layers::default();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| failed(&error, reference, registry))?;
        if let Some(message) = part.error_detail.and_then(|detail| detail.message) {
            return Err(failed(&Error::DockerStreamError { error: message }, reference, registry));
        }
        let (Some(id), Some(status)) = (part.id, part.status) else { continue };
        let detail = part.progress_detail.unwrap_or_default();
        if let Some(sums) = layers.note(id, &status, detail.current, detail.total) {
            report(Progress::Pull(sums));
        }
    }
    Ok(())
}

fn failed(error: &Error, reference: &str, registry: &str) -> EngineError {
    let text = error.to_string();
    if text.contains("does not exist locally") || text.contains("An image does not exist") {
        return EngineError::NoImage { reference: reference.to_owned() };
    }
    match explain(error, reference, registry) {
        // A registry that has no such place does not let everybody make one.
        PullError::NotFound { registry, .. } => {
            PullError::Denied { registry, message: format!("there is no place for {reference}") }.into()
        }
        other => other.into(),
    }
}
