//! Redis behind Sentinels, with a failover, and a Redis Cluster: real ones.

use std::process::{Child, Command, Stdio};

use serde_json::json;
use server::config::Config;
use server::store::redis::Address;

use crate::support::{Client, assert_no_gap, config, eventually, free_port, get, instance};

/// A redis-server with any configuration, gone with the test.
struct Node {
    port: u16,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Node {
    fn start(lines: &[&str], sentinel: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let mut text = format!("port {port}\nbind 127.0.0.1\ndir {}\n", directory.path().display());
        if !sentinel {
            // By default it would be 10000 above, which may be in use or no port at all.
            text.push_str(&format!("cluster-port {}\n", free_port()));
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let file = directory.path().join("redis.conf");
        std::fs::write(&file, text).expect("a file");
        let mut command = Command::new("redis-server");
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        if sentinel {
            command.arg("--sentinel");
        }
        let child = command.spawn().expect("these tests need redis-server: cargo xtask test installs it");
        Self { port, child, _directory: directory }
    }

    fn ask(&self, words: &[&str]) -> String {
        ask(self.port, words)
    }

    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output();
    String::from_utf8_lossy(&output.expect("redis-cli").stdout).trim().to_owned()
}

fn at(name: &str, url: &str) -> Config {
    let mut config = config(name, None);
    config.redis = Some(Address::url(url).expect("a URL"));
    config
}

/// Writes until it succeeds again, and returns where the write stands.
async fn writes_again(client: &mut Client, room: &str) -> u64 {
    eventually("writes succeed again", async || {
        let frame = json!({ "t": "pub", "room": room, "data": "again", "key": "again" });
        let reply = client.call(frame).await;
        assert!(reply["ok"].is_object() || reply["err"]["temporary"] == true, "{reply}");
        reply["ok"]["offset"].as_u64()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinels_is_followed_and_never_a_silent_fork() {
    let mut first = Node::start(&["save \"\""], false);
    let second = Node::start(&["save \"\"", &format!("replicaof 127.0.0.1 {}", first.port)], false);
    eventually("the replica follows", async || {
        second.ask(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
    })
    .await;
    let monitor = format!("sentinel monitor rooms 127.0.0.1 {} 2", first.port);
    let lines = [
        monitor.as_str(),
        "sentinel down-after-milliseconds rooms 500",
        "sentinel failover-timeout rooms 3000",
    ];
    let sentinels: Vec<Node> = (0..3).map(|_| Node::start(&lines, true)).collect();
    eventually("the Sentinels know each other", async || {
        let know = |node: &Node| node.ask(&["SENTINEL", "sentinels", "rooms"]).matches("runid").count() == 2;
        let replica =
            |node: &Node| node.ask(&["SENTINEL", "replicas", "rooms"]).contains(&second.port.to_string());
        sentinels.iter().all(|node| know(node) && replica(node)).then_some(())
    })
    .await;
    let [a, b, c] = [0, 1, 2].map(|index: usize| sentinels[index].port);
    let url = format!(
        "redis-sentinel://127.0.0.1:{a}?sentinelServiceName=rooms&node=127.0.0.1:{b}&node=127.0.0.1:{c}"
    );
    let (one, two) = (instance(at("a", &url)).await, instance(at("b", &url)).await);
    let (mut ann, mut bob) = (Client::at(&one).await, Client::at(&two).await);
    let before = ann.join("r").await;
    bob.join("r").await;
    ann.call(json!({ "t": "set", "room": "r", "doc": "kept" })).await;
    ann.publish("r", json!("last")).await;
    bob.events_to(2).await;
    eventually("the replica has it", async || (second.ask(&["HGET", "rt:{r}:m", "o"]) == "2").then_some(()))
        .await;

    first.kill();
    let (told, also) = (ann.push_of("reset").await, bob.push_of("reset").await);
    assert_eq!(told, also, "both are told the same");
    assert_ne!(told["epoch"], before["epoch"]);
    assert_eq!(told["doc"], "kept");
    let offset = writes_again(&mut ann, "r").await;
    assert_eq!(bob.push_of("msg").await["offset"], offset);
    assert_eq!(get(one.address().port(), "/readyz").await.0, 200);
}

/// Three nodes that take writes, and a replica of each.
async fn cluster() -> (Vec<Node>, String) {
    let lines =
        ["save \"\"", "cluster-enabled yes", "cluster-node-timeout 1000", "cluster-require-full-coverage no"];
    let nodes: Vec<Node> = (0..6).map(|_| Node::start(&lines, false)).collect();
    eventually("the nodes answer", async || {
        nodes.iter().all(|node| node.ask(&["PING"]) == "PONG").then_some(())
    })
    .await;
    let places: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let mut create = Command::new("timeout");
    create.args(["20", "redis-cli", "--cluster", "create"]).args(&places).args([
        "--cluster-replicas",
        "1",
        "--cluster-yes",
    ]);
    let made = create.output().expect("redis-cli");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    eventually("the cluster is complete", async || {
        let whole = |node: &Node| {
            node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                && node.ask(&["CLUSTER", "NODES"]).matches("slave").count() == 3
        };
        nodes.iter().all(whole).then_some(())
    })
    .await;
    let url = format!("redis-cluster://{}?node={}&node={}", places[0], places[1], places[2]);
    (nodes, url)
}

/// Whether the replicas of a node have what it has, by its own word; replicas have none.
fn has_all_of_it(replication: &str) -> bool {
    let written = replication.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
    let written = written.unwrap_or_default().trim();
    let mut replicas =
        replication.lines().filter(|line| line.starts_with("slave") && line.contains("offset="));
    replicas.all(|line| line.contains(&format!("offset={written},")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_inside_a_cluster_is_followed_and_never_a_silent_fork() {
    let (mut nodes, url) = cluster().await;
    let (one, two) = (instance(at("a", &url)).await, instance(at("b", &url)).await);
    let (mut ann, mut bob) = (Client::at(&one).await, Client::at(&two).await);
    let rooms: Vec<String> = (0..12).map(|number| format!("room-{number}")).collect();
    let mut epochs = Vec::new();
    for room in &rooms {
        epochs.push(ann.join(room).await["epoch"].clone());
        bob.join(room).await;
        ann.call(json!({ "t": "set", "room": room, "doc": "kept" })).await;
        bob.events_to(1).await;
    }
    eventually("the replicas have it", async || {
        nodes.iter().all(|node| has_all_of_it(&node.ask(&["INFO", "replication"]))).then_some(())
    })
    .await;

    // The node of the first room is killed; its replica takes over.
    let holds = |node: &&mut Node| {
        node.ask(&["ROLE"]).starts_with("master") && node.ask(&["KEYS", "rt:*"]).contains("rt:{room-0}:m")
    };
    nodes.iter_mut().find(holds).expect("a node has it").kill();
    let is_first = |push: &serde_json::Value| push["t"] == "reset" && push["room"] == "room-0";
    let (told, also) = (ann.push(is_first).await, bob.push(is_first).await);
    assert_eq!(told, also, "both are told the same");
    assert_ne!(told["epoch"], epochs[0]);
    assert_eq!(told["doc"], "kept");
    for room in &rooms {
        let offset = writes_again(&mut ann, room).await;
        let push = bob.push(|push| push["t"] == "msg" && push["room"] == *room).await;
        assert_eq!(push["offset"], offset, "{room}");
    }
    assert_eq!(get(one.address().port(), "/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_rooms_and_their_notices_on_its_nodes() {
    let (nodes, url) = cluster().await;
    let (one, two) = (instance(at("a", &url)).await, instance(at("b", &url)).await);
    let (mut ann, mut bob) = (Client::at(&one).await, Client::at(&two).await);
    // Rooms of every node.
    let rooms: Vec<String> = (0..12).map(|number| format!("room-{number}")).collect();
    for room in &rooms {
        let joined = ann.call(json!({ "t": "join", "room": room, "presence": true })).await;
        assert!(joined["ok"].is_object(), "{joined}");
        bob.join(room).await;
        for number in 1..=5 {
            assert_eq!(ann.publish(room, json!(number)).await, number);
        }
        let events = bob.events_to(5).await;
        assert_eq!(events.len(), 5, "{room}");
        assert_no_gap(&events);
        ann.send(json!({ "t": "cast", "room": room, "data": "c" }).to_string()).await;
        bob.push_of("cast").await;
        let members = bob.call(json!({ "t": "get", "room": room, "what": "members" })).await;
        assert_eq!(members["ok"]["count"], 1, "{members}");
    }
    let holds = |node: &Node| !node.ask(&["KEYS", "rt:{room-*}:m"]).is_empty();
    assert!(nodes.iter().filter(|node| holds(node)).count() >= 3, "rooms are on every node");
    let sharded: usize =
        nodes.iter().map(|node| node.ask(&["PUBSUB", "SHARDCHANNELS", "rt:{room-*"]).lines().count()).sum();
    assert_eq!(sharded, rooms.len(), "each room is heard of where it is");
}
