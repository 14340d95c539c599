//! Builds an image through the engine.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::{StreamExt, stream};
use stack_file::model::Build;
use stack_plan::desired::ImageSpec;

use crate::image::context::{Context, ContextError};

/// How many lines of output a failure keeps.
const KEPT_LINES: usize = 40;

/// What is to be built.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// The directory that is sent.
    pub context: PathBuf,
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
        }
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
    /// A step printed a line.
    Log {
        /// The step.
        name: String,
        /// The line.
        line: String,
    },
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
    },
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
            Self::Failed { message, .. } if is_about_a_base_image(message) => Some(
                "the base image is neither on the engine nor can it be pulled; see whether its name is right and the registry answers"
                    .to_owned(),
            ),
            _ => None,
        }
    }
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
pub async fn build(
    docker: &Docker,
    request: BuildRequest,
    mut progress: impl FnMut(BuildProgress),
) -> Result<(), BuildError> {
    let context = Context::open(&request.context, request.dockerfile.as_deref(), request.inline.as_deref())?;
    let options = options(&request, context.dockerfile());

    // An error while sending ends the stream; the engine would only tell that it ended too soon.
    let failure = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&failure);
    let body = stream::unfold((context.send(), noted), |(mut pieces, noted)| async move {
        match pieces.recv().await? {
            Ok(piece) => Some((piece, (pieces, noted))),
            Err(error) => {
                if let Ok(mut noted) = noted.lock() {
                    *noted = Some(error);
                }
                None
            }
        }
    });

    let mut steps = Steps::default();
    let mut answers = std::pin::pin!(docker.build_image(options, None, Some(bollard::body_stream(body))));
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

/// The steps of a build, as far as they are known.
#[derive(Default)]
struct Steps {
    /// Name and whether it was told that it has begun and ended, by digest.
    known: HashMap<String, Known>,
    failed: Option<String>,
    /// Lines of builds without steps.
    plain: VecDeque<String>,
}

#[derive(Default)]
struct Known {
    name: String,
    begun: bool,
    ended: bool,
    log: VecDeque<String>,
    /// A line that has no end yet.
    part: String,
}

fn keep(log: &mut VecDeque<String>, line: String) {
    if log.len() == KEPT_LINES {
        log.pop_front();
    }
    log.push_back(line);
}

impl Steps {
    fn take(&mut self, info: BuildInfo, progress: &mut impl FnMut(BuildProgress)) {
        if let Some(text) = info.stream {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                keep(&mut self.plain, line.to_owned());
                progress(BuildProgress::Log { name: String::new(), line: line.to_owned() });
            }
        }
        #[cfg(feature = "buildkit")]
        if let Some(bollard::models::BuildInfoAux::BuildKit(status)) = info.aux {
            self.status(status, progress);
        }
    }

    #[cfg(feature = "buildkit")]
    fn status(
        &mut self,
        status: bollard::moby::buildkit::v1::StatusResponse,
        progress: &mut impl FnMut(BuildProgress),
    ) {
        for vertex in status.vertexes {
            let known = self.known.entry(vertex.digest.clone()).or_default();
            known.name.clone_from(&vertex.name);
            let name = vertex.name;
            if !vertex.error.is_empty() {
                self.failed = Some(vertex.digest);
                continue;
            }
            if vertex.cached && !known.ended {
                known.ended = true;
                progress(BuildProgress::Cached { name });
                continue;
            }
            if vertex.started.is_some() && !known.begun {
                known.begun = true;
                progress(BuildProgress::Started { name: name.clone() });
            }
            if let (Some(begun), Some(ended), false) = (vertex.started, vertex.completed, known.ended) {
                known.ended = true;
                let nanoseconds =
                    (ended.seconds - begun.seconds) * 1_000_000_000 + i64::from(ended.nanos - begun.nanos);
                let took = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
                progress(BuildProgress::Finished { name, took });
            }
        }
        for log in status.logs {
            let known = self.known.entry(log.vertex).or_default();
            known.part.push_str(&String::from_utf8_lossy(&log.msg));
            while let Some(end) = known.part.find('\n') {
                let line = known.part[..end].trim_end_matches('\r').to_owned();
                known.part.drain(..=end);
                keep(&mut known.log, line.clone());
                progress(BuildProgress::Log { name: known.name.clone(), line });
            }
        }
    }

    fn fail(mut self, message: String) -> BuildError {
        let known = self.failed.and_then(|digest| self.known.remove(&digest));
        let message = message.trim().to_owned();
        match known {
            Some(mut known) => {
                if !known.part.is_empty() {
                    known.log.push_back(known.part);
                }
                BuildError::Failed { step: Some(known.name), message, log: known.log.into() }
            }
            None => BuildError::Failed { step: None, message, log: self.plain.into() },
        }
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
