//! The first words with an engine.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ConnectError, Endpoint, OLDEST, TIMEOUT, UNKNOWN, Wire, version};

/// How long the engine may take to say which API it speaks.
const PATIENCE: Duration = Duration::from_secs(10);

/// What keeps a way to another machine open.
#[cfg(unix)]
pub(super) type Way = std::sync::Arc<super::ssh::Tunnel>;
#[cfg(not(unix))]
pub(super) type Way = std::convert::Infallible;

/// A client, and the newest API version that the engine speaks.
pub(super) struct Opened {
    pub(super) docker: Docker,
    pub(super) spoken: (u32, u32),
    pub(super) wire: Wire,
    pub(super) way: Option<Way>,
}

/// Opens a client and asks for the newest API version that the engine speaks.
pub(super) async fn open(endpoint: &Endpoint) -> Result<Opened, ConnectError> {
    let address = &endpoint.address;
    let bad = || ConnectError::BadAddress { address: shown(address), from: endpoint.source.clone() };
    let seconds = TIMEOUT.as_secs();
    let (scheme, rest) = address.split_once("://").ok_or_else(bad)?;
    let docker = match scheme {
        #[cfg(unix)]
        "unix" => {
            let spoken = ping(Path::new(rest), endpoint).await?;
            let docker = Docker::connect_with_unix(address, seconds, &UNKNOWN)
                .map_err(|error| silent(endpoint, &cause(&error)))?;
            return Ok(Opened { docker, spoken, wire: Wire::Unix(rest.into()), way: None });
        }
        #[cfg(unix)]
        "ssh" => return over_ssh(rest, endpoint).await,
        #[cfg(windows)]
        "npipe" => Docker::connect_with_named_pipe(address, seconds, &UNKNOWN),
        "tcp" | "http" | "https" if rest.is_empty() => return Err(bad()),
        "tcp" | "http" | "https" => match &endpoint.tls {
            Some(folder) => secured(address, folder)?,
            None if scheme == "https" => return Err(bad()),
            None => Docker::connect_with_http(address, seconds, &UNKNOWN),
        },
        _ => return Err(bad()),
    };
    let docker = docker.map_err(|error| silent(endpoint, &cause(&error)))?;
    let answer = tokio::time::timeout(PATIENCE, docker.version()).await;
    let answer = match answer {
        Ok(answer) => answer.map_err(|error| silent(endpoint, &cause(&error)))?,
        Err(_) => return Err(silent(endpoint, &"no answer within 10 s")),
    };
    let spoken = answer.api_version.as_deref().and_then(version).unwrap_or(OLDEST);
    let wire = match scheme {
        "tcp" | "http" if endpoint.tls.is_none() => Wire::Tcp(rest.trim_end_matches('/').to_owned()),
        _ => Wire::Client,
    };
    Ok(Opened { docker, spoken, wire, way: None })
}

#[cfg(feature = "tls")]
fn secured(address: &str, folder: &Path) -> Result<Result<Docker, bollard::errors::Error>, ConnectError> {
    let [key, certificate, authority] = ["key.pem", "cert.pem", "ca.pem"].map(|name| folder.join(name));
    for path in [&key, &certificate, &authority] {
        if let Err(error) = std::fs::metadata(path) {
            return Err(ConnectError::Configuration { path: path.clone(), reason: error.to_string() });
        }
    }
    Ok(Docker::connect_with_ssl(address, &key, &certificate, &authority, TIMEOUT.as_secs(), &UNKNOWN))
}

#[cfg(not(feature = "tls"))]
fn secured(address: &str, _: &Path) -> Result<Result<Docker, bollard::errors::Error>, ConnectError> {
    Err(ConnectError::LeftOut { address: shown(address), feature: "tls" })
}

#[cfg(unix)]
async fn over_ssh(rest: &str, endpoint: &Endpoint) -> Result<Opened, ConnectError> {
    use super::ssh::{Destination, Tunnel};
    let Some(destination) = Destination::parse(rest) else {
        let address = shown(&endpoint.address);
        return Err(ConnectError::BadAddress { address, from: endpoint.source.clone() });
    };
    let (tunnel, socket) = Tunnel::open(&destination).await.map_err(|reason| silent(endpoint, &reason))?;
    let spoken = match ping(&socket, endpoint).await {
        Ok(spoken) => spoken,
        Err(error) => {
            // ssh knows why the other end of the way could not be opened.
            let said = tunnel.said();
            return Err(if said.is_empty() { error } else { silent(endpoint, &said) });
        }
    };
    let address = format!("unix://{}", socket.display());
    let docker = Docker::connect_with_unix(&address, TIMEOUT.as_secs(), &UNKNOWN)
        .map_err(|error| silent(endpoint, &cause(&error)))?;
    Ok(Opened { docker, spoken, wire: Wire::Unix(socket), way: Some(std::sync::Arc::new(tunnel)) })
}

/// An address without what may be a password before the host.
fn shown(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) if !address.starts_with("unix") => match rest.rsplit_once('@') {
            Some((user, host)) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
            None => address.to_owned(),
        },
        _ => address.to_owned(),
    }
}

/// The innermost cause: the layers above it only say that something failed.
fn cause(error: &bollard::errors::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(below) = innermost.source() {
        innermost = below;
    }
    innermost.to_string()
}

fn silent(endpoint: &Endpoint, reason: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::Silent {
        address: shown(&endpoint.address),
        from: endpoint.source.clone(),
        reason: reason.to_string(),
    }
}

/// Asks `/_ping`, whose answer has the API version in its head. `/version` would do too, but
/// makes the engine run its runtimes to ask for theirs.
#[cfg(unix)]
async fn ping(socket: &Path, endpoint: &Endpoint) -> Result<(u32, u32), ConnectError> {
    let talk = async {
        let mut stream = tokio::net::UnixStream::connect(socket).await?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(64 * 1024).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let address = || endpoint.address.clone();
    let answer = match tokio::time::timeout(PATIENCE, talk).await {
        Err(_) => return Err(silent(endpoint, &"no answer within 10 s")),
        Ok(Err(error)) => {
            return Err(match error.kind() {
                ErrorKind::NotFound => {
                    ConnectError::Absent { address: address(), from: endpoint.source.clone() }
                }
                ErrorKind::PermissionDenied => ConnectError::Denied { address: address() },
                _ => silent(endpoint, &error),
            });
        }
        Ok(Ok(answer)) => answer,
    };
    let head = String::from_utf8_lossy(&answer);
    if !head.starts_with("HTTP/1.1 200") {
        let first = head.lines().next().unwrap_or("nothing");
        return Err(silent(endpoint, &format!("it answers {first:?}")));
    }
    let spoken = head.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("api-version").then(|| version(value)).flatten()
    });
    spoken.ok_or_else(|| silent(endpoint, &"it names no API version"))
}
