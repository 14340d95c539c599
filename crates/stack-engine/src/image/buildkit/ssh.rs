//! SSH agents for `RUN --mount=type=ssh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use bollard::moby::sshforward::v1::ssh_server::Ssh;
use bollard::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use futures_util::{Stream, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tonic::{Request, Response, Status, Streaming};

/// How long an agent may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The agents of a build by id.
#[derive(Default)]
pub(super) struct Agents {
    sockets: BTreeMap<String, PathBuf>,
    /// Agents of our own, for keys that are files; they end with the build.
    _own: Vec<(Child, tempfile::TempDir)>,
}

impl Agents {
    /// Finds the agents. Without a place it is the user's own; a place is the socket of an
    /// agent, or a file with a key.
    ///
    /// # Errors
    /// When there is no agent, or a key cannot be used: what, and what to do.
    pub(super) async fn open(asked: &BTreeMap<String, Option<String>>) -> Result<Self, String> {
        let mut agents = Self::default();
        for (id, place) in asked {
            let place = match place.as_ref().filter(|place| !place.is_empty()) {
                Some(place) => PathBuf::from(place),
                None => std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).ok_or_else(|| {
                    format!("the ssh agent `{id}` is not there: SSH_AUTH_SOCK is not set; start one with: eval $(ssh-agent)")
                })?,
            };
            let socket = match std::fs::metadata(&place) {
                Ok(metadata) if metadata.is_file() => agents.with_key(&place).await?,
                Ok(_) => place,
                Err(error) => {
                    return Err(format!("the ssh agent or key `{id}` at {}: {error}", place.display()));
                }
            };
            agents.sockets.insert(id.clone(), socket);
        }
        Ok(agents)
    }

    /// Starts an agent that has this key.
    async fn with_key(&mut self, key: &Path) -> Result<PathBuf, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
        let socket = folder.path().join("agent.sock");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).kill_on_drop(true);
        agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = agent.spawn().map_err(|error| format!("ssh-agent cannot be run: {error}"))?;
        let begun = tokio::time::Instant::now();
        while UnixStream::connect(&socket).await.is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("ssh-agent did not listen within {} s", PATIENCE.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut add = Command::new("ssh-add");
        // Nobody is there to be asked for a passphrase.
        add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).env("SSH_ASKPASS_REQUIRE", "never");
        let added = add.stdin(Stdio::null()).output().await;
        let added = added.map_err(|error| format!("ssh-add cannot be run: {error}"))?;
        if !added.status.success() {
            let said = String::from_utf8_lossy(&added.stderr);
            let why = said.lines().last().unwrap_or("it says nothing");
            return Err(format!("the key {} cannot be used: {why}", key.display()));
        }
        self._own.push((child, folder));
        Ok(socket)
    }

    fn socket(&self, id: &str) -> Result<&PathBuf, Status> {
        let id = if id.is_empty() { "default" } else { id };
        self.sockets
            .get(id)
            .ok_or_else(|| Status::not_found(format!("no ssh agent `{id}` is given to the build")))
    }
}

#[tonic::async_trait]
impl Ssh for Agents {
    type ForwardAgentStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn check_agent(
        &self,
        request: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        self.socket(&request.get_ref().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let id = request.metadata().get("buildkit.ssh.id").and_then(|id| id.to_str().ok());
        let socket = self.socket(id.unwrap_or_default())?;
        let agent = UnixStream::connect(socket).await?;
        let (reader, mut writer) = agent.into_split();
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = incoming.message().await {
                if writer.write_all(&message.data).await.is_err() {
                    break;
                }
            }
        });
        let answers = stream::unfold(reader, |mut reader| async move {
            let mut data = vec![0; 16 * 1024];
            match reader.read(&mut data).await {
                Ok(0) => None,
                Ok(count) => {
                    data.truncate(count);
                    Some((Ok(BytesMessage { data }), reader))
                }
                Err(error) => Some((Err(Status::from(error)), reader)),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
