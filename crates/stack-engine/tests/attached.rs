//! What goes over the socket when a process is attached to: the request, what is typed, and the
//! end of it, against an engine that only answers what the test has it answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use serde_json::{Value, json};
use stack_engine::docker::DockerEngine;
use stack_engine::docker::attach::Attachment;
use stack_engine::docker::connect::{Where, connect};
use stack_engine::docker::exec::{ExecSpec, Size};
use stack_engine::docker::session::Session;
use stack_engine::engine::{Channel, EngineError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// A request as it came: `POST /v1.41/…`, and its body.
type Call = (String, Value);

/// An engine of one kind of answer.
struct Engine {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    calls: Arc<Mutex<Vec<Call>>>,
    /// What was typed on a connection that was taken over, up to its end.
    typed: Arc<Mutex<Vec<u8>>>,
}

impl Engine {
    /// An engine of this API that answers an attachment with these bytes, the head of the answer first.
    fn start(api: &'static str, answer: &'static [u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let engine = Self { _folder: folder, socket, calls: Arc::default(), typed: Arc::default() };
        let (calls, typed) = (Arc::clone(&engine.calls), Arc::clone(&engine.typed));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, api, answer, Arc::clone(&calls), Arc::clone(&typed)));
            }
        });
        engine
    }

    async fn connect(&self) -> DockerEngine {
        let place = Where { host: Some(format!("unix://{}", self.socket.display())), context: None };
        DockerEngine::new(connect(&place, &|_| None).await.expect("the engine answers"), false)
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("not poisoned").clone()
    }

    fn typed(&self) -> Vec<u8> {
        self.typed.lock().expect("not poisoned").clone()
    }
}

async fn serve(
    mut stream: UnixStream,
    api: &str,
    answer: &[u8],
    calls: Arc<Mutex<Vec<Call>>>,
    typed: Arc<Mutex<Vec<u8>>>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).expect("a plain head");
        let mut lines = head.lines();
        let call = lines.next().expect("a request").trim_end_matches(" HTTP/1.1").to_owned();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (known, value) = line.split_once(": ")?;
                known.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body).await.expect("a body");
        if !call.ends_with("/_ping") {
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            calls.lock().expect("not poisoned").push((call.clone(), body));
        }
        if header("upgrade").is_some() {
            stream.write_all(answer).await.expect("answered");
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.expect("the end of what is typed");
            typed.lock().expect("not poisoned").extend(said);
            return;
        }
        let content = match call.split('?').next() {
            Some(path) if path.ends_with("/exec") => json!({ "Id": "e1" }),
            Some(path) if path.ends_with("/json") => json!({ "Running": false, "ExitCode": 7 }),
            _ => Value::Null,
        };
        let content = if content.is_null() { String::new() } else { content.to_string() };
        let head = format!(
            "HTTP/1.1 200 OK\r\nApi-Version: {api}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        stream.write_all(format!("{head}{content}").as_bytes()).await.expect("answered");
        if header("connection").is_some_and(|connection| connection.eq_ignore_ascii_case("close")) {
            return;
        }
    }
}

const FRAMES: &[u8] =
    b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err";

/// Types a text, ends it, and returns what the other side has said.
async fn talk(session: Session, text: &[u8]) -> Vec<(Channel, Vec<u8>)> {
    let Session { mut output, mut input } = session;
    input.write_all(text).await.expect("typed");
    input.shutdown().await.expect("ended");
    let mut said: Vec<(Channel, Vec<u8>)> = Vec::new();
    while let Some(part) = output.next().await {
        let part = part.expect("a part");
        match said.last_mut().filter(|(channel, _)| *channel == part.channel) {
            Some((_, bytes)) => bytes.extend(part.bytes),
            None => said.push((part.channel, part.bytes.to_vec())),
        }
    }
    said
}

#[tokio::test]
async fn a_command_is_asked_for_with_all_that_belongs_to_it() {
    let engine = Engine::start("1.41", FRAMES);
    let docker = engine.connect().await;
    let spec = ExecSpec {
        command: vec!["sh".to_owned(), "-c".to_owned(), "true".to_owned()],
        environment: vec!["A=1".to_owned()],
        user: Some("1000:1000".to_owned()),
        working_dir: Some("/srv".to_owned()),
        privileged: true,
        stdin: true,
        output: true,
        detach_keys: Some("ctrl-a".to_owned()),
        terminal: None,
    };
    let id = docker.create_exec("c1", &spec).await.expect("prepared");
    let said = talk(docker.start_exec(&id, &spec).await.expect("started"), b"typed").await;
    assert_eq!(said, [(Channel::Stdout, b"out".to_vec()), (Channel::Stderr, b"err".to_vec())]);
    assert_eq!(engine.typed(), b"typed");
    assert_eq!(docker.exec_ended(&id).await.expect("an end"), 7);
    let wanted = json!({
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "DetachKeys": "ctrl-a",
        "Tty": false, "Env": ["A=1"], "Cmd": ["sh", "-c", "true"], "Privileged": true,
        "User": "1000:1000", "WorkingDir": "/srv",
    });
    let calls = engine.calls();
    assert_eq!(calls[0], ("POST /v1.41/containers/c1/exec".to_owned(), wanted));
    assert_eq!(calls[1], ("POST /v1.41/exec/e1/start".to_owned(), json!({ "Detach": false, "Tty": false })));
    assert_eq!(calls[2].0, "GET /v1.41/exec/e1/json");
}

#[tokio::test]
async fn a_terminal_has_its_size_and_its_bytes_are_not_looked_into() {
    const RAW: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n\x01\0\0\0\0\0\0\x03is no frame";
    let engine = Engine::start("1.43", RAW);
    let docker = engine.connect().await;
    let size = Size { rows: 30, columns: 90 };
    let spec = ExecSpec { command: vec!["sh".to_owned()], terminal: Some(Some(size)), ..ExecSpec::default() };
    let id = docker.create_exec("c1", &spec).await.expect("prepared");
    let said = talk(docker.start_exec(&id, &spec).await.expect("started"), b"").await;
    assert_eq!(said, [(Channel::Stdout, b"\x01\0\0\0\0\0\0\x03is no frame".to_vec())]);
    docker.resize_exec(&id, size).await.expect("resized");
    let calls = engine.calls();
    assert_eq!(calls[0].1["ConsoleSize"], json!([30, 90]));
    assert_eq!(calls[1].1, json!({ "Detach": false, "Tty": true, "ConsoleSize": [30, 90] }));
    assert_eq!(calls[2].0, "POST /v1.43/exec/e1/resize?h=30&w=90");
}

#[tokio::test]
async fn a_container_is_attached_to_by_its_ends() {
    let engine = Engine::start("1.41", FRAMES);
    let docker = engine.connect().await;
    let how = Attachment { stdin: true, terminal: false, detach_keys: Some("ctrl-p,q".to_owned()) };
    let said = talk(docker.attach("c1", &how).await.expect("attached"), b"hello\n").await;
    assert_eq!(said.len(), 2);
    assert_eq!(engine.typed(), b"hello\n");
    docker.signal("c1", "SIGUSR1").await.expect("sent");
    docker.resize("c1", Size { rows: 3, columns: 4 }).await.expect("resized");
    let calls: Vec<String> = engine.calls().into_iter().map(|(call, _)| call).collect();
    assert_eq!(
        calls,
        [
            "POST /v1.41/containers/c1/attach?stream=1&stdin=1&stdout=1&stderr=1&detachKeys=ctrl-p%2Cq",
            "POST /v1.41/containers/c1/kill?signal=SIGUSR1",
            "POST /v1.41/containers/c1/resize?h=3&w=4",
        ]
    );
}

#[tokio::test]
async fn a_refusal_is_the_engines_own() {
    const REFUSAL: &[u8] =
        b"HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"message\":\"it is paused\"}\r\n";
    let engine = Engine::start("1.41", REFUSAL);
    let docker = engine.connect().await;
    match docker.attach("c1", &Attachment::default()).await {
        Err(EngineError::Refused { status: 409, message }) => assert_eq!(message, "it is paused"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was attached"),
    }
}
