//! Images that no registry has: brought to the nodes that may get tasks of theirs.

use std::sync::Arc;

use stack_file::model::PullPolicy;

use super::Planner;
use super::desired::SwarmService;
use super::fit::unmet;
use super::observed::ObservedNode;
use crate::address::Address;
use crate::desired::ImageSpec;
use crate::plan::{Action, Cause, Change, Obstacle, StepId};

impl<'a> Planner<'a> {
    /// Pushes an image that is built here to the registry that its name tells, if other nodes may
    /// need it: under each of its names that the registry does not have yet, or that is built anew.
    pub(super) fn push(&mut self, image: &'a ImageSpec, built: Option<StepId>) {
        if image.build.is_none() || image.policy == PullPolicy::Never || !self.observed.has_other_nodes() {
            return;
        }
        for name in image.references.iter().filter(|name| names_a_registry(name)) {
            let known = self.observed.images.get(name);
            if built.is_none() && known.is_none_or(|image| image.digest.is_some()) {
                continue;
            }
            let address = Address::Image(name.clone());
            let spec = ImageSpec {
                address: address.clone(),
                references: vec![name.clone()],
                build: None,
                ..image.clone()
            };
            let step =
                self.draft.add(&address, Action::Push(Arc::new(spec)), Change::Push, &Cause::Missing, built);
            self.images.insert(name, step);
            self.pushed.insert(name);
        }
    }

    /// The steps that bring the image of a service to the other nodes that do not have it. A node to
    /// which there is no way is in the way of it all.
    pub(super) fn shipments(&mut self, spec: &SwarmService) -> Vec<StepId> {
        let observed = self.observed;
        let never = spec.service.pull_policy.as_ref().is_some_and(|policy| policy.value == PullPolicy::Never);
        let Some(image) = observed.images.get(&spec.reference) else { return Vec::new() };
        // Who says that nothing is pulled has seen to it that the nodes have the image.
        if image.digest.is_some() || never || self.pushed.contains(spec.reference.as_str()) {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let mut unknown = Vec::new();
        let may_run = |node: &&ObservedNode| node.takes_tasks() && unmet(spec, node).is_none();
        for node in observed.nodes.iter().filter(|node| node.id != observed.here).filter(may_run) {
            match observed.ways.get(&node.id) {
                None => unknown.push(observed.call(node)),
                Some(there) if there.contains(&image.id) => {}
                Some(_) => steps.push(self.ship(spec, &image.id, node)),
            }
        }
        if !unknown.is_empty() {
            let written = spec.service.image.as_ref().map(|image| &image.origin);
            let build = spec.service.build.as_ref().map(|build| &build.origin);
            self.in_the_way(Obstacle {
                address: Address::Image(spec.reference.clone()),
                what: format!(
                    "no registry has the image {}, and no way is known to {}, where tasks may land",
                    spec.reference,
                    unknown.join(", ")
                ),
                next: format!(
                    "say where the engine of the node is: x-stackctl: {{nodes: {{{}: \"ssh://…\"}}}}, or make a docker \
                     context of that name; or push the image to a registry and name it so in `image`; or, where \
                     every node has it already, say pull_policy: never",
                    unknown[0]
                ),
                origin: written.or(build).unwrap_or(spec.origin()).clone(),
            });
        }
        steps
    }

    fn ship(&mut self, spec: &SwarmService, id: &str, node: &ObservedNode) -> StepId {
        let key = (spec.reference.clone(), node.id.clone());
        if let Some(known) = self.shipped.get(&key) {
            return *known;
        }
        let action = Action::Ship {
            reference: spec.reference.clone(),
            image: id.to_owned(),
            node: node.id.clone(),
            name: self.observed.call(node).to_owned(),
        };
        let address = Address::Image(spec.reference.clone());
        let step = self.draft.add(&address, action, Change::Ship, &Cause::Missing, []);
        self.shipped.insert(key, step);
        step
    }
}

/// Whether the name of an image begins with a registry that other machines reach, too. Without one
/// it would be docker.io's, to which nobody wants to push by accident.
fn names_a_registry(reference: &str) -> bool {
    let Some((host, _)) = reference.split_once('/') else { return false };
    let here = host == "localhost" || host.starts_with("localhost:") || host.starts_with("127.");
    host.contains(['.', ':']) && !here && !host.starts_with("[::1]")
}

#[cfg(test)]
mod tests {
    use super::names_a_registry;

    #[test]
    fn a_registry_is_one_that_others_reach() {
        for name in ["registry.example.com/shop:1", "10.0.0.1:5000/shop", "hub:5000/team/shop"] {
            assert!(names_a_registry(name), "{name}");
        }
        for name in
            ["shop", "shop:1", "team/shop:1", "localhost/shop", "localhost:5000/shop", "127.0.0.1:5000/shop"]
        {
            assert!(!names_a_registry(name), "{name}");
        }
    }
}
