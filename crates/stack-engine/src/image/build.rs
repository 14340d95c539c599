//! Builds an image through the engine.

use std::time::Duration;

use crate::docker::connect::Connection;
#[cfg(feature = "buildkit")]
use crate::docker::connect::Wire;
use crate::image::context::ContextError;
use crate::image::one_call;
use crate::image::request::BuildRequest;

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
fn plain(message: &str) -> String {
    // The classic builder's words.
    let classic = message.strip_prefix("The command '");
    if let Some((_, code)) = classic.and_then(|rest| rest.rsplit_once("' returned a non-zero code: ")) {
        return format!("exit code: {code}");
    }
    // The words of newer builders, and those of Docker 20.10.
    let forms = [("process \"", "\" did not complete successfully: "), ("executor failed running [", "]: ")];
    let rest = forms
        .into_iter()
        .filter(|(begin, _)| message.starts_with(begin))
        .find_map(|(_, end)| message.rsplit_once(end));
    rest.map_or(message, |(_, rest)| rest).to_owned()
}

impl BuildError {
    /// The engine has gone away in a step.
    pub(super) fn broken_off(step: &str, line: Option<&DockerfileLine>) -> Self {
        let place = line.map(|line| format!(", {}:{}", line.file, line.number)).unwrap_or_default();
        Self::Lost(format!("the connection ended in the step {step}{place}"))
    }

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
            Self::Failed { message, step, .. }
                if is_about_a_base_image(message) || step.as_deref().is_some_and(is_a_base_image) =>
            {
                Some(
                "the base image is neither on the engine nor can it be pulled; see whether its name is right and the registry answers"
                    .to_owned(),
                )
            }
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

/// Whether a step takes an image for its base.
fn is_a_base_image(step: &str) -> bool {
    step.split_once("] ").is_some_and(|(_, instruction)| instruction.starts_with("FROM "))
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
            "{attribute} cannot be done through {}: use a socket or ssh://",
            connection.address
        ))),
        Some(attribute) => Err(BuildError::Unsupported(format!(
            "{attribute} needs stackctl to be built with the feature `buildkit`"
        ))),
        None => one_call::build(&connection.docker, request, progress).await,
    }
}

/// The engine's own platform: `linux/amd64`.
async fn platform(connection: &Connection) -> Result<String, BuildError> {
    let version = connection.docker.version().await.map_err(|error| BuildError::Lost(error.to_string()))?;
    Ok(format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_builder_are_said_without_the_command() {
        let newer = "process \"/bin/sh -c exit 9\" did not complete successfully: exit code: 9";
        let classic = "The command '/bin/sh -c exit 9' returned a non-zero code: 9";
        assert_eq!(plain(classic), "exit code: 9");
        let older = "executor failed running [/bin/sh -c a]: b; exit 9]: exit code: 9";
        assert_eq!([plain(newer), plain(older)], ["exit code: 9", "exit code: 9"]);
        assert_eq!(plain("Dockerfile parse error line 3: x"), "Dockerfile parse error line 3: x");
    }
}
