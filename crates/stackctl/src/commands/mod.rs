//! One file per command: what it takes, and what it does.

pub(crate) mod again;
pub(crate) mod apply;
pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod commit;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod converge;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod graph;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod install_plugin;
pub(crate) mod kill;
pub(crate) mod lock;
pub(crate) mod logs;
mod look;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod nodes;
pub(crate) mod outdated;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod replay;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod rollback;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod schema;
pub(crate) mod standing;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod swarm;
pub(crate) mod target;
pub(crate) mod timeline;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod volumes;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod why;

use std::sync::Arc;
use std::time::Duration;

use stack_engine::docker::DockerEngine;
use stack_engine::event::Summary;
use stack_engine::execute::{Pace, execute};
use stack_plan::plan::Plan;
use tokio::sync::mpsc;

use crate::render::Renderer;
use crate::settings::Project;

/// How often what is live is drawn.
pub(crate) const FRAME: Duration = Duration::from_millis(100);

/// Runs a plan and shows what happens; in a dry run it shows the plan, and nothing happens.
pub(crate) async fn carry_out(
    engine: &DockerEngine,
    plan: Plan,
    pace: Pace,
    project: Option<&Project>,
    renderer: &mut Renderer,
) -> Summary {
    if renderer.is_dry_run() {
        renderer.rehearse(&plan, project);
        return Summary::default();
    }
    if let Some(project) = project {
        engine.look_for_programs(|| project.programs());
    }
    let plan = Arc::new(plan);
    let (sender, mut events) = mpsc::unbounded_channel();
    let run = async {
        let summary = execute(engine, &plan, pace, &sender).await;
        drop(sender);
        summary
    };
    let show = async {
        let mut ticks = tokio::time::interval(FRAME);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => renderer.event(&event, project),
                    None => break,
                },
                _ = ticks.tick(), if renderer.is_live() => renderer.tick(),
            }
        }
    };
    let (summary, ()) = tokio::join!(run, show);
    summary
}

/// Waits for Ctrl-C, for the signal that ends a job, or for docker to end, whose plugin this is.
pub(crate) async fn interrupt() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
                () = docker_ends() => {}
            }
            return;
        }
    }
    let _: std::io::Result<()> = tokio::signal::ctrl_c().await;
}

/// Waits until docker closes the socket that it gives to its plugins (from version 25 on):
/// it does so when it gets a signal that its plugin may not get.
#[cfg(unix)]
async fn docker_ends() {
    use tokio::io::AsyncReadExt;
    let Ok(name) = std::env::var("DOCKER_CLI_PLUGIN_SOCKET") else {
        return std::future::pending().await;
    };
    let Some(mut socket) = plugin_socket(&name) else {
        return std::future::pending().await;
    };
    // Docker says nothing; the end of the connection is the message.
    let mut said = [0; 64];
    while socket.read(&mut said).await.is_ok_and(|count| count > 0) {}
}

#[cfg(unix)]
fn plugin_socket(name: &str) -> Option<tokio::net::UnixStream> {
    let socket = match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(hidden) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(hidden).ok()?;
            std::os::unix::net::UnixStream::connect_addr(&address).ok()?
        }
        _ => std::os::unix::net::UnixStream::connect(name).ok()?,
    };
    socket.set_nonblocking(true).ok()?;
    tokio::net::UnixStream::from_std(socket).ok()
}
