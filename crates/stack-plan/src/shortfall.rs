//! What the file asks for and the engine does not do, most often because it is too old.

use std::fmt;

use stack_file::model::MountSource;
use stack_file::source::Origin;
use stack_file::tree::Node;

use crate::address::Address;
use crate::api::Api;
use crate::desired::{NetworkSpec, ServiceSpec};
use crate::plan::Obstacle;

/// An attribute that has no effect on the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortfall {
    /// Whose attribute it is: a service or a network, by name.
    pub subject: String,
    /// The attribute below it: `healthcheck.start_interval`.
    pub attribute: String,
    /// The version from which on an engine knows it; `None` when none does.
    pub needs: Option<Api>,
    /// The version that the engine has.
    pub has: Api,
    /// What happens in its place.
    pub instead: &'static str,
    /// Where the file asks for it.
    pub origin: Origin,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, attribute, needs, has, instead, .. } = self;
        write!(f, "{attribute} of {subject} ")?;
        match needs {
            Some(needs) => write!(f, "needs an engine with API {needs}, and this one has {has}: {instead}"),
            None => write!(f, "has no effect: {instead}"),
        }
    }
}

/// What a container of the service goes without on an engine of this version.
pub(crate) fn of_service(spec: &ServiceSpec, api: Api) -> Vec<Shortfall> {
    let mut found = Found { subject: spec.name().to_owned(), api, found: Vec::new() };
    let tree = &spec.tree;
    found.look(tree, "annotations", Api(1, 43), "the container has none");
    found.look(tree, "healthcheck.start_interval", Api(1, 44), "the probes keep to `interval`");
    let first = spec.networks.first().map(|joined| joined.key.as_str());
    for key in spec.networks.iter().map(|joined| joined.key.as_str()) {
        let Some(node) = tree.get("networks").and_then(|networks| networks.get(key)) else { continue };
        let below = format!("networks.{key}.");
        if first != Some(key) {
            found.look_below(node, &below, "mac_address", Api(1, 44), "the engine chooses the address");
        }
        found.look_below(node, &below, "gw_priority", Api(1, 48), "the engine chooses the way out");
        found.look_below(node, &below, "interface_name", Api(1, 49), "the engine names the interface");
    }
    let mounts = tree.get("volumes").and_then(Node::as_sequence).unwrap_or_default();
    for (index, node) in mounts.iter().enumerate() {
        let below = format!("volumes[{index}].");
        found.look_below(node, &below, "volume.subpath", Api(1, 45), "the whole volume is mounted");
    }
    if let (Some(address), Some(mode)) = (&spec.service.mac_address, &spec.service.network_mode)
        && (matches!(mode.as_str(), "host" | "none" | "disabled") || mode.contains(':'))
    {
        found.never("mac_address".to_owned(), &address.origin, "the container has no network of its own");
    }
    for mount in &spec.service.volumes {
        let MountSource::Bind { create, selinux, recursive, .. } = &mount.source else { continue };
        if recursive.as_deref() == Some("readonly") {
            let attribute = format!("bind.recursive at {}", mount.target);
            found.tell(attribute, &mount.origin, Api(1, 44), "mounts below stay writable");
        }
        if selinux.is_some() && (!create || recursive.is_some()) {
            let attribute = format!("bind.selinux at {}", mount.target);
            found.never(attribute, &mount.origin, "an engine relabels only what it may make, and as a whole");
        }
    }
    found.found
}

/// What a container of the service cannot go without, and an engine of this version does not do.
pub(crate) fn in_the_way_of(spec: &ServiceSpec, address: &Address, api: Api) -> Vec<Obstacle> {
    if api >= Api::IMAGE_MOUNTS {
        return Vec::new();
    }
    let images = spec.service.volumes.iter().filter_map(|mount| match &mount.source {
        MountSource::Image { reference, .. } => Some((reference, &mount.origin)),
        _ => None,
    });
    let obstacle = |(reference, origin): (&String, &Origin)| Obstacle {
        address: address.clone(),
        what: format!(
            "{address}: a mount of type image needs an engine with API {}, and this one has {api}",
            Api::IMAGE_MOUNTS
        ),
        next: format!("copy the files in the image that uses them: COPY --from={reference}"),
        origin: origin.clone(),
    };
    images.map(obstacle).collect()
}

/// What a network goes without on an engine of this version.
pub(crate) fn of_network(spec: &NetworkSpec, api: Api) -> Vec<Shortfall> {
    let Address::Network(key) = &spec.address else { return Vec::new() };
    let mut found = Found { subject: format!("the network {key}"), api, found: Vec::new() };
    if let Some(enable) = spec.network.enable_ipv4.as_ref().filter(|enable| !enable.value) {
        found.tell("enable_ipv4".to_owned(), &enable.origin, Api(1, 48), "it has IPv4 all the same");
    }
    found.found
}

struct Found {
    subject: String,
    api: Api,
    found: Vec<Shortfall>,
}

impl Found {
    /// Looks for an attribute by its path below `node`.
    fn look(&mut self, node: &Node, path: &str, needs: Api, instead: &'static str) {
        self.look_below(node, "", path, needs, instead);
    }

    fn look_below(&mut self, node: &Node, above: &str, path: &str, needs: Api, instead: &'static str) {
        let found = path.split('.').try_fold(node, |node, key| node.get(key));
        if let Some(node) = found {
            self.tell(format!("{above}{path}"), &node.origin, needs, instead);
        }
    }

    fn tell(&mut self, attribute: String, origin: &Origin, needs: Api, instead: &'static str) {
        if self.api < needs {
            self.push(attribute, Some(needs), origin, instead);
        }
    }

    /// Tells of what no engine does.
    fn never(&mut self, attribute: String, origin: &Origin, instead: &'static str) {
        self.push(attribute, None, origin, instead);
    }

    fn push(&mut self, attribute: String, needs: Option<Api>, origin: &Origin, instead: &'static str) {
        let (subject, has) = (self.subject.clone(), self.api);
        self.found.push(Shortfall { subject, attribute, needs, has, instead, origin: origin.clone() });
    }
}
