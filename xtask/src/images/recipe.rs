//! A recipe: what a stand-in for a base image is made of. One TOML file each, in `docker/images`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What a stand-in is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    /// The name and tag it stands in for.
    pub(crate) image: String,
    /// The release of Debian.
    pub(crate) suite: String,
    /// What is put on top of Debian's smallest base.
    pub(crate) packages: Vec<String>,
    /// Run one after another by a shell inside the new root, after the files are laid.
    #[serde(default)]
    pub(crate) commands: Vec<String>,
    #[serde(default)]
    pub(crate) files: Vec<File>,
    /// Whether this machine's Rust toolchain goes in.
    #[serde(default)]
    pub(crate) toolchain: bool,
    pub(crate) config: Config,
}

/// A file laid into the new root.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) text: String,
}

/// The image's own settings, with the meaning of the Dockerfile's instructions.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) expose: Vec<String>,
    pub(crate) volumes: Vec<String>,
    pub(crate) workdir: Option<String>,
    pub(crate) stop_signal: Option<String>,
}

impl Recipe {
    /// Name and tag, apart.
    pub(crate) fn name_and_tag(&self) -> (&str, &str) {
        self.image.split_once(':').unwrap_or((&self.image, "latest"))
    }
}

/// Reads every recipe, in the order of the file names.
pub(crate) fn read_all(root: &Path) -> Result<Vec<Recipe>> {
    let directory = root.join("docker/images");
    let mut paths = Vec::new();
    for entry in
        std::fs::read_dir(&directory).with_context(|| format!("{} cannot be read", directory.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    ensure!(!paths.is_empty(), "{} holds no recipe", directory.display());
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)?;
            let recipe: Recipe = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
            for file in &recipe.files {
                ensure!(
                    file.path.starts_with('/'),
                    "{}: {} is not an absolute path",
                    path.display(),
                    file.path
                );
            }
            Ok(recipe)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_of_the_house_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let images: Vec<_> =
            read_all(&root).expect("recipes").into_iter().map(|recipe| recipe.image).collect();
        assert_eq!(images, ["nginx:latest", "redis:latest", "rust:1-slim-bookworm"]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = "image = 'x'\nsuite = 's'\npackages = []\npackagez = []\n[config]\n";
        let error = toml::from_str::<Recipe>(text).map(|_| ()).expect_err("a fault").to_string();
        assert!(error.contains("packagez"), "{error}");
    }
}
