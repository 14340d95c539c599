//! Named volumes: claims of their own, claims that pods share, and what is no claim.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use stack_file::model::{Mount, MountSource, Service, Stack, Volume};
use stack_file::quantity;
use stack_file::source::{Origin, Spanned};

use crate::labels::Marks;
use crate::manifests::{Manifests, put_some};
use crate::name;
use crate::resources::bytes;
use crate::workload::{Workload, replicas};

/// What a named volume becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A claim for each pod of the only service that has it.
    Template,
    /// A claim that all who mount it share.
    Claim {
        /// Its name.
        name: String,
        /// Whether several pods mount it.
        shared: bool,
    },
    /// A directory of a file server.
    Nfs { server: String, path: String },
    /// A directory of the node.
    Node(String),
    /// Memory.
    Memory(Option<u64>),
}

/// What the named volumes become, by key.
#[derive(Debug, Default)]
pub(crate) struct Storage<'a> {
    kept: IndexMap<&'a str, Kept>,
}

impl<'a> Storage<'a> {
    pub(crate) fn of(stack: &'a Stack, kinds: &IndexMap<&str, Workload>) -> Self {
        let kept = stack.volumes.iter().map(|(key, volume)| {
            (key.as_str(), elsewhere(volume).unwrap_or_else(|| claim(stack, kinds, key, volume)))
        });
        Self { kept: kept.collect() }
    }

    pub(crate) fn of_key(&self, key: &str) -> Option<&Kept> {
        self.kept.get(key)
    }
}

/// The mounts of a service, those that it borrows of others among them; what is mounted twice at a
/// path is its own.
pub(crate) fn all_mounts<'a>(stack: &'a Stack, service: &'a Service) -> Vec<Spanned<Mount>> {
    let mut all: Vec<Spanned<Mount>> = Vec::new();
    let mut seen = vec![service.name.as_str()];
    collect(stack, service, false, &mut seen, &mut all);
    all
}

fn collect<'a>(
    stack: &'a Stack,
    service: &'a Service,
    read_only: bool,
    seen: &mut Vec<&'a str>,
    all: &mut Vec<Spanned<Mount>>,
) {
    for mount in &service.volumes {
        if !all.iter().any(|other| other.target == mount.target) {
            let mut mount = mount.clone();
            mount.value.read_only |= read_only;
            all.push(mount);
        }
    }
    for from in &service.volumes_from {
        if from.starts_with("container:") {
            continue;
        }
        let mut parts = from.split(':');
        let lender = parts.next().and_then(|name| stack.services.get(name));
        let read_only = read_only || parts.next() == Some("ro");
        if let Some(lender) = lender.filter(|lender| !seen.contains(&lender.name.as_str())) {
            seen.push(&lender.name);
            collect(stack, lender, read_only, seen, all);
        }
    }
}

/// Whether a service writes to a volume that is kept as a claim.
pub(crate) fn writes(stack: &Stack, service: &Service) -> bool {
    all_mounts(stack, service).iter().any(|mount| match &mount.source {
        MountSource::Volume { key } => {
            !mount.read_only && stack.volumes.get(key).is_some_and(|volume| elsewhere(volume).is_none())
        }
        _ => false,
    })
}

/// What is no claim: the driver's options say where it is.
fn elsewhere(volume: &Volume) -> Option<Kept> {
    if volume.external || volume.driver.as_ref().is_some_and(|driver| driver.value != "local") {
        return None;
    }
    let option = |name: &str| volume.driver_opts.get(name).map_or("", |value| value.value.as_str());
    let (kind, device, flags) = (option("type"), option("device"), option("o"));
    match kind {
        "nfs" | "nfs4" => Some(Kept::Nfs {
            server: flag(flags, "addr")?.to_owned(),
            path: device.trim_start_matches(':').to_owned(),
        }),
        "tmpfs" => Some(Kept::Memory(size(volume))),
        "none" | "bind" if flags.split(',').any(|flag| matches!(flag, "bind" | "rbind")) => {
            Some(Kept::Node(device.to_owned()))
        }
        _ => None,
    }
}

fn flag<'a>(flags: &'a str, name: &str) -> Option<&'a str> {
    flags.split(',').find_map(|flag| flag.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The size that the driver's options tell.
fn size(volume: &Volume) -> Option<u64> {
    let option = |name: &str| volume.driver_opts.get(name).map(|value| value.value.as_str());
    option("size").or_else(|| flag(option("o")?, "size")).and_then(quantity::bytes).filter(|size| *size > 0)
}

fn claim(stack: &Stack, kinds: &IndexMap<&str, Workload>, key: &str, volume: &Volume) -> Kept {
    let users: Vec<&Service> = (stack.services.values())
        .filter(|service| {
            all_mounts(stack, service)
                .iter()
                .any(|mount| matches!(&mount.source, MountSource::Volume { key: of } if of == key))
        })
        .collect();
    let implied = format!("{}{}{key}", stack.name.value, '_');
    let name = if volume.external || volume.name != implied { &volume.name } else { key };
    let name = name::label(name).unwrap_or_else(|| format!("volume-{}", &name::digest(key.as_bytes())[..8]));
    let everywhere = |service: &&Service| kinds.get(service.name.as_str()) == Some(&Workload::DaemonSet);
    let pods: u32 = users.iter().map(|service| replicas(service)).fold(0, u32::saturating_add);
    let shared = pods > 1 || users.iter().any(everywhere);
    match &users[..] {
        [only]
            if kinds.get(only.name.as_str()) == Some(&Workload::StatefulSet)
                && !volume.external
                && writes_to(stack, only, key) =>
        {
            Kept::Template
        }
        _ => Kept::Claim { name, shared },
    }
}

fn writes_to(stack: &Stack, service: &Service, key: &str) -> bool {
    all_mounts(stack, service).iter().any(|mount| {
        !mount.read_only && matches!(&mount.source, MountSource::Volume { key: of } if of == key)
    })
}

impl<'a> Manifests<'a> {
    /// Writes the claims that are objects of their own, and says what claims do not say.
    pub(crate) fn claims(&mut self) {
        let stack = self.stack;
        for (key, volume) in &stack.volumes {
            let path = format!("volumes.{key}");
            let Some(kept) = self.storage.of_key(key).cloned() else { continue };
            self.driver(volume, &kept, &path);
            match kept {
                Kept::Claim { name, .. } if volume.external && name != volume.name => self.warn(
                    &volume.key.origin,
                    path,
                    format!("Kubernetes takes `{}` for no name of a claim: `{name}` is used", volume.name),
                    "give the claim a name of lower-case letters, digits and `-`",
                ),
                Kept::Claim { .. } if volume.external => {}
                Kept::Claim { name, shared } => {
                    if shared {
                        self.warn(
                            &volume.key.origin,
                            path.clone(),
                            "several pods mount this volume: its claim asks for storage that can be written from many nodes",
                            "see whether the cluster has such storage, or let one service of one replica have the volume",
                        );
                    }
                    let marks = self.volume_marks(volume, &path);
                    let spec = self.claim_spec(volume, shared);
                    let body = Map::from_iter([("spec".to_owned(), spec)]);
                    self.write("v1", "PersistentVolumeClaim", &name, marks, body, &volume.key.origin);
                }
                Kept::Template => {
                    let service = stack.services.values().find(|service| writes_to(stack, service, key));
                    if service.is_some_and(|service| replicas(service) > 1) {
                        self.warn(
                            &volume.key.origin,
                            path,
                            "each pod gets a volume of its own; on an engine all replicas share one",
                            "see whether the service keeps its replicas alike, or give it one replica",
                        );
                    }
                }
                _ => {}
            }
        }
    }

    /// Says which options of a driver a manifest does not say.
    fn driver(&mut self, volume: &Volume, kept: &Kept, path: &str) {
        if volume.external {
            return;
        }
        if let Some(driver) = volume.driver.as_ref().filter(|driver| driver.value != "local") {
            self.warn(
                &driver.origin,
                format!("{path}.driver"),
                format!(
                    "Kubernetes does not know the driver `{}`: the claim is for the cluster's usual storage",
                    driver.value
                ),
                "choose a class of storage with an overlay",
            );
        }
        let told: Vec<(&String, &Spanned<String>)> = (volume.driver_opts.iter())
            .filter(|(name, value)| match kept {
                Kept::Nfs { .. } => match name.as_str() {
                    "type" | "device" => false,
                    "o" => value.value.split(',').any(|flag| !flag.starts_with("addr=") && flag != "rw"),
                    _ => true,
                },
                Kept::Memory(_) => match name.as_str() {
                    "type" | "device" | "size" => false,
                    "o" => value.value.split(',').any(|flag| !flag.starts_with("size=")),
                    _ => true,
                },
                Kept::Node(_) => false,
                Kept::Claim { .. } | Kept::Template => match name.as_str() {
                    "size" => false,
                    "o" => value.value.split(',').any(|flag| !flag.starts_with("size=")),
                    _ => true,
                },
            })
            .collect();
        for (name, value) in told {
            self.warn(
                &value.origin,
                format!("{path}.driver_opts.{name}"),
                format!("a volume of Kubernetes does not say `{name}` as it stands here"),
                "make a volume with these options in the cluster, and name its claim as `external`",
            );
        }
        if let Kept::Node(_) = kept {
            self.node_path(&volume.key.origin, path.to_owned());
        }
    }

    /// Says that a path is one of each node.
    pub(crate) fn node_path(&mut self, origin: &Origin, path: String) {
        self.warn(
            origin,
            path,
            "a path of this machine becomes a path of whatever node the pod runs on",
            "keep data in a named volume, and files that are only read in the project directory or in `configs`",
        );
    }

    fn volume_marks(&mut self, volume: &Volume, path: &str) -> Marks {
        let mut marks = Marks { labels: self.common(), ..Marks::default() };
        self.add_labels(&mut marks, &volume.labels, &format!("{path}.labels"));
        marks
    }

    fn claim_spec(&self, volume: &Volume, shared: bool) -> Value {
        let size = size(volume).map_or_else(|| self.options.volume_size.clone(), bytes);
        json!({
            "accessModes": [if shared { "ReadWriteMany" } else { "ReadWriteOnce" }],
            "resources": { "requests": { "storage": size } },
        })
    }

    /// The claims that each pod of a service gets.
    pub(crate) fn claim_templates(&mut self, service: &'a Service) -> Value {
        let mut templates: Vec<Value> = Vec::new();
        for mount in all_mounts(self.stack, service) {
            let MountSource::Volume { key } = &mount.source else { continue };
            let Some(volume) = self.stack.volumes.get(key) else { continue };
            let name = template_name(key);
            if self.storage.of_key(key) != Some(&Kept::Template)
                || templates.iter().any(|known| known["metadata"]["name"] == json!(name))
            {
                continue;
            }
            let marks = self.volume_marks(volume, &format!("volumes.{key}"));
            let mut metadata = Map::from_iter([("name".to_owned(), json!(name))]);
            put_some(&mut metadata, "labels", Value::Object(marks.labels));
            put_some(&mut metadata, "annotations", Value::Object(marks.annotations));
            templates.push(json!({ "metadata": metadata, "spec": self.claim_spec(volume, false) }));
        }
        Value::Array(templates)
    }
}

/// The name of a claim for each pod, and of the volume in it.
pub(crate) fn template_name(key: &str) -> String {
    name::label(key).unwrap_or_else(|| format!("volume-{}", &name::digest(key.as_bytes())[..8]))
}
