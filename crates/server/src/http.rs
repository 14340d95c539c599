//! The routes; [`crate::protocol::table::ROUTES`] lists them.

mod api;
pub mod echo;
mod listen;
mod page;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::auth::{self, AuthError, Identity};
use crate::config::{Config, Origins};
use crate::hub::Hub;
use crate::limits::{Bucket, Places, Users};
use crate::metrics::Metrics;
use crate::protocol::SUBPROTOCOL;
use crate::session;
use crate::store::{Health, Store};

/// The first read of a connection; grows with longer frames. The library's own
/// 128 KiB would be most of what an idle connection costs.
const READ_BUFFER: usize = 4096;
const WRITE_BUFFER: usize = 16 * 1024;
/// Seconds' worth of connections that may come at once.
const CONNECT_BURST: u32 = 10;

/// What all connections share.
pub struct App {
    /// The settings.
    pub config: Config,
    /// Where rooms live.
    pub store: Arc<dyn Store>,
    /// The rooms of this instance.
    pub hub: Arc<Hub>,
    /// One place for each connection.
    pub places: Places,
    /// The connections of each user.
    pub users: Users,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    started: Instant,
    guest_secret: OnceCell<String>,
    connects: Mutex<Bucket>,
    draining: AtomicBool,
}

impl App {
    pub(crate) fn new(
        config: Config,
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let per_second = config.limits.connects_per_second;
        Arc::new(Self {
            places: Places::new(config.limits.connections),
            users: Users::new(config.limits.user_connections),
            metrics,
            started: Instant::now(),
            guest_secret: OnceCell::new(),
            connects: Mutex::new(Bucket::new(per_second, per_second.saturating_mul(CONNECT_BURST))),
            draining: AtomicBool::new(false),
            config,
            store,
            hub,
        })
    }

    /// What identities of guests are signed with; `None` while the store cannot tell.
    pub(crate) async fn guest_secret(&self) -> Option<String> {
        self.guest_secret.get_or_try_init(|| self.store.secret()).await.ok().cloned()
    }

    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Why this instance takes no connections now; empty if it does.
    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.is_draining() {
            reasons.push("draining".to_owned());
        }
        if let Some(reason) = self.store.health().borrow().reason() {
            reasons.push(format!("{}: {reason}", self.store.name()));
        }
        if self.places.full() {
            reasons.push(format!("full: {} connections", self.places.taken()));
        }
        reasons
    }
}

/// Serves until `end` comes and the requests under way are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let header_time = app.config.timing.hello;
    let router = Router::new()
        .route("/", get(page::index))
        .route("/page.js", get(page::script))
        .route("/page.css", get(page::style))
        .route("/ws", get(connect))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/info", get(api::info))
        .route("/api/rooms/{room}", get(api::room))
        .route("/api/publish", post(api::publish))
        .route("/api/act", post(api::act))
        .route("/api/disconnect", post(api::disconnect))
        .layer(DefaultBodyLimit::max(app.config.limits.frame_bytes))
        .with_state(app);
    listen::serve(listener, router, header_time, end).await
}

/// A gauge of what may be counted by any number that fits.
fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let metrics = &app.metrics;
    metrics.connections.set(gauge(app.places.taken()));
    metrics.held.set(gauge(app.hub.rooms()));
    metrics.members.set(gauge(app.hub.members()));
    let waiting = app.hub.connections().iter().map(|connection| connection.outbox.waiting()).sum();
    metrics.queue_bytes.set(gauge(waiting));
    metrics.redis_up.set(i64::from(*app.store.health().borrow() == Health::Up));
    metrics.draining.set(i64::from(app.is_draining()));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text()).into_response()
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    let reasons = app.reasons();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons });
    json_response(status, body.to_string())
}

async fn connect(State(app): State<Arc<App>>, request: Request) -> Result<Response, Response> {
    let (mut parts, _) = request.into_parts();
    // Refused before anything is read of it, also where it is no upgrade.
    if app.is_draining() {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "this instance is stopping; try another"));
    }
    if app.hub.has_given_up() {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "this instance has lost its store; try another"));
    }
    if !may_come_from(&app.config.origins, &parts.headers) {
        return Err(refuse(StatusCode::FORBIDDEN, "pages of this origin may not connect"));
    }
    let identity =
        identity(&app.config, &parts).map_err(|reason| refuse(StatusCode::UNAUTHORIZED, reason))?;
    let upgrade =
        WebSocketUpgrade::from_request_parts(&mut parts, &()).await.map_err(IntoResponse::into_response)?;
    let wanted: Vec<&HeaderValue> = upgrade.requested_protocols().collect();
    if !wanted.is_empty() && !wanted.iter().any(|protocol| *protocol == SUBPROTOCOL) {
        return Err(refuse(StatusCode::BAD_REQUEST, "this server speaks the subprotocol rooms.v1"));
    }
    if let Err(wait) = app.connects.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(busy(StatusCode::TOO_MANY_REQUESTS, "too many new connections", wait));
    }
    let Some(place) = app.places.take() else {
        return Err(busy(StatusCode::SERVICE_UNAVAILABLE, "no place is free", Duration::from_secs(1)));
    };
    let longest = app.config.limits.frame_bytes;
    Ok(upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(longest)
        .max_frame_size(longest)
        .on_upgrade(move |socket| session::run(socket, app, identity, place)))
}

/// Who connects, by the token of the request if it has one.
fn identity(config: &Config, parts: &Parts) -> Result<Option<Identity>, &'static str> {
    let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let query = parts.uri.query().unwrap_or_default();
    let token = bearer.or_else(|| query.split('&').find_map(|pair| pair.strip_prefix("token=")));
    let Some(token) = token else { return Ok(None) };
    let Some(secret) = &config.auth_secret else {
        return Err("this server takes no tokens: it has no AUTH_SECRET");
    };
    auth::verify(secret.reveal(), token, session::now()).map(Some).map_err(|error| match error {
        AuthError::Invalid(reason) => reason,
        AuthError::Expired => "the token has expired",
    })
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}

fn busy(status: StatusCode, reason: &str, wait: Duration) -> Response {
    let seconds = HeaderValue::from(wait.as_secs() + 1);
    (status, [(header::RETRY_AFTER, seconds)], format!("{reason}\n")).into_response()
}

/// Browsers name the page that connects; other clients name none, and could
/// name any.
fn may_come_from(allowed: &Origins, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let origin = origin.to_ascii_lowercase();
    match allowed {
        Origins::Any => true,
        Origins::Listed(listed) => listed.contains(&origin),
        Origins::SameHost => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let page = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            match (page, host) {
                (Some(page), Some(host)) => page == host.to_ascii_lowercase(),
                _ => false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&'static str>, host: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn pages_of_other_hosts_may_not_connect_unless_listed() {
        let same = |origin| may_come_from(&Origins::SameHost, &headers(Some(origin), "Example.org:8080"));
        assert!(same("http://example.org:8080") && same("https://EXAMPLE.org:8080"));
        assert!(!same("http://example.org") && !same("http://evil.example") && !same("null"));
        assert!(may_come_from(&Origins::SameHost, &headers(None, "h")));
        let listed = Origins::Listed(vec!["https://one.example".to_owned()]);
        assert!(may_come_from(&listed, &headers(Some("https://One.example"), "h")));
        assert!(!may_come_from(&listed, &headers(Some("http://one.example"), "h")));
        assert!(may_come_from(&Origins::Any, &headers(Some("null"), "h")));
    }
}
