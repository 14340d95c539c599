//! The server-side API: what the application behind the clients may do.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{App, json_response};
use crate::auth;
use crate::kinds::Kind;
use crate::order::Order;
use crate::protocol::outbound::{doc_reply, members_reply, pub_write, write_reply};
use crate::protocol::{Fault, is_name};
use crate::store::{CONTROL, Read};
use crate::writes;

/// Who a message is by if the API does not say it; no user can have this name.
const API: &str = "@api";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish<'a> {
    room: String,
    #[serde(borrow)]
    data: &'a RawValue,
    user: Option<String>,
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act<'a> {
    room: String,
    user: String,
    #[serde(borrow)]
    action: &'a RawValue,
    kind: Option<String>,
    key: Option<String>,
}

/// `GET /api/info`.
pub(super) async fn info(State(app): State<Arc<App>>) -> Response {
    let body = json!({
        "server_id": app.config.server_id,
        "version": env!("CARGO_PKG_VERSION"),
        "store": app.store.name(),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "connections": app.places.taken(),
    });
    json_response(StatusCode::OK, body.to_string())
}

/// `GET /api/rooms/ROOM`. A room that nobody has joined yet is made by the look.
pub(super) async fn room(
    State(app): State<Arc<App>>,
    Path(room): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    allowed(&app, &headers)?;
    name("room", &room)?;
    let read =
        Read { since: None, max_events: 0, max_bytes: 0, part: false, doc: true, kind: Kind::default() };
    let snapshot = app.store.read(&room, read).await.map_err(Fault::from)?;
    let members = app.hub.members_of(&room).await.map_err(Fault::from)?;
    let mut body = parsed(&doc_reply(None, &snapshot));
    if let (Some(body), Value::Object(members)) =
        (body.as_object_mut(), parsed(&members_reply(None, &members)))
    {
        body.extend(members);
    }
    Ok(json_response(StatusCode::OK, body.to_string()))
}

/// `POST /api/publish`.
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    allowed(&app, &headers)?;
    let Publish { room, data, user, key } = read::<Publish<'_>>(&body)?;
    name("room", &room)?;
    optional_name("user", user.as_deref())?;
    optional_name("key", key.as_deref())?;
    let write = pub_write(&room, user.as_deref().unwrap_or(API), data.get(), key.as_deref());
    let done = writes::commit(&app, &room, write).await?;
    Ok(answer(&write_reply(None, &done.position, false, done.repeated)))
}

/// `POST /api/act`.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    allowed(&app, &headers)?;
    let Act { room, user, action, kind, key } = read::<Act<'_>>(&body)?;
    name("room", &room)?;
    name("user", &user)?;
    optional_name("key", key.as_deref())?;
    let kind = match kind {
        None => Kind::TicTacToe,
        Some(kind) => {
            Kind::named(&kind).ok_or_else(|| Fault::bad(format!("kind must be {}", Kind::names())))?
        }
    };
    let done = writes::act(&app, &room, kind, &user, action.get(), key.as_deref()).await?;
    Ok(answer(&write_reply(None, &done.position, true, done.repeated)))
}

/// `POST /api/disconnect`. Every instance is told; nobody waits for them.
pub(super) async fn disconnect(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    allowed(&app, &headers)?;
    let order = read::<Order>(&body)?;
    if let Some(fault) = order.fault() {
        return Err(Fault::bad(fault).into());
    }
    let text = serde_json::to_string(&order).map_err(|_| Fault::Internal)?;
    app.store.cast(CONTROL, text).await.map_err(Fault::from)?;
    Ok(json_response(StatusCode::ACCEPTED, "{}".to_owned()))
}

/// A request that failed, or may not be made.
pub(super) struct Refused(StatusCode, Fault);

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let status = StatusCode::from_u16(fault.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(status, fault)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        json_response(self.0, format!(r#"{{"err":{}}}"#, self.1.json()))
    }
}

fn allowed(app: &App, headers: &HeaderMap) -> Result<(), Refused> {
    let Some(key) = &app.config.api_key else {
        return Err(Fault::NotFound("the API is off: set API_KEY").into());
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(given) if auth::same(key.reveal(), given) => Ok(()),
        _ => Err(Fault::Unauthorized("Authorization must be: Bearer, and the API_KEY").into()),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::bad(format!("{error}")))
}

fn name(what: &str, value: &str) -> Result<(), Fault> {
    if is_name(value) {
        return Ok(());
    }
    Err(Fault::bad(format!("{what} must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -")))
}

fn optional_name(what: &str, value: Option<&str>) -> Result<(), Fault> {
    value.map_or(Ok(()), |value| name(what, value))
}

/// What a reply of the WebSocket side holds.
fn parsed(reply: &str) -> Value {
    fn from<T: DeserializeOwned + Default>(text: &str) -> T {
        serde_json::from_str(text).unwrap_or_default()
    }
    let mut reply: Value = from(reply);
    reply["ok"].take()
}

fn answer(reply: &str) -> Response {
    json_response(StatusCode::OK, parsed(reply).to_string())
}
