//! The engine's event stream: opened when somebody first waits, shared by all.

use std::collections::HashMap;
use std::sync::OnceLock;

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use stack_plan::labels;
use time::OffsetDateTime;
use tokio::sync::broadcast;

/// How many happenings a slow listener may be behind; it looks again when it has missed some.
const BACKLOG: usize = 1024;

/// Something that happened to a container.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    /// The container's id.
    pub(super) id: String,
    /// The Docker API's word: `start`, `die`, `health_status`, `destroy`.
    pub(super) action: String,
    /// The project, by label.
    pub(super) project: String,
    /// The service, by label.
    pub(super) service: String,
    /// The number, by label.
    pub(super) number: u32,
    /// The exit code of a `die`.
    pub(super) exit_code: Option<i64>,
}

/// The shared stream.
pub(super) struct Watch {
    docker: Docker,
    sender: OnceLock<broadcast::Sender<Happening>>,
}

impl Watch {
    pub(super) fn new(docker: Docker) -> Self {
        Self { docker, sender: OnceLock::new() }
    }

    /// Listens from now on. When the stream breaks the receiver is closed.
    pub(super) fn listen(&self) -> broadcast::Receiver<Happening> {
        let mut receiver = None;
        let sender = self.sender.get_or_init(|| {
            let (sender, first) = broadcast::channel(BACKLOG);
            receiver = Some(first);
            tokio::spawn(pass_on(self.docker.clone(), sender.clone()));
            sender
        });
        receiver.unwrap_or_else(|| sender.subscribe())
    }
}

async fn pass_on(docker: Docker, sender: broadcast::Sender<Happening>) {
    let filters = HashMap::from([
        ("type", vec!["container"]),
        ("event", vec!["start", "die", "destroy", "health_status"]),
    ]);
    // What happens between now and the engine's taking the request is sent after the fact.
    let now = OffsetDateTime::now_utc();
    let now = format!("{}.{:09}", now.unix_timestamp(), now.nanosecond());
    let mut events = docker.events(Some(EventsOptionsBuilder::new().since(&now).filters(&filters).build()));
    while let Some(Ok(message)) = events.next().await {
        if let Some(happening) = happening(message) {
            // Without a listener it is of no use to anybody.
            let _ = sender.send(happening);
        }
    }
}

fn happening(message: EventMessage) -> Option<Happening> {
    let actor = message.actor?;
    let attributes = actor.attributes.unwrap_or_default();
    let attribute = |key: &str| attributes.get(key).cloned().unwrap_or_default();
    let action = message.action?;
    Some(Happening {
        id: actor.id?,
        action: action.split(':').next().unwrap_or_default().to_owned(),
        project: attribute(labels::PROJECT),
        service: attribute(labels::SERVICE),
        number: attribute(labels::NUMBER).parse().unwrap_or(0),
        exit_code: attribute("exitCode").parse().ok(),
    })
}
