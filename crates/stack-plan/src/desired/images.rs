//! Images to be there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sha2::{Digest, Sha256};
use stack_file::model::{Build, Content, FileSource, MountSource, PullPolicy, Service, Stack};
use stack_file::source::Origin;
use stack_file::tree::Node;

use super::{Desired, plain};
use crate::address::Address;
use crate::fields::hex;
use crate::labels;

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
    /// Secrets for the steps of the build, by id: what is in each, or why that is not known.
    pub secrets: BTreeMap<String, Result<Content, String>>,
    /// Where the file asks for it.
    pub origin: Origin,
}

/// The reference of a service's image: as written, or `PROJECT-SERVICE` for one that is only built.
pub(super) fn reference(stack: &Stack, service: &Service) -> String {
    match &service.image {
        Some(image) => image.value.clone(),
        None => format!("{}{}{}", *stack.name, stack.separator, *service.name),
    }
}

/// Each image once: services that build the same thing share one build with several tags,
/// and a service without `build` uses the image that another builds under its name.
pub(super) fn images(project: &str, stack: &Stack) -> Vec<ImageSpec> {
    let mut images: Vec<ImageSpec> = Vec::new();
    // Where the images stand that are not built, by reference and platform.
    let mut unbuilt: HashMap<(String, Option<String>), usize> = HashMap::new();
    for service in stack.services.values().filter(|service| service.provider.is_none()) {
        let reference = reference(stack, service);
        let build = service.build.as_ref().map(|build| settled(&build.value, stack));
        let platform = service.platform.as_ref().map(|platform| platform.value.clone());
        let policy = service.pull_policy.as_ref().map_or(PullPolicy::Missing, |policy| policy.value);
        let same = match &build {
            Some(_) => images.iter().position(|image| {
                image.platform == platform && image.build == build && image.policy == policy
            }),
            None => unbuilt.get(&(reference.clone(), platform.clone())).copied(),
        };
        let image = match same {
            Some(at) => &mut images[at],
            None => {
                if build.is_none() {
                    unbuilt.insert((reference.clone(), platform.clone()), images.len());
                }
                let mut image = image_spec(project, service, &reference, build, platform, policy);
                if image.build.is_some() {
                    let service = stack.service_on_engine(&service.name);
                    let build = service.as_ref().and_then(|service| service.get("build"));
                    image.definition = build.map(definition).unwrap_or_default();
                }
                image.secrets = secrets(stack, service);
                images.push(image);
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
    for service in stack.services.values() {
        for mount in &service.volumes {
            if let MountSource::Image { reference, .. } = &mount.source {
                mounted(&mut built, service, reference, &mount.origin);
            }
        }
    }
    let position = |image: &ImageSpec| stack.services.get_index_of(image.services[0].as_str());
    built.sort_by_key(position);
    in_build_order(built)
}

/// The image of a mount is pulled when it is not there, unless another service makes it.
fn mounted(images: &mut Vec<ImageSpec>, service: &Service, reference: &str, origin: &Origin) {
    let name = service.name.value.clone();
    if let Some(image) = images.iter_mut().find(|image| image.references.iter().any(|own| own == reference)) {
        if !image.services.contains(&name) {
            image.services.push(name);
        }
        return;
    }
    images.push(ImageSpec {
        address: Address::Image(reference.to_owned()),
        references: vec![reference.to_owned()],
        build: None,
        definition: String::new(),
        named: true,
        platform: None,
        policy: PullPolicy::Missing,
        services: vec![name],
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        origin: origin.clone(),
    });
}

/// Of two services that use one image, the one that wants it newer decides.
pub(super) fn more_eager(one: PullPolicy, other: PullPolicy) -> PullPolicy {
    let eagerness = |policy| match policy {
        PullPolicy::Never => (0, Reverse(Duration::ZERO)),
        PullPolicy::Missing => (1, Reverse(Duration::ZERO)),
        PullPolicy::Build => (2, Reverse(Duration::ZERO)),
        PullPolicy::Refresh(after) => (3, Reverse(after)),
        PullPolicy::Always => (4, Reverse(Duration::ZERO)),
    };
    if eagerness(other) > eagerness(one) { other } else { one }
}

pub(super) fn image_spec(
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
        definition: String::new(),
        build,
        platform,
        policy,
        services: vec![name],
        labels,
        secrets: BTreeMap::new(),
        origin,
    }
}

/// What the secrets of a build hold, by the id that its steps know them by.
fn secrets(stack: &Stack, service: &Service) -> BTreeMap<String, Result<Content, String>> {
    let asked = service.build.iter().flat_map(|build| &build.value.secrets);
    let held = asked.map(|secret| {
        let content = match stack.secrets.get(&secret.source).map(|object| &object.source) {
            Some(FileSource::Inline(Some(content))) => Ok(content.clone()),
            Some(FileSource::Inline(None)) => Err("its variable is not set".to_owned()),
            Some(FileSource::File { path, content }) => {
                content.clone().map_err(|why| format!("{} cannot be read: {why}", path.display()))
            }
            Some(FileSource::External) | None => Err("only a cluster keeps it".to_owned()),
        };
        (secret.id.clone(), content)
    });
    held.collect()
}

/// A build whose contexts name no services: the builder knows an image by its reference.
fn settled(build: &Build, stack: &Stack) -> Build {
    let mut build = build.clone();
    for context in build.additional_contexts.values_mut() {
        let named = context.value.strip_prefix("service:").and_then(|name| stack.services.get(name));
        if let Some(service) = named {
            context.value = format!("{IMAGE_SCHEME}{}", reference(stack, service));
        }
    }
    build
}

/// The images, each after those that its build uses as contexts; the rest keep their order.
fn in_build_order(images: Vec<ImageSpec>) -> Vec<ImageSpec> {
    fn visit(at: usize, bases: &[Vec<usize>], seen: &mut [bool], order: &mut Vec<usize>) {
        if std::mem::replace(&mut seen[at], true) {
            return;
        }
        for base in &bases[at] {
            visit(*base, bases, seen, order);
        }
        order.push(at);
    }
    let maker = |name: &str| images.iter().position(|image| image.references.iter().any(|own| own == name));
    let bases: Vec<Vec<usize>> =
        images.iter().map(|image| image.bases().filter_map(maker).collect()).collect();
    let (mut seen, mut order) = (vec![false; images.len()], Vec::new());
    for at in 0..images.len() {
        visit(at, &bases, &mut seen, &mut order);
    }
    let mut images: Vec<Option<ImageSpec>> = images.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| images[at].take()).collect()
}

/// The images of services as other references have them, such as ids: those are neither built nor
/// looked for under the names of the file.
pub(super) fn pin(desired: &mut Desired, pins: &BTreeMap<String, String>) {
    let mut pinned: BTreeMap<&str, ImageSpec> = BTreeMap::new();
    for spec in &mut desired.services {
        let name = spec.name().to_owned();
        let Some(reference) = pins.get(&name) else { continue };
        let image = pinned.entry(reference).or_insert_with(|| ImageSpec {
            address: Address::Image(reference.clone()),
            references: vec![reference.clone()],
            build: None,
            definition: String::new(),
            named: true,
            platform: spec.service.platform.as_ref().map(|platform| platform.value.clone()),
            policy: PullPolicy::Missing,
            services: Vec::new(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            origin: spec.service.name.origin.clone(),
        });
        image.services.push(name);
        spec.image.clone_from(reference);
    }
    for image in &mut desired.images {
        image.services.retain(|service| !pins.contains_key(service));
    }
    desired.images.retain(|image| !image.services.is_empty());
    desired.images.extend(pinned.into_values());
}

impl ImageSpec {
    /// References of the images that its build uses as contexts.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        let contexts = self.build.iter().flat_map(|build| build.additional_contexts.values());
        contexts.filter_map(|context| context.value.strip_prefix(IMAGE_SCHEME))
    }
}

/// What stands before the reference of an image that is a context.
pub const IMAGE_SCHEME: &str = "docker-image://";

/// Arguments of a build may be secret: what it is made of is kept as a digest of the whole.
fn definition(build: &Node) -> String {
    let mut text = String::new();
    for leaf in build.leaves() {
        let value = leaf.scalar.map(|scalar| (scalar.kind, scalar.text.as_str()));
        text.push_str(&format!("{} {value:?}\n", leaf.path));
    }
    hex(&Sha256::digest(text))
}
