//! What a container is made with.

use serde_json::json;

use crate::recorder::up;

pub(crate) const RICH: &str = "
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
