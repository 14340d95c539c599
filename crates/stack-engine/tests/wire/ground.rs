//! Networks and volumes, and how containers join them.

use serde_json::json;

use crate::containers::RICH;
use crate::recorder::up;

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
