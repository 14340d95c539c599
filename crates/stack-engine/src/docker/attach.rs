//! A container's own process: its input and output, its terminal, its signals and its end.

use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
    ResizeContainerTTYOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::sync::{broadcast, mpsc};

use crate::docker::exec::Size;
use crate::docker::session::{self, Session};
use crate::docker::watch::Happening;
use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::{EngineError, NotReady};

/// How long a container that has ended may take to be removed, or the news of its end to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to attach to a container.
#[derive(Clone, Debug, Default)]
pub struct Attachment {
    /// Whether its input is attached.
    pub stdin: bool,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// The keys that detach; `None` is the engine's own setting.
    pub detach_keys: Option<String>,
}

/// What a container's process can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The engine's id of the container.
    pub id: String,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether its standard input is open.
    pub stdin: bool,
    /// Whether its input ends with that of the first who is attached to it.
    pub stdin_once: bool,
    /// Whether it is frozen.
    pub paused: bool,
}

/// The end of a container, listened for from a moment before its start.
pub struct Ending<'a> {
    engine: &'a DockerEngine,
    container: String,
    /// What happens to it: `die` and `destroy`.
    news: mpsc::UnboundedReceiver<Happening>,
}

impl DockerEngine {
    /// What the container's process can be given.
    ///
    /// # Errors
    /// When the engine does not answer, or does not know the container.
    pub async fn ends_of(&self, container: &str) -> Result<Ends, EngineError> {
        let look = self
            .docker
            .inspect_container(container, None::<InspectContainerOptions>)
            .await
            .map_err(answered)?;
        let config = look.config.unwrap_or_default();
        Ok(Ends {
            id: look.id.unwrap_or_default(),
            terminal: config.tty.unwrap_or_default(),
            stdin: config.open_stdin.unwrap_or_default(),
            stdin_once: config.stdin_once.unwrap_or_default(),
            paused: look.state.and_then(|state| state.paused).unwrap_or_default(),
        })
    }

    /// Attaches to a container, which may be one that is not started yet: nothing is missed then.
    ///
    /// # Errors
    /// When the engine does not answer, or does not know the container.
    pub async fn attach(&self, container: &str, how: &Attachment) -> Result<Session, EngineError> {
        let mut path = format!(
            "/containers/{container}/attach?stream=1&stdin={}&stdout=1&stderr=1",
            u8::from(how.stdin)
        );
        if let Some(keys) = &how.detach_keys {
            path.push_str("&detachKeys=");
            path.push_str(&escaped(keys));
        }
        if let Some(session) = session::take_over(&self.connection, &path, "", how.terminal).await? {
            return Ok(session);
        }
        let mut options =
            AttachContainerOptionsBuilder::new().stream(true).stdin(how.stdin).stdout(true).stderr(true);
        if let Some(keys) = &how.detach_keys {
            options = options.detach_keys(keys);
        }
        let attached =
            self.docker.attach_container(container, Some(options.build())).await.map_err(answered)?;
        Ok(session::of_client(attached.output, attached.input))
    }

    /// Sets the size of a container's terminal.
    ///
    /// # Errors
    /// When the container does not run.
    pub async fn resize(&self, container: &str, size: Size) -> Result<(), EngineError> {
        let options =
            ResizeContainerTTYOptionsBuilder::new().h(size.rows.into()).w(size.columns.into()).build();
        self.docker.resize_container_tty(container, options).await.map_err(answered)
    }

    /// Sends a signal, such as `SIGTERM`, to a container's process.
    ///
    /// # Errors
    /// When the container does not run.
    pub async fn signal(&self, container: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        self.docker.kill_container(container, Some(options)).await.map_err(answered)
    }

    /// Listens for the end of a container, which may be one that is not started yet.
    #[must_use]
    pub fn ending(&self, container: &str) -> Ending<'_> {
        let (sender, news) = mpsc::unbounded_channel();
        let mut happenings = self.watch.listen();
        let id = container.to_owned();
        tokio::spawn(async move {
            loop {
                match happenings.recv().await {
                    Ok(happening) if happening.id == id => {
                        if sender.send(happening).is_err() {
                            return;
                        }
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Ending { engine: self, container: container.to_owned(), news }
    }
}

impl Ending<'_> {
    /// Waits for the end of a container that has nothing more to say, and returns the exit code.
    ///
    /// # Errors
    /// When the engine does not answer, or has forgotten the container and its exit code.
    pub async fn code(&mut self) -> Result<i64, EngineError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut answers = self.engine.docker.wait_container(&self.container, Some(options));
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            // It was removed as soon as it had ended: the news is there, or on its way.
            Some(Err(error)) if is_not_found(&error) => {
                let died = tokio::time::timeout(PATIENCE, heard(&mut self.news, "die")).await;
                let code = died.ok().flatten().and_then(|happening| happening.exit_code);
                code.ok_or(EngineError::NotReady(NotReady::Gone))
            }
            Some(Err(error)) => Err(answered(error)),
            None => Err(EngineError::Lost("the engine told no exit code".to_owned())),
        }
    }

    /// Waits until the container is no more, for a short while: the engine removes it by itself.
    pub async fn removed(&mut self) {
        let Self { engine, container, news } = self;
        let gone = async {
            let look = engine.docker.inspect_container(container, None::<InspectContainerOptions>);
            if !look.await.is_err_and(|error| is_not_found(&error)) {
                heard(news, "destroy").await;
            }
        };
        // It goes all the same, only later.
        let _ = tokio::time::timeout(PATIENCE, gone).await;
    }
}

/// Waits until this happens; `None` when nothing will be heard any more.
async fn heard(news: &mut mpsc::UnboundedReceiver<Happening>, action: &str) -> Option<Happening> {
    loop {
        let happening = news.recv().await?;
        if happening.action == action {
            return Some(happening);
        }
    }
}

/// A value of a query: everything but letters, digits and what is always plain is escaped.
fn escaped(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn keys_are_escaped_in_a_query() {
        assert_eq!(escaped("ctrl-p,ctrl-q"), "ctrl-p%2Cctrl-q");
        assert_eq!(escaped("ctrl-@,é&"), "ctrl-%40%2C%C3%A9%26");
    }
}
