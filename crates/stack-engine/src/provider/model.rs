//! AI models: docker's plugin `model` fetches them, sets them up and says where they are.

use std::process::Stdio;

use serde::Deserialize;
use stack_plan::desired::{ENDPOINT, ModelSpec, Provided};

use super::{KEPT_LINES, Programs, ProviderError};
use crate::engine::EngineError;
use crate::event::Progress;

/// The name of the plugin, which stands for the provider in errors.
const PLUGIN: &str = "model";

/// A model that is there.
#[derive(Deserialize)]
struct Available {
    #[serde(default)]
    tags: Vec<String>,
}

/// What the plugin says of itself.
#[derive(Deserialize)]
struct Status {
    endpoint: String,
}

/// Sees to it that a model is there and set up, and returns where it is.
///
/// # Errors
/// When there is no such plugin, or it fails.
pub(crate) async fn model(
    spec: &ModelSpec,
    programs: &Programs,
    report: &dyn Fn(Progress),
) -> Result<Provided, EngineError> {
    let model = &spec.model;
    let ask = async |arguments: &[&str]| output(programs, arguments).await;
    let listed: Vec<Available> = read(&ask(&["ls", "--json"]).await?)?;
    if !listed.iter().any(|available| available.tags.contains(&model.model)) {
        report(Progress::Provider(format!("pulling {}", model.model)));
        ask(&["pull", &model.model]).await?;
    }
    let size = model.context_size.filter(|size| *size > 0).map(|size| size.to_string());
    let mut arguments = vec!["configure"];
    if let Some(size) = &size {
        arguments.extend(["--context-size", size]);
    }
    arguments.push(&model.model);
    if !model.runtime_flags.is_empty() {
        arguments.push("--");
        arguments.extend(model.runtime_flags.iter().map(String::as_str));
    }
    ask(&arguments).await?;
    let status: Status = read(&ask(&["status", "--json"]).await?)?;
    let mut provided = Provided::default();
    provided.note(&spec.address.to_string(), vec![(ENDPOINT.to_owned(), status.endpoint)]);
    Ok(provided)
}

/// What the plugin writes to standard output.
async fn output(programs: &Programs, arguments: &[&str]) -> Result<Vec<u8>, ProviderError> {
    let program = programs.plugin(PLUGIN).ok_or(ProviderError::NoModels)?;
    let ended = programs
        .command(&program)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .map_err(|error| ProviderError::NotStarted { program, reason: error.to_string() })?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    Err(ProviderError::Failed {
        kind: PLUGIN.to_owned(),
        status: ended.status.code().map_or("a signal".to_owned(), |code| format!("exit code {code}")),
        output: lines[lines.len().saturating_sub(KEPT_LINES)..].to_vec(),
    })
}

fn read<T: for<'a> Deserialize<'a>>(text: &[u8]) -> Result<T, ProviderError> {
    serde_json::from_slice(text).map_err(|_| ProviderError::Unreadable {
        kind: PLUGIN.to_owned(),
        why: "it is not the JSON that was asked for".to_owned(),
    })
}
