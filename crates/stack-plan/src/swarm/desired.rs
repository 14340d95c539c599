//! What is wanted of a swarm: services, networks, configs and secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stack_file::destination::Backend;
use stack_file::model::{
    Content, CredentialSpec, DependencyCondition, DeployMode, FileKind, FileObject, FileSource, MountSource,
    Service, Stack, Unread, Volume,
};
use stack_file::security::{self, SecurityOption};
use stack_file::source::{Origin, Spanned};
use stack_file::tree::{Entries, Kind, Node};

use crate::address::Address;
use crate::desired::{Desired, ImageSpec, NetworkSpec};
use crate::fields::{Fields, digest_of, hex};
use crate::labels;

/// The driver of networks that span nodes.
const OVERLAY: &str = "overlay";

/// The attributes of a service that change nothing about its tasks or how they are replaced.
const NOT_OF_THE_SERVICE: &[&str] = &[
    "attach",
    "build",
    "depends_on",
    "deploy.mode",
    "deploy.replicas",
    "develop",
    "environment",
    "env_file",
    "expose",
    "extends",
    "profiles",
    "pull_policy",
    "pull_refresh_after",
    "scale",
];

/// Everything that the file asks of a swarm.
#[derive(Clone, Debug)]
pub struct SwarmDesired {
    /// The project name, which is that of the stack on the swarm.
    pub project: String,
    /// Networks, in the order of the file.
    pub networks: Vec<NetworkSpec>,
    /// Configs and secrets that services use.
    pub objects: Vec<ObjectSpec>,
    /// Images, each once.
    pub images: Vec<ImageSpec>,
    /// Services in the order in which they can be started.
    pub services: Vec<SwarmService>,
    /// Services that the file has and no active profile enables.
    pub disabled: Vec<String>,
}

/// A service to be there.
#[derive(Clone, Debug)]
pub struct SwarmService {
    /// The settings.
    pub service: Arc<Service>,
    /// The project name.
    pub project: String,
    /// The swarm's name for it: `PROJECT_SERVICE`.
    pub name: String,
    /// The image as the file names it, or as it is pinned.
    pub reference: String,
    /// The image as the nodes are told: with the digest that a registry knows, or its id.
    pub image: String,
    /// How many tasks there are, and whether they come to an end.
    pub mode: DeployMode,
    /// How many tasks, unless the nodes decide.
    pub replicas: u64,
    /// The networks it joins, in the order of their names.
    pub networks: Vec<SwarmNetwork>,
    /// The named volumes it mounts, by key.
    pub volumes: BTreeMap<String, Arc<Volume>>,
    /// Configs and secrets that its tasks get, by kind and target.
    pub files: Vec<SwarmFile>,
    /// The settings, flat.
    pub fields: Fields,
    /// Labels of the service.
    pub labels: BTreeMap<String, String>,
    /// Labels of its containers.
    pub container_labels: BTreeMap<String, String>,
}

impl SwarmService {
    /// Its key in the file.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.service.name
    }

    /// Its name within the project.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Service(self.key().to_owned())
    }

    /// Where the file has it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.service.name.origin
    }

    /// Whether connections to it go through the kernel's balancer: it has ports that are open on
    /// every node, or an address of its own on a network.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        !self.mode.is_job()
            && self.service.deploy.endpoint_mode.as_ref().is_none_or(|mode| mode.value != "dnsrr")
            && (!self.networks.is_empty() || self.has_ingress_ports())
    }

    /// What of `security_opt` needs a newer API of the manager than 1.41.
    #[must_use]
    pub fn new_privileges(&self) -> Option<&Spanned<String>> {
        let old = |text: &str| matches!(security::option(text), Some(SecurityOption::Label { .. }) | None);
        self.service.security_opt.iter().find(|option| !old(&option.value))
    }

    /// Whether it has ports that are open on every node.
    #[must_use]
    pub fn has_ingress_ports(&self) -> bool {
        self.service.ports.iter().any(|port| port.mode == stack_file::model::PortMode::Ingress)
    }
}

/// A network that a service joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmNetwork {
    /// The key in the file.
    pub key: String,
    /// The engine's name.
    pub name: String,
    /// Names under which the service is found there, besides its own on the swarm.
    pub aliases: Vec<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
}

/// A config or secret in the containers of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmFile {
    /// Which of both.
    pub kind: FileKind,
    /// Its name on the swarm.
    pub object: String,
    /// The path in the container; `None` for one that only the engine reads.
    pub target: Option<String>,
    /// The owner, by number.
    pub uid: String,
    /// The group, by number.
    pub gid: String,
    /// Permission bits.
    pub mode: u32,
}

/// A config or secret to be there.
#[derive(Clone, Debug)]
pub struct ObjectSpec {
    /// Which of both.
    pub kind: FileKind,
    /// The key in the file.
    pub key: String,
    /// The swarm's name for it: `PROJECT_KEY_DIGEST`, or the one that the file says.
    pub name: String,
    /// Whether the file says the name.
    pub named: bool,
    /// What is in it, or why that is not known; `None` for one that somebody else keeps.
    pub content: Option<Result<Content, Unread>>,
    /// A digest of what is in it.
    pub digest: String,
    /// The driver by which templates in it are filled in.
    pub template_driver: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where the file has it.
    pub origin: Origin,
}

impl ObjectSpec {
    /// Its name within the project.
    #[must_use]
    pub fn address(&self) -> Address {
        address_of(self.kind, &self.key)
    }
}

/// The address of a config or secret.
pub(super) fn address_of(kind: FileKind, key: &str) -> Address {
    match kind {
        FileKind::Config => Address::Config(key.to_owned()),
        FileKind::Secret => Address::Secret(key.to_owned()),
    }
}

impl SwarmDesired {
    /// What a stack asks of a swarm. `desired` is the same stack as one engine sees it.
    #[must_use]
    pub fn of(stack: &Stack, desired: &Desired) -> Self {
        let project = desired.project.clone();
        let configs = stack.configs.values().map(|object| object_spec(&project, FileKind::Config, object));
        let secrets = stack.secrets.values().map(|object| object_spec(&project, FileKind::Secret, object));
        let objects: Vec<ObjectSpec> = configs.chain(secrets).flatten().collect();
        let services = desired
            .services
            .iter()
            .map(|spec| {
                let scale = u64::from(spec.scale);
                service(stack, &project, &spec.service, (&spec.reference, &spec.image), scale, &objects)
            })
            .collect();
        let networks = desired.networks.iter().map(|spec| overlay(&project, spec)).collect();
        let (images, disabled) = (desired.images.clone(), desired.disabled.clone());
        Self { project, networks, objects, images, services, disabled }
    }

    /// The service of this key.
    #[must_use]
    pub fn service(&self, key: &str) -> Option<&SwarmService> {
        self.services.iter().find(|spec| spec.key() == key)
    }

    /// The named services and everything they need, or every service when none is named.
    #[must_use]
    pub fn selection(&self, names: &[String], with_dependencies: bool) -> Vec<&SwarmService> {
        if names.is_empty() {
            return self.services.iter().collect();
        }
        let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut next = 0;
        while with_dependencies && next < wanted.len() {
            for name in self.service(wanted[next]).iter().flat_map(|spec| spec.service.depends_on.keys()) {
                if !wanted.contains(&name.as_str()) {
                    wanted.push(name);
                }
            }
            next += 1;
        }
        self.services.iter().filter(|spec| wanted.contains(&spec.key())).collect()
    }

    /// Every image reference that the services use.
    #[must_use]
    pub fn references(&self) -> Vec<String> {
        self.images.iter().flat_map(|image| image.references.iter().cloned()).collect()
    }
}

/// A network of the file, as one that spans nodes.
fn overlay(project: &str, spec: &NetworkSpec) -> NetworkSpec {
    let mut network = (*spec.network).clone();
    if network.driver.as_ref().is_none_or(|driver| driver.value.is_empty()) {
        network.driver = Some(Spanned::new(OVERLAY.to_owned(), network.key.origin.clone()));
    }
    let mut labels = spec.labels.clone();
    labels.insert(labels::NAMESPACE.to_owned(), project.to_owned());
    NetworkSpec { network: Arc::new(network), labels, ..spec.clone() }
}

fn object_spec(project: &str, kind: FileKind, object: &FileObject) -> Option<ObjectSpec> {
    let key = object.key.value.clone();
    let content = match &object.source {
        FileSource::External => None,
        FileSource::File { content, .. } => Some(content.clone()),
        FileSource::Inline(content) => Some(Ok(content.clone()?)),
    };
    let digest = match &content {
        Some(Ok(content)) => {
            let mut digest = Sha256::new();
            // The same content in another project, or under another key, has another digest.
            for part in [project, kind.attribute(), &key] {
                digest.update(part);
                digest.update([0]);
            }
            digest.update(content.bytes());
            hex(&digest.finalize())
        }
        _ => String::new(),
    };
    let own = format!("{project}_{key}");
    // A name that was only filled in is no name that the file says.
    let said = object.name.as_ref().map(|name| name.value.clone()).filter(|name| *name != own);
    let named = said.is_some();
    let name = match (&content, said) {
        (None, said) => said.unwrap_or_else(|| key.clone()),
        (Some(_), Some(said)) => said,
        (Some(_), None) => format!("{own}_{}", digest.get(..8).unwrap_or_default()),
    };
    let mut labels = plain(object.labels.iter());
    labels.insert(labels::NAMESPACE.to_owned(), project.to_owned());
    labels.insert(labels::KEY.to_owned(), key.clone());
    let digest = digest.get(..24).unwrap_or_default().to_owned();
    labels.insert(labels::DIGEST.to_owned(), digest.clone());
    Some(ObjectSpec {
        kind,
        key,
        name,
        named,
        content,
        digest,
        template_driver: object.template_driver.as_ref().map(|driver| driver.value.clone()),
        labels,
        origin: object.key.origin.clone(),
    })
}

fn plain<'a>(pairs: impl Iterator<Item = (&'a String, &'a Spanned<String>)>) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.clone(), value.value.clone())).collect()
}

/// A service that somebody waits for until it has ended is a job.
fn mode(stack: &Stack, service: &Service) -> DeployMode {
    let awaited = stack.services.values().any(|other| {
        let wanted = other.depends_on.get(service.name.as_str());
        wanted.is_some_and(|wanted| wanted.condition == DependencyCondition::CompletedSuccessfully)
    });
    match service.deploy.mode {
        DeployMode::Replicated if awaited => DeployMode::ReplicatedJob,
        DeployMode::Global if awaited => DeployMode::GlobalJob,
        mode => mode,
    }
}

fn service(
    stack: &Stack,
    project: &str,
    service: &Arc<Service>,
    (written, image): (&str, &str),
    replicas: u64,
    objects: &[ObjectSpec],
) -> SwarmService {
    let key = service.name.value.clone();
    let origin = &service.name.origin;
    let mode = mode(stack, service);
    let tree = (stack.service_on(&key, Backend::Swarm))
        .unwrap_or_else(|| Node { kind: Kind::Mapping(Entries::new()), origin: origin.clone() });
    let mut fields = Fields::of(&tree, NOT_OF_THE_SERVICE);
    for (name, value) in &service.environment {
        let path = format!("environment.{name}");
        match &value.value {
            Some(text) => fields.insert(&path, text, &value.origin),
            None => fields.insert_null(&path, &value.origin),
        }
    }
    fields.insert("image", written, service.image.as_ref().map_or(origin, |image| &image.origin));
    let mut networks = Vec::new();
    for (attached, attachment) in &service.networks {
        let Some(network) = stack.networks.get(attached) else { continue };
        fields.insert(&format!("networks.{attached}.name"), &network.name, &network.key.origin);
        let mut aliases = vec![key.clone()];
        aliases.extend(attachment.aliases.iter().filter(|alias| **alias != key).cloned());
        aliases.sort();
        let driver_opts = attachment.driver_opts.iter();
        networks.push(SwarmNetwork {
            key: attached.clone(),
            name: network.name.clone(),
            aliases,
            driver_opts: driver_opts.map(|(key, value)| (key.clone(), value.clone())).collect(),
        });
    }
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let mut volumes = BTreeMap::new();
    for mount in &service.volumes {
        let MountSource::Volume { key } = &mount.source else { continue };
        let Some(volume) = stack.volumes.get(key) else { continue };
        fields.insert(&format!("volumes.{key}.name"), &volume.name, &volume.key.origin);
        if !volume.external {
            let options = Fields::of(&volume.tree, &["name", "external"]).record().write();
            let digest = digest_of(&Sha256::digest(options));
            fields.insert_as_is(&format!("volumes.{key}.settings"), digest, &volume.key.origin);
        }
        volumes.insert(key.clone(), Arc::new(volume.clone()));
    }
    let files = files(service, objects, &mut fields);
    let mut labels = plain(service.deploy.labels.iter());
    labels.insert(labels::NAMESPACE.to_owned(), project.to_owned());
    labels.insert(labels::STACK_IMAGE.to_owned(), written.to_owned());
    labels.insert(labels::KEY.to_owned(), key.clone());
    labels.insert(labels::SPEC.to_owned(), fields.record().write());
    let mut container_labels = plain(service.labels.iter());
    container_labels.insert(labels::NAMESPACE.to_owned(), project.to_owned());
    if let Some(check) = service.healthcheck.as_ref().filter(|check| !check.disable) {
        let digest = digest_of(&Sha256::digest(format!("{:?}", check.value)));
        container_labels.insert(labels::HEALTHCHECK.to_owned(), digest);
    }
    SwarmService {
        service: Arc::clone(service),
        project: project.to_owned(),
        name: format!("{project}_{key}"),
        reference: image.to_owned(),
        image: image.to_owned(),
        mode,
        replicas: if mode.is_global() { 0 } else { replicas },
        networks,
        volumes,
        files,
        fields,
        labels,
        container_labels,
    }
}

/// The configs and secrets of a service's containers, the last one of each target.
fn files(service: &Service, objects: &[ObjectSpec], fields: &mut Fields) -> Vec<SwarmFile> {
    let find =
        |kind: FileKind, key: &str| objects.iter().find(|object| object.kind == kind && object.key == key);
    let mut files: Vec<SwarmFile> = Vec::new();
    for reference in &service.files {
        let Some(object) = find(reference.kind, &reference.source) else { continue };
        let path = format!("{}.{}", reference.kind.attribute(), reference.source);
        fields.insert_as_is(&path, digest_of_name(object), &reference.origin);
        files.retain(|other| other.target.as_ref() != Some(&reference.target));
        let number = |given: &Option<Spanned<String>>| {
            given.as_ref().map_or_else(|| "0".to_owned(), |given| given.value.clone())
        };
        files.push(SwarmFile {
            kind: reference.kind,
            object: object.name.clone(),
            target: Some(reference.target.clone()),
            uid: number(&reference.uid),
            gid: number(&reference.gid),
            mode: reference.mode.unwrap_or(0o444),
        });
    }
    if let Some(CredentialSpec::Config(key)) = service.credential_spec.as_ref().map(|spec| &spec.value)
        && let Some(object) = find(FileKind::Config, key)
    {
        let (uid, gid) = ("0".to_owned(), "0".to_owned());
        let object = object.name.clone();
        files.push(SwarmFile { kind: FileKind::Config, object, target: None, uid, gid, mode: 0 });
    }
    files.sort_by(|a, b| (a.kind, &a.target, &a.object).cmp(&(b.kind, &b.target, &b.object)));
    files
}

/// The digest of what is in a config or secret, or of the name of one that somebody else keeps.
fn digest_of_name(object: &ObjectSpec) -> String {
    if object.digest.is_empty() {
        digest_of(&Sha256::digest(&object.name))
    } else {
        format!("sha256:{}", object.digest)
    }
}
