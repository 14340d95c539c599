//! The Docker Engine of this machine: found, or installed and started.

mod start;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::debian::{self, Services};
use crate::http::{self, Address, Body, Patience};
use crate::say;

/// Where an engine listens unless told otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// What a minimal Debian needs to run containers and to pull images.
const PACKAGES: [&str; 3] = ["docker.io", "iptables", "ca-certificates"];

/// How long the engine may think about a short question.
const SHORT: Patience = Patience { first: Duration::from_secs(30), between: Duration::from_secs(30) };

/// How long it may take to stop a container that does not want to.
const LONG: Duration = Duration::from_secs(300);

/// An engine that answered.
pub(crate) struct Engine {
    address: Address,
}

/// What was found where an engine should listen.
enum Look {
    Answers,
    /// There is a socket, and this user may not open it.
    Denied,
    Silent(String),
}

fn look(address: &Address) -> Look {
    let limit = Patience::of(Duration::from_secs(3));
    match http::send(address, "GET", "/_ping", Body::Empty, limit) {
        Ok(answer) if answer.status == 200 => Look::Answers,
        Ok(answer) => Look::Silent(format!("it answered with status {}", answer.status)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Look::Denied,
        Err(error) => Look::Silent(error.to_string()),
    }
}

/// The engine at an address, as DOCKER_HOST would give it.
pub(crate) fn at(host: &str) -> Result<Engine> {
    let address = http::parse_host(host)?;
    match look(&address) {
        Look::Answers => Ok(Engine { address }),
        Look::Denied => bail!("{host}: permission denied; use a user who may open it"),
        Look::Silent(cause) => bail!("no engine answers at {host}: {cause}; start it"),
    }
}

/// The engine of this machine; one is installed and started where there is none.
///
/// Errors where that takes another user or another system, with what to run.
pub(crate) fn ensure() -> Result<Engine> {
    if let Some(host) = std::env::var_os("DOCKER_HOST").filter(|host| !host.is_empty()) {
        let host = host.into_string().ok().context("DOCKER_HOST is not text")?;
        let address = http::parse_host(&host)?;
        return match look(&address) {
            Look::Answers => Ok(Engine { address }),
            Look::Denied => {
                bail!("{host}: permission denied; use a user who may open it, or unset DOCKER_HOST")
            }
            Look::Silent(cause) => {
                bail!("no engine answers at DOCKER_HOST {host}: {cause}; start it, or unset DOCKER_HOST")
            }
        };
    }
    let standard = Address::Unix(SOCKET.into());
    let mut denied = false;
    let usual = [standard.clone()].into_iter().chain(of_this_user());
    for address in of_the_context().into_iter().chain(usual) {
        match look(&address) {
            Look::Answers => return Ok(Engine { address }),
            Look::Denied => denied = true,
            Look::Silent(_) => {}
        }
    }
    if denied {
        bail!(
            "{SOCKET}: permission denied: a Docker Engine is there, and this user may not use it\n\
             next: sudo usermod -aG docker \"$USER\", then log in anew; or run this as root"
        );
    }
    install_and_start()?;
    Ok(Engine { address: standard })
}

/// Where the docker context that is in use says; docker and stackctl ask there first, too.
fn of_the_context() -> Option<Address> {
    let format = "{{.Endpoints.docker.Host}}";
    let output = Command::new("docker").args(["context", "inspect", "--format", format]).output().ok()?;
    http::parse_host(String::from_utf8(output.stdout).ok()?.trim()).ok()
}

/// Where engines that belong to one user listen: rootless, and Docker Desktop's.
fn of_this_user() -> Vec<Address> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|path| PathBuf::from(path).join("docker.sock"));
    let home = std::env::var_os("HOME").map(|path| PathBuf::from(path).join(".docker/run/docker.sock"));
    [runtime, home].into_iter().flatten().filter(|path| path.exists()).map(Address::Unix).collect()
}

fn install_and_start() -> Result<()> {
    let has_engine = debian::has_program("dockerd");
    if !debian::is_root() || (!has_engine && !debian::is_debian()) {
        let how = match (has_engine, debian::is_debian()) {
            (true, _) if debian::has_systemd() => "sudo systemctl start docker".to_owned(),
            (true, _) => "sudo dockerd".to_owned(),
            (false, true) => format!("sudo sh -c '{}'", debian::install_command(&PACKAGES)),
            (false, false) => "install Docker Engine 20.10 or newer and start it".to_owned(),
        };
        bail!("no Docker Engine answers at {SOCKET}\nnext: {how}\nthen run this again");
    }
    if !has_engine {
        debian::install(&PACKAGES, "to run containers", Services::Start)?;
    } else if !debian::has_program("iptables") && debian::is_debian() {
        debian::install(&["iptables"], "by the Docker Engine", Services::Start)?;
    }
    start::start(|| matches!(look(&Address::Unix(SOCKET.into())), Look::Answers))
}

impl Engine {
    /// What a program needs in its environment to use this engine and no other.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        let value = match &self.address {
            Address::Unix(path) => format!("unix://{}", path.display()),
            Address::Tcp(host) => format!("tcp://{host}"),
        };
        ("DOCKER_HOST", value)
    }

    /// The machine where published ports are to be found.
    pub(crate) fn host(&self) -> &str {
        match &self.address {
            Address::Unix(_) => "127.0.0.1",
            Address::Tcp(host) => host.rsplit_once(':').map_or(host, |(name, _)| name),
        }
    }

    /// Asks for something; `None` where the engine does not know it.
    pub(crate) fn get(&self, path: &str) -> Result<Option<Value>> {
        let answer = http::send(&self.address, "GET", path, Body::Empty, SHORT)
            .with_context(|| format!("GET {path}"))?;
        let status = answer.status;
        let text = answer.text()?;
        if status == 404 {
            return Ok(None);
        }
        Ok(Some(value(status, &text).with_context(|| format!("GET {path}"))?))
    }

    /// A connection that stays open, for many calls in a row.
    pub(crate) fn line(&self) -> Result<Line> {
        let line = http::Line::open(&self.address, LONG).context("the engine cannot be reached")?;
        Ok(Line(line))
    }

    /// Makes something, or starts something long; every line of the answer goes to `seen`.
    pub(crate) fn post(
        &self,
        path: &str,
        body: Body<'_>,
        patience: Patience,
        seen: &mut dyn FnMut(&Value),
    ) -> Result<()> {
        let answer = http::send(&self.address, "POST", path, body, patience)?;
        if answer.status >= 400 {
            bail!("{}", message(&answer.text()?));
        }
        // The status came before the work: a failure is a line like the others.
        for line in serde_json::Deserializer::from_reader(answer.body).into_iter::<Value>() {
            let line = line.context("the engine's answer broke off")?;
            if let Some(error) = line["error"].as_str() {
                bail!("{error}");
            }
            seen(&line);
        }
        Ok(())
    }

    /// Makes something and returns its id.
    pub(crate) fn create(&self, path: &str, body: &Value) -> Result<String> {
        let mut id = None;
        self.post(path, Body::Json(body), Patience::of(Duration::from_secs(120)), &mut |line| {
            id = line["Id"].as_str().map(str::to_owned);
        })?;
        id.with_context(|| format!("POST {path}: the engine named nothing"))
    }

    /// Starts something, and reads what it says until it ends.
    pub(crate) fn drain(&self, path: &str, body: &Value) -> Result<()> {
        let what = || format!("POST {path}");
        let answer = http::send(&self.address, "POST", path, Body::Json(body), Patience::of(LONG))
            .with_context(what)?;
        let status = answer.status;
        let text = answer.text().with_context(what)?;
        if status >= 400 {
            bail!("POST {path}: {status}: {}", message(&text));
        }
        Ok(())
    }

    /// Asks whether it is there.
    pub(crate) fn ping(&self) -> Result<()> {
        match look(&self.address) {
            Look::Answers => Ok(()),
            Look::Denied => bail!("the engine may not be used any more"),
            Look::Silent(cause) => bail!("the engine does not answer: {cause}"),
        }
    }

    /// Removes something.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        let answer = http::send(&self.address, "DELETE", path, Body::Empty, SHORT)?;
        match answer.status {
            200..300 | 404 => Ok(()),
            _ => bail!("{}", message(&answer.text()?)),
        }
    }

    /// Says which engine this is.
    pub(crate) fn introduce(&self) -> Result<()> {
        let version = self.get("/version")?.context("the engine does not tell its version")?;
        let text = |key: &str| version[key].as_str().unwrap_or("?").to_owned();
        say(&format!("engine {} (API {}), {}", text("Version"), text("ApiVersion"), text("Arch")));
        Ok(())
    }
}

/// A connection to the engine that stays open.
pub(crate) struct Line(http::Line);

impl Line {
    /// Asks for something or does something; `Null` where the answer is empty.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let what = || format!("{method} {path}");
        let (status, text) = self.0.call(method, path, body).with_context(what)?;
        value(status, &text).with_context(what)
    }

    /// Asks for something that goes on; it ends when the line is dropped.
    pub(crate) fn follow(&mut self, path: &str) -> Result<()> {
        self.0.send("GET", path, None).with_context(|| format!("GET {path}"))
    }
}

/// What an answer holds, or the error that it is.
fn value(status: u16, text: &str) -> Result<Value> {
    match status {
        200..300 if text.trim().is_empty() => Ok(Value::Null),
        200..300 => serde_json::from_str(text).context("the answer is not JSON"),
        // What was asked for is so already.
        304 => Ok(Value::Null),
        _ => bail!("{status}: {}", message(text)),
    }
}

/// What the engine says in an answer that is an error.
fn message(text: &str) -> String {
    serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|value| Some(value["message"].as_str()?.to_owned()))
        .unwrap_or_else(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_named_to_programs() {
        let rootless = Engine { address: Address::Unix("/run/user/1000/docker.sock".into()) };
        assert_eq!(rootless.variable(), ("DOCKER_HOST", "unix:///run/user/1000/docker.sock".to_owned()));
        let remote = Engine { address: Address::Tcp("10.0.0.7:2375".into()) };
        assert_eq!(remote.variable(), ("DOCKER_HOST", "tcp://10.0.0.7:2375".to_owned()));
        assert_eq!(remote.host(), "10.0.0.7");
    }

    #[test]
    fn a_socket_that_is_not_there_is_silent() {
        assert!(matches!(look(&Address::Unix("/nowhere/docker.sock".into())), Look::Silent(_)));
    }

    #[test]
    fn an_error_is_what_the_engine_says() {
        assert_eq!(message("{\"message\":\"no such image\"}\n"), "no such image");
        assert_eq!(message("plain\n"), "plain");
    }

    #[test]
    fn an_answer_is_a_value_or_an_error() {
        assert_eq!(value(200, "[1]").expect("a value"), serde_json::json!([1]));
        assert_eq!(value(204, "").expect("a value"), Value::Null);
        let error = value(409, "{\"message\":\"in use\"}").expect_err("an error");
        assert_eq!(error.to_string(), "409: in use");
    }
}
