//! Builds through BuildKit in the engine: a session offers what the build may ask for, and
//! the engine tells how it goes on.

mod fault;
mod files;
mod session;
mod ssh;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::moby::buildkit::v1::control_client::ControlClient;
use bollard::moby::buildkit::v1::{CacheOptions, CacheOptionsEntry, SolveRequest, StatusRequest};
use bollard::query_parameters::InspectNetworkOptions;
use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use hyper_util::rt::TokioIo;
use serde_json::json;
use sha2::{Digest, Sha256};
use stack_file::model::Content;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use self::files::{Fault, Folder, Folders};
use self::session::Session;
use self::ssh::Agents;
use crate::docker::connect::Connection;
use crate::docker::upgrade::upgrade;
use crate::image::build::{BuildError, BuildProgress};
use crate::image::context::Context;
use crate::image::dockerfile;
use crate::image::request::BuildRequest;
use crate::image::steps::Steps;

/// The largest message that BuildKit sends, bytes.
const LARGEST: usize = 16 << 20;

/// How long the steps of a build may be told of after its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The first API whose engines have a BuildKit that knows named contexts, limits and sizes.
const NAMED_CONTEXTS: (u32, u32) = (1, 42);

/// Builds an image and gives it its tags. Dropping the future ends the build.
///
/// # Errors
/// When the image could not be built: which step and line failed, and what it printed.
pub(super) async fn build(
    connection: &Connection,
    request: &BuildRequest,
    progress: &mut (dyn FnMut(BuildProgress) + '_),
) -> Result<(), BuildError> {
    let lost = |error: &dyn std::fmt::Display| BuildError::Lost(error.to_string());
    let (context, text) = match &request.remote {
        Some(_) => (None, request.text()?),
        None => {
            let context =
                Context::open(&request.context, request.dockerfile.as_deref(), request.inline.as_deref())?;
            let text = context.dockerfile_text()?;
            (Some(context), Some(text))
        }
    };
    let name = match &request.dockerfile {
        Some(path) if request.inline.is_none() && text.is_some() => {
            Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned())
        }
        // It is in what the engine fetches, somewhere.
        Some(path) if request.inline.is_none() => Some(path.clone()),
        _ => None,
    };
    let name = name.unwrap_or_else(|| "Dockerfile".to_owned());
    let content = text.as_deref().unwrap_or_default();
    refuse_what_is_too_new(connection, request, content)?;
    let secrets = contents(request)?;
    let agents = Agents::open(&request.ssh).await.map_err(BuildError::Unsupported)?;

    let mut attributes = attributes(connection, request).await?;
    attributes.insert("filename".to_owned(), name.clone());
    let mut folders = BTreeMap::new();
    if let Some(text) = &text {
        let file = Folder::Text(name.clone(), text.clone().into_bytes());
        folders.insert("dockerfile".to_owned(), Arc::new(file));
    }
    if let Some(remote) = &request.remote {
        attributes.insert("context".to_owned(), remote.clone());
        if text.is_some() {
            // Else it is looked for in what is fetched.
            attributes.insert("dockerfilekey".to_owned(), "dockerfile".to_owned());
        }
    }
    for (name, place) in &request.contexts {
        let value = if Path::new(place).is_absolute() {
            let local = format!("named-{name}");
            let folder = Context::folder(Path::new(place))?;
            folders.insert(local.clone(), Arc::new(Folder::Context(folder)));
            format!("local:{local}")
        } else {
            place.clone()
        };
        attributes.insert(format!("context:{name}"), value);
    }
    if let Some(context) = context {
        folders.insert("context".to_owned(), Arc::new(Folder::Context(context)));
    }
    let fault: Fault = Arc::new(Mutex::new(None));
    let folders = Folders { folders, fault: Arc::clone(&fault) };
    let session = Session::open(connection, &key(request), folders, secrets, agents)
        .await
        .map_err(|error| lost(&error))?;
    let control = control(connection).await.map_err(|error| lost(&error))?;

    let reference = uuid::Uuid::new_v4().simple().to_string();
    let exporter = HashMap::from([("name".to_owned(), request.tags.join(","))]);
    let solve = SolveRequest {
        r#ref: reference.clone(),
        exporter_deprecated: "moby".to_owned(),
        exporter_attrs_deprecated: exporter,
        session: session.id.clone(),
        frontend: "dockerfile.v0".to_owned(),
        cache: Some(cache(request, &mut attributes)),
        frontend_attrs: attributes,
        entitlements: entitlements(request),
        ..SolveRequest::default()
    };
    let mut steps = Steps::default();
    let (mut solving, mut watching) = (control.clone(), control);
    let solved = {
        let watch = async {
            // Without the steps the build goes on all the same.
            let Ok(answer) = watching.status(StatusRequest { r#ref: reference }).await else { return };
            let mut told = answer.into_inner();
            while let Ok(Some(status)) = told.message().await {
                steps.status(status, progress);
            }
        };
        let mut watch = pin!(watch.fuse());
        let mut solve = pin!(solving.solve(solve).fuse());
        let solved = loop {
            tokio::select! {
                solved = &mut solve => break solved,
                () = &mut watch, if !watch.is_terminated() => {}
            }
        };
        if !watch.is_terminated() {
            // Newer engines wait for the steps of a build that was refused before its first one.
            let _: Result<(), _> = tokio::time::timeout(LAST_WORDS, watch).await;
        }
        solved
    };
    drop(session);
    if let Err(status) = solved {
        if let Some(error) = fault.lock().ok().and_then(|mut noted| noted.take()) {
            return Err(error.into());
        }
        return Err(explain(&status, steps, &name, content));
    }
    Ok(())
}

/// The builder's word on why a build failed, with the line.
fn explain(status: &Status, steps: Steps, name: &str, text: &str) -> BuildError {
    // The transport's own failures have no code of the engine's.
    let broken = std::error::Error::source(status).is_some_and(|cause| cause.is::<tonic::transport::Error>());
    if broken || matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Cancelled) {
        return match steps.running() {
            Some(step) => BuildError::broken_off(step, dockerfile::line_of_step(step, name, text).as_ref()),
            None => BuildError::Lost(status.message().to_owned()),
        };
    }
    let mut message = status.message();
    let ways = [
        "failed to solve: ",
        "failed to solve with frontend dockerfile.v0: ",
        "failed to create LLB definition: ",
    ];
    for way in ways {
        message = message.strip_prefix(way).unwrap_or(message);
    }
    let mut error = steps.fail(message.to_owned());
    if let BuildError::Failed { line, step, .. } = &mut error {
        *line = fault::line(status.details(), text)
            .or_else(|| dockerfile::line_of_step(step.as_deref()?, name, text))
            .map(Box::new);
    }
    error
}

/// A client of the engine's BuildKit, on one connection of its own.
async fn control(
    connection: &Connection,
) -> Result<ControlClient<Channel>, Box<dyn std::error::Error + Send + Sync>> {
    let (major, minor) = connection.api_version;
    let wire = upgrade(&connection.wire, &format!("/v{major}.{minor}/grpc"), &[]).await?;
    let wire = Mutex::new(Some(wire));
    let channel =
        Endpoint::from_static("http://engine")
            .connect_with_connector(tower::service_fn(move |_| {
                let wire = wire.lock().ok().and_then(|mut wire| wire.take());
                async move {
                    wire.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the engine has hung up"))
                }
            }))
            .await?;
    Ok(ControlClient::new(channel).max_decoding_message_size(LARGEST).max_encoding_message_size(LARGEST))
}

/// Under what the engine keeps a folder for the next build of it.
fn key(request: &BuildRequest) -> String {
    let digest = Sha256::digest(request.context.to_string_lossy().as_bytes());
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn contents(request: &BuildRequest) -> Result<BTreeMap<String, Content>, BuildError> {
    let secrets = request.secrets.iter().map(|(id, content)| match content {
        Ok(content) => Ok((id.clone(), content.clone())),
        Err(why) => Err(BuildError::Unsupported(format!("the secret `{id}` is missing: {why}"))),
    });
    secrets.collect()
}

/// An old engine's builder would take no notice of these.
fn refuse_what_is_too_new(
    connection: &Connection,
    request: &BuildRequest,
    dockerfile: &str,
) -> Result<(), BuildError> {
    // What fetches from git is the engine's own, whatever the Dockerfile brings.
    let directory = request.remote.as_deref().and_then(|remote| remote.split_once('#')?.1.split_once(':'));
    if connection.api_version < NAMED_CONTEXTS
        && let Some((_, directory)) = directory
    {
        return Err(BuildError::Unsupported(format!(
            "the directory `{directory}` of a git context needs Docker Engine 23 or newer: leave it out, and name the Dockerfile with its directory"
        )));
    }
    if connection.api_version < NAMED_CONTEXTS
        && let Some(rest) = request.remote.as_deref().and_then(|remote| remote.strip_prefix("ssh://"))
    {
        let instead = match without_scheme(rest) {
            Some(short) => format!("write it as {short}"),
            None => "older ones know only the user git at port 22, as git@HOST:PATH".to_owned(),
        };
        return Err(BuildError::Unsupported(format!(
            "a git context with ssh:// needs Docker Engine 23 or newer: {instead}"
        )));
    }
    // A Dockerfile may bring a newer builder along.
    let brings = dockerfile.lines().next().is_some_and(|line| line.replace(' ', "").starts_with("#syntax="));
    if connection.api_version >= NAMED_CONTEXTS || brings {
        return Ok(());
    }
    let wants = [
        ("additional_contexts", !request.contexts.is_empty()),
        ("ulimits", !request.ulimits.is_empty()),
        ("shm_size", request.shm_size.is_some()),
    ];
    match wants.iter().find(|(_, wanted)| *wanted) {
        Some((attribute, _)) => Err(BuildError::Unsupported(format!(
            "`build.{attribute}` needs Docker Engine 23 or newer, or a newer builder: `# syntax=docker/dockerfile:1` as the first line of the Dockerfile"
        ))),
        None => Ok(()),
    }
}

/// What follows `ssh://` in the form that every engine knows, if it has one.
fn without_scheme(rest: &str) -> Option<String> {
    let (server, path) = rest.split_once('/')?;
    let server = server.strip_suffix(":22").unwrap_or(server);
    (server.starts_with("git@") && !server.contains(':')).then(|| format!("{server}:/{path}"))
}

fn entitlements(request: &BuildRequest) -> Vec<String> {
    let mut rights = request.entitlements.clone();
    if request.network.as_deref() == Some("host") {
        rights.push("network.host".to_owned());
    }
    if request.privileged {
        rights.push("security.insecure".to_owned());
    }
    rights.sort();
    rights.dedup();
    rights
}

/// What the builder is told, by BuildKit's names.
async fn attributes(
    connection: &Connection,
    request: &BuildRequest,
) -> Result<HashMap<String, String>, BuildError> {
    let mut all: HashMap<String, String> = HashMap::new();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    for (name, value) in &request.args {
        set(&format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &request.labels {
        set(&format!("label:{name}"), value.clone());
    }
    if let Some(target) = &request.target {
        set("target", target.clone());
    }
    if let Some(platform) = &request.platform {
        set("platform", platform.clone());
    }
    if request.no_cache {
        set("no-cache", String::new());
    } else if !request.no_cache_filter.is_empty() {
        set("no-cache", request.no_cache_filter.join(","));
    }
    set("image-resolve-mode", if request.pull { "pull" } else { "default" }.to_owned());
    match request.network.as_deref() {
        None | Some("" | "default") => {}
        Some(network @ ("host" | "none")) => {
            set("force-network-mode", network.to_owned());
        }
        Some(other) => {
            return Err(BuildError::Unsupported(format!(
                "BuildKit cannot use the network `{other}`: write `default`, `host` or `none`"
            )));
        }
    }
    if !request.extra_hosts.is_empty() {
        set("add-hosts", hosts(connection, &request.extra_hosts).await?.join(","));
    }
    if let Some(size) = request.shm_size {
        set("shm-size", size.to_string());
    }
    if !request.ulimits.is_empty() {
        set("ulimit", request.ulimits.join(","));
    }
    for (name, value) in [("provenance", &request.provenance), ("sbom", &request.sbom)] {
        let Some(value) = value.as_deref().filter(|value| !matches!(*value, "false" | "")) else { continue };
        if !keeps_attestations(connection).await? {
            return Err(BuildError::Unsupported(format!(
                "`build.{name}` needs an engine with the containerd image store: this one keeps no attestations"
            )));
        }
        set(&format!("attest:{name}"), if value == "true" { String::new() } else { value.to_owned() });
    }
    Ok(all)
}

/// Lines for `/etc/hosts` as BuildKit wants them: `NAME=ADDRESS`.
async fn hosts(connection: &Connection, lines: &[String]) -> Result<Vec<String>, BuildError> {
    let mut all = Vec::new();
    for line in lines {
        let Some((name, address)) = line.split_once('=').or_else(|| line.split_once(':')) else { continue };
        let address = match address {
            "host-gateway" => gateway(connection).await?,
            other => other.trim_start_matches('[').trim_end_matches(']').to_owned(),
        };
        all.push(format!("{name}={address}"));
    }
    Ok(all)
}

/// The address under which containers reach the engine's machine.
async fn gateway(connection: &Connection) -> Result<String, BuildError> {
    let bridge = connection.docker.inspect_network("bridge", None::<InspectNetworkOptions>).await;
    let bridge = bridge.map_err(|error| BuildError::Lost(error.to_string()))?;
    let configurations = bridge.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    configurations.into_iter().find_map(|found| found.gateway).ok_or_else(|| {
        BuildError::Unsupported("the engine has no network `bridge`, so `host-gateway` is unknown".to_owned())
    })
}

/// Whether images are kept where attestations can be kept with them.
async fn keeps_attestations(connection: &Connection) -> Result<bool, BuildError> {
    let info = connection.docker.info().await.map_err(|error| BuildError::Lost(error.to_string()))?;
    let mut status = info.driver_status.into_iter().flatten().flatten();
    Ok(status.any(|value| value.starts_with("io.containerd.snapshotter")))
}

/// Where layers come from and go to; the builder itself is told where they come from, too.
fn cache(request: &BuildRequest, attributes: &mut HashMap<String, String>) -> CacheOptions {
    let imports: Vec<CacheOptionsEntry> = request.cache_from.iter().map(|text| cache_entry(text)).collect();
    let exports: Vec<CacheOptionsEntry> = request.cache_to.iter().map(|text| cache_entry(text)).collect();
    if !imports.is_empty() {
        let of_registries = imports.iter().filter(|entry| entry.r#type == "registry");
        let references: Vec<&str> =
            of_registries.filter_map(|entry| entry.attrs.get("ref").map(String::as_str)).collect();
        attributes.insert("cache-from".to_owned(), references.join(","));
        let told: Vec<_> =
            imports.iter().map(|entry| json!({ "Type": entry.r#type, "Attrs": entry.attrs })).collect();
        attributes.insert("cache-imports".to_owned(), json!(told).to_string());
    }
    CacheOptions { imports, exports, ..CacheOptions::default() }
}

/// `type=registry,ref=web:cache`; a bare reference is one in a registry.
fn cache_entry(text: &str) -> CacheOptionsEntry {
    if !text.contains('=') {
        let attrs = HashMap::from([("ref".to_owned(), text.to_owned())]);
        return CacheOptionsEntry { r#type: "registry".to_owned(), attrs };
    }
    let mut attrs: HashMap<String, String> = text
        .split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let kind = attrs.remove("type").unwrap_or_else(|| "registry".to_owned());
    CacheOptionsEntry { r#type: kind, attrs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_scheme_has_a_short_form_for_git_at_the_usual_port() {
        let short = |rest: &str| without_scheme(rest).unwrap_or_default();
        assert_eq!(short("git@example.org:22/a/b.git#main"), "git@example.org:/a/b.git#main");
        assert_eq!(short("git@example.org/a.git"), "git@example.org:/a.git");
        assert_eq!(
            (short("git@example.org:2222/a.git"), short("me@example.org/a.git")),
            (String::new(), String::new())
        );
    }

    #[test]
    fn a_cache_is_a_reference_or_has_attributes() {
        let entry = |text: &str| {
            let entry = cache_entry(text);
            let attrs: BTreeMap<_, _> = entry.attrs.into_iter().collect();
            format!("{} {attrs:?}", entry.r#type)
        };
        assert_eq!(entry("web:cache"), r#"registry {"ref": "web:cache"}"#);
        assert_eq!(entry("type=inline"), "inline {}");
        assert_eq!(entry("type=registry,ref=a/b:1,mode=max"), r#"registry {"mode": "max", "ref": "a/b:1"}"#);
    }
}
