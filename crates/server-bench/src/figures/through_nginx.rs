//! Ten thousand connections through the nginx of the stack.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::idle::AT_ONCE;
use super::{Figure, FiguresArgs};
use crate::fleet::{Fleet, Program, Redis, eventually, free_port, get, metric};
use crate::load::wanderer::{News, Wanderer};
use crate::say::tell;
use crate::usage::resident;

const CLIENTS: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(arguments: &FiguresArgs) -> Result<Vec<Figure>> {
    let clients = arguments.part_of(CLIENTS);
    let fleet = Fleet::start(&arguments.server, Some(Redis::start(false).await?), &[]).await?;
    let directory = tempfile::tempdir()?;
    let door = free_port()?;
    let text = fs::read_to_string(&arguments.nginx).with_context(|| arguments.nginx.display().to_string())?;
    let text = text
        .replace("listen 80;", &format!("listen 127.0.0.1:{door};"))
        .replace("app1:3001", &format!("127.0.0.1:{}", fleet.port(0)))
        .replace("app2:3002", &format!("127.0.0.1:{}", fleet.port(1)))
        .replace("127.0.0.1:8001", &format!("127.0.0.1:{}", free_port()?))
        .replace("127.0.0.1:8002", &format!("127.0.0.1:{}", free_port()?))
        .replace("/dev/stdout", "access.log")
        .replace("/dev/stderr", "error.log");
    ensure!(!text.contains("app1") && !text.contains("app2"), "another nginx.conf than expected");
    fs::write(directory.path().join("nginx.conf"), text)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
    command.args(["-g", "daemon off; pid nginx.pid;"]);
    let nginx = Nginx(Program::start("nginx", command)?);
    eventually("nginx answers", async || get(door, "/healthz").await.filter(|(status, _)| *status == 200))
        .await?;

    let begun = Instant::now();
    let arrivals = (0..clients).map(|_| Wanderer::arrive(door, "through"));
    let arrived: Result<Vec<Wanderer>> = stream::iter(arrivals).buffer_unordered(AT_ONCE).try_collect().await;
    let said = fs::read_to_string(directory.path().join("error.log")).unwrap_or_default();
    let mut arrived = arrived.with_context(|| format!("nginx says: {}", said.trim_end()))?;
    let took = begun.elapsed().as_secs_f64();
    let mut counts = Vec::new();
    let mut memory = 0;
    for server in &fleet.servers {
        counts.push(metric(server.port, "rooms_connections").await.unwrap_or_default() as usize);
        memory += resident(server.program.id())?;
    }
    ensure!(counts.iter().sum::<usize>() == clients, "{counts:?} connections for {clients} clients");
    let mut speaker = arrived.pop().context("no client")?;
    let mut hearing = JoinSet::new();
    for mut client in arrived {
        hearing.spawn(async move {
            while client.hear(&mut |_| {}).await? != News::Event {}
            Ok::<_, anyhow::Error>(())
        });
    }
    // They are all listening by then.
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    speaker.send(r#"{"t":"pub","id":2,"room":"through","data":"all"}"#).await?;
    let all = async {
        while let Some(heard) = hearing.join_next().await {
            heard.context("a client has panicked")??;
        }
        Ok::<_, anyhow::Error>(())
    };
    timeout(PATIENCE, all).await.context("not everyone was told")??;
    let told = begun.elapsed().as_millis();
    drop(nginx);
    tell(&format!(
        "{clients} connections through nginx in {took:.1} s, {counts:?} on the nodes, which hold {} MiB together; \
         one message reached all of them in {told} ms",
        memory / 1024
    ));
    Ok(vec![Figure::new(
        "connections through nginx",
        format!("{clients}, all told within {told} ms"),
        format!("{CLIENTS}"),
        clients as u64 == CLIENTS || arguments.percent < 100,
    )])
}

/// An nginx that takes its workers with it.
struct Nginx(Program);

impl Drop for Nginx {
    fn drop(&mut self) {
        // Workers outlive a master that is killed; one that is asked ends them first.
        if self.0.signal("-TERM").is_ok() {
            self.0.ended_within(Duration::from_secs(5));
        }
    }
}
