//! What services of a swarm are made with.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use stack_engine::engine::{Engine, Ledger, Work};
use stack_engine::execute::{Pace, execute};
use stack_file::swarm::refusals;
use stack_plan::api::Api;
use stack_plan::containers::Policy;
use stack_plan::desired::Desired;
use stack_plan::plan::{Action, Plan};
use stack_plan::swarm::{Availability, ObservedNode, SwarmDesired, SwarmImage, SwarmObserved, plan};
use tokio::sync::mpsc;

use crate::recorder::Recorder;
use crate::stacks::loaded;

const RICH: &str = "
services:
  web:
    image: web:1
    command: [serve, --port, '80']
    entrypoint: [/entry]
    environment: { B: 'two words', A: '1' }
    volumes:
      - { type: volume, source: data, target: /data, volume: { nocopy: true } }
      - { type: bind, source: /srv/conf, target: /conf, read_only: true, bind: { propagation: rslave } }
      - { type: tmpfs, target: /cache, tmpfs: { size: 1048576, mode: 0700 } }
      - /anonymous
    tmpfs: ['/run:size=64k,mode=1777']
    shm_size: 64m
    networks: { front: { aliases: [www] } }
    healthcheck: { test: [CMD, probe], interval: 2s, timeout: 1s, retries: 4, start_period: 3s }
    stop_signal: SIGQUIT
    stop_grace_period: 25s
    init: true
    read_only: true
    tty: true
    stdin_open: true
    user: '1000:1000'
    group_add: [wheel, audio]
    working_dir: /srv
    hostname: web
    cap_add: [NET_ADMIN, CHOWN]
    cap_drop: [ALL]
    security_opt: ['no-new-privileges:true', 'seccomp=unconfined', 'apparmor=unconfined', 'label=type:shop_t']
    sysctls: { net.core.somaxconn: '1024' }
    ulimits: { nofile: { soft: 10, hard: 20 } }
    extra_hosts: ['db:10.0.0.5']
    dns: [1.1.1.1]
    dns_search: [example.org]
    dns_opt: ['ndots:2']
    oom_score_adj: 100
    labels: { team: shop }
    logging: { driver: json-file, options: { max-size: 10m } }
    configs: [{ source: app, target: /etc/app, uid: '7', gid: '8', mode: 0440 }]
    secrets: [token]
    ports:
      - { target: 80, published: '8080', mode: host }
      - { target: 53, published: '53', protocol: udp, mode: host }
    deploy:
      mode: replicated
      replicas: 3
      labels: { tier: front }
      endpoint_mode: dnsrr
      placement:
        constraints: [node.role==worker, 'node.labels.zone != x']
        preferences: [{ spread: node.labels.rack }, { spread: node.labels.room }]
        max_replicas_per_node: 2
      resources:
        limits: { cpus: '1.5', memory: 128m, pids: 99 }
        reservations:
          cpus: '0.5'
          memory: 64m
          generic_resources: [{ discrete_resource_spec: { kind: gpu, value: 2 } }]
      restart_policy: { condition: on-failure, delay: 2s, max_attempts: 5, window: 30s }
      update_config: { parallelism: 2, delay: 4s, failure_action: rollback, monitor: 6s, max_failure_ratio: 0.25, order: start-first }
      rollback_config: { parallelism: 0, delay: 1s, failure_action: continue, monitor: 7s, max_failure_ratio: 0.5, order: start-first }
networks:
  front: { driver: overlay, attachable: true, driver_opts: { encrypted: 'true' } }
volumes:
  data: { driver: local, driver_opts: { type: tmpfs, device: tmpfs } }
configs: { app: { content: 'a = 1' } }
secrets: { token: { environment: TOKEN } }
";

/// What is to be done to bring a stack up on a swarm of one node that has its images.
fn planned((major, minor): (u32, u32), text: &str, policy: &Policy) -> Plan {
    let environment = BTreeMap::from([("TOKEN".to_owned(), "hush".to_owned())]);
    let loaded = loaded(text, &environment);
    assert!(refusals(&loaded, &[]).is_empty(), "{:#?}", refusals(&loaded, &[]));
    let desired = SwarmDesired::of(&loaded.stack, &Desired::of(&loaded.stack, &BTreeMap::new()));
    let image = SwarmImage { id: "sha256:1".to_owned(), digest: Some("sha256:2".to_owned()), tagged: None };
    let node = ObservedNode {
        id: "n1".to_owned(),
        name: "host-n1".to_owned(),
        address: String::new(),
        manager: false,
        ready: true,
        message: String::new(),
        availability: Availability::Active,
        engine: String::new(),
        labels: BTreeMap::new(),
        nano_cpus: 0,
        memory: 0,
    };
    let observed = SwarmObserved {
        api: Api(major, minor),
        here: "n1".to_owned(),
        without_ipvs: Some(false),
        nodes: vec![node],
        images: desired.references().into_iter().map(|reference| (reference, image.clone())).collect(),
        ..SwarmObserved::default()
    };
    plan(&desired, &observed, policy)
}

/// Brings a stack up on such a swarm.
async fn up(api: &'static str, text: &str) -> Recorder {
    let recorder = Recorder::start(api, None);
    let engine = recorder.engine().await;
    let plan = planned(engine.connection().api_version, text, &Policy::default());
    assert!(plan.obstacles.is_empty(), "{:#?}", plan.obstacles);
    let (sender, _receiver) = mpsc::unbounded_channel();
    let summary = execute(&engine, &Arc::new(plan), Pace::default(), &sender).await;
    assert!(summary.succeeded(), "{summary:?}");
    recorder
}

fn check(body: &Value, wanted: &[(&str, Value)]) {
    for (pointer, value) in wanted {
        assert_eq!(body.pointer(pointer), Some(value), "{pointer} of {body:#}");
    }
}

#[tokio::test]
async fn a_service_is_asked_for_with_everything_the_file_says() {
    let recorder = up("1.44", RICH).await;
    let body = recorder.body("POST /v1.44/services/create");
    let container = |path: &str| body["TaskTemplate"]["ContainerSpec"][path].clone();
    check(
        &body,
        &[
            ("/Name", json!("shop_web")),
            ("/Labels/tier", json!("front")),
            ("/Labels/com.docker.stack.namespace", json!("shop")),
            ("/Labels/com.docker.stack.image", json!("web:1")),
            ("/Labels/stackctl.key", json!("web")),
            ("/Mode", json!({ "Replicated": { "Replicas": 3 } })),
            ("/EndpointSpec/Mode", json!("dnsrr")),
            (
                "/EndpointSpec/Ports",
                json!([
                    { "Protocol": "udp", "TargetPort": 53, "PublishedPort": 53, "PublishMode": "host" },
                    { "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host" },
                ]),
            ),
            (
                "/UpdateConfig",
                json!({
                    "Parallelism": 2, "Delay": 4_000_000_000_i64, "FailureAction": "rollback",
                    "Monitor": 6_000_000_000_i64, "MaxFailureRatio": 0.25, "Order": "start-first",
                }),
            ),
            (
                "/RollbackConfig",
                json!({
                    "Parallelism": 0, "Delay": 1_000_000_000_i64, "FailureAction": "continue",
                    "Monitor": 7_000_000_000_i64, "MaxFailureRatio": 0.5, "Order": "start-first",
                }),
            ),
            (
                "/TaskTemplate/RestartPolicy",
                json!({
                    "Condition": "on-failure", "Delay": 2_000_000_000_i64, "MaxAttempts": 5,
                    "Window": 30_000_000_000_i64,
                }),
            ),
            ("/TaskTemplate/Placement/Constraints", json!(["node.labels.zone != x", "node.role==worker"])),
            (
                "/TaskTemplate/Placement/Preferences",
                json!([
                    { "Spread": { "SpreadDescriptor": "node.labels.rack" } },
                    { "Spread": { "SpreadDescriptor": "node.labels.room" } },
                ]),
            ),
            ("/TaskTemplate/Placement/MaxReplicas", json!(2)),
            (
                "/TaskTemplate/Resources/Limits",
                json!({ "NanoCPUs": 1_500_000_000_i64, "MemoryBytes": 128 << 20, "Pids": 99 }),
            ),
            ("/TaskTemplate/Resources/Reservations/NanoCPUs", json!(500_000_000)),
            ("/TaskTemplate/Resources/Reservations/MemoryBytes", json!(64 << 20)),
            (
                "/TaskTemplate/Resources/Reservations/GenericResources",
                json!([{ "DiscreteResourceSpec": { "Kind": "gpu", "Value": 2 } }]),
            ),
            ("/TaskTemplate/Networks", json!([{ "Target": "shop_front", "Aliases": ["web", "www"] }])),
            ("/TaskTemplate/LogDriver", json!({ "Name": "json-file", "Options": { "max-size": "10m" } })),
        ],
    );
    for (field, wanted) in [
        ("Image", json!("web:1@sha256:2")),
        ("Args", json!(["serve", "--port", "80"])),
        ("Command", json!(["/entry"])),
        ("Env", json!(["A=1", "B=two words"])),
        ("StopSignal", json!("SIGQUIT")),
        ("StopGracePeriod", json!(25_000_000_000_i64)),
        ("Init", json!(true)),
        ("ReadOnly", json!(true)),
        ("TTY", json!(true)),
        ("OpenStdin", json!(true)),
        ("User", json!("1000:1000")),
        ("Groups", json!(["audio", "wheel"])),
        ("Dir", json!("/srv")),
        ("Hostname", json!("web")),
        ("CapabilityAdd", json!(["CHOWN", "NET_ADMIN"])),
        ("CapabilityDrop", json!(["ALL"])),
        ("Sysctls", json!({ "net.core.somaxconn": "1024" })),
        ("Ulimits", json!([{ "Name": "nofile", "Soft": 10, "Hard": 20 }])),
        ("Hosts", json!(["10.0.0.5 db"])),
        (
            "DNSConfig",
            json!({ "Nameservers": ["1.1.1.1"], "Search": ["example.org"], "Options": ["ndots:2"] }),
        ),
        ("OomScoreAdj", json!(100)),
        (
            "Privileges",
            json!({
                "NoNewPrivileges": true,
                "Seccomp": { "Mode": "unconfined" },
                "AppArmor": { "Mode": "disabled" },
                "SELinuxContext": { "Type": "shop_t" },
            }),
        ),
    ] {
        assert_eq!(container(field), wanted, "{field} of {body:#}");
    }
    let probe = &container("HealthCheck");
    check(
        probe,
        &[
            ("/Test", json!(["CMD", "probe"])),
            ("/Interval", json!(2_000_000_000_i64)),
            ("/Timeout", json!(1_000_000_000_i64)),
            ("/Retries", json!(4)),
            ("/StartPeriod", json!(3_000_000_000_i64)),
        ],
    );
    assert_eq!(container("Labels")["team"], json!("shop"));
    // Each setting is kept under the file's name for it.
    let made = body["Labels"]["stackctl.made"].as_str().unwrap_or_default();
    let made: Value = serde_json::from_str(made).expect("JSON");
    let names: Vec<&String> = made["fields"].as_object().expect("settings").keys().collect();
    let foreign: Vec<_> =
        names.iter().filter(|name| name.starts_with(|first: char| first.is_uppercase())).collect();
    assert!(foreign.is_empty() && names.len() > 50, "{foreign:?} of {names:#?}");
    check(
        &made["fields"],
        &[
            ("/deploy.update_config.delay", json!("4s")),
            ("/deploy.rollback_config.parallelism", json!("0")),
            ("/deploy.resources.limits.cpus", json!("1.5")),
            ("/stop_grace_period", json!("25s")),
            ("/ports.8080:80~1tcp", json!("host")),
            ("/command", json!("[\"serve\",\"--port\",\"80\"]")),
        ],
    );
    let mounts: BTreeMap<String, Value> = (container("Mounts").as_array().expect("a list").iter())
        .map(|mount| (mount["Target"].as_str().unwrap_or_default().to_owned(), mount.clone()))
        .collect();
    let places: Vec<&str> = mounts.keys().map(String::as_str).collect();
    assert_eq!(places, ["/anonymous", "/cache", "/conf", "/data", "/dev/shm", "/run"]);
    check(
        &json!(mounts),
        &[
            ("/~1conf/Type", json!("bind")),
            ("/~1conf/Source", json!("/srv/conf")),
            ("/~1conf/ReadOnly", json!(true)),
            ("/~1conf/BindOptions/Propagation", json!("rslave")),
            ("/~1data/Type", json!("volume")),
            ("/~1data/Source", json!("shop_data")),
            ("/~1data/VolumeOptions/NoCopy", json!(true)),
            (
                "/~1data/VolumeOptions/DriverConfig",
                json!({ "Name": "local", "Options": { "type": "tmpfs", "device": "tmpfs" } }),
            ),
            ("/~1cache/TmpfsOptions", json!({ "SizeBytes": 1 << 20, "Mode": 0o700 })),
            ("/~1run/TmpfsOptions", json!({ "SizeBytes": 64 << 10, "Mode": 0o1777 })),
            ("/~1dev~1shm/TmpfsOptions/SizeBytes", json!(64 << 20)),
            ("/~1anonymous/Type", json!("volume")),
        ],
    );
}

#[tokio::test]
async fn configs_secrets_and_networks_are_there_before_the_service_that_names_them() {
    let recorder = up("1.41", &RICH.replace("    security_opt:", "    x-security_opt:")).await;
    let lines: Vec<String> = recorder.changes().into_iter().map(|(line, _)| line).collect();
    let place = |begin: &str| lines.iter().position(|line| line.starts_with(begin)).expect("it was called");
    let service = place("POST /v1.41/services/create");
    for begin in ["POST /v1.41/networks/create", "POST /v1.41/configs/create", "POST /v1.41/secrets/create"] {
        assert!(place(begin) < service, "{lines:#?}");
    }
    let network = recorder.body("POST /v1.41/networks/create");
    check(
        &network,
        &[
            ("/Name", json!("shop_front")),
            ("/Driver", json!("overlay")),
            ("/Attachable", json!(true)),
            ("/Options/encrypted", json!("true")),
            ("/Labels/com.docker.stack.namespace", json!("shop")),
        ],
    );
    let (config, secret) =
        (recorder.body("POST /v1.41/configs/create"), recorder.body("POST /v1.41/secrets/create"));
    let config_name = config["Name"].as_str().expect("a name");
    assert!(config_name.starts_with("shop_app_") && config["Data"] == json!("YSA9IDE="), "{config:#}");
    assert_eq!(secret["Data"], json!("aHVzaA=="));
    let body = recorder.body("POST /v1.41/services/create");
    let container = &body["TaskTemplate"]["ContainerSpec"];
    check(
        &container["Configs"][0],
        &[
            ("/ConfigName", json!(config_name)),
            ("/ConfigID", json!(format!("id-of-{config_name}"))),
            ("/File", json!({ "Name": "/etc/app", "UID": "7", "GID": "8", "Mode": 0o440 })),
        ],
    );
    check(
        &container["Secrets"][0],
        &[
            ("/SecretName", secret["Name"].clone()),
            ("/File/Name", json!("/run/secrets/token")),
            ("/File/Mode", json!(0o444)),
        ],
    );
    // What may be secret stands in no label.
    assert!(
        !body.to_string().contains("hush") && !body["Labels"].to_string().contains("two words"),
        "{body:#}"
    );
}

#[tokio::test]
async fn a_job_runs_to_its_end_once_and_has_no_way_of_being_replaced() {
    let text = "
services:
  job: { image: job:1, deploy: { mode: replicated-job, replicas: 4, update_config: { order: start-first } } }
  each: { image: job:1, deploy: { mode: global-job } }
  all: { image: job:1, restart: always, deploy: { mode: global } }
";
    let recorder = up("1.41", text).await;
    let bodies: BTreeMap<String, Value> = (recorder.changes().into_iter())
        .filter(|(line, _)| line.contains("/services/create"))
        .map(|(_, body)| (body["Name"].as_str().unwrap_or_default().to_owned(), body))
        .collect();
    let job = &bodies["shop_job"];
    assert_eq!(job["Mode"], json!({ "ReplicatedJob": { "MaxConcurrent": 4, "TotalCompletions": 4 } }));
    assert_eq!(job["TaskTemplate"]["RestartPolicy"]["Condition"], json!("none"));
    assert!(job["UpdateConfig"].is_null(), "{job:#}");
    assert_eq!(bodies["shop_each"]["Mode"], json!({ "GlobalJob": {} }));
    assert_eq!(bodies["shop_all"]["Mode"], json!({ "Global": {} }));
    assert_eq!(bodies["shop_all"]["TaskTemplate"]["RestartPolicy"]["Condition"], json!("any"));
}

#[test]
fn a_manager_that_is_too_old_for_an_option_is_told_of_it_only_where_it_may_be_left_out() {
    let text = "services: { web: { image: web:1, security_opt: ['no-new-privileges:true'] } }";
    let refused = planned((1, 43), text, &Policy::default()).obstacles;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].what.contains("from version 1.44") && refused[0].next.contains("--allow-unsupported"));
    let allowed = Policy { allowed: vec!["security_opt".to_owned()], ..Policy::default() };
    assert!(planned((1, 43), text, &allowed).obstacles.is_empty());
    assert!(planned((1, 44), text, &Policy::default()).obstacles.is_empty());
}

#[tokio::test]
async fn a_restart_changes_nothing_but_the_number_and_keeps_the_health_check() {
    let recorder = Recorder::start("1.41", None);
    let engine = recorder.engine().await;
    let action = Action::RestartService("svc".to_owned());
    let work = Work { action: &action, ledger: &Ledger::default(), deadline: None, report: &|_| {} };
    engine.perform(work).await.map_err(|failure| failure.error).expect("it is done");
    let (line, body) = recorder.changes().remove(0);
    assert!(line.starts_with("POST /v1.41/services/svc/update?version=41"), "{line}");
    check(
        &body,
        &[
            ("/TaskTemplate/ForceUpdate", json!(4)),
            ("/TaskTemplate/ContainerSpec/Image", json!("web:1")),
            ("/TaskTemplate/ContainerSpec/HealthCheck/Test", json!(["CMD", "probe"])),
        ],
    );
}
