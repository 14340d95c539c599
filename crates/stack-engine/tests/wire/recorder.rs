//! An engine that writes down what it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use stack_engine::docker::DockerEngine;
use stack_engine::docker::connect::{Where, connect};
use stack_engine::event::EventKind;
use stack_engine::execute::{Pace, execute};
use stack_plan::api::Api;
use stack_plan::containers::{self, Policy};
use stack_plan::observed::{Observed, ObservedImage};
use tokio::sync::mpsc;

use crate::stacks::desired;

/// A request as it came: `POST /v1.41/…?…`, and its body.
pub(crate) type Call = (String, Value);

/// An engine that answers everything with what is plausible, or with one error.
pub(crate) struct Recorder {
    folder: tempfile::TempDir,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Recorder {
    pub(crate) fn start(api: &'static str, refusal: Option<(StatusCode, &'static str)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = tokio::net::UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&calls);
        let app = Router::new()
            .fallback(move |request: Request| answer(request, Arc::clone(&written), api, refusal));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { folder, calls }
    }

    pub(crate) async fn engine(&self) -> DockerEngine {
        let socket = self.folder.path().join("docker.sock");
        let place = Where { host: Some(format!("unix://{}", socket.display())), context: None };
        let connection = connect(&place, &|_: &str| None).await.expect("it answers");
        DockerEngine::new(connection, true)
    }

    /// The calls that change something.
    pub(crate) fn changes(&self) -> Vec<Call> {
        let calls = self.calls.lock().expect("no panic").clone();
        calls.into_iter().filter(|(line, _)| !line.starts_with("GET")).collect()
    }

    pub(crate) fn body(&self, begin: &str) -> Value {
        let calls = self.changes();
        let found = calls.iter().find(|(line, _)| line.starts_with(begin));
        found.unwrap_or_else(|| panic!("{begin} was not called: {calls:#?}")).1.clone()
    }
}

/// The files of an archive: path, owner, group, permission bits and content.
fn unpacked(bytes: &[u8]) -> Value {
    let mut archive = tar::Archive::new(bytes);
    let mut files = Vec::new();
    for entry in archive.entries().into_iter().flatten() {
        let Ok(mut entry) = entry else { return Value::Null };
        let mut content = String::new();
        let path = entry.path().map(|path| path.display().to_string()).unwrap_or_default();
        let header = entry.header();
        let (uid, gid, mode) = (header.uid().ok(), header.gid().ok(), header.mode().ok());
        let _ = std::io::Read::read_to_string(&mut entry, &mut content);
        files.push(json!({ "path": path, "uid": uid, "gid": gid, "mode": mode, "content": content }));
    }
    if files.is_empty() { Value::Null } else { Value::Array(files) }
}

async fn answer(
    request: Request,
    calls: Arc<Mutex<Vec<Call>>>,
    api: &'static str,
    refusal: Option<(StatusCode, &'static str)>,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| unpacked(&bytes));
    let name = body["Name"].as_str().unwrap_or_default().to_owned();
    let known: Vec<Call> = {
        let mut calls = calls.lock().expect("no panic");
        calls.push((format!("{} {}", parts.method, parts.uri), body));
        calls.clone()
    };
    let json = |status, value: Value| (status, [("Content-Type", "application/json")], value.to_string());
    match path.rsplit('/').next() {
        Some("_ping") => ([("Api-Version", api)], "OK").into_response(),
        _ if refusal.is_some() && parts.method != "GET" => {
            let (status, message) = refusal.unwrap_or_default();
            json(status, json!({ "message": message })).into_response()
        }
        Some("create") if ["/services/", "/configs/", "/secrets/"].iter().any(|kind| path.contains(kind)) => {
            let id = format!("id-of-{name}");
            json(StatusCode::CREATED, json!({ "ID": id })).into_response()
        }
        Some(kind @ ("configs" | "secrets")) => {
            let made = known.iter().filter(|(line, _)| line.contains(&format!("/{kind}/create")));
            let made = made.map(|(_, body)| json!({ "ID": format!("id-of-{}", body["Name"].as_str().unwrap_or_default()), "Spec": body }));
            json(StatusCode::OK, made.collect()).into_response()
        }
        Some("update") if path.contains("/services/") => json(StatusCode::OK, json!({ "Warnings": [] })).into_response(),
        Some(id) if path.contains("/services/") && parts.method == "GET" => {
            json(StatusCode::OK, present(id)).into_response()
        }
        Some("create") if path.contains("/volumes/") => {
            json(StatusCode::CREATED, json!({ "Name": "v", "Driver": "local", "Mountpoint": "", "Labels": {}, "Scope": "local", "Options": {} }))
                .into_response()
        }
        Some("create") if path.contains("/networks/") => {
            json(StatusCode::CREATED, json!({ "Id": "net", "Warning": "" })).into_response()
        }
        Some("create") => json(StatusCode::CREATED, json!({ "Id": "made", "Warnings": [] })).into_response(),
        Some("json") => json(
            StatusCode::OK,
            json!({ "Id": "made", "Name": "/made", "State": { "Status": "running", "Running": true, "ExitCode": 0 } }),
        )
        .into_response(),
        Some("exec") => json(StatusCode::CREATED, json!({ "Id": "exec" })).into_response(),
        Some("events") => json(StatusCode::OK, json!({})).into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

/// A service that is there, as a manager tells it.
fn present(id: &str) -> Value {
    json!({
        "ID": id,
        "Version": { "Index": 41 },
        "Spec": {
            "Name": "shop_web",
            "Labels": { "stackctl.spec": "{}" },
            "TaskTemplate": {
                "ContainerSpec": { "Image": "web:1", "Healthcheck": { "Test": ["CMD", "probe"] } },
                "ForceUpdate": 3,
            },
        },
    })
}

/// Brings a stack up on such an engine, with its images present.
pub(crate) async fn up(api: &'static str, text: &str) -> Recorder {
    let (recorder, told) = up_with_words(api, text).await;
    assert!(told.is_empty(), "{told:#?}");
    recorder
}

/// Brings a stack up as [`up`] does, and says what the engine is too old for.
pub(crate) async fn up_with_words(api: &'static str, text: &str) -> (Recorder, Vec<String>) {
    let recorder = Recorder::start(api, None);
    let engine = recorder.engine().await;
    let (major, minor) = engine.connection().api_version;
    let desired = desired(text);
    let images: BTreeMap<_, _> = (desired.references().into_iter())
        .map(|reference| {
            (reference, ObservedImage { id: format!("sha256:{}", "1".repeat(64)), tagged: None })
        })
        .collect();
    let observed = Observed { api: Api(major, minor), images, ..Observed::default() };
    let plan = containers::plan(&desired, &observed, &Policy::default());
    let told = plan.shortfalls.iter().map(ToString::to_string).collect();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let summary = execute(&engine, &Arc::new(plan), Pace::default(), &sender).await;
    while let Ok(event) = receiver.try_recv() {
        if let EventKind::StepFailed { failure, .. } = event.kind {
            panic!("{}", failure.error);
        }
    }
    assert!(summary.succeeded(), "{summary:?}");
    (recorder, told)
}
