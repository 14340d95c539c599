//! Compare-and-set writes that are acknowledged, beside the same call made raw.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Figure, FiguresArgs};
use crate::fleet::{Fleet, Redis};
use crate::load::dialect::{greeted, join, replied};
use crate::load::wanderer::number_after;
use crate::load::wire::{Heard, Wire};
use crate::say::tell;
use crate::usage::processor;

const CLIENTS: usize = 128;
/// The document that is written.
const DOC_BYTES: usize = 120;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn measure(arguments: &FiguresArgs) -> Result<Vec<Figure>> {
    let fleet = Fleet::start(&arguments.server, Some(Redis::start(false).await?), &[]).await?;
    let redis = fleet.redis.as_ref().context("no Redis")?;
    let call = recorded(redis.port, &fleet).await?;
    let raw_single = repeated(redis.port, &call, 1)?;
    let raw = repeated(redis.port, &call, 16)?;

    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for number in 0..CLIENTS {
        let mut wire = greeted(fleet.port(number)).await?;
        let room = format!("cas-{number}");
        join(&mut wire, &room).await?;
        writers.push((wire, room));
    }
    let writers: Vec<_> = writers
        .into_iter()
        .map(|(wire, room)| tokio::spawn(write(wire, room, Arc::clone(&count), Arc::clone(&stop))))
        .collect();
    sleep(Duration::from_millis(500)).await;
    let (before, used) = (count.load(Ordering::Relaxed), processor(&fleet.processes()));
    sleep(arguments.time()).await;
    let done = count.load(Ordering::Relaxed) - before;
    let used = processor(&fleet.processes()) - used;
    stop.store(true, Ordering::Release);
    for writer in writers {
        writer.await.context("a writer has panicked")??;
    }
    let rate = done as f64 / arguments.time().as_secs_f64();
    tell(&format!(
        "{CLIENTS} clients, each in a room of its own: {rate:.0} acknowledged writes/s, {:.1} µs of processor each; \
         the script alone {raw_single:.0}/s, with 16 calls under way on each connection {raw:.0}/s",
        used * 1e6 / done.max(1) as f64
    ));
    Ok(vec![Figure::new(
        "compare-and-set writes",
        format!("{rate:.0}/s, {:.0} % of the raw script's {raw_single:.0}/s", rate / raw_single * 100.0),
        "≥ 50 % of the raw script",
        rate >= raw_single * 0.5,
    )])
}

/// Writes again and again, each time to the version that the write before made.
async fn write(mut wire: Wire, room: String, count: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Result<()> {
    let doc = "x".repeat(DOC_BYTES - 2);
    let (mut version, mut id) = (0, 1_u64);
    while !stop.load(Ordering::Acquire) {
        id += 1;
        let frame =
            format!(r#"{{"t":"set","id":{id},"room":"{room}","doc":"{doc}","if_version":{version}}}"#);
        wire.send(frame.as_bytes()).await?;
        let head = format!("{{\"id\":{id},\"ok\":");
        version = timeout(PATIENCE, acknowledged(&mut wire, &head)).await.context("no reply in time")??;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The version that a reply tells.
async fn acknowledged(wire: &mut Wire, head: &str) -> Result<u64> {
    loop {
        while let Some(heard) = wire.next()? {
            match heard {
                Heard::Text(text) if text.starts_with(head.as_bytes()) => {
                    return number_after(text, "\"version\":").context("no version");
                }
                Heard::Text(text) if text.starts_with(b"{\"id\":") => {
                    bail!("{}", String::from_utf8_lossy(text));
                }
                Heard::Text(_) | Heard::Ping(_) => {}
                Heard::Close(code) => bail!("closed with {code:?}"),
            }
        }
        wire.receive().await?;
    }
}

/// The call that a server makes for a write, as Redis hears it.
async fn recorded(port: u16, fleet: &Fleet) -> Result<Vec<String>> {
    let mut monitor = TcpStream::connect(("127.0.0.1", port)).await?;
    monitor.write_all(b"MONITOR\r\n").await?;
    let mut client = greeted(fleet.port(0)).await?;
    join(&mut client, "recorded").await?;
    let doc = "x".repeat(DOC_BYTES - 2);
    client.send(format!(r#"{{"t":"set","id":2,"room":"recorded","doc":"{doc}"}}"#).as_bytes()).await?;
    replied(&mut client, 2).await?;
    let listening = async {
        let (mut text, mut bytes) = (String::new(), vec![0; 64 * 1024]);
        loop {
            let read = monitor.read(&mut bytes).await?;
            ensure!(read > 0, "Redis has ended");
            text.push_str(std::str::from_utf8(&bytes[..read])?);
            let mut lines = text.split_inclusive("\r\n").filter(|line| line.ends_with("\r\n"));
            let wanted =
                |line: &&str| line.to_ascii_lowercase().contains("\"evalsha\"") && line.contains(&doc);
            if let Some(line) = lines.find(wanted) {
                return words(line).context("a call that cannot be read");
            }
        }
    };
    timeout(PATIENCE, listening).await.context("the call was not heard")?
}

/// The words of a line of MONITOR.
fn words(line: &str) -> Option<Vec<String>> {
    let mut letters = line.split_once("] ")?.1.trim_end().chars();
    let mut words = Vec::new();
    while let Some(letter) = letters.next() {
        if letter != '"' {
            continue;
        }
        let mut word = String::new();
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => match letters.next()? {
                    'n' => word.push('\n'),
                    'r' => word.push('\r'),
                    't' => word.push('\t'),
                    other @ ('"' | '\\') => word.push(other),
                    _ => return None,
                },
                other => word.push(other),
            }
        }
        words.push(word);
    }
    Some(words)
}

/// How often a second Redis answers this call, with so many under way on each of 50 connections.
fn repeated(port: u16, call: &[String], under_way: u32) -> Result<f64> {
    let mut command = Command::new("redis-benchmark");
    command.args(["-p", &port.to_string(), "-n", "100000", "-c", "50", "-P", &under_way.to_string(), "-q"]);
    let output = command.args(call).output().context("redis-benchmark cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let before = text.rsplit_once(" requests per second").context("redis-benchmark tells no rate")?.0;
    let rate = before.rsplit([' ', '\r', '\n']).next().unwrap_or_default();
    rate.parse().with_context(|| format!("redis-benchmark says {rate}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_monitor_is_the_words_of_a_call() {
        let line = "1700000000.1 [0 127.0.0.1:5] \"EVALSHA\" \"a1\" \"1\" \"rt:{r}:m\" \"{\\\"t\\\":\\\"x\\\"}\" \"\"\r\n";
        let expected = ["EVALSHA", "a1", "1", "rt:{r}:m", "{\"t\":\"x\"}", ""];
        assert_eq!(words(line).expect("words"), expected);
        assert_eq!(words("1 [0 x] \"a"), None);
    }
}
