//! What is wanted: the stack as single resources, replicas unrolled.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use stack_file::model::{Build, DependencyCondition, Network, PullPolicy, Service, Stack, Volume};
use stack_file::source::{Origin, Spanned};
use stack_file::tree::Node;

use crate::address::Address;
use crate::fields::{Fields, hex};
use crate::labels;

/// The attributes of a service that change nothing about a container once it is there.
const NOT_OF_THE_CONTAINER: &[&str] = &[
    "build",
    "pull_policy",
    "scale",
    "deploy.mode",
    "deploy.replicas",
    "depends_on",
    "profiles",
    "develop",
    "extends",
];

/// The attributes of a service that are recorded as the values they come to.
const COMES_TO_VALUES: &[&str] = &["environment", "env_file"];

/// Every resource that the file asks for.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The project name.
    pub project: String,
    /// The stack files, absolute, joined by commas: the value of a label.
    pub config_files: String,
    /// Networks, in the order of the file.
    pub networks: Vec<NetworkSpec>,
    /// Volumes, in the order of the file.
    pub volumes: Vec<VolumeSpec>,
    /// Images, each once, in the order of the services that use them.
    pub images: Vec<ImageSpec>,
    /// Services in the order in which they can be started.
    pub services: Vec<ServiceSpec>,
    /// Services that the file has and no active profile enables.
    pub disabled: Vec<String>,
}

/// A network to be there.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Its name within the project.
    pub address: Address,
    /// The settings.
    pub network: Arc<Network>,
    /// The settings, flat.
    pub fields: Fields,
    /// All labels that it gets.
    pub labels: BTreeMap<String, String>,
}

/// A volume to be there.
#[derive(Clone, Debug)]
pub struct VolumeSpec {
    /// Its name within the project.
    pub address: Address,
    /// The settings.
    pub volume: Arc<Volume>,
    /// The settings, flat.
    pub fields: Fields,
    /// All labels that it gets.
    pub labels: BTreeMap<String, String>,
}

/// An image to be there.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSpec {
    /// Its name within the project.
    pub address: Address,
    /// Every reference under which it is to be found; the first names it.
    pub references: Vec<String>,
    /// How to build it; `None` when it can only be pulled.
    pub build: Option<Build>,
    /// A digest of all that the file says of the build; empty for an image that is not built.
    pub definition: String,
    /// Whether the file names it, so that a registry may have it.
    pub named: bool,
    /// The platform asked for.
    pub platform: Option<String>,
    /// When it is pulled or built.
    pub policy: PullPolicy,
    /// The services that use it.
    pub services: Vec<String>,
    /// Labels of a built image.
    pub labels: BTreeMap<String, String>,
    /// Where the file asks for it.
    pub origin: Origin,
}

/// A service, and what its containers have in common.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The settings.
    pub service: Arc<Service>,
    /// The reference of its image.
    pub image: String,
    /// How many containers.
    pub scale: u32,
    /// The settings, flat.
    pub fields: Fields,
    /// Labels of its containers, without the number.
    pub labels: BTreeMap<String, String>,
    /// The networks it joins, in the order of joining.
    pub networks: Vec<Joined>,
    /// The engine's names of the volumes it mounts, by key.
    pub volume_names: BTreeMap<String, String>,
}

/// A network that a container joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The key in the file.
    pub key: String,
    /// The engine's name.
    pub name: String,
    /// Names under which the container is found there, besides its own.
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<String>,
}

impl ServiceSpec {
    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.service.name
    }

    /// The name of its container with this number.
    #[must_use]
    pub fn container_name(&self, project: &str, number: u32) -> String {
        match &self.service.container_name {
            Some(name) => name.value.clone(),
            None => format!("{project}-{}-{number}", self.name()),
        }
    }

    /// How long a stop waits before the kill; `None` is the engine's default.
    #[must_use]
    pub fn grace(&self) -> Option<Duration> {
        self.service.stop_grace_period.as_ref().map(|grace| grace.value)
    }
}

impl Desired {
    /// Unrolls a stack into its resources. `scale` overrides the number of containers by service.
    #[must_use]
    pub fn of(stack: &Stack, scale: &BTreeMap<String, u32>) -> Self {
        let project = stack.name.value.as_str();
        let config_files = joined(&stack.files);
        let networks = stack.networks.values().map(|network| network_spec(stack, network)).collect();
        let volumes = stack.volumes.values().map(|volume| volume_spec(stack, volume)).collect();
        let common = labels::of_project(project, &stack.directory, &config_files, &joined(&stack.env_files));
        let services: Vec<ServiceSpec> = in_start_order(&stack.services)
            .into_iter()
            .map(|service| service_spec(stack, service, &common, scale.get(service.name.as_str()).copied()))
            .collect();
        let images = images(project, stack);
        Self {
            project: project.to_owned(),
            config_files,
            networks,
            volumes,
            images,
            services,
            disabled: stack.disabled.clone(),
        }
    }

    /// The service of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceSpec> {
        self.services.iter().find(|spec| spec.name() == name)
    }

    /// The named services and everything they need, or every service when none is named.
    #[must_use]
    pub fn selection(&self, names: &[String], with_dependencies: bool) -> Vec<&ServiceSpec> {
        if names.is_empty() {
            return self.services.iter().collect();
        }
        let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut next = 0;
        while with_dependencies && next < wanted.len() {
            if let Some(spec) = self.service(wanted[next]) {
                for name in spec.service.depends_on.keys() {
                    if !wanted.contains(&name.as_str()) {
                        wanted.push(name);
                    }
                }
            }
            next += 1;
        }
        self.services.iter().filter(|spec| wanted.contains(&spec.name())).collect()
    }

    /// Every image reference that the services use.
    #[must_use]
    pub fn references(&self) -> Vec<String> {
        self.images.iter().flat_map(|image| image.references.iter().cloned()).collect()
    }
}

fn joined(paths: &[impl AsRef<Path>]) -> String {
    paths.iter().map(|path| path.as_ref().to_string_lossy()).collect::<Vec<_>>().join(",")
}

/// A resource as it stands in the tree of the stack, which is nearer to the file than its own.
fn written<'a>(stack: &'a Stack, kind: &str, key: &str, own: &'a Node) -> &'a Node {
    stack.tree.get(kind).and_then(|all| all.get(key)).unwrap_or(own)
}

fn network_spec(stack: &Stack, network: &Network) -> NetworkSpec {
    let mut fields = Fields::of(&network.tree, &["name", "external"]);
    fields.insert("name", &network.name, &network.key.origin);
    let mut all = plain(&network.labels);
    all.extend(labels::of_network(
        &stack.name,
        network,
        written(stack, "networks", &network.key, &network.tree),
        &fields,
    ));
    NetworkSpec {
        address: Address::Network(network.key.value.clone()),
        network: Arc::new(network.clone()),
        fields,
        labels: all,
    }
}

fn volume_spec(stack: &Stack, volume: &Volume) -> VolumeSpec {
    let mut fields = Fields::of(&volume.tree, &["name", "external"]);
    fields.insert("name", &volume.name, &volume.key.origin);
    let mut all = plain(&volume.labels);
    all.extend(labels::of_volume(
        &stack.name,
        volume,
        written(stack, "volumes", &volume.key, &volume.tree),
        &fields,
    ));
    VolumeSpec {
        address: Address::Volume(volume.key.value.clone()),
        volume: Arc::new(volume.clone()),
        fields,
        labels: all,
    }
}

fn service_spec(
    stack: &Stack,
    service: &Service,
    common: &BTreeMap<String, String>,
    scale: Option<u32>,
) -> ServiceSpec {
    let name = &service.name.value;
    let image = reference(&stack.name, service);
    let mut fields = Fields::of(&service.tree, &[NOT_OF_THE_CONTAINER, COMES_TO_VALUES].concat());
    for (name, value) in &service.environment {
        let path = format!("environment.{name}");
        match &value.value {
            Some(text) => fields.insert(&path, text, &value.origin),
            None => fields.insert_null(&path, &value.origin),
        }
    }
    fields.insert(
        "image",
        &image,
        service.image.as_ref().map_or(&service.name.origin, |image| &image.origin),
    );
    for network in service.networks.keys().filter_map(|key| stack.networks.get(key)) {
        fields.insert(&format!("networks.{}.name", *network.key), &network.name, &network.key.origin);
    }
    let mut volume_names = BTreeMap::new();
    for mount in &service.volumes {
        if let stack_file::model::MountSource::Volume { key, .. } = &mount.source
            && let Some(volume) = stack.volumes.get(key)
        {
            fields.insert(&format!("volumes.{key}.name"), &volume.name, &volume.key.origin);
            volume_names.insert(key.clone(), volume.name.clone());
        }
    }

    let mut all = plain(&service.labels);
    all.extend(common.clone());
    all.extend(labels::of_service(service, written(stack, "services", name, &service.tree), &fields));

    let mut order: Vec<_> = service.networks.iter().collect();
    order.sort_by_key(|(_, attachment)| std::cmp::Reverse(attachment.priority));
    let networks = order
        .into_iter()
        .filter_map(|(key, attachment)| {
            let network = stack.networks.get(key)?;
            let mut aliases = vec![name.clone()];
            aliases.extend(attachment.aliases.iter().filter(|alias| *alias != name).cloned());
            Some(Joined {
                key: key.clone(),
                name: network.name.clone(),
                aliases,
                ipv4_address: attachment.ipv4_address.clone(),
                ipv6_address: attachment.ipv6_address.clone(),
            })
        })
        .collect();
    let scale = scale.or(service.scale.as_ref().map(|scale| scale.value)).unwrap_or(1);
    ServiceSpec {
        service: Arc::new(service.clone()),
        image,
        scale,
        fields,
        labels: all,
        networks,
        volume_names,
    }
}

/// The reference of a service's image: as written, or `PROJECT-SERVICE` for one that is only built.
fn reference(project: &str, service: &Service) -> String {
    match &service.image {
        Some(image) => image.value.clone(),
        None => format!("{project}-{}", *service.name),
    }
}

/// Each image once: services that build the same thing share one build with several tags,
/// and a service without `build` uses the image that another builds under its name.
fn images(project: &str, stack: &Stack) -> Vec<ImageSpec> {
    let mut images: Vec<ImageSpec> = Vec::new();
    for service in stack.services.values() {
        let reference = reference(project, service);
        let build = service.build.as_ref().map(|build| build.value.clone());
        let platform = service.platform.as_ref().map(|platform| platform.value.clone());
        let policy = service.pull_policy.as_ref().map_or(PullPolicy::Missing, |policy| policy.value);
        let same = images.iter_mut().find(|image| {
            image.platform == platform
                && match (&image.build, &build) {
                    (Some(one), Some(other)) => one == other && image.policy == policy,
                    (None, None) => image.references[0] == reference,
                    _ => false,
                }
        });
        let image = match same {
            Some(image) => image,
            None => {
                images.push(image_spec(project, service, &reference, build, platform, policy));
                continue;
            }
        };
        if !image.references.contains(&reference) {
            image.references.push(reference);
        }
        image.policy = more_eager(image.policy, policy);
        image.services.push(service.name.value.clone());
    }
    let (mut built, pulled): (Vec<_>, Vec<_>) = images.into_iter().partition(|image| image.build.is_some());
    for image in pulled {
        let builder = built.iter_mut().find(|other| {
            other.build.is_some()
                && other.references.contains(&image.references[0])
                && (image.platform.is_none() || image.platform == other.platform)
        });
        match builder {
            Some(builder) => builder.services.extend(image.services),
            None => built.push(image),
        }
    }
    let position = |image: &ImageSpec| stack.services.get_index_of(image.services[0].as_str());
    built.sort_by_key(position);
    built
}

/// Of two services that use one image, the one that wants it newer decides.
fn more_eager(one: PullPolicy, other: PullPolicy) -> PullPolicy {
    let eagerness = |policy| match policy {
        PullPolicy::Never => 0,
        PullPolicy::Missing => 1,
        PullPolicy::Build => 2,
        PullPolicy::Always => 3,
    };
    if eagerness(other) > eagerness(one) { other } else { one }
}

fn image_spec(
    project: &str,
    service: &Service,
    reference: &str,
    build: Option<Build>,
    platform: Option<String>,
    policy: PullPolicy,
) -> ImageSpec {
    let name = service.name.value.clone();
    let mut references = vec![reference.to_owned()];
    let mut labels = BTreeMap::new();
    if let Some(build) = &build {
        for tag in &build.tags {
            if !references.contains(&tag.value) {
                references.push(tag.value.clone());
            }
        }
        labels = plain(&build.labels);
        labels.extend(labels::of_image(project, &name));
    }
    let origin = match (&service.image, &service.build) {
        (Some(image), _) => image.origin.clone(),
        (None, Some(build)) => build.origin.clone(),
        (None, None) => service.name.origin.clone(),
    };
    ImageSpec {
        address: Address::Image(reference.to_owned()),
        references,
        named: service.image.is_some(),
        definition: service.tree.get("build").map(definition).unwrap_or_default(),
        build,
        platform,
        policy,
        services: vec![name],
        labels,
        origin,
    }
}

/// Arguments of a build may be secret: what it is made of is kept as a digest of the whole.
fn definition(build: &Node) -> String {
    let mut text = String::new();
    for leaf in build.leaves() {
        let value = leaf.scalar.map(|scalar| (scalar.kind, scalar.text.as_str()));
        text.push_str(&format!("{} {value:?}\n", leaf.path));
    }
    hex(&Sha256::digest(text))
}

fn plain(labels: &IndexMap<String, Spanned<String>>) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
}

/// The services so that each comes after all it depends on, otherwise in the order of the file.
fn in_start_order(services: &IndexMap<String, Service>) -> Vec<&Service> {
    let mut order = Vec::with_capacity(services.len());
    let mut seen = std::collections::BTreeSet::new();
    // A stack of (service, next dependency) instead of recursion: a chain of
    // a thousand services must not end in a stack overflow.
    for service in services.values() {
        let mut path: Vec<(&Service, usize)> = Vec::new();
        if seen.insert(service.name.as_str()) {
            path.push((service, 0));
        }
        while let Some((service, next)) = path.last_mut() {
            let dependency = service.depends_on.get_index(*next).map(|(name, _)| name.as_str());
            *next += 1;
            match dependency {
                Some(name) => {
                    if let Some(found) = services.get(name)
                        && seen.insert(found.name.as_str())
                    {
                        path.push((found, 0));
                    }
                }
                None => {
                    order.push(*service);
                    path.pop();
                }
            }
        }
    }
    order
}

/// The Compose Specification's word for a condition.
#[must_use]
pub fn condition_word(condition: DependencyCondition) -> &'static str {
    match condition {
        DependencyCondition::Started => "service_started",
        DependencyCondition::Healthy => "service_healthy",
        DependencyCondition::CompletedSuccessfully => "service_completed_successfully",
    }
}
