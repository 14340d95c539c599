//! How the layers of an image go to a registry, or come from one.

use std::collections::HashMap;

use crate::image::pull::PullProgress;

/// The layers of one image, by id.
#[derive(Default)]
pub(super) struct Layers(HashMap<String, Layer>);

#[derive(Default)]
struct Layer {
    current: u64,
    total: u64,
    done: bool,
}

impl Layers {
    /// Notes what the engine says of a layer, and returns the sums; `None` when it says nothing new.
    pub(super) fn note(
        &mut self,
        id: String,
        status: &str,
        current: Option<i64>,
        total: Option<i64>,
    ) -> Option<PullProgress> {
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let is_place = status.starts_with("Mounted from");
        match status {
            "Pulling fs layer" | "Waiting" | "Verifying Checksum" | "Download complete" | "Extracting"
            | "Preparing" => {
                self.0.entry(id).or_default();
            }
            "Downloading" | "Pushing" => {
                let layer = self.0.entry(id).or_default();
                layer.current = bytes(current).unwrap_or(layer.current);
                layer.total = bytes(total).unwrap_or(layer.total).max(layer.current);
            }
            "Pull complete" | "Already exists" | "Pushed" | "Layer already exists" => self.done(id),
            _ if is_place => self.done(id),
            _ => return None,
        }
        Some(PullProgress {
            layers_done: self.0.values().filter(|layer| layer.done).count(),
            layers: self.0.len(),
            current: self.0.values().map(|layer| layer.current).sum(),
            total: self.0.values().map(|layer| layer.total).sum(),
        })
    }

    fn done(&mut self, id: String) {
        let layer = self.0.entry(id).or_default();
        layer.current = layer.total;
        layer.done = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_are_summed_up() {
        let mut layers = Layers::default();
        let mut note = |id: &str, status: &str, current, total| {
            let sums = layers.note(id.to_owned(), status, current, total)?;
            Some((sums.layers_done, sums.layers, sums.current, sums.total))
        };
        assert_eq!(note("a", "Preparing", None, None), Some((0, 1, 0, 0)));
        assert_eq!(note("b", "Layer already exists", None, None), Some((1, 2, 0, 0)));
        assert_eq!(note("a", "Pushing", Some(5), Some(9)), Some((1, 2, 5, 9)));
        // The engine's estimate of the size may be too small.
        assert_eq!(note("a", "Pushing", Some(12), Some(9)), Some((1, 2, 12, 12)));
        assert_eq!(note("a", "Pushed", None, None), Some((2, 2, 12, 12)));
        assert_eq!(note("1", "digest: sha256:ab size: 5", None, None), None);
    }
}
