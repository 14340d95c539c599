//! Commands in a running container.

use std::time::Duration;

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use serde_json::json;

use crate::docker::session::{self, Session};
use crate::docker::{DockerEngine, answered};
use crate::engine::EngineError;

/// The API from which on a terminal has its size from the start.
const CONSOLE_SIZE: (u32, u32) = (1, 42);
/// The first pause between two looks at a command that closed its output before its end.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A command to run in a container.
#[derive(Clone, Debug, Default)]
pub struct ExecSpec {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Variables, as `NAME=VALUE`.
    pub environment: Vec<String>,
    /// The user, as `name`, `uid` or `uid:gid`; `None` is that of the container.
    pub user: Option<String>,
    /// The working directory; `None` is that of the container.
    pub working_dir: Option<String>,
    /// Whether it has all privileges.
    pub privileged: bool,
    /// Whether it has a terminal, and the size of it, if that is known.
    pub terminal: Option<Option<Size>>,
    /// Whether its input is attached.
    pub stdin: bool,
    /// Whether its output is attached.
    pub output: bool,
    /// The keys that detach; `None` is the engine's own setting.
    pub detach_keys: Option<String>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

impl DockerEngine {
    /// Prepares a command in a running container, and returns the id under which it is started.
    ///
    /// # Errors
    /// When the container does not run, or the engine refuses.
    pub async fn create_exec(&self, container: &str, spec: &ExecSpec) -> Result<String, EngineError> {
        let config = ExecConfig {
            attach_stdin: Some(spec.stdin),
            attach_stdout: Some(spec.output),
            attach_stderr: Some(spec.output),
            console_size: self.console_size(spec),
            detach_keys: spec.detach_keys.clone(),
            tty: Some(spec.terminal.is_some()),
            env: (!spec.environment.is_empty()).then(|| spec.environment.clone()),
            cmd: Some(spec.command.clone()),
            privileged: Some(spec.privileged),
            user: spec.user.clone(),
            working_dir: spec.working_dir.clone(),
        };
        Ok(self.docker.create_exec(container, config).await.map_err(answered)?.id)
    }

    fn console_size(&self, spec: &ExecSpec) -> Option<Vec<usize>> {
        let size = spec.terminal.flatten().filter(|_| self.connection.api_version >= CONSOLE_SIZE)?;
        Some(vec![size.rows.into(), size.columns.into()])
    }

    /// Starts a command that was prepared, and attaches to it.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub async fn start_exec(&self, id: &str, spec: &ExecSpec) -> Result<Session, EngineError> {
        let terminal = spec.terminal.is_some();
        let mut body = json!({ "Detach": false, "Tty": terminal });
        if let Some(size) = self.console_size(spec) {
            body["ConsoleSize"] = json!(size);
        }
        let path = format!("/exec/{id}/start");
        if let Some(session) =
            session::take_over(&self.connection, &path, &body.to_string(), terminal).await?
        {
            return Ok(session);
        }
        let options = StartExecOptions { detach: false, tty: terminal, output_capacity: None };
        match self.docker.start_exec(id, Some(options)).await.map_err(answered)? {
            StartExecResults::Attached { output, input } => Ok(session::of_client(output, input)),
            StartExecResults::Detached => {
                Err(EngineError::Lost("the engine did not attach to the command".to_owned()))
            }
        }
    }

    /// Starts a command that was prepared, and leaves it to itself.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub async fn start_exec_detached(&self, id: &str, spec: &ExecSpec) -> Result<(), EngineError> {
        let options = StartExecOptions { detach: true, tty: spec.terminal.is_some(), output_capacity: None };
        self.docker.start_exec(id, Some(options)).await.map_err(answered)?;
        Ok(())
    }

    /// Sets the size of a command's terminal.
    ///
    /// # Errors
    /// When the command does not run yet, or no more.
    pub async fn resize_exec(&self, id: &str, size: Size) -> Result<(), EngineError> {
        let options = ResizeExecOptionsBuilder::new().h(size.rows.into()).w(size.columns.into()).build();
        self.docker.resize_exec(id, options).await.map_err(answered)
    }

    /// Whether a command still runs.
    ///
    /// # Errors
    /// When the engine does not answer, or does not know it.
    pub async fn exec_runs(&self, id: &str) -> Result<bool, EngineError> {
        Ok(self.docker.inspect_exec(id).await.map_err(answered)?.running.unwrap_or_default())
    }

    /// Waits for the end of a command whose output has ended, and returns its exit code.
    ///
    /// # Errors
    /// When the engine does not answer, or does not know it.
    pub async fn exec_ended(&self, id: &str) -> Result<i64, EngineError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let look = self.docker.inspect_exec(id).await.map_err(answered)?;
            if !look.running.unwrap_or_default()
                && let Some(code) = look.exit_code
            {
                return Ok(code);
            }
            // A command may close its output long before its end, and no event of the
            // engine tells of the one without the other.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
