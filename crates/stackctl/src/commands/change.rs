//! What `up`, `plan` and all that brings a stack nearer to its file take alike.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use stack_file::model::PullPolicy;
use stack_plan::containers::{BuildPolicy, Policy, Recreate};

use crate::args::Global;
use crate::commands::swarm;
use crate::error::{Fault, Kind};
use crate::settings::{self, Project};
use crate::{grace, lock_file};

/// Whether images are those of a lock.
#[derive(Debug, clap::Args)]
pub(crate) struct LockedArgs {
    /// Only the images that `stack.lock`, or this file, has the digests of: see `stackctl lock`
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    locked: Option<Option<PathBuf>>,
}

impl LockedArgs {
    /// The project with its images as the lock has them where that is asked for.
    pub(crate) fn obeyed_by(&self, project: Project) -> anyhow::Result<Project> {
        match &self.locked {
            Some(path) => lock_file::obey(project, path.as_deref()),
            None => Ok(project),
        }
    }

    /// The same as it is typed.
    fn word(&self) -> Option<String> {
        self.locked.as_ref().map(|path| match path {
            None => "--locked".to_owned(),
            Some(path) => format!("--locked={}", path.display()),
        })
    }
}

/// What is to be changed, and how far.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Only these services and what they need
    pub(crate) services: Vec<String>,
    /// Build images even if they are there
    #[arg(long, conflicts_with = "no_build")]
    build: bool,
    /// Never build
    #[arg(long)]
    no_build: bool,
    /// When images are pulled, in place of the file's `pull_policy`
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, hide_default_value = true)]
    pull: Pull,
    #[command(flatten)]
    locked: LockedArgs,
    /// Replace containers even if nothing has changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Replace the containers that the named services need, too, even if nothing has changed
    #[arg(long, conflicts_with = "no_recreate")]
    always_recreate_deps: bool,
    /// Never replace a container
    #[arg(long)]
    no_recreate: bool,
    /// Run jobs again that have ended well
    #[arg(long)]
    rerun: bool,
    /// Leave out what the named services need
    #[arg(long)]
    no_deps: bool,
    /// Make containers without starting them
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Remove containers of services that the file does not have
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", value_parser = clap::builder::FalseyValueParser::new())]
    remove_orphans: bool,
    /// Say nothing of containers of services that the file does not have
    #[arg(long, hide = true, env = "COMPOSE_IGNORE_ORPHANS", value_parser = clap::builder::FalseyValueParser::new())]
    ignore_orphans: bool,
    /// How many containers of a service, in place of the file's number
    #[arg(long, value_name = "SERVICE=NUMBER")]
    scale: Vec<String>,
    /// Seconds a container may take to stop before it is killed; -1 waits without end
    #[arg(short, long, value_name = "SECONDS", value_parser = grace::seconds, allow_negative_numbers = true)]
    timeout: Option<Duration>,
    /// Replace running containers one after the other, the new one first where ports and volumes
    /// allow; what is not healthy is taken back. Services with `deploy.update_config` do as it says
    #[arg(long, conflicts_with_all = ["no_recreate", "no_start"])]
    rolling: bool,
    /// Make new anonymous volumes instead of keeping those of replaced containers
    #[arg(short = 'V', long)]
    renew_anon_volumes: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Pull {
    /// As the file says
    #[default]
    Policy,
    /// Every time
    Always,
    /// When they are not there
    Missing,
    /// Never
    Never,
    /// Never, but build what can be built
    Build,
}

/// The service and the number in `web=3`.
pub(crate) fn number_of(text: &str) -> Option<(String, u32)> {
    let (service, number) = text.split_once('=').filter(|(service, _)| !service.is_empty())?;
    Some((service.to_owned(), number.parse().ok()?))
}

impl ChangeArgs {
    /// The numbers of containers by service.
    pub(crate) fn scale(&self) -> anyhow::Result<BTreeMap<String, u32>> {
        self.scale
            .iter()
            .map(|text| {
                number_of(text).ok_or_else(|| {
                    Fault::new(Kind::Usage, format!("--scale {text} names no service and number"))
                        .hint("write --scale web=3")
                        .into()
                })
            })
            .collect()
    }

    /// The stack that is to be brought nearer to its file, with its images as the lock has them
    /// where that is asked for.
    pub(crate) fn project(&self, global: &Global) -> anyhow::Result<Project> {
        self.locked.obeyed_by(settings::to_act(global, &self.scale()?)?)
    }

    /// Refuses what means nothing to services of a swarm.
    pub(crate) fn refuse_on_swarm(&self) -> anyhow::Result<()> {
        swarm::refuse(&[
            (self.no_start, "--no-start", "a service of a swarm begins when it is made"),
            (self.timeout.is_some(), "--timeout", "write stop_grace_period in the file"),
            (self.renew_anon_volumes, "--renew-anon-volumes", "each task has anonymous volumes of its own"),
            (
                self.rolling,
                "--rolling",
                "it always replaces tasks one after the other, as update_config says",
            ),
        ])
    }

    /// What is asked for, without waiting.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            services: self.services.clone(),
            no_deps: self.no_deps,
            recreate: match (self.force_recreate, self.no_recreate) {
                (true, _) => Recreate::Always,
                (_, true) => Recreate::Never,
                _ => Recreate::Changed,
            },
            recreate_dependencies: self.always_recreate_deps,
            build: match (self.build, self.no_build) {
                (true, _) => BuildPolicy::Always,
                (_, true) => BuildPolicy::Never,
                _ => BuildPolicy::Missing,
            },
            pull: match self.pull {
                Pull::Policy => None,
                Pull::Always => Some(PullPolicy::Always),
                Pull::Missing => Some(PullPolicy::Missing),
                Pull::Never => Some(PullPolicy::Never),
                Pull::Build => Some(PullPolicy::Build),
            },
            no_start: self.no_start,
            wait: false,
            remove_orphans: self.remove_orphans,
            retired: Vec::new(),
            allowed: Vec::new(),
            ignore_orphans: self.ignore_orphans && !self.remove_orphans,
            grace: self.timeout,
            renew_anonymous_volumes: self.renew_anon_volumes,
            rerun: self.rerun,
            rolling: self.rolling,
            provided: false,
            run: None,
        }
    }

    /// The same as it is typed.
    pub(crate) fn words(&self) -> Vec<String> {
        let flags = [
            (self.build, "--build"),
            (self.no_build, "--no-build"),
            (self.force_recreate, "--force-recreate"),
            (self.always_recreate_deps, "--always-recreate-deps"),
            (self.no_recreate, "--no-recreate"),
            (self.rerun, "--rerun"),
            (self.rolling, "--rolling"),
            (self.no_deps, "--no-deps"),
            (self.no_start, "--no-start"),
            (self.remove_orphans, "--remove-orphans"),
            (self.ignore_orphans, "--ignore-orphans"),
            (self.renew_anon_volumes, "--renew-anon-volumes"),
        ];
        let mut words: Vec<String> =
            flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()).collect();
        if self.pull != Pull::Policy
            && let Some(when) = self.pull.to_possible_value()
        {
            words.extend(["--pull".to_owned(), when.get_name().to_owned()]);
        }
        words.extend(self.locked.word());
        words.extend(self.scale.iter().flat_map(|scale| ["--scale".to_owned(), scale.clone()]));
        words.extend(self.timeout.iter().flat_map(|&grace| ["-t".to_owned(), grace::typed(grace)]));
        words.extend(self.services.iter().cloned());
        words
    }
}
