//! `stackctl events`

use std::collections::BTreeMap;
use std::pin::pin;
use std::process::ExitCode;

use futures_util::StreamExt;
use serde_json::json;
use stack_engine::look::Happened;
use stack_plan::labels;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::Global;
use crate::commands::look::Subject;
use crate::moment::moment;
use crate::{render, settings};

/// What `events` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl events --json web")]
pub(crate) struct EventsArgs {
    /// Only these services
    services: Vec<String>,
    /// Begin with what happened since then: a time, or how long ago (`10m`)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// End then: a time, or how long ago (`10m`)
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

pub(crate) async fn run(global: &Global, args: EventsArgs) -> anyhow::Result<ExitCode> {
    let now = OffsetDateTime::now_utc();
    let since = args.since.as_deref().map(|text| moment(text, now)).transpose()?;
    let until = args.until.as_deref().map(|text| moment(text, now)).transpose()?;
    let subject = Subject::read(global)?;
    let engine = settings::engine(global, true).await?;
    if !args.services.is_empty() {
        subject.containers(&engine, &args.services, true, false).await?;
    }
    let mut events = pin!(engine.events(&subject.name, since, until));
    let mut stop = pin!(super::interrupt());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut stop => None,
        };
        let Some(event) = event.transpose()? else { return Ok(ExitCode::SUCCESS) };
        if event.one_off || !(args.services.is_empty() || args.services.contains(&event.service)) {
            continue;
        }
        render::line(&if global.json { as_json(&event) } else { as_text(&event) })?;
    }
}

/// What is no label of docker compose or ours.
fn attributes(event: &Happened) -> BTreeMap<&str, &str> {
    let own = |key: &str| key.starts_with("com.docker.compose.") || key == labels::SPEC;
    event
        .attributes
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| !own(key))
        .collect()
}

fn as_json(event: &Happened) -> String {
    json!({
        "action": event.action,
        "attributes": attributes(event),
        "id": event.id,
        "service": event.service,
        "time": event.at.format(&Rfc3339).unwrap_or_default(),
        "type": "container",
    })
    .to_string()
}

fn as_text(event: &Happened) -> String {
    let attributes: Vec<_> =
        attributes(event).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let at = event.at;
    format!(
        "{} {:02}:{:02}:{:02}.{:06} container {} {} ({})",
        at.date(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond(),
        event.action,
        event.id,
        attributes.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_docker_compose_writes_it() {
        let attributes = [
            ("image", "redis"),
            ("name", "shop-db-1"),
            ("exitCode", "3"),
            ("com.docker.compose.project", "shop"),
            ("stackctl.spec", "{}"),
        ];
        let event = Happened {
            at: OffsetDateTime::from_unix_timestamp_nanos(1_795_596_226_000_997_000).expect("a time"),
            action: "die".to_owned(),
            id: "0826".to_owned(),
            service: "db".to_owned(),
            one_off: false,
            attributes: attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        };
        assert_eq!(
            as_text(&event),
            "2026-11-25 08:43:46.000997 container die 0826 (exitCode=3, image=redis, name=shop-db-1)"
        );
        assert_eq!(
            as_json(&event),
            r#"{"action":"die","attributes":{"exitCode":"3","image":"redis","name":"shop-db-1"},"id":"0826","service":"db","time":"2026-11-25T08:43:46.000997Z","type":"container"}"#
        );
    }
}
