//! Services, and what their containers have in common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use stack_file::model::{Attachment, Hook, Provider, Service, Stack};
use stack_file::source::Spanned;
use stack_file::tree::{Entries, Kind, Node};

use super::files::{self, FileSpec, files};
use super::images::reference;
use super::networks::Joined;
use super::plain;
use crate::address::Address;
use crate::config_hash;
use crate::fields::Fields;
use crate::labels;

/// The attributes of a service that change nothing about a container once it is there.
const NOT_OF_THE_CONTAINER: &[&str] = &[
    "attach",
    "build",
    "pull_policy",
    "pull_refresh_after",
    "scale",
    "deploy.mode",
    "deploy.replicas",
    "deploy.update_config",
    "deploy.rollback_config",
    "depends_on",
    "profiles",
    "develop",
    "extends",
];

/// The attributes of a service that are recorded as the values they come to.
const COMES_TO_VALUES: &[&str] = &["environment", "env_file"];

/// A service, and what its containers have in common.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// The settings.
    pub service: Arc<Service>,
    /// The settings as a tree, as they are on an engine.
    pub tree: Node,
    /// The reference of its image, as the file has it or as a build names it.
    pub reference: String,
    /// The reference that its containers are made from: the same, unless it is pinned.
    pub image: String,
    /// What stands between the parts of its containers' names.
    pub separator: char,
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
    /// The services whose first container lends something to its containers.
    pub lenders: Vec<Lender>,
    /// The service as docker compose hashes it, where its hash depends on the containers
    /// that lend to it.
    pub(crate) hashed_with_ids: Option<Arc<Node>>,
    /// Configs and secrets that its containers get.
    pub files: Vec<Arc<FileSpec>>,
    /// Its hooks, in the order in which they run.
    pub hooks: Hooks,
    /// The program that makes it, in place of containers.
    pub provider: Option<Arc<ProviderSpec>>,
}

/// The commands that run in a service's containers.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// After the start.
    pub post_start: Vec<Arc<Hook>>,
    /// Before the stop.
    pub pre_stop: Vec<Arc<Hook>>,
}

/// A service that another program makes.
#[derive(Clone, Debug)]
pub struct ProviderSpec {
    /// Its name within the project.
    pub address: Address,
    /// The project name.
    pub project: String,
    /// The service's name.
    pub service: String,
    /// The program and its options.
    pub provider: Provider,
}

/// A service whose first container lends something to the containers of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lender {
    /// The service's name.
    pub service: String,
    /// Whether it lends a namespace, which is gone when its container ends; else only mounts.
    pub namespace: bool,
}

fn lenders(service: &Service) -> Vec<Lender> {
    let mut lenders: Vec<Lender> = Vec::new();
    let namespaces = service.namespace_lenders().map(|name| (name, true));
    for (name, namespace) in namespaces.chain(service.volume_lenders().map(|name| (name, false))) {
        if !lenders.iter().any(|lender| lender.service == name) {
            lenders.push(Lender { service: name.to_owned(), namespace });
        }
    }
    lenders
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
            None => {
                let between = self.separator;
                format!("{project}{between}{}{between}{number}", self.name())
            }
        }
    }

    /// docker compose's hash of the settings of a container whose lenders have these ids, by service.
    #[must_use]
    pub fn config_hash(&self, lenders: &BTreeMap<String, String>) -> String {
        match &self.hashed_with_ids {
            Some(written) => config_hash::of_service_with(written, lenders),
            None => self.labels.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
        }
    }

    /// How long a stop waits before the kill; `None` is the engine's default.
    #[must_use]
    pub fn grace(&self) -> Option<Duration> {
        self.service.stop_grace_period.as_ref().map(|grace| grace.value)
    }
}

pub(super) fn service_spec(
    stack: &Stack,
    service: &Service,
    on_engine: Option<Node>,
    common: &BTreeMap<String, String>,
    scale: Option<u32>,
) -> ServiceSpec {
    let name = &service.name.value;
    let image = reference(stack, service);
    // Every service of the model stands in the tree.
    let tree = on_engine
        .unwrap_or_else(|| Node { kind: Kind::Mapping(Entries::new()), origin: service.name.origin.clone() });
    let mut fields = Fields::of(&tree, &[NOT_OF_THE_CONTAINER, COMES_TO_VALUES].concat());
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
    files::note(stack, service, &mut fields);
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
    let written = stack.written_service(name).unwrap_or(&tree);
    all.extend(labels::of_service(service, written, &fields));

    let mut order: Vec<_> = service.networks.iter().collect();
    // Of networks with one priority docker compose takes the first of the alphabet.
    order.sort_by_key(|(key, attachment)| (std::cmp::Reverse(attachment.priority), *key));
    let first = order.first().map(|(key, _)| key.as_str());
    let networks = order
        .into_iter()
        .filter_map(|(key, attachment)| {
            let network = stack.networks.get(key)?;
            let mut aliases = vec![name.clone()];
            aliases.extend(attachment.aliases.iter().filter(|alias| *alias != name).cloned());
            // An address of the service is one on the network that is joined first.
            let own = service.mac_address.as_ref().filter(|_| first == Some(key.as_str()));
            let mac_address = attachment.mac_address.as_ref().or(own);
            Some(Joined {
                key: key.clone(),
                name: network.name.clone(),
                aliases,
                ipv4_address: attachment.ipv4_address.clone(),
                ipv6_address: attachment.ipv6_address.clone(),
                link_local_ips: attachment.link_local_ips.clone(),
                mac_address: mac_address.map(|address| address.value.clone()),
                gw_priority: attachment.gw_priority.as_ref().map(|priority| priority.value),
                driver_opts: driver_opts(attachment),
                links: Vec::new(),
            })
        })
        .collect();
    let provider = service.provider.as_ref().map(|provider| {
        Arc::new(ProviderSpec {
            address: Address::Service(name.clone()),
            project: stack.name.value.clone(),
            service: name.clone(),
            provider: provider.value.clone(),
        })
    });
    let scale = match provider {
        Some(_) => 0,
        None => scale.or(service.scale.as_ref().map(|scale| scale.value)).unwrap_or(1),
    };
    let hooks = |hooks: &[Spanned<Hook>]| hooks.iter().map(|hook| Arc::new(hook.value.clone())).collect();
    let lenders = lenders(service);
    let by_ids = !lenders.is_empty() || !service.volumes_from.is_empty();
    ServiceSpec {
        files: files(stack, service),
        hooks: Hooks { post_start: hooks(&service.post_start), pre_stop: hooks(&service.pre_stop) },
        provider,
        service: Arc::new(service.clone()),
        reference: image.clone(),
        image,
        separator: stack.separator,
        scale,
        fields,
        labels: all,
        networks,
        volume_names,
        lenders,
        hashed_with_ids: by_ids.then(|| Arc::new(written.clone())),
        tree,
    }
}

/// The name of an interface is an option of the driver, which wins where both are given.
fn driver_opts(attachment: &Attachment) -> BTreeMap<String, String> {
    const INTERFACE: &str = "com.docker.network.endpoint.ifname";
    let mut options: BTreeMap<String, String> =
        attachment.driver_opts.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    if let Some(name) = attachment.interface_name.as_ref().filter(|name| !name.is_empty()) {
        options.entry(INTERFACE.to_owned()).or_insert_with(|| name.value.clone());
    }
    options
}

/// The services so that each comes after all it depends on, otherwise in the order of the file.
pub(super) fn in_start_order(services: &IndexMap<String, Service>) -> Vec<&Service> {
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
