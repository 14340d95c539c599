//! What a container has of the machine it runs on, the same on every engine.

use serde_json::{Value, json};

use crate::recorder::up;

/// Everything of one kind, on the oldest engine and on a newer one.
const ENGINES: [&str; 2] = ["1.41", "1.51"];

/// Asserts what a container was made with, on both engines.
async fn made_with(text: &str, wanted: &[(&str, Value)]) {
    for api in ENGINES {
        let body = up(api, text).await.body(&format!("POST /v{api}/containers/create?name=shop-a-1"));
        for (pointer, wanted) in wanted {
            assert_eq!(body.pointer(pointer), Some(wanted), "{pointer} of {body:#}");
        }
    }
}

#[tokio::test]
async fn limits_of_processors_and_memory() {
    let text = "
services:
  a:
    image: a
    cpu_count: 2
    cpu_percent: 12.5
    cpu_period: 100000
    cpu_quota: '50000'
    cpu_rt_period: 1000000
    cpu_rt_runtime: 950000
    cpu_shares: 73
    cpuset: '0,1'
    cgroup: host
    cgroup_parent: m-executor
    mem_swappiness: 60
    memswap_limit: 2g
    mem_reservation: 64m
    oom_kill_disable: true
    oom_score_adj: -500
    storage_opt: { size: 10G }
    runtime: runc
    isolation: default
    userns_mode: host
    uts: host
";
    made_with(
        text,
        &[
            ("/HostConfig/CpuCount", json!(2)),
            ("/HostConfig/CpuPercent", json!(1250)),
            ("/HostConfig/CpuPeriod", json!(100_000)),
            ("/HostConfig/CpuQuota", json!(50_000)),
            ("/HostConfig/CpuRealtimePeriod", json!(1_000_000)),
            ("/HostConfig/CpuRealtimeRuntime", json!(950_000)),
            ("/HostConfig/CpuShares", json!(73)),
            ("/HostConfig/CpusetCpus", json!("0,1")),
            ("/HostConfig/CgroupnsMode", json!("host")),
            ("/HostConfig/CgroupParent", json!("m-executor")),
            ("/HostConfig/MemorySwappiness", json!(60)),
            ("/HostConfig/MemorySwap", json!(2_u64 << 30)),
            ("/HostConfig/MemoryReservation", json!(64 << 20)),
            ("/HostConfig/OomKillDisable", json!(true)),
            ("/HostConfig/OomScoreAdj", json!(-500)),
            ("/HostConfig/StorageOpt", json!({ "size": "10G" })),
            ("/HostConfig/Runtime", json!("runc")),
            ("/HostConfig/Isolation", json!("default")),
            ("/HostConfig/UsernsMode", json!("host")),
            ("/HostConfig/UTSMode", json!("host")),
        ],
    )
    .await;
    let endless = "services: { a: { image: a, memswap_limit: -1 } }";
    made_with(endless, &[("/HostConfig/MemorySwap", json!(-1))]).await;
}

#[tokio::test]
async fn limits_of_block_devices() {
    let text = "
services:
  a:
    image: a
    blkio_config:
      weight: 300
      weight_device: [{ path: /dev/sda, weight: 400 }]
      device_read_bps: [{ path: /dev/sda, rate: 12mb }]
      device_read_iops: [{ path: /dev/sda, rate: 120 }]
      device_write_bps: [{ path: /dev/sdb, rate: 1k }]
      device_write_iops: [{ path: /dev/sdb, rate: 30 }]
";
    made_with(
        text,
        &[
            ("/HostConfig/BlkioWeight", json!(300)),
            ("/HostConfig/BlkioWeightDevice", json!([{ "Path": "/dev/sda", "Weight": 400 }])),
            ("/HostConfig/BlkioDeviceReadBps", json!([{ "Path": "/dev/sda", "Rate": 12 << 20 }])),
            ("/HostConfig/BlkioDeviceReadIOps", json!([{ "Path": "/dev/sda", "Rate": 120 }])),
            ("/HostConfig/BlkioDeviceWriteBps", json!([{ "Path": "/dev/sdb", "Rate": 1024 }])),
            ("/HostConfig/BlkioDeviceWriteIOps", json!([{ "Path": "/dev/sdb", "Rate": 30 }])),
        ],
    )
    .await;
}

#[tokio::test]
async fn devices_by_path_by_name_and_by_request() {
    let text = "
services:
  a:
    image: a
    devices:
      - /dev/ttyUSB0
      - /dev/sda:/dev/xvda:r
      - vendor.com/class=one
    device_cgroup_rules: ['c 1:3 mr']
    gpus:
      - { driver: nvidia, count: 2, capabilities: [utility], options: { k: '1' } }
    deploy:
      resources:
        reservations:
          devices:
            - { capabilities: [gpu], count: all }
            - { capabilities: [tpu], device_ids: ['0', '3'] }
";
    let device = |host: &str, inside: &str, rights: &str| json!({ "PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": rights });
    let devices =
        json!([device("/dev/ttyUSB0", "/dev/ttyUSB0", "rwm"), device("/dev/sda", "/dev/xvda", "r")]);
    made_with(
        text,
        &[
            ("/HostConfig/Devices", devices),
            ("/HostConfig/DeviceCgroupRules", json!(["c 1:3 mr"])),
            ("/HostConfig/DeviceRequests/0", json!({ "Driver": "cdi", "DeviceIDs": ["vendor.com/class=one"] })),
            ("/HostConfig/DeviceRequests/1", json!({ "Count": -1, "Capabilities": [["gpu"]] })),
            ("/HostConfig/DeviceRequests/2", json!({ "DeviceIDs": ["0", "3"], "Capabilities": [["tpu"]] })),
            (
                "/HostConfig/DeviceRequests/3",
                json!({
                    "Driver": "nvidia", "Count": 2, "Capabilities": [["utility", "gpu"]], "Options": { "k": "1" }
                }),
            ),
        ],
    )
    .await;
    let all = "services: { a: { image: a, gpus: all } }";
    let every = json!([{ "Count": -1, "Capabilities": [["gpu"]] }]);
    made_with(all, &[("/HostConfig/DeviceRequests", every)]).await;
}

#[tokio::test]
async fn the_restart_policy_of_deploy_wins() {
    for (policy, name, count) in [
        ("{ condition: any }", "always", None),
        ("{ condition: on-failure, max_attempts: 3 }", "on-failure", Some(3)),
        ("{ condition: none }", "no", None),
        ("{ max_attempts: 3 }", "no", None),
    ] {
        let text = format!(
            "services: {{ a: {{ image: a, restart: unless-stopped, deploy: {{ restart_policy: {policy} }} }} }}"
        );
        let wanted = match count {
            Some(count) => json!({ "Name": name, "MaximumRetryCount": count }),
            None => json!({ "Name": name }),
        };
        let body = up("1.41", &text).await.body("POST /v1.41/containers/create");
        let found = &body["HostConfig"]["RestartPolicy"];
        assert_eq!(
            (&found["Name"], &found["MaximumRetryCount"]),
            (&wanted["Name"], &wanted["MaximumRetryCount"])
        );
    }
}

#[tokio::test]
async fn a_job_and_a_global_service_have_one_container() {
    for mode in ["global", "replicated-job", "global-job"] {
        let text = format!("services: {{ a: {{ image: a, deploy: {{ mode: {mode} }} }} }}");
        let recorder = up("1.41", &text).await;
        let made = recorder.changes().into_iter().filter(|(line, _)| line.contains("/containers/create"));
        assert_eq!(made.count(), 1, "{mode}");
    }
}

#[tokio::test]
async fn a_seccomp_profile_is_sent_as_its_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("profile.json");
    std::fs::write(&file, "{ \"defaultAction\" :\n \"SCMP_ACT_ALLOW\" }").expect("a file");
    let text = format!(
        "services: {{ a: {{ image: a, security_opt: ['seccomp:{}', 'no-new-privileges', 'systempaths=unconfined'] }} }}",
        file.display()
    );
    let options = json!(["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}", "no-new-privileges"]);
    made_with(
        &text,
        &[
            ("/HostConfig/SecurityOpt", options),
            ("/HostConfig/MaskedPaths", json!([])),
            ("/HostConfig/ReadonlyPaths", json!([])),
        ],
    )
    .await;
    let plain = "services: { a: { image: a, security_opt: ['seccomp=unconfined', 'label:disable'] } }";
    made_with(plain, &[("/HostConfig/SecurityOpt", json!(["seccomp=unconfined", "label:disable"]))]).await;
}
