//! Finds the engine and connects to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{ClientVersion, Docker};
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};

mod handshake;
#[cfg(unix)]
mod ssh;

/// The oldest API that is spoken: Docker Engine 20.10.
const OLDEST: (u32, u32) = (1, 41);
/// The newest API that bollard's models know.
const NEWEST: (u32, u32) = (1, 53);
/// How long the engine may take to begin an answer: a stop takes as long as its grace period.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// What the command line says about the engine.
#[derive(Clone, Debug, Default)]
pub struct Where {
    /// An address, as `unix:///var/run/docker.sock`.
    pub host: Option<String>,
    /// A docker context.
    pub context: Option<String>,
}

/// A connection to an engine.
#[derive(Clone)]
pub struct Connection {
    /// The client; every path it asks for has the API version before it.
    pub(crate) docker: Docker,
    /// Where the bytes of the engine can be had.
    pub(crate) wire: Wire,
    /// What keeps the way to another machine open.
    _way: Option<handshake::Way>,
    /// The address, without secrets.
    pub address: String,
    /// What named the address: `--host`, `DOCKER_HOST`, `context NAME`, `the usual place`.
    pub source: String,
    /// The API version that is spoken.
    pub api_version: (u32, u32),
}

impl Connection {
    /// Whether the engine may be on another machine: anything but a socket of this one. What is
    /// forwarded from elsewhere looks like a port of this machine, too.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        !["unix://", "npipe://"].iter().any(|local| self.address.starts_with(local))
    }
}

/// Where the bytes of an engine can be had, for what is more than a request and an answer.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    /// At a socket.
    #[cfg(unix)]
    Unix(PathBuf),
    /// At `HOST:PORT`, in the clear.
    Tcp(String),
    /// Nowhere but through the client.
    Client,
}

/// Why no engine can be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// None of the usual sockets is there.
    #[error("no container engine was found; there is no socket at {}", tried.join(", "))]
    NotFound {
        /// Where it was looked for.
        tried: Vec<String>,
    },
    /// The socket named is not there.
    #[error("there is no engine at {address} ({from})")]
    Absent {
        /// The address.
        address: String,
        /// What named it.
        from: String,
    },
    /// The socket may not be opened.
    #[error("the engine at {address} may not be used by this user: permission denied")]
    Denied {
        /// The address.
        address: String,
    },
    /// Nobody answers.
    #[error("the engine at {address} ({from}) does not answer: {reason}")]
    Silent {
        /// The address.
        address: String,
        /// What named it.
        from: String,
        /// Why, in the system's words.
        reason: String,
    },
    /// The engine is too old.
    #[error("the engine at {address} speaks API {}.{}; stackctl needs {}.{} (Docker Engine 20.10) or newer", found.0, found.1, OLDEST.0, OLDEST.1)]
    TooOld {
        /// The address.
        address: String,
        /// The newest API that it speaks.
        found: (u32, u32),
    },
    /// The address has a form that is not known.
    #[error("{address} ({from}) is no address of an engine")]
    BadAddress {
        /// The address.
        address: String,
        /// What named it.
        from: String,
    },
    /// The address needs a part of stackctl that was left out when it was built.
    #[error("{address} needs stackctl to be built with the feature `{feature}`")]
    LeftOut {
        /// The address.
        address: String,
        /// The cargo feature.
        feature: &'static str,
    },
    /// There is no such docker context.
    #[error("there is no docker context {name}")]
    NoContext {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A file of the docker configuration cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl ConnectError {
    /// What to do next, one line or a few.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => {
                "start Docker, or say where the engine is with --host or DOCKER_HOST".to_owned()
            }
            Self::Absent { .. } => "start the engine, or correct --host or DOCKER_HOST".to_owned(),
            Self::Denied { .. } => {
                "join its group with: sudo usermod -aG docker $USER, then log in again; or run as root"
                    .to_owned()
            }
            Self::Silent { address, .. } if address.starts_with("ssh://") => {
                "see whether `ssh` logs in there without asking for anything, and whether that user may use the engine".to_owned()
            }
            Self::Silent { .. } => "see whether the engine runs, and whether the address is right".to_owned(),
            Self::TooOld { .. } => "update the engine".to_owned(),
            Self::BadAddress { .. } => {
                "write unix:///PATH, tcp://HOST:PORT, https://HOST:PORT or ssh://[USER@]HOST[:PORT]".to_owned()
            }
            Self::NoContext { known, .. } if known.is_empty() => "no context is configured".to_owned(),
            Self::NoContext { known, .. } => format!("there are: {}", known.join(", ")),
            Self::LeftOut { .. } | Self::Configuration { .. } => return None,
        })
    }
}

/// An address and what goes with it.
struct Endpoint {
    address: String,
    source: String,
    /// Where `ca.pem`, `cert.pem` and `key.pem` are, if the connection is to be secured.
    tls: Option<PathBuf>,
}

/// Finds the engine and asks it, in one round trip, which API it speaks.
///
/// The order is docker's own: `--host`, `--context`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the current
/// context of `config.json`, the usual sockets. `environment` looks a variable up.
///
/// # Errors
/// When no engine can be used, and why.
pub async fn connect(
    place: &Where,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Connection, ConnectError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let endpoint = find(place, &variable)?;
    let wanted = variable("DOCKER_API_VERSION").and_then(|text| version(&text));
    let handshake::Opened { docker, spoken, wire, way } = handshake::open(&endpoint).await?;
    let api_version = wanted.unwrap_or(spoken.min(NEWEST));
    if api_version < OLDEST {
        return Err(ConnectError::TooOld { address: endpoint.address, found: spoken });
    }
    let docker = docker.with_timeout(TIMEOUT).with_request_modifier(move |mut request| {
        *request.uri_mut() = versioned(request.uri(), api_version);
        request
    });
    Ok(Connection {
        docker,
        wire,
        _way: way,
        address: endpoint.address,
        source: endpoint.source,
        api_version,
    })
}

impl Connection {
    /// A client that sends this text as the body of every request, whatever bollard makes of it:
    /// bollard knows only the newest API, and an older engine may have to be told otherwise.
    pub(crate) fn sending(&self, body: Bytes) -> Docker {
        let api_version = self.api_version;
        self.docker.clone().with_request_modifier(move |mut request| {
            *request.uri_mut() = versioned(request.uri(), api_version);
            *request.body_mut() = bollard::body_full(body.clone());
            request
        })
    }
}

impl Connection {
    /// A client that asks for this path, query included, whatever bollard makes of it: of some
    /// answers bollard reads only a part, and another call's answer has the rest.
    pub(crate) fn asking(&self, path: &str) -> Docker {
        let (api_version, path) = (self.api_version, path.to_owned());
        self.docker.clone().with_request_modifier(move |mut request| {
            let mut parts = request.uri().clone().into_parts();
            if let Ok(path) = path.parse() {
                parts.path_and_query = Some(path);
            }
            if let Ok(uri) = http::Uri::from_parts(parts) {
                *request.uri_mut() = versioned(&uri, api_version);
            }
            request
        })
    }
}

/// A path with the API version before it.
fn versioned(uri: &http::Uri, (major, minor): (u32, u32)) -> http::Uri {
    let mut parts = uri.clone().into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", |path| path.as_str());
    let Ok(path) = format!("/v{major}.{minor}{path}").parse() else { return uri.clone() };
    parts.path_and_query = Some(path);
    http::Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// `1.41` as numbers.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The same for bollard, which wants it before it can be known.
const UNKNOWN: ClientVersion =
    ClientVersion { major_version: NEWEST.0 as usize, minor_version: NEWEST.1 as usize };

fn find(place: &Where, variable: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, ConnectError> {
    let home = variable("HOME").map(PathBuf::from);
    let config =
        variable("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".docker")));
    let by_variables = |address: String, source: &str| {
        let verify = variable("DOCKER_TLS_VERIFY").is_some() || address.starts_with("https://");
        let certificates = variable("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| config.clone());
        Endpoint { address, source: source.to_owned(), tls: certificates.filter(|_| verify) }
    };
    if let Some(host) = &place.host {
        return Ok(by_variables(host.clone(), "--host"));
    }
    if let Some(name) = &place.context {
        return context(name, "--context", config.as_deref(), variable);
    }
    if let Some(host) = variable("DOCKER_HOST") {
        return Ok(by_variables(host, "DOCKER_HOST"));
    }
    if let Some(name) = variable("DOCKER_CONTEXT") {
        return context(&name, "DOCKER_CONTEXT", config.as_deref(), variable);
    }
    if let Some(config) = &config
        && let Some(name) = current_context(config)?
    {
        return context(&name, "the current docker context", Some(config), variable);
    }
    usual(variable)
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "currentContext", default)]
    current_context: String,
    #[serde(rename = "detachKeys", default)]
    detach_keys: String,
}

/// The keys that detach from a terminal, as the person has set them for docker: `ctrl-p,ctrl-q`.
/// `environment` looks a variable up.
#[must_use]
pub fn detach_keys(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let folder = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".docker")))?;
    let text = std::fs::read_to_string(folder.join("config.json")).ok()?;
    let file: ConfigFile = serde_json::from_str(&text).ok()?;
    Some(file.detach_keys).filter(|keys| !keys.is_empty())
}

/// The context that `docker context use` has chosen.
fn current_context(config: &Path) -> Result<Option<String>, ConnectError> {
    let path = config.join("config.json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    let file: ConfigFile = serde_json::from_str(&text).map_err(|error| ConnectError::Configuration {
        path,
        reason: format!("it is no valid JSON: {error}"),
    })?;
    Ok(Some(file.current_context).filter(|name| !name.is_empty() && name != "default"))
}

#[derive(Deserialize)]
struct ContextFile {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: std::collections::BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// Docker keeps a context under the SHA-256 of its name.
fn context(
    name: &str,
    from: &str,
    config: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Endpoint, ConnectError> {
    if name == "default" {
        return usual(variable);
    }
    let contexts = config.map(|config| config.join("contexts")).unwrap_or_default();
    let folder: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = contexts.join("meta").join(&folder).join("meta.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Err(ConnectError::NoContext { name: name.to_owned(), known: known_contexts(&contexts) });
    };
    let wrong = |reason: String| ConnectError::Configuration { path: path.clone(), reason };
    let file: ContextFile =
        serde_json::from_str(&text).map_err(|error| wrong(format!("it is no valid JSON: {error}")))?;
    let Some(endpoint) = file.endpoints.get("docker").filter(|endpoint| !endpoint.host.is_empty()) else {
        return Err(wrong("it names no docker endpoint".to_owned()));
    };
    let tls = contexts.join("tls").join(&folder).join("docker");
    Ok(Endpoint {
        address: endpoint.host.clone(),
        source: format!("context {name} by {from}"),
        tls: tls.is_dir().then_some(tls),
    })
}

fn known_contexts(contexts: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(contexts.join("meta"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("meta.json")).ok())
        .filter_map(|text| serde_json::from_str::<ContextFile>(&text).ok())
        .map(|file| file.name)
        .collect();
    names.sort();
    names
}

/// The first socket that is there: Docker's own, rootless Docker's, those of desktop programs, Podman's.
fn usual(variable: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, ConnectError> {
    let mut places = vec![PathBuf::from("/var/run/docker.sock")];
    if let Some(runtime) = variable("XDG_RUNTIME_DIR").map(PathBuf::from) {
        places.push(runtime.join("docker.sock"));
        places.push(runtime.join("podman/podman.sock"));
    }
    if let Some(home) = variable("HOME").map(PathBuf::from) {
        for below in [
            ".docker/run/docker.sock",
            ".docker/desktop/docker.sock",
            ".colima/default/docker.sock",
            ".orbstack/run/docker.sock",
            ".rd/docker.sock",
        ] {
            places.push(home.join(below));
        }
    }
    places.push(PathBuf::from("/run/podman/podman.sock"));
    let found = places.iter().find(|place| place.exists());
    match found {
        Some(place) => Ok(Endpoint {
            address: format!("unix://{}", place.display()),
            source: "the usual place".to_owned(),
            tls: None,
        }),
        None => Err(ConnectError::NotFound {
            tried: places.iter().map(|place| place.display().to_string()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests;
