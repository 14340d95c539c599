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
    let status =
        timeout(PATIENCE, restarting.wait()).await.with_context(|| format!("{program} does not end"))??;
    ensure!(status.success(), "{program} ended with {status}");
    // Where the proxy was restarted, too, its clients are on their way.
    loop {
        let (away, back) = crowd.moves();
        if away > 0 && away == back {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "{back} of {away} are back");
        sleep(Duration::from_millis(5)).await;
    }
    let all = begun.elapsed().as_secs_f64();
    let last = crowd.last_back().context("no client was sent away by the server")?;
    let took = last.duration_since(begun);
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
    tell(&format!(
        "who was on the server was elsewhere {:.1} s after the order; with all that followed from it {away} \
         connections of {} clients ended, and all were back after {all:.1} s, each with its place; \
         {acknowledged} acknowledged writes, all seen",
        took.as_secs_f64(),
        arguments.clients,
    ));
    ensure!(took <= TIME, "{} s are allowed", TIME.as_secs());
    Ok(())
}
