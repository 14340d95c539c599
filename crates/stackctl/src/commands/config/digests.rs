//! Images pinned to their digests.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use stack_engine::docker::DockerEngine;
use stack_file::tree::{Entries, Entry, Kind, Node, ScalarKind};

use crate::args::Global;
use crate::error::{Fault, Kind as Whose};
use crate::settings;

/// How many images are asked for at a time.
pub(crate) const AT_A_TIME: usize = 8;

/// Pins the image of every service that names one to the digest that its registry tells.
pub(super) async fn pin(global: &Global, tree: &mut Node) -> anyhow::Result<()> {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (service, image) in images(tree) {
        if image.contains('$') {
            let message = format!("the image of {service} has variables, and no registry knows it so");
            return Err(Fault::new(Whose::Usage, message).hint("leave out --no-interpolate").into());
        }
        named.entry(image.clone()).or_insert_with(|| service.clone());
    }
    if named.is_empty() {
        return Ok(());
    }
    let engine = settings::any_engine(global, false).await?;
    let pinned: BTreeMap<String, String> = stream::iter(&named)
        .map(|(image, service)| pinned(&engine, service, image))
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    for (_, image) in images(tree) {
        if let Some(with_digest) = pinned.get(image) {
            image.clone_from(with_digest);
        }
    }
    Ok(())
}

/// An image of a service as the file names it, and pinned to the digest that its registry tells.
pub(crate) async fn pinned(
    engine: &DockerEngine,
    service: &str,
    image: &str,
) -> anyhow::Result<(String, String)> {
    match engine.pinned(image).await {
        Ok(with_digest) => Ok((image.to_owned(), with_digest)),
        Err(error) => {
            let message = format!("the image of {service} cannot be pinned: {error}");
            let mut fault = Fault::new(Whose::Engine, message);
            if let Some(hint) = error.hint() {
                fault = fault.hint(hint);
            }
            Err(fault.into())
        }
    }
}

/// An override file of the images of a stack alone.
pub(super) fn only_images(mut tree: Node) -> Node {
    let origin = tree.origin.clone();
    let mut kept = Entries::new();
    if let Kind::Mapping(entries) = &mut tree.kind
        && let Some(mut services) = entries.shift_remove("services")
    {
        if let Kind::Mapping(services) = &mut services.node.kind {
            services.retain(|_, Entry { node, .. }| match &mut node.kind {
                Kind::Mapping(attributes) => {
                    attributes.retain(|name, _| name == "image");
                    !attributes.is_empty()
                }
                _ => false,
            });
        }
        kept.insert("services".to_owned(), services);
    }
    Node { kind: Kind::Mapping(kept), origin }
}

/// The images of the services that name one, by service.
pub(crate) fn images(tree: &mut Node) -> impl Iterator<Item = (&String, &mut String)> {
    let services = entries(tree).and_then(|entries| entries.get_mut("services"));
    let services = services.and_then(|entry| entries(&mut entry.node)).into_iter().flatten();
    services.filter_map(|(name, entry)| match &mut entries(&mut entry.node)?.get_mut("image")?.node.kind {
        Kind::Scalar(scalar) if scalar.kind == ScalarKind::String => Some((name, &mut scalar.text)),
        _ => None,
    })
}

fn entries(node: &mut Node) -> Option<&mut Entries> {
    match &mut node.kind {
        Kind::Mapping(entries) => Some(entries),
        _ => None,
    }
}
