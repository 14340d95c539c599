//! `stackctl exec`

use std::collections::BTreeMap;
use std::process::ExitCode;

use stack_engine::docker::exec::ExecSpec;
use stack_engine::engine::EngineError;
use stack_file::destination::Backend;
use stack_file::load::variables_of;

use super::{swarm, target};
use crate::args::Global;
use crate::conversation::{self, Conversation, End, With};
use crate::error::unstartable;
use crate::terminal::Signals;
use crate::{render, settings, terminal};

/// What `exec` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl exec web sh -c 'ls -l /srv'")]
pub(crate) struct ExecArgs {
    /// Leave the command to itself, and go back to the prompt
    #[arg(short, long)]
    detach: bool,
    /// Variable of the command; a name alone takes the value from here
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Number of the container, where the service has several [default: the lowest]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    #[command(flatten)]
    ends: EndsArgs,
    /// Give the command all privileges
    #[arg(long)]
    privileged: bool,
    /// User, as `name`, `uid` or `uid:gid`
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// The service, and the command with its arguments: from the service on nothing is an option of stackctl
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["SERVICE", "COMMAND"])]
    service: Vec<String>,
}

/// What a process is given: a terminal, and our standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct EndsArgs {
    /// No terminal [default: one where both ends of stackctl are one]
    #[arg(short = 'T', long, alias = "no-TTY", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    no_tty: Option<bool>,
    /// A terminal, also where it cannot be known that one is wanted
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true, conflicts_with = "no_tty")]
    tty: Option<bool>,
    /// Pass standard input on; `-i=false` does not
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_name = "BOOL", hide_possible_values = true, hide_default_value = true)]
    pub(crate) interactive: bool,
}

impl EndsArgs {
    /// Whether a terminal is wanted.
    pub(crate) fn terminal(&self, detached: bool) -> anyhow::Result<bool> {
        let asked = self.tty.or(self.no_tty.map(|none| !none));
        conversation::wants_terminal(asked, self.interactive, detached)
    }
}

/// Variables as `NAME=VALUE`; a name alone has the value that the project's variables give it,
/// and is left out where they give none.
pub(crate) fn variables(global: &Global, given: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let known = match given.iter().all(|given| given.contains('=')) {
        true => BTreeMap::new(),
        false => settings::with_request(global, variables_of)?,
    };
    Ok(given
        .iter()
        .filter_map(|given| match given.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((given.clone(), known.get(given)?.clone())),
        })
        .collect())
}

pub(crate) async fn run(global: &Global, args: ExecArgs) -> anyhow::Result<ExitCode> {
    let mut words = args.service.into_iter();
    let (service, command) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
    let terminal = args.ends.terminal(args.detach)?;
    let (detach_keys, keys) = conversation::detach_keys(global, None)?;
    let environment = variables(global, &args.env)?;
    let project = target::project(global)?;
    let (engine, container, address) = match settings::backend(global)? {
        Backend::Docker => {
            let engine = settings::engine(global, false).await?;
            let container = target::one(global, &engine, &project, &service, args.index, false).await?;
            let address = target::address(&container).to_string();
            (engine, container.id, address)
        }
        Backend::Swarm => {
            let found = swarm::task::reach(global, &service, args.index).await?;
            (found.engine, found.container, found.address)
        }
    };
    if global.dry_run {
        let command = shell_words::join(&command);
        return target::rehearse(&format!("run in {address}: {command}"));
    }
    let spec = ExecSpec {
        command,
        environment: environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        user: args.user,
        working_dir: args.workdir,
        privileged: args.privileged,
        terminal: terminal.then(terminal::size),
        stdin: args.ends.interactive && !args.detach,
        output: !args.detach,
        detach_keys,
    };
    let mut signals = Signals::catch(terminal)?;
    let id = engine.create_exec(&container, &spec).await?;
    if args.detach {
        return match engine.start_exec_detached(&id, &spec).await {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => told(error),
        };
    }
    let session = match engine.start_exec(&id, &spec).await {
        Ok(session) => session,
        Err(error) => return told(error),
    };
    let conversation = Conversation {
        engine: &engine,
        with: With::Command(&id),
        terminal,
        stdin: spec.stdin,
        ends: true,
        signals_to: None,
    };
    match conversation.hold(session, &mut signals, keys).await? {
        End::Signal(number) => Ok(conversation::code_of_signal(number)),
        End::Detached => Ok(ExitCode::SUCCESS),
        End::Silent => {
            let mut ended = std::pin::pin!(engine.exec_ended(&id));
            loop {
                tokio::select! {
                    code = &mut ended => return Ok(conversation::code_of(code?)),
                    told = signals.next() => {
                        if let Some(number) = conversation.pass_on(told).await {
                            return Ok(conversation::code_of_signal(number));
                        }
                    }
                }
            }
        }
    }
}

/// A command that could not be started has an exit code of its own, as in a shell.
fn told(error: EngineError) -> anyhow::Result<ExitCode> {
    match unstartable(&error) {
        Some(code) => {
            render::fault(&error.into());
            Ok(code)
        }
        None => Err(error.into()),
    }
}
