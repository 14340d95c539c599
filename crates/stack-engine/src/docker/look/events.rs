//! What happens to the containers of a project.

use std::collections::{BTreeMap, HashMap};

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, future};
use stack_plan::labels;
use time::OffsetDateTime;

use crate::docker::answered;
use crate::docker::look::timestamp;
use crate::engine::EngineError;
use crate::look::Happened;

pub(super) fn events(
    docker: &Docker,
    project: &str,
    since: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
) -> impl Stream<Item = Result<Happened, EngineError>> + use<> {
    let filters = HashMap::from([
        ("type", vec!["container".to_owned()]),
        ("label", vec![format!("{}={project}", labels::PROJECT)]),
    ]);
    let mut options = EventsOptionsBuilder::new().filters(&filters);
    if let Some(since) = since {
        options = options.since(&timestamp(since));
    }
    if let Some(until) = until {
        options = options.until(&timestamp(until));
    }
    docker.events(Some(options.build())).filter_map(|message| {
        future::ready(match message {
            Ok(message) => happened(message).map(Ok),
            Err(error) => Some(Err(answered(error))),
        })
    })
}

fn happened(message: EventMessage) -> Option<Happened> {
    let actor = message.actor?;
    let attributes: BTreeMap<String, String> = actor.attributes.unwrap_or_default().into_iter().collect();
    let attribute = |key: &str| attributes.get(key).cloned().unwrap_or_default();
    let nanoseconds =
        message.time_nano.map(i128::from).or(message.time.map(|time| i128::from(time) * 1_000_000_000))?;
    Some(Happened {
        at: OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?,
        action: message.action?,
        id: actor.id?,
        service: attribute(labels::SERVICE),
        one_off: attribute(labels::ONE_OFF) == "True",
        attributes,
    })
}
