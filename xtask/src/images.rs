//! The base images: kept where present, else pulled, else stood in for by Debian's packages.

mod archive;
pub(crate) mod recipe;
mod registry;
mod stand_in;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::engine::Engine;
use crate::http::{self, Body, Patience};
use crate::say;
use recipe::Recipe;

/// A registry that has not answered by then is taken for one that does not; a
/// download that stands still for as long as the second is given up.
const REGISTRY: Patience = Patience { first: Duration::from_secs(20), between: Duration::from_secs(120) };

/// `cargo xtask images`.
#[derive(Debug, clap::Args)]
pub(crate) struct ImagesArgs {
    /// Show the base images instead of making them.
    #[arg(long)]
    list: bool,
    /// Pull or make every base image anew, also those that are there.
    #[arg(long, conflicts_with = "list")]
    rebuild: bool,
}

/// Makes the images, or lists them.
pub(crate) fn run(root: &Path, arguments: &ImagesArgs) -> Result<()> {
    let engine = crate::engine::ensure()?;
    if !arguments.list {
        ensure(root, &engine, arguments.rebuild)?;
    }
    list(root, &engine)
}

/// Sees to it that every base image is there.
pub(crate) fn ensure(root: &Path, engine: &Engine, rebuild: bool) -> Result<()> {
    let mut missing = Vec::new();
    for recipe in recipe::read_all(root)? {
        if rebuild || inspect(engine, &recipe.image)?.is_none() {
            missing.push(recipe);
        }
    }
    let refused = each(&missing, |recipe| pull(recipe, engine));
    let rest: Vec<_> =
        missing.iter().zip(refused).filter_map(|(recipe, pulled)| Some((recipe, pulled.err()?))).collect();
    if rest.is_empty() {
        return Ok(());
    }
    for (recipe, why) in &rest {
        say(&format!("{}: cannot be pulled: {why:#}", recipe.image));
    }
    let names: Vec<_> = rest.iter().map(|(recipe, _)| recipe.image.as_str()).collect();
    stand_in::prepare().with_context(|| {
        format!(
            "{} can be neither pulled nor stood in for; let the engine reach a registry",
            names.join(", ")
        )
    })?;
    let recipes: Vec<_> = rest.into_iter().map(|(recipe, _)| recipe).collect();
    let made = each(&recipes, |recipe| {
        say(&format!("{}: making a stand-in from Debian's packages", recipe.image));
        let begun = Instant::now();
        let before = inspect(engine, &recipe.image)?;
        stand_in::make(recipe, engine)
            .with_context(|| format!("{}: no stand-in could be made", recipe.image))?;
        if let Some(before) = before {
            forget(&before, engine);
        }
        say(&format!("{}: made in {} s", recipe.image, begun.elapsed().as_secs()));
        Ok(())
    });
    let failed: Vec<String> =
        made.into_iter().filter_map(|made| Some(format!("{:#}", made.err()?))).collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

/// Does the same with all at once; the answers come in the order of the items.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Vec<Result<()>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| work(item))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|_| Err(anyhow!("a thread broke down")))).collect()
    })
}

fn inspect(engine: &Engine, image: &str) -> Result<Option<Value>> {
    engine.get(&format!("/images/{image}/json"))
}

/// Removes a stand-in that has lost its name to a newer one, unless a container still uses it.
fn forget(before: &Value, engine: &Engine) {
    let id = before["Id"].as_str().unwrap_or_default();
    let still = inspect(engine, id).ok().flatten();
    let nameless = |image: &Value| image["RepoTags"].as_array().is_none_or(Vec::is_empty);
    if origin(before) == "stand-in"
        && still.as_ref().is_some_and(nameless)
        && let Err(error) = engine.delete(&format!("/images/{id}"))
    {
        say(&format!("the stand-in made before stays: {error:#}"));
    }
}

fn pull(recipe: &Recipe, engine: &Engine) -> Result<()> {
    let (name, tag) = recipe.name_and_tag();
    say(&format!("{}: pulling", recipe.image));
    let path = format!("/images/create?fromImage={}&tag={}", http::escaped(name), http::escaped(tag));
    let mut downloading = false;
    engine.post(&path, Body::Empty, REGISTRY, &mut |line| {
        if !downloading && line["status"].as_str().is_some_and(|status| status.starts_with("Downloading")) {
            downloading = true;
            say(&format!("{}: downloading", recipe.image));
        }
    })?;
    say(&format!("{}: pulled", recipe.image));
    Ok(())
}

/// Shows what is there.
fn list(root: &Path, engine: &Engine) -> Result<()> {
    let mut table = row("IMAGE", "ID", "SIZE", "ORIGIN");
    for recipe in recipe::read_all(root)? {
        let found = inspect(engine, &recipe.image)?;
        table.push_str(&match &found {
            Some(found) => {
                let id = found["Id"].as_str().unwrap_or_default();
                let id = id.strip_prefix("sha256:").unwrap_or(id).get(..12).unwrap_or(id);
                let size = found["Size"].as_u64().unwrap_or_default();
                row(&recipe.image, id, &format!("{} MB", size / 1_000_000), origin(found))
            }
            None => row(&recipe.image, "-", "-", "missing"),
        });
    }
    say(&table);
    Ok(())
}

fn row(image: &str, id: &str, size: &str, origin: &str) -> String {
    format!("{image:22}  {id:12}  {size:>8}  {origin}\n")
}

/// Where an image comes from, by what the engine knows of it.
fn origin(found: &Value) -> &'static str {
    if found["Config"]["Labels"][stand_in::LABEL] == "true" {
        return "stand-in";
    }
    match found["RepoDigests"].as_array() {
        Some(digests) if !digests.is_empty() => "pulled",
        _ => "made by hand",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_origin_is_told_by_label_and_digest() {
        let stand_in = json!({ "Config": { "Labels": { "stackctl.stand-in": "true" } }, "RepoDigests": [] });
        assert_eq!(origin(&stand_in), "stand-in");
        assert_eq!(
            origin(&json!({ "Config": { "Labels": null }, "RepoDigests": ["redis@sha256:1"] })),
            "pulled"
        );
        assert_eq!(origin(&json!({ "Config": { "Labels": null }, "RepoDigests": null })), "made by hand");
    }

    #[test]
    fn all_are_done_and_answer_in_order() {
        let done = each(&[1, 2, 3], |&item| if item == 2 { bail!("two") } else { Ok(()) });
        assert_eq!(done.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }
}
