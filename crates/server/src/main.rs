//! The command line: `server` serves, `server healthcheck` asks the server of
//! this machine whether it is ready.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use server::config::{Config, SETTINGS};
use server::instance::Instance;
use server::log;
use server::protocol::table::page;
use tokio::signal::unix::{Signal, SignalKind, signal};

const HELP: &str = "\
Keeps rooms in step over WebSocket, on any number of instances.

Usage: server [COMMAND]

Commands:
  serve        Serve until SIGTERM or SIGINT (the default)
  healthcheck  Ask the server on SERVER_PORT of this machine whether it is ready;
               exit code 1 and the reasons if it is not
  protocol     Show the page that tells the protocol
  version      Show the version

Settings are environment variables:
";

/// How long a health check may take.
const CHECK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["serve"] => serve(),
        ["healthcheck"] => healthcheck(),
        ["version" | "--version" | "-V"] => show(concat!("server ", env!("CARGO_PKG_VERSION"), "\n")),
        ["protocol"] => show(&page()),
        ["help" | "--help" | "-h"] => show(&help()),
        _ => fail(&format!("unknown command: {}\nnext: server --help", arguments.join(" ")), 2),
    }
}

fn help() -> String {
    let rows = SETTINGS.iter().map(|(name, default, meaning)| {
        let default = if default.is_empty() { String::new() } else { format!(" ({default})") };
        format!("  {name:22}  {meaning}{default}\n")
    });
    std::iter::once(HELP.to_owned()).chain(rows).collect()
}

fn show(text: &str) -> ExitCode {
    // A reader that has gone away does not want it any more.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}

fn lookup(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn serve() -> ExitCode {
    let config = match Config::read(lookup) {
        Ok(config) => config,
        Err(faults) => return fail(&faults.to_string(), 2),
    };
    log::start(&config.server_id, config.log_level);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no threads can be started: {error}"), 1),
    };
    runtime.block_on(async {
        let (mut term, mut int) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(term), Ok(int)) => (term, int),
            (Err(error), _) | (_, Err(error)) => {
                return fail(&format!("signals cannot be received: {error}"), 1);
            }
        };
        let instance = match Instance::start(config).await {
            Ok(instance) => instance,
            Err(error) => return fail(&error.to_string(), 1),
        };
        asked(&mut term, &mut int).await;
        tokio::select! {
            () = instance.drain() => ExitCode::SUCCESS,
            () = asked(&mut term, &mut int) => {
                tracing::warn!("asked twice, ending now");
                ExitCode::FAILURE
            }
        }
    })
}

async fn asked(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn healthcheck() -> ExitCode {
    let port = match Config::read_port(lookup) {
        Ok(port) => port,
        Err(faults) => return fail(&faults.to_string(), 2),
    };
    match ask(port) {
        Ok((200, _)) => ExitCode::SUCCESS,
        Ok((status, body)) => {
            let reasons = serde_json::from_str::<serde_json::Value>(&body).ok().and_then(|body| {
                let reasons = body["reasons"].as_array()?.iter().filter_map(|reason| reason.as_str());
                Some(reasons.collect::<Vec<_>>().join("; "))
            });
            fail(&reasons.unwrap_or_else(|| format!("status {status}")), 1)
        }
        Err(error) => fail(&format!("no server answers on port {port}: {error}"), 1),
    }
}

fn ask(port: u16) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), CHECK)?;
    stream.set_read_timeout(Some(CHECK))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("it speaks no HTTP"))?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    Ok((status, body.unwrap_or_default()))
}
