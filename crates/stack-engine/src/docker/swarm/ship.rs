//! Images for other nodes, over the connections of their own engines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::query_parameters::ImportImageOptions;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use stack_plan::swarm::SwarmImage;
use tokio::time::MissedTickBehavior;

use crate::docker::{DockerEngine, answered, is_not_found};
use crate::engine::EngineError;
use crate::event::Progress;
use crate::image::pull::PullProgress;

/// How often it is said how much has gone over.
const PACE: Duration = Duration::from_millis(250);

impl DockerEngine {
    /// Makes the engines of other nodes known, by the id of the node. What was said first holds.
    pub fn know_nodes(&self, nodes: BTreeMap<String, DockerEngine>) {
        self.nodes.get_or_init(|| nodes);
    }

    /// Whether the engines of other nodes were made known, be there any or not.
    #[must_use]
    pub fn knows_nodes(&self) -> bool {
        self.nodes.get().is_some()
    }

    /// The id of the engine in its swarm; empty outside of one.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn node_id(&self) -> Result<String, EngineError> {
        let swarm = self.docker.info().await.map_err(answered)?.swarm;
        Ok(swarm.and_then(|swarm| swarm.node_id).unwrap_or_default())
    }
}

/// Which images that no registry has the other nodes have, as far as there is a way to them.
pub(super) async fn ways(
    engine: &DockerEngine,
    images: &BTreeMap<String, SwarmImage>,
) -> Result<BTreeMap<String, BTreeSet<String>>, EngineError> {
    let Some(nodes) = engine.nodes.get() else { return Ok(BTreeMap::new()) };
    let ids: BTreeSet<&String> =
        images.values().filter(|image| image.digest.is_none()).map(|image| &image.id).collect();
    let looks = nodes.iter().map(async |(node, other)| {
        let answers = join_all(ids.iter().map(|id| other.docker.inspect_image(id))).await;
        let mut there = BTreeSet::new();
        for (id, answer) in ids.iter().zip(answers) {
            match answer {
                Ok(_) => {
                    there.insert((*id).clone());
                }
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(answered(error)),
            }
        }
        Ok((node.clone(), there))
    });
    join_all(looks).await.into_iter().collect()
}

/// Brings an image to a node: what one engine writes the other reads, and nothing is kept between.
pub(super) async fn ship(
    engine: &DockerEngine,
    (reference, id): (&str, &str),
    (node, name): (&str, &str),
    report: &dyn Fn(Progress),
) -> Result<(), EngineError> {
    let other = engine.nodes.get().and_then(|nodes| nodes.get(node)).ok_or_else(|| {
        EngineError::Unsupported(format!("no way is known to the engine of the node {name}"))
    })?;
    let whole = engine.docker.inspect_image(id).await.map_err(answered)?.size;
    let total = whole.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    let gone = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&gone);
    let docker = engine.docker.clone();
    let name_of_image = reference.to_owned();
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    // The answer of one engine is the question of the other, as fast as the slower of both.
    let read = async move {
        let mut archive = docker.export_image(&name_of_image).boxed();
        while let Some(piece) = archive.next().await {
            let failed = piece.is_err();
            if sender.send(piece).await.is_err() || failed {
                break;
            }
        }
    };
    let pieces = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let pieces = pieces.inspect_ok(move |piece: &Bytes| {
        counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
    });
    let mut answers = other.docker.import_image_stream(ImportImageOptions::default(), pieces, None).boxed();
    let write = async move {
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(answered)?;
            if let Some(error) = answer.error_detail.and_then(|error| error.message) {
                return Err(EngineError::Unsupported(format!("the node {name} cannot load it: {error}")));
            }
        }
        Ok(())
    };
    let tell = || {
        let current = gone.load(Ordering::Relaxed);
        report(Progress::Pull(PullProgress {
            layers_done: 0,
            layers: 0,
            current,
            total: total.max(current),
        }));
    };
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let both = async { tokio::join!(read, write).1 };
    tokio::pin!(both);
    loop {
        tokio::select! {
            done = &mut both => {
                done?;
                break;
            }
            _ = ticks.tick() => tell(),
        }
    }
    // An engine that stops reading in the middle says nothing of it.
    match other.docker.inspect_image(id).await {
        Ok(_) => Ok(()),
        Err(error) if is_not_found(&error) => {
            Err(EngineError::Unsupported(format!("the node {name} does not have it after all was sent")))
        }
        Err(error) => Err(answered(error)),
    }
}
