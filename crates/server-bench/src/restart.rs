//! `server-bench restart`: clients of a stack that runs, while one of its servers is restarted.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::fleet::PATIENCE;
use crate::load::crowd::{Crowd, Ends, IN_A_ROOM, WRITTEN, room, write};
use crate::load::wanderer::{News, Wanderer};
use crate::say::tell;

/// How long it may take from the order until everyone is elsewhere.
const TIME: Duration = Duration::from_secs(10);
const WRITERS: usize = 10;

/// `server-bench restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestartArgs {
    /// The port of the proxy in front of the servers
    #[arg(long, value_name = "PORT")]
    door: u16,
    /// How many clients there are
    #[arg(long, value_name = "NUMBER", default_value_t = 400)]
    clients: usize,
    /// The command that restarts one of the servers
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Fails if a client does not come back in time, or misses anything.
pub(crate) async fn run(arguments: &RestartArgs) -> Result<()> {
    let door = arguments.door;
    let crowd = Crowd::gather(arguments.clients, Ends::Any, |_| (door, door)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write([door, door], number, Ends::Any, Arc::clone(&stop))))
        .collect();
    let mut witness = Wanderer::arrive(door, WRITTEN).await?;
    sleep(Duration::from_secs(1)).await;

    let (program, rest) = arguments.command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).kill_on_drop(true);
    let begun = Instant::now();
    let mut restarting = command.spawn().with_context(|| format!("{program} cannot be run"))?;
    // Who is sent away by the server goes before the proxy is touched, if it is at all.
    let mut elsewhere = None;
    let status = loop {
        if let Some(status) = restarting.try_wait()? {
            break status;
        }
        let (away, back) = crowd.moves();
        if away > 0 && away == back {
            elsewhere.get_or_insert_with(|| begun.elapsed());
        } else {
            elsewhere = None;
        }
        ensure!(begun.elapsed() < PATIENCE, "{program} does not end");
        sleep(Duration::from_millis(5)).await;
    };
    ensure!(status.success(), "{program} ended with {status}");
    while elsewhere.is_none() {
        let (away, back) = crowd.moves();
        ensure!(begun.elapsed() < PATIENCE, "{back} of {away} are back");
        ensure!(away > 0, "nobody was sent away");
        elsewhere = (away == back).then(|| begun.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Release);
    let (mut acknowledged, mut last) = (0, 0);
    for writer in writers {
        let (count, offset) = writer.await.context("a writer has panicked")??;
        acknowledged += count;
        last = last.max(offset);
    }
    let seeing = async {
        while witness.offset < last {
            if !matches!(witness.hear(&mut |_| {}).await, Ok(News::Event | News::Other)) {
                witness.return_to(door).await?;
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    timeout(PATIENCE, seeing).await.context("an acknowledged write is not seen")??;
    ensure!(witness.told >= acknowledged, "{acknowledged} were acknowledged, {} seen", witness.told);
    // Everyone is still there: one more event reaches each room's clients.
    let rooms = arguments.clients.div_ceil(IN_A_ROOM);
    for number in 0..rooms {
        let name = room(number);
        let mut speaker = Wanderer::arrive(door, &name).await?;
        speaker.send(&format!(r#"{{"t":"pub","id":2,"room":"{name}","data":"all"}}"#)).await?;
        while speaker.hear(&mut |_| {}).await? != News::Event {}
    }
    let (away, _) = crowd.moves();
    let events = crowd.finish(1).await?;
    ensure!(events == arguments.clients as u64, "{events} events for {} clients", arguments.clients);
    let took = elsewhere.unwrap_or_default();
    tell(&format!(
        "{away} of {} clients were sent away and were back {:.1} s after the order, each with its place; \
         {acknowledged} acknowledged writes, all seen",
        arguments.clients,
        took.as_secs_f64()
    ));
    ensure!(took <= TIME, "{} s are allowed", TIME.as_secs());
    Ok(())
}
