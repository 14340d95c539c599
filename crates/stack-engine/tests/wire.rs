//! What goes over the socket: path, API version, query and body of every call
//! that brings a stack up, against an engine that only writes them down.

mod stacks;

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
use stack_engine::engine::{Engine, EngineError, Ledger, Work};
use stack_engine::event::EventKind;
use stack_engine::execute::{Pace, execute};
use stack_plan::containers::{self, Policy};
use stack_plan::observed::{Observed, ObservedImage};
use stack_plan::plan::{Action, Target};
use stacks::desired;
use tokio::sync::mpsc;

/// A request as it came: `POST /v1.41/…?…`, and its body.
type Call = (String, Value);

/// An engine that answers everything with what is plausible, or with one error.
struct Recorder {
    folder: tempfile::TempDir,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Recorder {
    fn start(api: &'static str, refusal: Option<(StatusCode, &'static str)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = tokio::net::UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&calls);
        let app = Router::new()
            .fallback(move |request: Request| answer(request, Arc::clone(&written), api, refusal));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { folder, calls }
    }

    async fn engine(&self) -> DockerEngine {
        let socket = self.folder.path().join("docker.sock");
        let place = Where { host: Some(format!("unix://{}", socket.display())), context: None };
        let connection = connect(&place, &|_: &str| None).await.expect("it answers");
        DockerEngine::new(connection, true)
    }

    /// The calls that change something.
    fn changes(&self) -> Vec<Call> {
        let calls = self.calls.lock().expect("no panic").clone();
        calls.into_iter().filter(|(line, _)| !line.starts_with("GET")).collect()
    }

    fn body(&self, begin: &str) -> Value {
        let calls = self.changes();
        let found = calls.iter().find(|(line, _)| line.starts_with(begin));
        found.unwrap_or_else(|| panic!("{begin} was not called: {calls:#?}")).1.clone()
    }
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
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    calls.lock().expect("no panic").push((format!("{} {}", parts.method, parts.uri), body));
    let json = |status, value: Value| (status, [("Content-Type", "application/json")], value.to_string());
    match path.rsplit('/').next() {
        Some("_ping") => ([("Api-Version", api)], "OK").into_response(),
        _ if refusal.is_some() && parts.method != "GET" => {
            let (status, message) = refusal.unwrap_or_default();
            json(status, json!({ "message": message })).into_response()
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
        Some("events") => json(StatusCode::OK, json!({})).into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Brings a stack up on such an engine, with its images present.
async fn up(api: &'static str, text: &str) -> Recorder {
    let recorder = Recorder::start(api, None);
    let engine = recorder.engine().await;
    let desired = desired(text);
    let images: BTreeMap<_, _> = (desired.references().into_iter())
        .map(|reference| (reference, ObservedImage { id: format!("sha256:{}", "1".repeat(64)) }))
        .collect();
    let observed = Observed { images, ..Observed::default() };
    let plan = containers::plan(&desired, &observed, &Policy::default());
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let summary = execute(&engine, &Arc::new(plan), Pace::default(), &sender).await;
    while let Ok(event) = receiver.try_recv() {
        if let EventKind::StepFailed { failure, .. } = event.kind {
            panic!("{}", failure.error);
        }
    }
    assert!(summary.succeeded(), "{summary:?}");
    recorder
}

const RICH: &str = "
services:
  web:
    image: web:1
    command: [serve, --port, '80']
    entrypoint: [/entry]
    environment: { A: '1', B: 'two words' }
    ports: ['127.0.0.1:8080:80', '53:53/udp']
    expose: ['9000']
    volumes:
      - data:/data
      - /srv/conf:/conf:ro
      - /anonymous
    tmpfs: [/run]
    networks:
      front: { aliases: [www], ipv4_address: 172.30.0.9 }
    healthcheck:
      test: [CMD, probe]
      interval: 2s
      timeout: 1s
      retries: 4
      start_period: 3s
    restart: on-failure:3
    stop_signal: SIGQUIT
    stop_grace_period: 25s
    init: true
    read_only: true
    privileged: true
    user: '1000:1000'
    working_dir: /srv
    hostname: web
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    security_opt: ['no-new-privileges:true']
    sysctls: { net.core.somaxconn: '1024' }
    ulimits: { nofile: { soft: 10, hard: 20 } }
    extra_hosts: ['db:10.0.0.5']
    dns: [1.1.1.1]
    dns_search: [example.org]
    shm_size: 64m
    mem_limit: 128m
    cpus: 1.5
    pids_limit: 99
    labels: { team: shop }
    logging: { driver: json-file, options: { max-size: 10m } }
networks:
  front:
    driver: bridge
    driver_opts: { com.docker.network.bridge.name: br0 }
    ipam: { config: [{ subnet: 172.30.0.0/24, gateway: 172.30.0.1 }] }
volumes:
  data: { driver: local, driver_opts: { type: tmpfs } }
";

#[tokio::test]
async fn a_container_is_asked_for_with_everything_the_file_says() {
    let recorder = up("1.41", RICH).await;
    let body = recorder.body("POST /v1.41/containers/create?name=shop-web-1");
    for (pointer, wanted) in [
        ("/Image", json!("web:1")),
        ("/Cmd", json!(["serve", "--port", "80"])),
        ("/Entrypoint", json!(["/entry"])),
        ("/Env", json!(["A=1", "B=two words"])),
        ("/ExposedPorts", json!({ "53/udp": {}, "80/tcp": {}, "9000/tcp": {} })),
        ("/HostConfig/PortBindings/80~1tcp", json!([{ "HostIp": "127.0.0.1", "HostPort": "8080" }])),
        ("/HostConfig/PortBindings/53~1udp/0/HostPort", json!("53")),
        ("/HostConfig/Tmpfs", json!({ "/run": "" })),
        ("/HostConfig/NetworkMode", json!("shop_front")),
        ("/NetworkingConfig/EndpointsConfig/shop_front/IPAMConfig/IPv4Address", json!("172.30.0.9")),
        ("/NetworkingConfig/EndpointsConfig/shop_front/Aliases", json!(["shop-web-1", "web", "www"])),
        ("/Healthcheck/Test", json!(["CMD", "probe"])),
        ("/Healthcheck/Interval", json!(2_000_000_000_u64)),
        ("/Healthcheck/Timeout", json!(1_000_000_000_u64)),
        ("/Healthcheck/Retries", json!(4)),
        ("/Healthcheck/StartPeriod", json!(3_000_000_000_u64)),
        ("/HostConfig/RestartPolicy", json!({ "Name": "on-failure", "MaximumRetryCount": 3 })),
        ("/StopSignal", json!("SIGQUIT")),
        ("/StopTimeout", json!(25)),
        ("/HostConfig/Init", json!(true)),
        ("/HostConfig/ReadonlyRootfs", json!(true)),
        ("/HostConfig/Privileged", json!(true)),
        ("/User", json!("1000:1000")),
        ("/WorkingDir", json!("/srv")),
        ("/Hostname", json!("web")),
        ("/HostConfig/CapAdd", json!(["NET_ADMIN"])),
        ("/HostConfig/CapDrop", json!(["ALL"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges:true"])),
        ("/HostConfig/Sysctls", json!({ "net.core.somaxconn": "1024" })),
        ("/HostConfig/Ulimits", json!([{ "Name": "nofile", "Soft": 10, "Hard": 20 }])),
        ("/HostConfig/ExtraHosts", json!(["db:10.0.0.5"])),
        ("/HostConfig/Dns", json!(["1.1.1.1"])),
        ("/HostConfig/DnsSearch", json!(["example.org"])),
        ("/HostConfig/ShmSize", json!(64 << 20)),
        ("/HostConfig/Memory", json!(128 << 20)),
        ("/HostConfig/NanoCpus", json!(1_500_000_000_u64)),
        ("/HostConfig/PidsLimit", json!(99)),
        ("/HostConfig/LogConfig", json!({ "Type": "json-file", "Config": { "max-size": "10m" } })),
        ("/Labels/team", json!("shop")),
        ("/Labels/com.docker.compose.project", json!("shop")),
        ("/Labels/com.docker.compose.service", json!("web")),
        ("/Labels/com.docker.compose.container-number", json!("1")),
        ("/Labels/com.docker.compose.oneoff", json!("False")),
    ] {
        assert_eq!(body.pointer(pointer), Some(&wanted), "{pointer} of {body:#}");
    }
    let mounts = body["HostConfig"]["Mounts"].to_string() + &body["HostConfig"]["Binds"].to_string();
    assert!(mounts.contains("shop_data") && mounts.contains("/srv/conf"), "{body:#}");
    assert_eq!(body["Volumes"], json!({ "/anonymous": {} }));
    assert!(body["Labels"]["com.docker.compose.config-hash"].as_str().is_some_and(|hash| hash.len() == 64));
}

#[tokio::test]
async fn what_an_old_engine_does_not_know_is_said_and_not_sent() {
    const TEXT: &str =
        "services: { web: { image: web, healthcheck: { test: [CMD, probe], start_interval: 500ms } } }";
    let new = up("1.51", TEXT).await.body("POST /v1.51/containers/create");
    assert_eq!(new["Healthcheck"]["StartInterval"], 500_000_000);

    let recorder = Recorder::start("1.41", None);
    let plan = containers::plan(&desired(TEXT), &Observed::default(), &Policy::default());
    let is_create = |action: &Action| matches!(action, Action::CreateContainer(_));
    let step = plan.steps.iter().find(|step| is_create(&step.action)).expect("a step");
    let work = Work { action: &step.action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    let failure = recorder.engine().await.perform(work).await.expect_err("it is refused");
    let said = failure.error.to_string();
    assert!(said.contains("start_interval") && said.contains("1.44") && said.contains("1.41"), "{said}");
    assert!(recorder.changes().is_empty());
}

#[tokio::test]
async fn networks_and_volumes_are_made_first_with_their_labels() {
    let recorder = up("1.41", RICH).await;
    let network = recorder.body("POST /v1.41/networks/create");
    assert_eq!((&network["Name"], &network["Driver"]), (&json!("shop_front"), &json!("bridge")));
    assert_eq!(network["IPAM"]["Config"][0]["Subnet"], "172.30.0.0/24");
    assert_eq!(network["Options"]["com.docker.network.bridge.name"], "br0");
    assert_eq!(network["Labels"]["com.docker.compose.network"], "front");
    let volume = recorder.body("POST /v1.41/volumes/create");
    assert_eq!((&volume["Name"], &volume["DriverOpts"]["type"]), (&json!("shop_data"), &json!("tmpfs")));
    assert_eq!(volume["Labels"]["com.docker.compose.volume"], "data");
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    let place = |begin: &str| lines.iter().position(|line| line.starts_with(begin)).expect("it was called");
    let created = place("POST /v1.41/containers/create");
    assert!(place("POST /v1.41/networks/create") < created && place("POST /v1.41/volumes/create") < created);
    assert!(created < place("POST /v1.41/containers/made/start"), "{lines:#?}");
}

#[tokio::test]
async fn further_networks_are_joined_before_the_start() {
    let text = "
services: { web: { image: web, networks: { front: { priority: 5 }, back: { aliases: [b] } } } }
networks: { front: {}, back: {} }
";
    let recorder = up("1.41", text).await;
    let created = recorder.body("POST /v1.41/containers/create");
    assert!(created["NetworkingConfig"]["EndpointsConfig"]["shop_front"].is_object(), "{created:#}");
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    let connect = lines.iter().position(|line| line.contains("/networks/") && line.ends_with("/connect"));
    let start = lines.iter().position(|line| line.ends_with("/start"));
    assert!(connect.is_some() && connect < start, "{lines:#?}");
    let (_, body) = &recorder.changes()[connect.expect("it was called")];
    assert_eq!(body["Container"], "made");
    assert_eq!(body["EndpointConfig"]["Aliases"], json!(["web", "b"]));
}

#[tokio::test]
async fn stops_and_removals_say_what_was_asked() {
    let recorder = Recorder::start("1.41", None);
    let engine = recorder.engine().await;
    let target = Target::Known("abc".to_owned());
    for action in [
        Action::Stop { target: target.clone(), grace: Some(std::time::Duration::from_millis(1500)) },
        Action::RemoveContainer { target, volumes: true },
        Action::RemoveNetwork("n".to_owned()),
        Action::RemoveVolume("v".to_owned()),
        Action::RemoveImage("shop-web:latest".to_owned()),
    ] {
        let work = Work { action: &action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
        // The answer of the last one is no list; only what was asked is looked at here.
        let _ = engine.perform(work).await;
    }
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    for (line, begin) in lines.iter().zip([
        "POST /v1.41/containers/abc/stop?t=2",
        "DELETE /v1.41/containers/abc?",
        "DELETE /v1.41/networks/n",
        "DELETE /v1.41/volumes/v",
        "DELETE /v1.41/images/shop-web",
    ]) {
        assert!(line.starts_with(begin), "{line} instead of {begin}");
    }
    assert!(lines[1].contains("v=true"), "{}", lines[1]);
}

#[tokio::test]
async fn a_refusal_keeps_the_words_of_the_engine() {
    let recorder = Recorder::start("1.41", Some((StatusCode::CONFLICT, "the name is taken")));
    let engine = recorder.engine().await;
    let desired = desired("services: { web: { image: web } }");
    let plan = containers::plan(&desired, &Observed::default(), &Policy::default());
    let step =
        plan.steps.iter().find(|step| matches!(step.action, Action::CreateNetwork(_))).expect("a step");
    let work = Work { action: &step.action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    let failure = engine.perform(work).await.expect_err("it refuses");
    match failure.error {
        EngineError::Refused { status, message } => {
            assert_eq!((status, message.as_str()), (409, "the name is taken"));
        }
        other => panic!("{other:?}"),
    }
}
