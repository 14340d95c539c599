//! `stackctl install-plugin`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::render;
use crate::render::words;

/// The name under which docker finds the plugin of `docker compose`.
const PLUGIN: &str = "docker-compose";

/// Where a plugin that was there before is kept. Docker takes no file of this name for a plugin.
const KEPT: &str = "compose-before-stackctl";

/// What `install-plugin` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl install-plugin && docker compose version")]
pub(crate) struct InstallPluginArgs {
    /// Put it in place of a plugin that is there, which is kept beside it
    #[arg(long, conflicts_with = "remove")]
    force: bool,
    /// Undo it: remove the link, and put back what was there before
    #[arg(long)]
    remove: bool,
    /// Folder of plugins [default: `cli-plugins` in the folder of docker's configuration]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, args: &InstallPluginArgs) -> anyhow::Result<ExitCode> {
    let directory = match &args.directory {
        Some(directory) => directory.clone(),
        None => configuration(global)?.join("cli-plugins"),
    };
    let place = Place { link: directory.join(PLUGIN), kept: directory.join(KEPT) };
    let program = std::env::current_exe().context("stackctl does not know where it stands")?;
    let text = if args.remove {
        place.clear(&program)?
    } else {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
        place.fill(&program, args.force)?
    };
    render::line(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn configuration(global: &Global) -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = global.docker_config.clone().or_else(|| variable("DOCKER_CONFIG"));
    named.or_else(|| Some(variable("HOME")?.join(".docker"))).ok_or_else(|| {
        Fault::new(Kind::Usage, "there is no home directory to put the plugin in")
            .hint("name the folder with --directory")
            .into()
    })
}

/// Where the plugin goes.
struct Place {
    link: PathBuf,
    kept: PathBuf,
}

impl Place {
    /// Makes the link. What is there goes aside, if it may.
    fn fill(&self, program: &Path, force: bool) -> anyhow::Result<String> {
        let link = self.link.display();
        let undo = format!(
            "undo it with: {} install-plugin --remove",
            words::shell_word(&program.to_string_lossy())
        );
        if self.is_ours(program) {
            return Ok(format!("docker compose runs stackctl already, by {link}; {undo}"));
        }
        let taken = self.link.symlink_metadata().is_ok();
        if taken && !force {
            return Err(Fault::new(Kind::Consent, format!("{link} is there already; nothing was done"))
                .hint(
                    "put stackctl in its place with: stackctl install-plugin --force (it is kept beside it)",
                )
                .into());
        }
        if taken {
            if self.kept.symlink_metadata().is_ok() {
                return Err(Fault::new(
                    Kind::Consent,
                    format!("{} holds what was replaced before; nothing was done", self.kept.display()),
                )
                .hint("remove it, or move it away, and try again")
                .into());
            }
            std::fs::rename(&self.link, &self.kept).with_context(|| format!("{link} cannot be moved"))?;
        }
        std::os::unix::fs::symlink(program, &self.link).with_context(|| format!("{link} cannot be made"))?;
        let kept = if taken {
            format!(", and what it was before is {}", self.kept.display())
        } else {
            String::new()
        };
        Ok(format!("docker compose runs stackctl now, by {link}{kept}; {undo}"))
    }

    /// Removes the link, if it is ours, and puts back what was there before.
    fn clear(&self, program: &Path) -> anyhow::Result<String> {
        let link = self.link.display();
        if !self.is_ours(program) {
            return Err(Fault::new(
                Kind::Usage,
                format!("{link} does not lead to this stackctl; nothing was done"),
            )
            .into());
        }
        std::fs::remove_file(&self.link).with_context(|| format!("{link} cannot be removed"))?;
        if self.kept.symlink_metadata().is_ok() {
            std::fs::rename(&self.kept, &self.link).with_context(|| format!("{link} cannot be put back"))?;
            return Ok(format!("{link} is what it was before"));
        }
        Ok(format!("{link} is removed"))
    }

    fn is_ours(&self, program: &Path) -> bool {
        let leads = self.link.canonicalize().ok();
        leads.is_some() && leads == program.canonicalize().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_without_consent_and_all_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("stackctl");
        std::fs::write(&program, "ours").expect("written");
        let place = Place { link: folder.path().join(PLUGIN), kept: folder.path().join(KEPT) };
        std::fs::write(&place.link, "theirs").expect("written");

        assert!(place.fill(&program, false).is_err());
        assert_eq!(std::fs::read_to_string(&place.link).expect("there"), "theirs");
        assert!(place.clear(&program).is_err(), "what is not ours is not removed");

        place.fill(&program, true).expect("in its place");
        assert_eq!(std::fs::read_to_string(&place.link).expect("there"), "ours");
        assert!(place.fill(&program, false).expect("already").contains("already"));
        place.clear(&program).expect("undone");
        assert_eq!(std::fs::read_to_string(&place.link).expect("there"), "theirs");
    }
}
