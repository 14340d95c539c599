//! What is wanted: the stack as single resources, replicas unrolled.

mod files;
mod images;
mod networks;
mod provided;
mod services;
mod socket;
mod volumes;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use stack_file::model::{DependencyCondition, PullPolicy, Service, Stack};
use stack_file::source::Spanned;
use stack_file::tree::Node;

use crate::labels;

use self::images::images;
use self::networks::network_spec;
use self::services::{in_start_order, service_spec};
use self::volumes::volume_spec;

pub use self::files::{FileContent, FileSpec, SOCKET};
pub use self::images::{IMAGE_SCHEME, ImageSpec};
pub use self::networks::{Joined, NetworkSpec};
pub use self::provided::{ENDPOINT, ModelSpec, Provided, prefix};
pub use self::services::{Hooks, Lender, ProviderSpec, ServiceSpec};
pub use self::volumes::VolumeSpec;

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
    /// AI models that services use, as far as it is not known yet where they are.
    pub models: Vec<Arc<ModelSpec>>,
    /// Services that the file has and no active profile enables.
    pub disabled: Vec<String>,
}

impl Desired {
    /// Unrolls a stack into its resources. `scale` overrides the number of containers by service.
    #[must_use]
    pub fn of(stack: &Stack, scale: &BTreeMap<String, u32>) -> Self {
        let written = stack;
        let stack = &*socket::expand(written);
        let project = stack.name.value.as_str();
        let config_files = joined(&stack.files);
        let networks = stack.networks.values().map(|network| network_spec(stack, network)).collect();
        let volumes = stack.volumes.values().map(|volume| volume_spec(stack, volume)).collect();
        let common = labels::of_project(project, &stack.directory, &config_files, &joined(&stack.env_files));
        let services = side_by_side(&in_start_order(&stack.services), |service| {
            let scale = scale.get(service.name.as_str()).copied();
            service_spec(stack, service, written.service_on_engine(&service.name), &common, scale)
        });
        let images = images(project, stack);
        Self {
            project: project.to_owned(),
            config_files,
            networks,
            volumes,
            images,
            services,
            models: provided::models(stack),
            disabled: stack.disabled.clone(),
        }
    }

    /// As [`Desired::of`], with the variables that providers have set in the services that
    /// depend on them.
    #[must_use]
    pub fn with_provided(stack: &Stack, scale: &BTreeMap<String, u32>, provided: &Provided) -> Self {
        let mut desired = Self::of(&provided::with(stack, provided), scale);
        desired.models.retain(|spec| !provided.has(&spec.address.to_string()));
        desired
    }

    /// The same with the images of some services under other references, such as ids. What is
    /// recorded of these services stays what their file says.
    #[must_use]
    pub fn pinned(mut self, pins: &BTreeMap<String, String>) -> Self {
        images::pin(&mut self, pins);
        self
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

    /// The image references whose age tells whether they are pulled again.
    #[must_use]
    pub fn aging(&self) -> Vec<String> {
        let aging = self.images.iter().filter(|image| matches!(image.policy, PullPolicy::Refresh(_)));
        aging.flat_map(|image| image.references.iter().cloned()).collect()
    }

    /// Every image reference that the services use.
    #[must_use]
    pub fn references(&self) -> Vec<String> {
        self.images.iter().flat_map(|image| image.references.iter().cloned()).collect()
    }
}

/// Services whose specs are worth a thread of their own.
const FOR_A_THREAD: usize = 64;

/// What `make` makes of each service, in their order, on as many threads as are worth it.
fn side_by_side<T: Send>(services: &[&Service], make: impl Fn(&Service) -> T + Sync) -> Vec<T> {
    let most = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = services.len().div_ceil(FOR_A_THREAD).min(most);
    if threads < 2 {
        return services.iter().map(|service| make(service)).collect();
    }
    let make = &make;
    std::thread::scope(|scope| {
        let parts = services.chunks(services.len().div_ceil(threads));
        let running: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(|service| make(service)).collect::<Vec<_>>()))
            .collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn joined(paths: &[impl AsRef<Path>]) -> String {
    paths.iter().map(|path| path.as_ref().to_string_lossy()).collect::<Vec<_>>().join(",")
}

/// A resource as it stands in the tree of the stack, which is nearer to the file than its own.
fn written<'a>(stack: &'a Stack, kind: &str, key: &str, own: &'a Node) -> &'a Node {
    stack.tree.get(kind).and_then(|all| all.get(key)).unwrap_or(own)
}

fn plain(labels: &IndexMap<String, Spanned<String>>) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
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
