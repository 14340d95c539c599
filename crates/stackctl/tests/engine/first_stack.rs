//! The proof: the project's own stack, on the real engine, end to end.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Project, eventually, free_ports, perform};
use serde_json::{Value, json};
use stack_plan::observed::{ContainerState, Health};
use stack_plan::plan::{Action, Target};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the rooms protocol.
struct Client {
    socket: WebSocket<TcpStream>,
    server: String,
    next: u32,
    /// Pushes that came while a reply was waited for.
    pushed: Vec<Value>,
}

impl Client {
    fn connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut request = format!("ws://127.0.0.1:{port}/ws").into_client_request().ok()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "rooms.v1".parse().ok()?);
        let (socket, _) = tungstenite::client(request, stream).ok()?;
        let mut client = Self { socket, server: String::new(), next: 0, pushed: Vec::new() };
        let hello = client.call(json!({ "t": "hello" })).ok()?;
        client.server = hello["ok"]["server"].as_str()?.to_owned();
        Some(client)
    }

    #[track_caller]
    fn at(port: u16) -> Self {
        eventually("a connection", PATIENCE, || Self::connect(port))
    }

    /// Sends a command and waits for its reply.
    fn call(&mut self, mut frame: Value) -> Result<Value, tungstenite::Error> {
        self.next += 1;
        let id = self.next;
        frame["id"] = id.into();
        self.socket.send(Message::text(frame.to_string()))?;
        loop {
            let frame = self.read()?;
            if frame["id"] == id {
                return Ok(frame);
            }
            self.pushed.push(frame);
        }
    }

    fn read(&mut self) -> Result<Value, tungstenite::Error> {
        loop {
            if let Message::Text(text) = self.socket.read()? {
                return Ok(serde_json::from_str(&text).expect("a JSON frame"));
            }
        }
    }

    #[track_caller]
    fn join(&mut self, room: &str) -> Value {
        let reply = self.call(json!({ "t": "join", "room": room })).expect("a reply");
        assert!(reply["ok"].is_object(), "{reply}");
        reply["ok"].clone()
    }

    /// The next pushes of this kind.
    #[track_caller]
    fn pushes(&mut self, kind: &str, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        let mut found: Vec<Value> = std::mem::take(&mut self.pushed);
        found.retain(|push| push["t"] == kind);
        while found.len() < count {
            assert!(begun.elapsed() < PATIENCE, "{} of {count} {kind} pushes came", found.len());
            let push = self.read().expect("a push");
            if push["t"] == kind {
                found.push(push);
            }
        }
        found
    }
}

/// What a client has seen: offset and content of each push.
fn seen(pushes: &[Value], content: &str) -> Vec<(u64, Value)> {
    pushes.iter().map(|push| (push["offset"].as_u64().expect("an offset"), push[content].clone())).collect()
}

#[test]
fn the_first_stack_keeps_its_rooms_in_step_whatever_stops() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut stack = Project::at(&root.join("stack.yaml"));
    let [redis, app1, app2, nginx] = free_ports();
    for (name, port) in
        [("REDIS_PUBLISH", redis), ("APP1_PUBLISH", app1), ("APP2_PUBLISH", app2), ("NGINX_PUBLISH", nginx)]
    {
        stack.env(name, port);
    }

    // It comes up.
    stack.run(&["up", "--build", "--wait"]).exits(0);
    let observed = stack.observe();
    let names: Vec<_> = observed.containers.iter().map(|found| found.name.clone()).collect();
    let wanted = ["app1", "app2", "nginx", "redis"].map(|service| format!("{}-{service}-1", stack.name));
    assert_eq!(names, wanted);
    assert!(observed.containers.iter().all(|found| found.state == ContainerState::Running));
    assert!(observed.networks.iter().any(|network| network.name == format!("{}_default", stack.name)));

    // Three clients on three doors see each other's writes, in one order, without a gap.
    let mut clients = [Client::at(app1), Client::at(app2), Client::at(nginx)];
    assert_eq!(clients[0].server, "server-a");
    assert_eq!(clients[1].server, "server-b");
    for client in &mut clients {
        client.join("proof");
    }
    for round in 0..20 {
        for (index, client) in clients.iter_mut().enumerate() {
            let reply = client
                .call(json!({ "t": "pub", "room": "proof", "data": format!("{round} of {index}") }))
                .expect("a reply");
            assert!(reply["ok"]["offset"].is_u64(), "{reply}");
        }
    }
    let heard: Vec<_> = clients.iter_mut().map(|client| seen(&client.pushes("msg", 60), "data")).collect();
    assert!(heard[0].windows(2).all(|pair| pair[1].0 == pair[0].0 + 1), "a gap: {:?}", heard[0]);
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0], heard[2]);

    // Two racing compare-and-set writes on the two servers: exactly one wins.
    let version = clients[0].call(json!({ "t": "get", "room": "proof", "what": "doc" })).expect("a reply")["ok"]
        ["version"]
        .clone();
    let [first, second, third] = &mut clients;
    let race = |client: &mut Client, name: &str| {
        let frame = json!({ "t": "set", "room": "proof", "doc": { "winner": name }, "if_version": version });
        client.call(frame).expect("a reply")
    };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| race(first, "a"));
        let other = scope.spawn(|| race(second, "b"));
        (one.join().expect("no panic"), other.join().expect("no panic"))
    });
    let won = [&one, &other].iter().filter(|reply| reply["ok"].is_object()).count();
    assert_eq!(won, 1, "{one} {other}");
    let lost = if one["ok"].is_object() { &other } else { &one };
    assert_eq!(lost["err"]["code"], "conflict", "{lost}");
    let winner = third.pushes("state", 1)[0]["doc"]["winner"].clone();
    assert_eq!(winner, if one["ok"].is_object() { "a" } else { "b" });

    // The server of the client behind nginx stops: the client comes back on the other and has lost nothing.
    let joined = third.join_again("proof");
    let (gone, left) = if third.server == "server-a" { ("app1", "server-b") } else { ("app2", "server-a") };
    let container =
        observed.containers.iter().find(|found| found.service == gone).expect("it ran").id.clone();
    let stop = std::thread::spawn({
        let target = Target::Known(container.clone());
        move || perform(&Action::Stop { target, grace: None })
    });
    let survivor = if gone == "app1" { &mut *second } else { &mut *first };
    survivor.join_again("proof");
    for number in 0..10 {
        let frame = json!({ "t": "pub", "room": "proof", "data": { "meanwhile": number } });
        survivor.call(frame).expect("a reply");
    }
    let drained = loop {
        match third.read() {
            Ok(frame) => third.pushed.push(frame),
            Err(error) => break error,
        }
    };
    assert!(
        !matches!(&drained, tungstenite::Error::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    );
    stop.join().expect("the server stops");
    let mut back = Client::at(nginx);
    assert_eq!(back.server, left);
    let since = json!({ "epoch": joined["epoch"], "offset": joined["offset"] });
    let recovered =
        back.call(json!({ "t": "join", "room": "proof", "since": since })).expect("a reply")["ok"].clone();
    assert_eq!(recovered["recovered"], true, "{recovered}");
    let missed = recovered["events"].as_array().expect("events").len();
    let top = recovered["offset"].as_u64().expect("an offset");
    assert_eq!(missed as u64, top - joined["offset"].as_u64().expect("an offset"), "{recovered}");
    assert!(missed >= 10, "{recovered}");

    // Redis restarts: the stack recovers, and rooms can be written again.
    let redis_id =
        observed.containers.iter().find(|found| found.service == "redis").expect("it ran").id.clone();
    perform(&Action::Stop { target: Target::Known(redis_id.clone()), grace: None });
    perform(&Action::Start(Target::Known(redis_id)));
    stack.run(&["up", "--wait"]).exits(0);
    let mut late = [Client::at(app1), Client::at(app2)];
    for client in &mut late {
        eventually("a room after the restart of redis", PATIENCE, || {
            client.call(json!({ "t": "join", "room": "after" })).ok().filter(|reply| reply["ok"].is_object())
        });
    }
    let [writer, reader] = &mut late;
    let written =
        writer.call(json!({ "t": "set", "room": "after", "doc": { "up": true } })).expect("a reply");
    assert!(written["ok"].is_object(), "{written}");
    assert_eq!(reader.pushes("state", 1)[0]["doc"], json!({ "up": true }));

    // A second run changes nothing.
    eventually("the engine calls everything healthy", PATIENCE, || {
        let containers = stack.observe().containers;
        containers.iter().all(|found| matches!(found.health, Health::Healthy | Health::None)).then_some(())
    });
    let before = stack.ids();
    stack.run(&["up", "--wait"]).exits(0).says("nothing to change");
    assert_eq!(before, stack.ids());
    stack.run(&["plan"]).exits(0).shows("nothing to change");

    // Nothing is left behind.
    stack.run(&["down", "--volumes", "--rmi", "local"]).exits(0);
    let observed = stack.observe();
    assert!(observed.containers.is_empty() && observed.networks.is_empty() && observed.volumes.is_empty());
    assert!(Client::connect(nginx).is_none());
}

impl Client {
    /// Leaves the room and joins it again, so that its position is known.
    #[track_caller]
    fn join_again(&mut self, room: &str) -> Value {
        self.call(json!({ "t": "leave", "room": room })).expect("a reply");
        self.join(room)
    }
}
