//! Services as a manager tells them. The client reads a health check under another name than the
//! Docker API gives it, so that the answer is read here.

use std::collections::HashMap;
use std::fmt::Write;

use bollard::models::{Service, ServiceSpec};
use futures_util::StreamExt;
use serde_json::Value;

use crate::docker::{DockerEngine, answered};
use crate::engine::EngineError;

/// The Docker API's name of a health check, and the client's.
const HEALTH_CHECK: (&str, &str) = ("Healthcheck", "HealthCheck");

/// A service as a manager tells it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) service: Service,
    /// What it was before its last change; the client leaves it out.
    pub(super) previous: Option<ServiceSpec>,
}

/// The services that these filters let through, with the numbers of their tasks.
pub(super) async fn services(
    engine: &DockerEngine,
    filters: &HashMap<&str, Vec<String>>,
) -> Result<Vec<Listed>, EngineError> {
    let filters = serde_json::to_string(filters).unwrap_or_default();
    let answer = get(engine, &format!("/services?status=true&filters={}", encoded(&filters))).await?;
    let Value::Array(services) = answer else { return Ok(Vec::new()) };
    services.into_iter().map(listed_of).collect()
}

/// One service.
pub(super) async fn service(engine: &DockerEngine, id: &str) -> Result<Service, EngineError> {
    Ok(listed_of(get(engine, &format!("/services/{}", encoded(id))).await?)?.service)
}

async fn get(engine: &DockerEngine, path: &str) -> Result<Value, EngineError> {
    let docker = engine.connection().asking(path);
    // Of all calls this one gives its answer as it comes.
    let mut pieces = docker.export_image("any").boxed();
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await {
        text.extend_from_slice(&piece.map_err(answered)?);
    }
    serde_json::from_slice(&text).map_err(|error| unreadable(&error))
}

fn listed_of(mut service: Value) -> Result<Listed, EngineError> {
    for spec in ["Spec", "PreviousSpec"] {
        let container = service.pointer_mut(&format!("/{spec}/TaskTemplate/ContainerSpec"));
        if let Some(Value::Object(container)) = container
            && let Some(check) = container.remove(HEALTH_CHECK.0)
        {
            container.insert(HEALTH_CHECK.1.to_owned(), check);
        }
    }
    let previous = service.get("PreviousSpec").cloned().filter(|spec| !spec.is_null());
    let previous = previous.map(serde_json::from_value).transpose().map_err(|error| unreadable(&error))?;
    let service = serde_json::from_value(service).map_err(|error| unreadable(&error))?;
    Ok(Listed { service, previous })
}

fn unreadable(error: &serde_json::Error) -> EngineError {
    EngineError::Lost(format!("what the manager says of services cannot be read: {error}"))
}

/// A text as it may stand in an address.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{encoded, listed_of};

    #[test]
    fn the_health_check_of_a_service_is_not_lost() {
        let spec =
            json!({ "TaskTemplate": { "ContainerSpec": { "Healthcheck": { "Test": ["CMD", "look"] } } } });
        let listed = listed_of(json!({ "ID": "a", "Spec": spec })).expect("a service");
        let container =
            listed.service.spec.and_then(|spec| spec.task_template?.container_spec).expect("a container");
        let test = container.health_check.and_then(|check| check.test);
        assert_eq!(test, Some(vec!["CMD".to_owned(), "look".to_owned()]));
    }

    #[test]
    fn what_a_filter_says_is_no_part_of_an_address() {
        assert_eq!(encoded(r#"{"a":["b=c"]}"#), "%7B%22a%22%3A%5B%22b%3Dc%22%5D%7D");
    }
}
