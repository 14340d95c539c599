//! Brings changed files into a container, for `watch`.

use std::collections::BTreeSet;
use std::time::Duration;

use bollard::query_parameters::{ListImagesOptionsBuilder, PruneImagesOptionsBuilder};
use futures_util::{StreamExt, stream};
use stack_file::model::Hook;
use stack_plan::labels;

use crate::develop::Delivery;
use crate::docker::archive::FileKind;
use crate::docker::exec::ExecSpec;
use crate::docker::{DockerEngine, answered, hook};
use crate::engine::EngineError;

/// How many bytes of paths one command is given at most; systems take more.
const ARGUMENTS: usize = 64 * 1024;
/// How long the engine may take to forget the images that nothing names any more.
const PRUNING: Duration = Duration::from_secs(60);

impl DockerEngine {
    /// Writes and removes files below `base` in a container. What is written belongs to the
    /// container's user. `runs` says whether a command can run in it: without one nothing is removed.
    ///
    /// # Errors
    /// When the engine refuses, a file cannot be read, or the container has no `rm`.
    pub async fn deliver(
        &self,
        container: &str,
        base: &str,
        delivery: &Delivery,
        runs: bool,
    ) -> Result<(), EngineError> {
        if runs {
            for paths in portions(delivery.removed().iter().map(String::as_str)) {
                self.remove(container, &["rm", "-f", "--"], &paths, true).await?;
            }
            // What a rule leaves out may stand in a directory that is gone here: it stays, and so does
            // the directory.
            for paths in portions(delivery.emptied().into_iter()) {
                self.remove(container, &["rmdir", "--"], &paths, false).await?;
            }
        }
        if delivery.written().is_empty() {
            return Ok(());
        }
        // The root of a container may be read-only where a mount below it is not.
        let there = self.stat(container, base).await?;
        let there = there.is_some_and(|stat| matches!(stat.kind, FileKind::Directory | FileKind::Link(_)));
        let directory = if there { base } else { "/" };
        let pieces = delivery.pack(directory);
        let pieces = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
        self.write_archive(container, directory, true, pieces.boxed()).await
    }

    /// Removes paths in a container, as root: a file may belong to anybody.
    async fn remove(
        &self,
        container: &str,
        words: &[&str],
        paths: &[&str],
        strict: bool,
    ) -> Result<(), EngineError> {
        let command: Vec<String> = words.iter().chain(paths).map(|word| (*word).to_owned()).collect();
        let spec = ExecSpec { command, user: Some("0".to_owned()), output: true, ..ExecSpec::default() };
        let id = self.create_exec(container, &spec).await?;
        let mut session = self.start_exec(&id, &spec).await?;
        let mut said = Vec::new();
        while let Some(part) = session.output.next().await {
            said.extend_from_slice(&part?.bytes);
        }
        match self.exec_ended(&id).await? {
            0 => Ok(()),
            _ if !strict => Ok(()),
            code => {
                let said = String::from_utf8_lossy(&said);
                let said = said.lines().next().unwrap_or("no reason is told").trim();
                Err(EngineError::Unsupported(format!(
                    "files cannot be removed in the container: rm ended with exit code {code}: {said}"
                )))
            }
        }
    }

    /// Runs the command of a rule in a container to its end, and tells each line that it writes;
    /// returns its exit code.
    ///
    /// # Errors
    /// When the container does not run, or the engine refuses.
    pub async fn run_command(
        &self,
        container: &str,
        command: &Hook,
        tell: &dyn Fn(&str),
    ) -> Result<i64, EngineError> {
        hook::exec(self, container, command, tell).await.map_err(answered)
    }

    /// Removes the images of a project that no tag names any more and no container uses, and tells
    /// how many there were.
    ///
    /// # Errors
    /// When the engine refuses, or takes too long.
    pub async fn prune_images(&self, project: &str) -> Result<usize, EngineError> {
        let label = format!("{}={project}", labels::PROJECT);
        let filters =
            std::collections::HashMap::from([("dangling", vec!["true".to_owned()]), ("label", vec![label])]);
        // What is pruned is told by image and by layer alike: only a list says which are images.
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let unnamed = self.docker.list_images(Some(options)).await.map_err(answered)?;
        let options = PruneImagesOptionsBuilder::new().filters(&filters).build();
        let pruned = tokio::time::timeout(PRUNING, self.docker.prune_images(Some(options))).await;
        let pruned = pruned.map_err(|_| EngineError::Lost("no answer in time".to_owned()))?;
        let deleted = pruned.map_err(answered)?.images_deleted.unwrap_or_default();
        let gone: BTreeSet<&str> = deleted.iter().filter_map(|item| item.deleted.as_deref()).collect();
        Ok(unnamed.iter().filter(|image| gone.contains(image.id.as_str())).count())
    }
}

/// Paths in portions that a command line takes.
fn portions<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut portions: Vec<Vec<&str>> = Vec::new();
    let mut room = 0;
    for path in paths {
        let takes = path.len() + 1;
        match portions.last_mut().filter(|_| takes <= room) {
            Some(portion) => portion.push(path),
            None => {
                portions.push(vec![path]);
                room = ARGUMENTS;
            }
        }
        room = room.saturating_sub(takes);
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_in_portions_that_fit() {
        let long = "x".repeat(ARGUMENTS - 10);
        let all = ["a", long.as_str(), "b", "c", "d", "e", "f"];
        let portions = portions(all.into_iter());
        assert_eq!(portions.concat(), all);
        assert!(portions.len() > 1);
        assert!(
            portions
                .iter()
                .all(|portion| portion.iter().map(|path| path.len() + 1).sum::<usize>() <= ARGUMENTS)
        );
    }
}
