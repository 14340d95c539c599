//! Builds with one call, which sends the context with it: without a session it knows less.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, TagImageOptionsBuilder};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::image::build::{BuildError, BuildProgress};
use crate::image::context::Context;
use crate::image::request::BuildRequest;
use crate::image::steps::Steps;
use crate::image::{credentials, dockerfile};

/// Builds with one call, which sends the context with it.
pub(super) async fn build(
    docker: &bollard::Docker,
    request: BuildRequest,
    mut progress: impl FnMut(BuildProgress),
) -> Result<(), BuildError> {
    let (context, name, text) = match &request.remote {
        Some(_) if request.text()?.is_some() => {
            let what = "a Dockerfile of this machine for a context that is fetched";
            return Err(BuildError::Unsupported(if cfg!(feature = "buildkit") {
                format!("{what} needs a session with BuildKit: use a socket or ssh://")
            } else {
                format!("{what} needs stackctl to be built with the feature `buildkit`")
            }));
        }
        Some(_) => {
            let name = request.dockerfile.clone().unwrap_or_else(|| "Dockerfile".to_owned());
            (None, name, String::new())
        }
        None => {
            let context =
                Context::open(&request.context, request.dockerfile.as_deref(), request.inline.as_deref())?;
            let (name, text) = (context.dockerfile().to_owned(), context.dockerfile_text()?);
            (Some(context), name, text)
        }
    };
    let options = options(&request, &name);

    // An error while sending ends the stream; the engine would only tell that it ended too soon.
    let failure = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&failure);
    let send = |context: Context| {
        stream::unfold((context.send(), noted), |(mut pieces, noted)| async move {
            match pieces.recv().await? {
                Ok(piece) => Some((piece, (pieces, noted))),
                Err(error) => {
                    if let Ok(mut noted) = noted.lock() {
                        *noted = Some(error);
                    }
                    None
                }
            }
        })
    };

    let mut steps = Steps::default();
    // What the engine fetches itself is asked for with nothing.
    let body = match context {
        Some(context) => bollard::body_stream(send(context)),
        None => bollard::body_full(Bytes::new()),
    };
    let mut answers = std::pin::pin!(docker.build_image(options, credentials(&text).await, Some(body)));
    while let Some(answer) = answers.next().await {
        let result = answer.map(|info| steps.take(info, &mut progress));
        if let Some(error) = failure.lock().ok().and_then(|mut noted| noted.take()) {
            return Err(error.into());
        }
        match result {
            Ok(()) => {}
            Err(
                Error::DockerStreamError { error: message }
                | Error::DockerResponseServerError { message, .. },
            ) => {
                return Err(placed(steps.fail(message), &request, &name, &text));
            }
            Err(other) => {
                return Err(match steps.running() {
                    Some(step) => {
                        BuildError::broken_off(step, dockerfile::line_of_step(step, &name, &text).as_ref())
                    }
                    None => BuildError::Lost(other.to_string()),
                });
            }
        }
    }
    steps.finish(&mut progress);
    let Some((first, others)) = request.tags.split_first() else { return Ok(()) };
    for tag in others {
        let (repository, version) = split(tag);
        let options = TagImageOptionsBuilder::new().repo(repository).tag(version).build();
        docker.tag_image(first, Some(options)).await.map_err(|error| match error {
            Error::DockerResponseServerError { message, .. } => BuildError::Failed {
                step: None,
                message: format!("the tag {tag} cannot be given: {message}"),
                log: Vec::new(),
                line: None,
            },
            other => BuildError::Lost(other.to_string()),
        })?;
    }
    Ok(())
}

/// What docker's configuration knows about the registries of the base images.
async fn credentials(dockerfile: &str) -> Option<HashMap<String, DockerCredentials>> {
    let registries: BTreeSet<&str> = dockerfile::bases(dockerfile).map(credentials::registry).collect();
    let mut known = HashMap::new();
    for registry in registries {
        if let Some(found) = credentials::of(registry).await {
            known.insert(registry.to_owned(), found);
        }
    }
    (!known.is_empty()).then_some(known)
}

/// A failure with the line of the Dockerfile; what fails before the first step of a context that
/// the engine fetches is the fetching.
fn placed(mut error: BuildError, request: &BuildRequest, name: &str, text: &str) -> BuildError {
    if let BuildError::Failed { step, line, .. } = &mut error {
        if let (Some(remote), None) = (&request.remote, &step) {
            *step = Some(format!("load git source {remote}"));
        }
        let found = step.as_deref().and_then(|step| dockerfile::line_of_step(step, name, text));
        *line = found.map(Box::new);
    }
    error
}

fn options(request: &BuildRequest, dockerfile: &str) -> BuildImageOptions {
    let args: HashMap<&str, &str> =
        request.args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let labels: HashMap<&str, &str> =
        request.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut options = BuildImageOptionsBuilder::new()
        .dockerfile(dockerfile)
        .rm(true)
        .forcerm(true)
        .nocache(request.no_cache)
        .buildargs(&args)
        .labels(&labels);
    if let Some(tag) = request.tags.first() {
        options = options.t(tag);
    }
    if let Some(remote) = &request.remote {
        options = options.remote(remote);
    }
    if let Some(target) = &request.target {
        options = options.target(target);
    }
    if let Some(platform) = &request.platform {
        options = options.platform(platform);
    }
    if let Some(network) = &request.network {
        options = options.networkmode(network);
    }
    if request.pull {
        options = options.pull("1");
    }
    if !request.cache_from.is_empty() {
        options = options.cachefrom(&request.cache_from);
    }
    // More than one is refused before.
    if let Some(line) = request.extra_hosts.first() {
        options = options.extrahosts(&host(line));
    }
    if let Some(size) = request.shm_size.and_then(|size| i32::try_from(size).ok()) {
        options = options.shmsize(size);
    }
    #[cfg(feature = "buildkit")]
    {
        use bollard::query_parameters::BuilderVersion;
        options = options.version(BuilderVersion::BuilderBuildKit).session(&uuid::Uuid::new_v4().to_string());
    }
    options.build()
}

/// `NAME=ADDRESS` as the engine wants it: `NAME:ADDRESS`.
fn host(line: &str) -> String {
    match line.split_once('=') {
        Some((name, address)) => {
            format!("{name}:{}", address.trim_start_matches('[').trim_end_matches(']'))
        }
        None => line.to_owned(),
    }
}

/// `localhost:5000/web:1` as `localhost:5000/web` and `1`.
fn split(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_call_is_told_is_in_the_engines_form() {
        assert_eq!((host("a=10.0.0.1").as_str(), host("a=[::1]").as_str()), ("a:10.0.0.1", "a:::1"));
        assert_eq!(split("localhost:5000/web:1"), ("localhost:5000/web", "1"));
        assert_eq!(split("localhost:5000/web"), ("localhost:5000/web", "latest"));
    }
}
