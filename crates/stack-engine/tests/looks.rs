//! What a look at a project costs: the calls that go over the socket, and what is read from the answers.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use stack_engine::docker::DockerEngine;
use stack_engine::docker::connect::{Where, connect};
use stack_engine::engine::{Engine, Query};

/// An engine of API 1.41 that has the images `web:1` to `web:9`, and says `null` where others say `[]`.
fn answer(path: &str) -> Value {
    match path.rsplit_once("1.41").map_or(path, |(_, rest)| rest) {
        "/volumes" => json!({ "Volumes": null, "Warnings": null }),
        "/images/json" => (1..10)
            .map(|number| {
                json!({
                    "Id": format!("sha256:{number}"), "ParentId": "", "RepoTags": [format!("web:{number}")],
                    "RepoDigests": null, "Created": 1, "Size": 1, "SharedSize": -1, "Labels": null, "Containers": -1,
                })
            })
            .collect(),
        _ => json!([]),
    }
}

#[tokio::test]
async fn a_look_at_many_images_takes_one_call_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
    let calls = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&calls);
    let app = Router::new().fallback(move |request: Request| {
        let path = request.uri().path().to_owned();
        written.lock().expect("no panic").push(path.clone());
        async move {
            if path.ends_with("/_ping") {
                return ([("Api-Version", "1.41")], "OK").into_response();
            }
            ([("Content-Type", "application/json")], answer(&path).to_string()).into_response()
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });

    let place = Where { host: Some(format!("unix://{}", socket.display())), context: None };
    let connection = connect(&place, &|_: &str| None).await.expect("it answers");
    let engine = DockerEngine::new(connection, true);
    let images = (1..10).map(|number| format!("web:{number}")).collect();
    let query = Query { project: "shop".to_owned(), images, ..Query::default() };
    let observed = engine.observe(&query).await.expect("a look");
    assert_eq!(observed.images.len(), 9);
    assert_eq!(observed.images["web:7"].id, "sha256:7");
    let calls = calls.lock().expect("no panic").clone();
    assert!(calls.len() <= 6, "{calls:#?}");
}
