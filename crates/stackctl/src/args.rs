//! The command line.

mod alone;
#[cfg(test)]
mod page;
pub(crate) mod parse;

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::rc::Rc;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use stack_engine::execute::Pace;
use stack_file::destination::Backend;

use crate::commands::{
    apply, attach, build, check, commit, completion, config, cp, create, doctor, down, events, exec, explain,
    export, generate, graph, history, images, install_plugin, kill, lock, logs, ls, man, nodes, outdated,
    pause, plan, port, ps, pull, push, replay, restart, rm, rollback, rollout, run, scale, schema, start,
    stats, status, stop, timeline, top, unpause, up, version, volumes, wait, watch, why,
};
use crate::settings::destination::Said;

/// Runs a stack of containers from a Compose file.
#[derive(Debug, Parser)]
#[command(name = "stackctl", version, args_override_self = true, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    something failed on the engine, or a container is not ready
  2    something differs: a plan has changes, an image is outdated, a stack was changed by hand
       (`plan`, `outdated`, `status`)
  3    the stack file is wrong or missing
  4    no engine answers
  5    data would be lost, and nobody agreed to that
  6    a written plan does not fit what is there now
  7    not ready in the time that was given
  8    the plan was refused: what it needs is not there, or others have it
  9    a new version was not good, and what it had replaced serves again
  64   the command line is wrong
  130  interrupted
`run`, `exec`, `wait` and `up --exit-code-from` pass on the exit code of the container,
`up --abort-on-container-exit` that of the one that ended first.";

/// What holds for every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Stack file; several are merged in order, `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Project name [default: the file's `name`, else the name of its directory]
    #[arg(short = 'p', long, value_name = "NAME")]
    pub(crate) project_name: Option<String>,
    /// Directory that relative paths start from [default: that of the first file]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) project_directory: Option<PathBuf>,
    /// File of variables to be used instead of `.env`
    #[arg(long = "env-file", value_name = "FILE", global = true)]
    pub(crate) env_files: Vec<PathBuf>,
    /// Profile to enable
    #[arg(long = "profile", value_name = "NAME", global = true)]
    pub(crate) profiles: Vec<String>,
    /// Engine to talk to, as `unix:///var/run/docker.sock`, `tcp://…` or `ssh://…`
    #[arg(short = 'H', long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// What runs the stack: one Docker Engine, or Docker Swarm [default: as `x-stackctl` of the file says, else STACKCTL_ENGINE, else docker]
    #[arg(long, value_parser = backend, value_name = "docker|swarm", global = true)]
    pub(crate) engine: Option<Backend>,
    /// Attribute that a swarm does not honour and that may be left out, as `privileged`
    #[arg(long, value_name = "KEY", global = true)]
    pub(crate) allow_unsupported: Vec<String>,
    /// Docker context to use
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Names with `_` between their parts, as the first docker-compose made them
    #[arg(long, global = true, env = "COMPOSE_COMPATIBILITY", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) compatibility: bool,
    /// Also networks, volumes, configs and secrets that no service uses
    #[arg(long, global = true)]
    pub(crate) all_resources: bool,
    /// How many calls to the engine may be under way at once; -1 is no limit [default: 48]
    #[arg(long, value_name = "NUMBER", global = true, env = "COMPOSE_PARALLEL_LIMIT", value_parser = parallel, allow_negative_numbers = true)]
    pub(crate) parallel: Option<usize>,
    /// How progress is shown
    #[arg(long, value_parser = OrDefault::<Progress>::new(), value_name = "KIND", global = true, env = "COMPOSE_PROGRESS", default_value = "auto")]
    pub(crate) progress: Progress,
    /// Leave nothing out: every step, every probe, all that is known of a failure
    #[arg(long, global = true)]
    pub(crate) verbose: bool,
    /// The same, before the command
    #[arg(short = 'v')]
    pub(crate) verbosely: bool,
    /// Show nothing but failures, as `--progress quiet`; before the command
    #[arg(short = 'q', long = "quiet")]
    pub(crate) hushed: bool,
    /// JSON instead of text: messages as with `--progress json`, results as with `--format json` where there is one
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When colours are used
    #[arg(long, value_parser = OrDefault::<Ansi>::new(), value_name = "WHEN", global = true, env = "COMPOSE_ANSI", default_value = "auto")]
    pub(crate) ansi: Ansi,
    /// The same as `--project-directory`, as the first docker-compose had it
    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "project_directory")]
    pub(crate) workdir: Option<PathBuf>,
    /// The same as `--ansi never`, as the first docker-compose had it
    #[arg(long, hide = true)]
    pub(crate) no_ansi: bool,
    /// Where relative paths of the command line start from; `None` is the working directory.
    #[arg(skip)]
    pub(crate) directory: Option<PathBuf>,
    /// The folder of docker's configuration, where docker was told one.
    #[arg(skip)]
    pub(crate) docker_config: Option<PathBuf>,
    /// Where the stack file that was read last says that it belongs.
    #[arg(skip)]
    pub(crate) said: Rc<RefCell<Said>>,
}

/// The name of a backend.
fn backend(text: &str) -> Result<Backend, String> {
    Backend::of(text).ok_or_else(|| "there are docker and swarm".to_owned())
}

/// A number from 1 on; -1 is as many as there are.
fn parallel(text: &str) -> Result<usize, String> {
    match text.trim().parse::<i64>() {
        Ok(-1) => Ok(usize::MAX),
        Ok(number @ 1..) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        _ => Err("a number from 1 on, or -1 for no limit".to_owned()),
    }
}

impl Global {
    /// The options that say which stack and which engine are meant, as they are typed.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        self.files.iter().for_each(|file| option("-f", path(file)));
        self.project_name.iter().for_each(|name| option("-p", name.clone()));
        self.project_directory.iter().for_each(|directory| option("--project-directory", path(directory)));
        self.env_files.iter().for_each(|file| option("--env-file", path(file)));
        self.profiles.iter().for_each(|profile| option("--profile", profile.clone()));
        self.engine.iter().for_each(|engine| option("--engine", engine.word().to_owned()));
        self.allow_unsupported.iter().for_each(|key| option("--allow-unsupported", key.clone()));
        self.host.iter().for_each(|host| option("-H", host.clone()));
        self.context.iter().for_each(|context| option("--context", context.clone()));
        for (set, flag) in [(self.compatibility, "--compatibility"), (self.all_resources, "--all-resources")]
        {
            if set {
                words.push(flag.to_owned());
            }
        }
        words
    }

    /// How plans are run.
    pub(crate) fn pace(&self) -> Pace {
        let pace = Pace::default();
        Pace { parallel: self.parallel.unwrap_or(pace.parallel), ..pace }
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// Live lines on a terminal, plain ones elsewhere
    #[default]
    Auto,
    /// One live line per resource
    Tty,
    /// One line per change
    Plain,
    /// One JSON object per line
    Json,
    /// Nothing but failures
    Quiet,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ansi {
    /// On a terminal
    #[default]
    Auto,
    /// Never
    Never,
    /// Always
    Always,
}

/// Takes an empty value for the default: a variable that is set to nothing is not set.
#[derive(Clone)]
struct OrDefault<E: ValueEnum + Send + Sync + 'static>(EnumValueParser<E>);

impl<E: ValueEnum + Clone + Send + Sync + 'static> OrDefault<E> {
    fn new() -> Self {
        Self(EnumValueParser::new())
    }
}

impl<E: ValueEnum + Clone + Default + Send + Sync + 'static> TypedValueParser for OrDefault<E> {
    type Value = E;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<E, clap::Error> {
        if value.is_empty() { Ok(E::default()) } else { self.0.parse_ref(command, argument, value) }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring the stack up: make, change and start what the file asks for
    Up(up::UpArgs),
    /// Take the stack down: stop and remove its containers and networks
    Down(down::DownArgs),
    /// Show what `up` would do, and why; changes nothing
    Plan(plan::PlanArgs),
    /// Do what a plan says that `plan --out` has written down, or nothing
    Apply(apply::ApplyArgs),
    /// Make the containers of the stack, as `up` would, without starting them
    Create(create::CreateArgs),
    /// Start the containers that are there and do not run
    Start(start::StartArgs),
    /// Stop the containers and leave them in place
    Stop(stop::StopArgs),
    /// Stop and start the containers
    Restart(restart::RestartArgs),
    /// Replace the containers of services one after the other, while they serve
    Rollout(rollout::RolloutArgs),
    /// Bring the stack back to what an earlier run had made of it
    Rollback(rollback::RollbackArgs),
    /// List what runs have made of the stack, and what each changed
    History(history::HistoryArgs),
    /// Show what was changed by hand since the last run
    Status(status::StatusArgs),
    /// Send a signal to the containers that run
    Kill(kill::KillArgs),
    /// Remove the containers that do not run
    Rm(rm::RmArgs),
    /// Freeze the containers
    Pause(pause::PauseArgs),
    /// Let frozen containers go on
    Unpause(unpause::UnpauseArgs),
    /// Change how many containers services have
    Scale(scale::ScaleArgs),
    /// Wait until containers have ended, and exit as the last of them
    Wait(wait::WaitArgs),
    /// Run a command in a container that runs
    Exec(exec::ExecArgs),
    /// Run a command in a container of its own, with what the service needs
    Run(run::RunArgs),
    /// Talk with the process of a container
    Attach(attach::AttachArgs),
    /// Copy files out of a container, or into one
    Cp(cp::CpArgs),
    /// Write the file system of a container as a tar archive
    Export(export::ExportArgs),
    /// Make an image of a container
    Commit(commit::CommitArgs),
    /// List the containers
    Ps(ps::PsArgs),
    /// Show what the containers say
    Logs(logs::LogsArgs),
    /// Show the nodes of a swarm, and what of the stack runs where
    Nodes(nodes::NodesArgs),
    /// List the projects
    Ls(ls::LsArgs),
    /// Show the processes that run in the containers
    Top(top::TopArgs),
    /// Show what the containers use
    Stats(stats::StatsArgs),
    /// Show what happens to the containers
    Events(events::EventsArgs),
    /// List the images that the containers were made from
    Images(images::ImagesArgs),
    /// Show where a port of a service can be reached on the host
    Port(port::PortArgs),
    /// List the volumes
    Volumes(volumes::VolumesArgs),
    /// Follow the files of this machine: sync, rebuild or restart when they change
    Watch(watch::WatchArgs),
    /// Pull the images
    Pull(pull::PullArgs),
    /// Say which services run an older image than their tag has in the registry
    Outdated(outdated::OutdatedArgs),
    /// Write down the digests of the images, for `up --locked`
    Lock(lock::LockArgs),
    /// Push the images that were built here to their registries
    Push(push::PushArgs),
    /// Build the images
    Build(build::BuildArgs),
    /// Check the stack file and show it with everything filled in
    #[command(visible_alias = "convert")]
    Config(config::ConfigArgs),
    /// Check the stack file, and warn of what is likely to go wrong
    Check(check::CheckArgs),
    /// Tell where a value came from: file and line, variables, files that were overridden
    Explain(explain::ExplainArgs),
    /// Say what is not well, why, and what to do about it
    Why(why::WhyArgs),
    /// Show what took how long in the last run, and what waited for what
    Timeline(timeline::TimelineArgs),
    /// Show a recorded run again
    Replay(replay::ReplayArgs),
    /// Look for what is wrong with the engine, its machine and the settings, with a remedy for each
    Doctor(doctor::DoctorArgs),
    /// Write a stack file for containers that are there
    Generate(generate::GenerateArgs),
    /// Draw the services, what they need of each other, and how they are now
    Graph(graph::GraphArgs),
    /// Draw what the services need of each other as docker compose does, for graphviz
    Viz(graph::VizArgs),
    /// Print the JSON schema of a stack file, for editors
    Schema(schema::SchemaArgs),
    /// Let `docker compose` run stackctl
    InstallPlugin(install_plugin::InstallPluginArgs),
    /// Print what makes a shell complete commands, services and profiles
    Completion(completion::CompletionArgs),
    /// Print a manual page
    Man(man::ManArgs),
    /// Show the version
    Version(version::VersionArgs),
    /// Commands that docker compose tries out
    #[command(hide = true, subcommand)]
    Alpha(Alpha),
}

/// Commands under the name that docker compose has them by.
#[derive(Debug, Subcommand)]
pub(crate) enum Alpha {
    /// Write a stack file for containers that are there
    Generate(generate::GenerateArgs),
    /// Change how many containers services have
    Scale(scale::ScaleArgs),
    /// Draw what the services need of each other, for graphviz
    Viz(graph::VizArgs),
    /// Follow the files of this machine: sync, rebuild or restart when they change
    Watch(watch::WatchArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn no_two_flags_of_a_command_have_the_same_name() {
        Args::command().debug_assert();
    }

    #[test]
    fn one_letter_before_the_command_says_how_much_is_told() {
        let parse = |words: &[&str]| Args::try_parse_from(words).expect("a command line").global;
        assert!(
            parse(&["stackctl", "-v", "up"]).verbosely && parse(&["stackctl", "up", "--verbose"]).verbose
        );
        assert!(parse(&["stackctl", "-q", "up"]).hushed && parse(&["stackctl", "--quiet", "ps"]).hushed);
        // Behind it these letters are those of the command.
        let global = parse(&["stackctl", "down", "-v"]);
        assert!(!global.verbosely && !parse(&["stackctl", "ps", "-q"]).hushed);
    }

    #[test]
    fn an_empty_choice_is_the_default_and_a_wrong_one_is_refused() {
        let parse = |kind| Args::try_parse_from(["stackctl", "--progress", kind, "version"]);
        assert_eq!(parse("").map(|args| args.global.progress).ok(), Some(Progress::Auto));
        assert_eq!(parse("json").map(|args| args.global.progress).ok(), Some(Progress::Json));
        assert!(parse("loud").is_err_and(|error| error.to_string().contains("possible values: auto, tty")));
    }
}
