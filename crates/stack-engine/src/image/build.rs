//! Builds an image through the engine.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::{StreamExt, stream};
use stack_file::model::{Build, Content};
use stack_plan::desired::ImageSpec;

use crate::docker::connect::Connection;
#[cfg(feature = "buildkit")]
use crate::docker::connect::Wire;
use crate::image::context::{self, Context, ContextError};
use crate::image::steps::Steps;

/// What is to be built.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// The directory that is sent.
    pub context: PathBuf,
    /// The address of git or HTTP that the engine fetches the context from, in place of a directory.
    pub remote: Option<String>,
    /// The Dockerfile, relative to the context or absolute.
    pub dockerfile: Option<String>,
    /// The text of the Dockerfile itself.
    pub inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The stage to build.
    pub target: Option<String>,
    /// References that the image gets; at least one.
    pub tags: Vec<String>,
    /// Labels that the image gets.
    pub labels: BTreeMap<String, String>,
    /// Images whose layers may be reused.
    pub cache_from: Vec<String>,
    /// Lines for `/etc/hosts`.
    pub extra_hosts: Vec<String>,
    /// Network of `RUN` steps.
    pub network: Option<String>,
    /// Platform to build for.
    pub platform: Option<String>,
    /// Size of `/dev/shm`, bytes.
    pub shm_size: Option<u64>,
    /// Whether the layer cache is left unused.
    pub no_cache: bool,
    /// Whether base images are always pulled.
    pub pull: bool,
    /// Further contexts by name: an absolute folder, `docker-image://REFERENCE`, or an address.
    pub contexts: BTreeMap<String, String>,
    /// Where the layer cache is exported to.
    pub cache_to: Vec<String>,
    /// Rights that the build asks for.
    pub entitlements: Vec<String>,
    /// Stages that are built without the layer cache.
    pub no_cache_filter: Vec<String>,
    /// Platforms of which the engine's own is built, where `platform` says nothing.
    pub platforms: Vec<String>,
    /// Whether `RUN` steps may have all privileges.
    pub privileged: bool,
    /// How an attestation of the provenance is made.
    pub provenance: Option<String>,
    /// Whether and by what a bill of materials is made.
    pub sbom: Option<String>,
    /// Secrets for `RUN` steps by id: what is in each, or why that is not known.
    pub secrets: BTreeMap<String, Result<Content, String>>,
    /// SSH agents and keys for `RUN` steps by id; `None` is the user's own agent.
    pub ssh: BTreeMap<String, Option<String>>,
    /// Limits of `RUN` steps: `nofile=1024:4096`.
    pub ulimits: Vec<String>,
}

impl BuildRequest {
    /// What a stack file asks for.
    #[must_use]
    pub fn of(build: &Build, spec: &ImageSpec) -> Self {
        let text = |value: &Option<stack_file::source::Spanned<String>>| {
            value.as_ref().map(|value| value.value.clone())
        };
        let texts = |values: &[stack_file::source::Spanned<String>]| {
            values.iter().map(|value| value.value.clone()).collect()
        };
        Self {
            context: build.context.value.clone(),
            remote: build.remote().map(str::to_owned),
            dockerfile: text(&build.dockerfile),
            inline: text(&build.dockerfile_inline),
            args: build
                .args
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.value.clone()?)))
                .collect(),
            target: text(&build.target),
            tags: spec.references.clone(),
            labels: spec.labels.clone(),
            cache_from: texts(&build.cache_from),
            extra_hosts: texts(&build.extra_hosts),
            network: text(&build.network),
            platform: spec.platform.clone(),
            shm_size: build.shm_size.as_ref().map(|size| size.value),
            no_cache: build.no_cache.as_ref().is_some_and(|flag| flag.value),
            pull: build.pull.as_ref().is_some_and(|flag| flag.value),
            contexts: build
                .additional_contexts
                .iter()
                .map(|(name, place)| (name.clone(), place.value.clone()))
                .collect(),
            cache_to: texts(&build.cache_to),
            entitlements: texts(&build.entitlements),
            no_cache_filter: texts(&build.no_cache_filter),
            platforms: texts(&build.platforms),
            privileged: build.privileged.as_ref().is_some_and(|flag| flag.value),
            provenance: text(&build.provenance),
            sbom: text(&build.sbom),
            secrets: spec.secrets.clone(),
            ssh: build.ssh.iter().map(|(id, place)| (id.clone(), place.value.clone())).collect(),
            ulimits: build
                .ulimits
                .iter()
                .map(|(name, limit)| format!("{name}={}:{}", limit.value.soft, limit.value.hard))
                .collect(),
        }
    }

    /// The text of a Dockerfile of this machine, for a context that is fetched from elsewhere.
    ///
    /// # Errors
    /// When there is a path to one that cannot be read.
    pub(super) fn text(&self) -> Result<Option<String>, ContextError> {
        match (&self.inline, self.dockerfile.as_deref().map(Path::new)) {
            (Some(text), _) => Ok(Some(text.clone())),
            (None, Some(path)) if path.is_absolute() => match path.is_file() {
                true => context::read(path).map(Some),
                false => Err(ContextError::NoDockerfile(path.to_owned())),
            },
            _ => Ok(None),
        }
    }

    /// The first attribute that only a session with BuildKit can honour.
    fn needs_session(&self) -> Option<&'static str> {
        let asks = |value: &Option<String>| value.as_deref().is_some_and(|value| value != "false");
        [
            ("additional_contexts", !self.contexts.is_empty()),
            ("cache_to", !self.cache_to.is_empty()),
            ("entitlements", !self.entitlements.is_empty()),
            ("no_cache_filter", !self.no_cache_filter.is_empty()),
            ("privileged", self.privileged),
            ("provenance", asks(&self.provenance)),
            ("sbom", asks(&self.sbom)),
            ("secrets", !self.secrets.is_empty()),
            ("ssh", !self.ssh.is_empty()),
            ("ulimits", !self.ulimits.is_empty()),
        ]
        .into_iter()
        .find_map(|(attribute, asked)| asked.then_some(attribute))
    }
}

/// How a build goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildProgress {
    /// A step was begun: `[build 2/5] RUN cargo build`.
    Started {
        /// The step.
        name: String,
    },
    /// A step is done.
    Finished {
        /// The step.
        name: String,
        /// How long it took.
        took: Duration,
    },
    /// A step was taken from the layer cache.
    Cached {
        /// The step.
        name: String,
    },
    /// Something that a person should know.
    Warning(String),
    /// A step printed a line.
    Log {
        /// The step.
        name: String,
        /// The line.
        line: String,
    },
}

/// A line of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerfileLine {
    /// The name of the file, as the builder knows it.
    pub file: String,
    /// The line, from 1.
    pub number: usize,
    /// What stands there.
    pub text: String,
}

/// Why an image cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// What is to be sent cannot be.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A step failed.
    #[error("{}", plain(message))]
    Failed {
        /// The step that failed.
        step: Option<String>,
        /// The builder's words.
        message: String,
        /// The last lines that the step printed.
        log: Vec<String>,
        /// Where in the Dockerfile, if the builder tells.
        line: Option<Box<DockerfileLine>>,
    },
    /// What is asked for cannot be done here.
    #[error("{0}")]
    Unsupported(String),
    /// The engine does not answer.
    #[error("the engine does not answer: {0}")]
    Lost(String),
}

/// The builder's words without the whole command, which the step tells already.
fn plain(message: &str) -> &str {
    // The words of newer builders, and those of Docker 20.10.
    let forms = [("process \"", "\" did not complete successfully: "), ("executor failed running [", "]: ")];
    forms
        .into_iter()
        .filter(|(begin, _)| message.starts_with(begin))
        .find_map(|(_, end)| message.rsplit_once(end))
        .map_or(message, |(_, rest)| rest)
}

impl BuildError {
    /// The step that failed, where there is one.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Failed { step, .. } => step.as_deref(),
            _ => None,
        }
    }

    /// Where in the Dockerfile it failed, if the builder tells.
    #[must_use]
    pub fn line(&self) -> Option<&DockerfileLine> {
        match self {
            Self::Failed { line, .. } => line.as_deref(),
            _ => None,
        }
    }

    /// The last lines of the step that failed.
    #[must_use]
    pub fn log(&self) -> &[String] {
        match self {
            Self::Failed { log, .. } => log,
            _ => &[],
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Context(ContextError::NoDockerfile(_)) => {
                Some("write `dockerfile:` below `build:`, relative to the context".to_owned())
            }
            Self::Context(ContextError::NoDirectory(_)) => {
                Some("`context:` is relative to the directory of the first stack file".to_owned())
            }
            Self::Failed { message, log, .. } if is_about_space(message, log) => Some(
                "a disk is full: see what takes it on the engine's with: docker system df".to_owned(),
            ),
            Self::Failed { step: Some(step), .. } if is_about_fetching(step) => Some(
                "the engine fetches the context itself: see whether it reaches the address and the branch is there; what is private needs `ssh:` below `build:`"
                    .to_owned(),
            ),
            Self::Failed { message, .. } if is_about_a_base_image(message) => Some(
                "the base image is neither on the engine nor can it be pulled; see whether its name is right and the registry answers"
                    .to_owned(),
            ),
            Self::Failed { .. } => {
                Some("correct that step of the Dockerfile; `stackctl build` begins there again".to_owned())
            }
            _ => None,
        }
    }
}

fn is_about_space(message: &str, log: &[String]) -> bool {
    let says = |text: &str| text.to_lowercase().contains("no space left on device");
    says(message) || log.iter().any(|line| says(line))
}

fn is_about_fetching(step: &str) -> bool {
    step.contains("load git source") || step.contains("load remote build context")
}

fn is_about_a_base_image(message: &str) -> bool {
    message.contains("failed to resolve source metadata")
        || message.contains("failed to load cache key")
        || message.contains("pull access denied")
        || message.contains("failed to do request")
}

/// Builds an image and gives it its tags. Dropping the future ends the build.
///
/// # Errors
/// When the image could not be built: which step failed, and what it printed.
pub(crate) async fn build(
    connection: &Connection,
    mut request: BuildRequest,
    mut progress: impl FnMut(BuildProgress),
) -> Result<(), BuildError> {
    if request.platform.is_none() && !request.platforms.is_empty() {
        let own = platform(connection).await?;
        if !request.platforms.contains(&own) {
            return Err(BuildError::Unsupported(format!(
                "`build.platforms` has no {own}, and the engine builds for that alone: add it, or name another with `platform` of the service"
            )));
        }
        if request.platforms.len() > 1 {
            progress(BuildProgress::Warning(format!(
                "of `build.platforms` only {own} is built: the engine keeps images of one platform"
            )));
        }
        request.platform = Some(own);
    }
    #[cfg(feature = "buildkit")]
    if !matches!(connection.wire, Wire::Client) {
        return crate::image::buildkit::build(connection, &request, &mut progress).await;
    }
    match request.needs_session() {
        Some(attribute) if cfg!(feature = "buildkit") => Err(BuildError::Unsupported(format!(
            "`build.{attribute}` cannot be done through {}: use a socket or ssh://",
            connection.address
        ))),
        Some(attribute) => Err(BuildError::Unsupported(format!(
            "`build.{attribute}` needs stackctl to be built with the feature `buildkit`"
        ))),
        None => at_once(&connection.docker, request, progress).await,
    }
}

/// The engine's own platform: `linux/amd64`.
async fn platform(connection: &Connection) -> Result<String, BuildError> {
    let version = connection.docker.version().await.map_err(|error| BuildError::Lost(error.to_string()))?;
    Ok(format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default()))
}

/// Builds with one call, which sends the context with it.
async fn at_once(
    docker: &bollard::Docker,
    request: BuildRequest,
    mut progress: impl FnMut(BuildProgress),
) -> Result<(), BuildError> {
    let (context, dockerfile) = match &request.remote {
        Some(_) if request.text()?.is_some() => {
            let words = "a Dockerfile of this machine for a context that is fetched needs a session with BuildKit: use a socket or ssh://";
            return Err(BuildError::Unsupported(words.to_owned()));
        }
        Some(_) => (None, request.dockerfile.clone().unwrap_or_else(|| "Dockerfile".to_owned())),
        None => {
            let context =
                Context::open(&request.context, request.dockerfile.as_deref(), request.inline.as_deref())?;
            let dockerfile = context.dockerfile().to_owned();
            (Some(context), dockerfile)
        }
    };
    let options = options(&request, &dockerfile);

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
    let body = context.map(|context| bollard::body_stream(send(context)));
    let mut answers = std::pin::pin!(docker.build_image(options, None, body));
    while let Some(answer) = answers.next().await {
        let result = answer.map(|info| steps.take(info, &mut progress));
        if let Some(error) = failure.lock().ok().and_then(|mut noted| noted.take()) {
            return Err(error.into());
        }
        match result {
            Ok(()) => {}
            Err(Error::DockerStreamError { error }) => return Err(steps.fail(error)),
            Err(Error::DockerResponseServerError { message, .. }) => return Err(steps.fail(message)),
            Err(other) => return Err(BuildError::Lost(other.to_string())),
        }
    }
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
    if !request.extra_hosts.is_empty() {
        options = options.extrahosts(&request.extra_hosts.join(","));
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
    fn the_words_of_a_builder_are_said_without_the_command() {
        let newer = "process \"/bin/sh -c exit 9\" did not complete successfully: exit code: 9";
        let older = "executor failed running [/bin/sh -c a]: b; exit 9]: exit code: 9";
        assert_eq!((plain(newer), plain(older)), ("exit code: 9", "exit code: 9"));
        assert_eq!(plain("Dockerfile parse error line 3: x"), "Dockerfile parse error line 3: x");
    }
}
