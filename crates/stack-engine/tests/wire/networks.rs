//! How containers join networks, on an engine that takes all at once and on an older one.

use serde_json::{Value, json};

use crate::recorder::{up, up_with_words};

const NETWORKS: &str = "
services:
  a:
    image: a
    mac_address: 02:42:ac:11:00:02
    networks:
      back:
        mac_address: 02:42:ac:11:00:03
        gw_priority: 2
        interface_name: eth7
        driver_opts: { com.example.opt: '1' }
      front:
        priority: 5
        aliases: [www]
        link_local_ips: [169.254.8.8]
        ipv4_address: 172.30.0.9
networks:
  front: { ipam: { config: [{ subnet: 172.30.0.0/24 }] } }
  back: {}
";

#[tokio::test]
async fn a_newer_engine_makes_a_container_on_all_its_networks() {
    let recorder = up("1.51", NETWORKS).await;
    let body = recorder.body("POST /v1.51/containers/create");
    let endpoints = &body["NetworkingConfig"]["EndpointsConfig"];
    assert_eq!(body["HostConfig"]["NetworkMode"], "shop_front");
    let front = &endpoints["shop_front"];
    assert_eq!(front["MacAddress"], "02:42:ac:11:00:02", "that of the service is for the first network");
    assert_eq!(front["Aliases"], json!(["shop-a-1", "a", "www"]));
    assert_eq!(front["IPAMConfig"], json!({ "IPv4Address": "172.30.0.9", "LinkLocalIPs": ["169.254.8.8"] }));
    let back = &endpoints["shop_back"];
    assert_eq!((&back["MacAddress"], &back["GwPriority"]), (&json!("02:42:ac:11:00:03"), &json!(2)));
    assert_eq!(
        back["DriverOpts"],
        json!({ "com.docker.network.endpoint.ifname": "eth7", "com.example.opt": "1" })
    );
    assert_eq!(body.get("MacAddress"), None);
    assert!(recorder.changes().iter().all(|(line, _)| !line.ends_with("/connect")));
}

#[tokio::test]
async fn an_older_engine_joins_the_others_after_and_the_rest_is_said() {
    let (recorder, told) = up_with_words("1.41", NETWORKS).await;
    let body = recorder.body("POST /v1.41/containers/create");
    assert_eq!(body["MacAddress"], "02:42:ac:11:00:02");
    let endpoints = body["NetworkingConfig"]["EndpointsConfig"].as_object().expect("endpoints");
    assert_eq!(endpoints.keys().collect::<Vec<_>>(), ["shop_front"]);
    assert_eq!(endpoints["shop_front"]["MacAddress"], Value::Null);
    let connect = recorder.body("POST /v1.41/networks/shop_back/connect");
    let back = &connect["EndpointConfig"];
    assert_eq!((&back["MacAddress"], &back["GwPriority"]), (&Value::Null, &Value::Null));
    assert_eq!(back["DriverOpts"]["com.example.opt"], "1");
    let places: Vec<_> = told.iter().filter_map(|told| told.split(" of a needs").next()).collect();
    assert_eq!(
        places,
        ["networks.back.mac_address", "networks.back.gw_priority", "networks.back.interface_name"]
    );
}

#[tokio::test]
async fn networks_of_one_priority_are_joined_by_name() {
    let text = "
services: { a: { image: a, networks: [zoo, bar] } }
networks: { zoo: {}, bar: {} }
";
    let body = up("1.51", text).await.body("POST /v1.51/containers/create");
    assert_eq!(body["HostConfig"]["NetworkMode"], "shop_bar");
}

#[tokio::test]
async fn a_mac_address_needs_no_network_of_the_file() {
    let text = "services: { a: { image: a, network_mode: bridge, mac_address: '02:42:ac:11:00:02' } }";
    let old = up("1.41", text).await.body("POST /v1.41/containers/create");
    assert_eq!((&old["MacAddress"], &old["NetworkingConfig"]), (&json!("02:42:ac:11:00:02"), &Value::Null));
    let new = up("1.51", text).await.body("POST /v1.51/containers/create");
    let endpoint = &new["NetworkingConfig"]["EndpointsConfig"]["bridge"];
    assert_eq!(endpoint["MacAddress"], "02:42:ac:11:00:02");
}

#[tokio::test]
async fn what_a_network_is_made_with() {
    let text = "
services: { a: { image: a, networks: [front] } }
networks:
  front:
    enable_ipv4: false
    enable_ipv6: true
    ipam:
      driver: own
      options: { foo: bar }
      config:
        - { subnet: 172.16.238.0/24, ip_range: 172.16.238.0/25, aux_addresses: { printer: 172.16.238.5 } }
";
    let body = up("1.51", text).await.body("POST /v1.51/networks/create");
    assert_eq!((&body["EnableIPv4"], &body["EnableIPv6"]), (&json!(false), &json!(true)));
    assert_eq!(
        (&body["IPAM"]["Driver"], &body["IPAM"]["Options"]),
        (&json!("own"), &json!({ "foo": "bar" }))
    );
    let pool = &body["IPAM"]["Config"][0];
    assert_eq!(pool["AuxiliaryAddresses"], json!({ "printer": "172.16.238.5" }));
    let (_, told) = up_with_words("1.41", text).await;
    assert!(told.len() == 1 && told[0].starts_with("enable_ipv4 of the network front needs"), "{told:#?}");
}

#[tokio::test]
async fn what_an_old_engine_does_not_know_of_a_container_is_said() {
    let text = "
services:
  web:
    image: web
    healthcheck: { test: [CMD, probe], start_interval: 500ms }
    annotations: { note: text }
";
    let new = up("1.51", text).await.body("POST /v1.51/containers/create");
    assert_eq!(new["Healthcheck"]["StartInterval"], 500_000_000);
    let (recorder, told) = up_with_words("1.41", text).await;
    let old = recorder.body("POST /v1.41/containers/create");
    assert_eq!(old["Healthcheck"]["StartInterval"], Value::Null);
    assert_eq!(
        told,
        [
            "annotations of web needs an engine with API 1.43, and this one has 1.41: the container has none",
            "healthcheck.start_interval of web needs an engine with API 1.44, and this one has 1.41: the probes keep to `interval`",
        ]
    );
}
