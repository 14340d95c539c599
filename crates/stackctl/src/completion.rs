//! What a shell is told when it completes a command line.
//!
//! The shell runs stackctl with [`VARIABLE`] set and the words so far after `--`. Names
//! come from the files that those words name and, for commands that need something that
//! runs, from the engine, if it answers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use stack_engine::engine::{Engine, Query};
use stack_file::load::load;
use stack_file::model::Stack;

use crate::args::{Args, Global};
use crate::settings;

/// The variable that makes a run answer a shell: the name of the shell.
pub(crate) const VARIABLE: &str = "STACKCTL_COMPLETE";

/// Nobody waits longer for a list of names.
const PATIENCE: Duration = Duration::from_millis(300);

/// Arguments that take names of services, by their names in the definitions.
const OF_SERVICES: [&str; 5] = ["services", "service", "exit_code_from", "attach", "no_attach"];

/// Commands that have something to do only with what runs.
const OF_RUNNING: [&str; 9] = ["attach", "exec", "kill", "pause", "port", "stats", "stop", "top", "unpause"];

/// Answers the shell, if it is a shell that asks.
pub(crate) fn answer() -> Option<ExitCode> {
    let shell = std::env::var_os(VARIABLE).filter(|name| !name.is_empty())?;
    let shells = Shells::builtins();
    let shell = shells.completer(&shell.to_string_lossy())?;
    let directory = std::env::current_dir().ok();
    let mut out = std::io::stdout().lock();
    // A completion that fails completes nothing; a message would stand in the command line.
    let _ = shell.write_complete(&mut command(), words(), directory.as_deref(), &mut out);
    Some(ExitCode::SUCCESS)
}

/// What a shell is to run at its start to ask stackctl, for a program of this name.
pub(crate) fn registration(shell: &str, program: &str) -> Option<std::io::Result<String>> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell)?;
    let mut script = Vec::new();
    let written = shell.write_registration(VARIABLE, "stackctl", program, program, &mut script);
    Some(written.map(|()| String::from_utf8_lossy(&script).into_owned()))
}

/// The words of the command line that is completed, that of the program first.
fn words() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// The definitions, with what completes names.
fn command() -> clap::Command {
    let mut command = with_names(Args::command()).mut_subcommands(with_names);
    command.build();
    command
}

fn with_names(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| match argument.get_id().as_str() {
        id if OF_SERVICES.contains(&id) => argument.add(ArgValueCompleter::new(services)),
        "profiles" => argument.add(ArgValueCompleter::new(profiles)),
        _ => argument,
    })
}

fn services(current: &OsStr) -> Vec<CompletionCandidate> {
    let line = Line::read(&words());
    let mut names: BTreeSet<String> = match line.stack() {
        Some(stack) => stack.services.keys().chain(&stack.disabled).cloned().collect(),
        None => BTreeSet::new(),
    };
    if line.command.is_some_and(|command| OF_RUNNING.contains(&command.as_str()))
        && let Some(running) = running(&line.global)
        && !running.is_empty()
    {
        names = running;
    }
    candidates(names, current)
}

fn profiles(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut line = Line::read(&words());
    line.global.profiles = vec!["*".to_owned()];
    let stack = line.stack();
    let services = stack.iter().flat_map(|stack| stack.services.values());
    let names = services.flat_map(|service| service.profiles.iter().map(|profile| profile.value.clone()));
    candidates(names.collect(), current)
}

fn candidates(names: BTreeSet<String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

/// What a command line that is not finished says of the stack it is about.
pub(crate) struct Line {
    pub(crate) global: Global,
    pub(crate) command: Option<String>,
}

impl Line {
    pub(crate) fn read(words: &[OsString]) -> Self {
        let mut global = Global::default();
        let mut command = None;
        let mut words = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            let (option, mut value) = match word.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            };
            if command.is_some() && matches!(option.as_str(), "-f" | "-p" | "-H") {
                // After the command these letters mean something else.
                continue;
            }
            let mut take = || value.take().or_else(|| words.next());
            match option.as_str() {
                "-f" | "--file" => global.files.extend(take().map(PathBuf::from)),
                "-p" | "--project-name" => global.project_name = take(),
                "--project-directory" | "--workdir" => global.project_directory = take().map(PathBuf::from),
                "--env-file" => global.env_files.extend(take().map(PathBuf::from)),
                "--profile" => global.profiles.extend(take()),
                "-H" | "--host" => global.host = take(),
                "--context" => global.context = take(),
                "--progress" | "--ansi" | "--parallel" | "--engine" | "--allow-unsupported" => drop(take()),
                option if option.starts_with('-') => {}
                _ => command = command.or(Some(word)),
            }
        }
        Self { global, command }
    }

    fn stack(&self) -> Option<Stack> {
        if self.global.files.iter().any(|file| file.as_os_str() == "-") {
            return None;
        }
        settings::with_request(&self.global, |request| load(request).stack).ok()
    }
}

/// The services of the project of which something runs; `None` when the engine does not answer at once.
fn running(global: &Global) -> Option<BTreeSet<String>> {
    let project = match &global.project_name {
        Some(name) => name.clone(),
        None => settings::read(global, &BTreeMap::new()).ok()?.desired.project,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let look = async {
            let engine = settings::any_engine(global, false).await.ok()?;
            engine.observe(&Query { project, ..Query::default() }).await.ok()
        };
        let observed = tokio::time::timeout(PATIENCE, look).await.ok()??;
        let up = observed.containers.into_iter().filter(|container| container.state.is_up());
        Some(up.map(|container| container.service).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Line {
        Line::read(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_line_that_is_not_finished_tells_its_stack() {
        let line = read("stackctl -f a.yaml --file=b.yaml --profile dev -p shop --ansi never logs -f we");
        assert_eq!(line.global.files, [PathBuf::from("a.yaml"), PathBuf::from("b.yaml")]);
        assert_eq!(line.global.project_name.as_deref(), Some("shop"));
        assert_eq!(line.global.profiles, ["dev"]);
        assert_eq!(line.command.as_deref(), Some("logs"));
        assert_eq!(read("stackctl").command, None);
    }

    #[test]
    fn the_value_of_an_option_is_no_command() {
        let all = <Global as clap::Args>::augment_args(clap::Command::new("stackctl"));
        for option in all.get_arguments().filter(|option| option.get_action().takes_values()) {
            let name = option.get_long().expect("a long name");
            assert_eq!(
                read(&format!("stackctl --{name} value logs")).command.as_deref(),
                Some("logs"),
                "{name}"
            );
        }
    }

    #[test]
    fn the_shells_that_people_use_have_a_script() {
        for shell in ["bash", "zsh", "fish"] {
            let script = registration(shell, "stackctl").expect(shell).expect("a script");
            assert!(script.contains(VARIABLE) && script.contains("stackctl"), "{script}");
        }
        assert!(registration("cmd", "stackctl").is_none());
    }
}
