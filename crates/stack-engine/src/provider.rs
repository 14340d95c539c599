//! Programs that make services: plugins of docker, or programs in `PATH`. They are asked with
//! `compose up` and `compose down`, and answer with JSON messages, one a line.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use stack_plan::desired::{Provided, ProviderSpec, prefix};
use stack_plan::plan::ProviderCommand;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::engine::EngineError;
use crate::event::Progress;

/// Where plugins of docker are installed for all users.
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// How much of what a program says of its options is read, bytes.
const METADATA_LIMIT: u64 = 1 << 20;
/// How many of a failed program's last lines are kept.
const KEPT_LINES: usize = 20;

/// Where programs are looked for, and the variables that they get.
#[derive(Clone, Default)]
pub struct Programs {
    /// Variables of the process and of the project's environment files. They may be secret.
    pub environment: BTreeMap<String, String>,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Programs({} variables)", self.environment.len())
    }
}

/// Why a program could not make a service.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// There is no such program.
    #[error(
        "there is no program for the provider {kind}: neither the docker plugin docker-{kind} nor {kind} in PATH"
    )]
    NotFound {
        /// The type of the provider.
        kind: String,
    },
    /// The program of AI models is not there.
    #[error("AI models need the docker plugin docker-model")]
    NoModels,
    /// The program cannot be started.
    #[error("{} cannot be started: {reason}", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// The program wants an option that is not given.
    #[error("the provider {kind} needs the option {option}")]
    OptionMissing {
        /// The type of the provider.
        kind: String,
        /// The option.
        option: String,
    },
    /// The program says that it has failed.
    #[error("the provider {kind} says: {message}")]
    Told {
        /// The type of the provider.
        kind: String,
        /// Its words.
        message: String,
    },
    /// The program ended with another exit code than 0.
    #[error("the provider {kind} ended with {status}")]
    Failed {
        /// The type of the provider.
        kind: String,
        /// How it ended.
        status: String,
        /// The last lines of its standard error.
        output: Vec<String>,
    },
    /// The program does not keep to the protocol.
    #[error("the provider {kind} gave an answer that cannot be read: {why}")]
    Unreadable {
        /// The type of the provider.
        kind: String,
        /// Why. Never the answer itself, which may hold secrets.
        why: String,
    },
}

impl ProviderError {
    /// What to do next, one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { kind } => Some(format!("install it, or correct the type {kind} in the file")),
            Self::NoModels => {
                Some("install Docker Model Runner, or remove `models` from the services".to_owned())
            }
            Self::OptionMissing { option, .. } => Some(format!("add {option} under `provider.options`")),
            _ => None,
        }
    }

    /// The last lines of what the program wrote, if it failed.
    #[must_use]
    pub fn output(&self) -> &[String] {
        match self {
            Self::Failed { output, .. } => output,
            _ => &[],
        }
    }
}

mod model;

pub(crate) use model::model;

/// A message of a program.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

/// What a program says of its options.
#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    description: String,
    up: Option<Options>,
    down: Option<Options>,
}

#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(default)]
    required: bool,
}

/// Asks the program of a service, and returns the variables that it sets.
///
/// # Errors
/// When there is no such program, or it says that it has failed.
pub(crate) async fn ask(
    spec: &ProviderSpec,
    command: ProviderCommand,
    programs: &Programs,
    report: &dyn Fn(Progress),
) -> Result<Provided, EngineError> {
    let kind = spec.provider.kind.value.as_str();
    let program = programs.find(kind).ok_or_else(|| ProviderError::NotFound { kind: kind.to_owned() })?;
    let arguments = arguments(spec, command, &programs.metadata(&program).await)?;
    let unreadable = |why: &str| ProviderError::Unreadable { kind: kind.to_owned(), why: why.to_owned() };
    let mut child = programs
        .command(&program)
        .args(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| ProviderError::NotStarted { program: program.clone(), reason: error.to_string() })?;
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(unreadable("it has no output").into());
    };
    let mut variables = Vec::new();
    let talk = async {
        let mut lines = BufReader::new(out).lines();
        while let Some(line) = lines.next_line().await.map_err(|error| unreadable(&error.to_string()))? {
            if line.trim().is_empty() {
                continue;
            }
            let message: Message =
                serde_json::from_str(&line).map_err(|_| unreadable("a line is no JSON message"))?;
            let assignment = || {
                let pair = message.message.split_once('=');
                pair.ok_or_else(|| unreadable(&format!("a message {} is no NAME=value", message.kind)))
            };
            match message.kind.as_str() {
                "info" => {
                    let line = message.message.lines().next().unwrap_or_default().to_owned();
                    report(Progress::Provider(line));
                }
                "error" => {
                    let message = message.message.trim_end().to_owned();
                    return Err(ProviderError::Told { kind: kind.to_owned(), message });
                }
                "setenv" => {
                    let (name, value) = assignment()?;
                    variables.push((format!("{}{name}", prefix(&spec.service)), value.to_owned()));
                }
                "rawsetenv" => {
                    let (name, value) = assignment()?;
                    variables.push((name.to_owned(), value.to_owned()));
                }
                "debug" => {}
                other => return Err(unreadable(&format!("it knows messages of the type {other:?}"))),
            }
        }
        Ok(())
    };
    // A program that has said that it failed is not waited for.
    let ((), output) = tokio::try_join!(talk, async { Ok(last_lines(err).await) })?;
    let status = child.wait().await.map_err(|error| unreadable(&error.to_string()))?;
    if !status.success() {
        let status = match status.code() {
            Some(code) => format!("exit code {code}"),
            None => "a signal".to_owned(),
        };
        return Err(ProviderError::Failed { kind: kind.to_owned(), status, output }.into());
    }
    let mut provided = Provided::default();
    provided.note(&spec.service, variables);
    Ok(provided)
}

async fn last_lines(stderr: impl tokio::io::AsyncRead + Unpin) -> Vec<String> {
    let mut lines = BufReader::new(stderr).lines();
    let mut kept = VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    kept.into()
}

/// The arguments of the program: options that it does not know are left out, as docker compose does.
fn arguments(
    spec: &ProviderSpec,
    command: ProviderCommand,
    metadata: &Metadata,
) -> Result<Vec<String>, ProviderError> {
    let (word, options) = match command {
        ProviderCommand::Up => ("up", &metadata.up),
        ProviderCommand::Down => ("down", &metadata.down),
    };
    let known: &[Parameter] = options.as_ref().map_or(&[], |options| &options.parameters);
    let says_nothing = metadata.description.is_empty() && metadata.up.is_none() && metadata.down.is_none();
    let given = &spec.provider.options;
    if let Some(missing) = known.iter().find(|known| known.required && !given.contains_key(&known.name)) {
        let kind = spec.provider.kind.value.clone();
        return Err(ProviderError::OptionMissing { kind, option: missing.name.clone() });
    }
    let mut arguments =
        vec!["compose".to_owned(), format!("--project-name={}", spec.project), word.to_owned()];
    for (name, values) in given {
        if says_nothing || known.iter().any(|known| known.name == *name) {
            arguments.extend(values.iter().map(|value| format!("--{name}={value}")));
        }
    }
    arguments.push(spec.service.clone());
    Ok(arguments)
}

impl Programs {
    /// The program of a type: a plugin of docker, or one in `PATH`.
    pub(crate) fn find(&self, kind: &str) -> Option<PathBuf> {
        // `docker-compose` would ask itself.
        if kind.is_empty() || kind == "compose" {
            return None;
        }
        if kind.contains('/') {
            return Some(PathBuf::from(kind)).filter(|path| is_program(path));
        }
        self.plugin(kind).or_else(|| {
            let path = self.environment.get("PATH")?;
            std::env::split_paths(path).map(|folder| folder.join(kind)).find(|path| is_program(path))
        })
    }

    /// A plugin of docker.
    pub(crate) fn plugin(&self, name: &str) -> Option<PathBuf> {
        let variable = |name: &str| self.environment.get(name).filter(|value| !value.is_empty());
        let home = || variable("HOME").map(|home| Path::new(home).join(".docker"));
        let own = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
        let extra = own.as_ref().map(|own| extra_folders(own)).unwrap_or_default();
        let own = own.map(|own| own.join("cli-plugins"));
        own.into_iter()
            .chain(extra)
            .chain(PLUGINS.iter().map(PathBuf::from))
            .map(|folder| folder.join(format!("docker-{name}")))
            .find(|path| is_program(path))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.environment).stdin(Stdio::null()).kill_on_drop(true);
        // With it a plugin would take itself for one that docker has started.
        command.env_remove("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND");
        command
    }

    /// What a program says of its options; one that says nothing takes all.
    async fn metadata(&self, program: &Path) -> Metadata {
        let asked = self
            .command(program)
            .args(["compose", "metadata"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = asked else { return Metadata::default() };
        let mut text = Vec::new();
        if let Some(out) = child.stdout.take()
            && out.take(METADATA_LIMIT).read_to_end(&mut text).await.is_err()
        {
            return Metadata::default();
        }
        match child.wait().await {
            Ok(status) if status.success() => serde_json::from_slice(&text).unwrap_or_default(),
            _ => Metadata::default(),
        }
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "cliPluginsExtraDirs", default)]
    folders: Vec<PathBuf>,
}

/// Further folders of plugins that docker's settings name.
fn extra_folders(settings: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(settings.join("config.json")).unwrap_or_default();
    serde_json::from_str::<DockerConfig>(&text).map(|config| config.folders).unwrap_or_default()
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
