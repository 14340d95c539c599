//! Engines on other machines, by the ssh program: one process forwards a
//! socket of this machine to the engine's, for any number of connections.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Where an engine listens on its machine unless told otherwise.
const REMOTE: &str = "/var/run/docker.sock";
/// How long logging in may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause between two looks whether the socket is there; each further one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// A way to an engine, open as long as this lives.
pub(super) struct Tunnel {
    _child: Child,
    _folder: tempfile::TempDir,
    said: Arc<Mutex<String>>,
}

/// `ssh://[USER@]HOST[:PORT][/PATH]` in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    /// The socket on that machine.
    socket: &'a str,
}

impl<'a> Destination<'a> {
    /// Reads what follows `ssh://`; `None` if it is no such address.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (authority, socket) = match text.find('/') {
            Some(slash) if text.len() > slash + 1 => (&text[..slash], &text[slash..]),
            Some(slash) => (&text[..slash], REMOTE),
            None => (text, REMOTE),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = port.map(str::parse).transpose().ok()?;
        // What begins like an option must not become one of ssh.
        let plain = |name: &str| !name.is_empty() && !name.starts_with('-');
        (plain(host) && user.is_none_or(plain)).then_some(Self { user, host, port, socket })
    }
}

impl Tunnel {
    /// Logs in, and returns the socket that leads to the engine.
    ///
    /// # Errors
    /// Why there is none, in ssh's words.
    pub(super) async fn open(destination: &Destination<'_>) -> Result<(Self, PathBuf), String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
        let socket = folder.path().join("engine.sock");
        let mut command = Command::new("ssh");
        command.args(["-N", "-T", "-o", "ExitOnForwardFailure=yes"]);
        // It runs in the background and cannot ask.
        command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ControlPath=none"]);
        command.arg("-L").arg(format!("{}:{}", socket.display(), destination.socket));
        if let Some(port) = destination.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = destination.user {
            command.args(["-l", user]);
        }
        command.args(["--", destination.host]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for stackctl, which still needs the way to stop what runs.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| format!("the ssh program cannot be run: {error}"))?;
        let said = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let said = Arc::clone(&said);
            tokio::spawn(async move {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if !line.trim().is_empty() {
                        *said.lock().unwrap_or_else(PoisonError::into_inner) = line.trim().to_owned();
                    }
                }
            });
        }
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            if UnixStream::connect(&socket).await.is_ok() {
                return Ok((Self { _child: child, _folder: folder, said }, socket));
            }
            tokio::select! {
                ended = child.wait() => {
                    // Its last words may still be on the way.
                    sleep(FIRST_PAUSE * 4).await;
                    let said = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Err(if said.is_empty() { format!("ssh ended: {status}") } else { said });
                }
                () = sleep(pause) => pause = (pause * 3 / 2).min(PATIENCE / 100),
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("ssh did not log in within {} s", PATIENCE.as_secs()));
            }
        }
    }

    /// The last thing that ssh said; empty if it said nothing.
    pub(super) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_parts() {
        let whole = Destination { user: Some("me"), host: "h", port: Some(2222), socket: "/run/p.sock" };
        assert_eq!(Destination::parse("me@h:2222/run/p.sock"), Some(whole));
        let plain = Destination { user: None, host: "h", port: None, socket: REMOTE };
        assert_eq!(Destination::parse("h"), Some(plain));
        assert_eq!(Destination::parse("h/").map(|found| found.socket), Some(REMOTE));
        let six = Destination { user: None, host: "::1", port: Some(22), socket: REMOTE };
        assert_eq!(Destination::parse("[::1]:22"), Some(six));
    }

    #[test]
    fn what_would_be_an_option_is_refused() {
        for text in ["", "-oProxyCommand=x", "-l@h", "@h", "h:port", "h:99999", "[::1]22"] {
            assert_eq!(Destination::parse(text), None, "{text}");
        }
    }
}
