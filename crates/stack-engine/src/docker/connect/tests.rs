use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;

use super::*;

/// An engine that answers `/_ping` and writes down what it is asked.
fn engine(folder: &Path, api: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let socket = folder.join("docker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&asked);
    let app = Router::new().fallback(move |request: Request| async move {
        written.lock().expect("no panic").push(request.uri().to_string());
        if request.uri().path() == "/_ping" {
            return ([("Api-Version", api)], "OK").into_response();
        }
        "[]".into_response()
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("unix://{}", socket.display()), asked)
}

fn variables(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
    let map: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |name| map.get(name).cloned()
}

fn config_with_context(folder: &Path, name: &str, address: &str) {
    let hash: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = folder.join("contexts/meta").join(hash);
    std::fs::create_dir_all(&meta).expect("a folder");
    let text = format!(r#"{{"Name":"{name}","Endpoints":{{"docker":{{"Host":"{address}"}}}}}}"#);
    std::fs::write(meta.join("meta.json"), text).expect("a file");
}

#[tokio::test]
async fn every_path_has_the_api_version_that_both_speak() {
    for (api, prefix) in [("1.41", "/v1.41"), ("1.99", "/v1.53")] {
        let folder = tempfile::tempdir().expect("a folder");
        let (address, asked) = engine(folder.path(), api);
        let place = Where { host: Some(address), context: None };
        let connection = connect(&place, &variables(&[])).await.expect("it answers");
        let list =
            connection.docker.list_containers(None::<bollard::query_parameters::ListContainersOptions>).await;
        assert_eq!(list.expect("a list").len(), 0);
        let asked = asked.lock().expect("no panic").clone();
        assert_eq!(asked[0], "/_ping");
        assert!(asked[1].starts_with(&format!("{prefix}/containers/json")), "{asked:?}");
        assert_eq!(asked.len(), 2);
    }
}

#[tokio::test]
async fn the_order_is_dockers_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, _) = engine(folder.path(), "1.44");
    let config = folder.path().join("config");
    config_with_context(&config, "far", &address);
    std::fs::write(config.join("config.json"), r#"{"currentContext":"far"}"#).expect("a file");
    let config = config.to_string_lossy().into_owned();
    let nowhere = "unix:///nowhere.sock";

    let here = Where { host: Some(address.clone()), context: Some("none".into()) };
    assert_eq!(
        connect(&here, &variables(&[("DOCKER_HOST", nowhere)])).await.expect("by flag").source,
        "--host"
    );
    let named = Where { host: None, context: Some("far".into()) };
    let both = variables(&[("DOCKER_HOST", nowhere), ("DOCKER_CONFIG", &config)]);
    assert_eq!(connect(&named, &both).await.expect("by context").source, "context far by --context");
    let host =
        variables(&[("DOCKER_HOST", &address), ("DOCKER_CONTEXT", "none"), ("DOCKER_CONFIG", &config)]);
    assert_eq!(connect(&Where::default(), &host).await.expect("by variable").source, "DOCKER_HOST");
    let current = variables(&[("DOCKER_CONFIG", &config)]);
    let found = connect(&Where::default(), &current).await.expect("by current context");
    assert_eq!(found.source, "context far by the current docker context");
    let none = Where { host: None, context: Some("near".into()) };
    let error = connect(&none, &current).await.err().expect("no such context");
    assert_eq!(error.to_string(), "there is no docker context near");
    assert_eq!(error.hint().as_deref(), Some("there are: far"));
}

#[tokio::test]
async fn what_is_wrong_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, _) = engine(folder.path(), "1.40");
    let text = async |host: &str, variables: &dyn Fn(&str) -> Option<String>| {
        let place = Where { host: Some(host.to_owned()), context: None };
        connect(&place, variables).await.err().expect("an error").to_string()
    };
    let empty = variables(&[]);
    assert!(text(&address, &empty).await.contains("speaks API 1.40; stackctl needs 1.41"));
    assert!(
        text("unix:///nowhere.sock", &empty).await.starts_with("there is no engine at unix:///nowhere.sock")
    );
    assert!(text("localhost", &empty).await.contains("is no address of an engine"));
    assert!(text("ftp://me:secret@host", &empty).await.starts_with("ftp://me@host (--host) is no address"));

    let dead = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).expect("a socket"));
    assert!(text(&format!("unix://{}", dead.display()), &empty).await.contains("does not answer"));
    let certificates = folder.path().to_string_lossy().into_owned();
    let secure = variables(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", &certificates)]);
    assert!(text("tcp://127.0.0.1:1", &secure).await.contains("key.pem cannot be used"));
    assert!(text("tcp://127.0.0.1:1", &empty).await.contains("does not answer: Connection refused"));
}

#[tokio::test]
async fn no_permission_is_said_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, _) = engine(folder.path(), "1.41");
    let socket = address.trim_start_matches("unix://");
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o0)).expect("permissions");
    let place = Where { host: Some(address), context: None };
    match connect(&place, &variables(&[])).await {
        Err(error) => {
            assert!(matches!(error, ConnectError::Denied { .. }), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("usermod")));
        }
        // Root is never refused.
        Ok(_) => assert!(std::fs::File::open("/etc/shadow").is_ok()),
    }
}
