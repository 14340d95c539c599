//! `stackctl attach`

use std::process::ExitCode;

use stack_engine::docker::attach::{Attachment, Ending};
use stack_engine::docker::session::Session;

use super::target;
use crate::args::Global;
use crate::conversation::{self, Conversation, End, With};
use crate::error::{Fault, Kind};
use crate::settings;
use crate::terminal::{DetachKeys, Signals};

/// What `attach` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl attach --no-stdin web")]
pub(crate) struct AttachArgs {
    /// Keys that detach, and leave the container running [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Number of the container, where the service has several [default: the lowest]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    /// Keep standard input here
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the process; `--sig-proxy=false` ends stackctl instead
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_name = "BOOL", hide_possible_values = true, hide_default_value = true)]
    sig_proxy: bool,
    /// The service
    service: String,
}

pub(crate) async fn run(global: &Global, args: AttachArgs) -> anyhow::Result<ExitCode> {
    let (detach_keys, keys) = conversation::detach_keys(global, args.detach_keys.as_deref())?;
    let project = target::project(global)?;
    let engine = settings::engine(global, false).await?;
    let container = target::one(global, &engine, &project, &args.service, args.index, false).await?;
    let address = target::address(&container);
    if global.dry_run {
        return target::rehearse(&format!("attach to {address}"));
    }
    let ends = engine.ends_of(&container.id).await?;
    if ends.paused {
        return Err(Fault::new(Kind::Engine, format!("{address} is paused, and says nothing"))
            .hint(format!("let it go on with: stackctl unpause {}", args.service))
            .into());
    }
    let stdin = !args.no_stdin && ends.stdin;
    conversation::wants_terminal(Some(ends.terminal), stdin, false)?;
    let mut signals = Signals::catch(ends.terminal && stdin)?;
    let mut ending = engine.ending(&container.id);
    let how = Attachment { stdin, terminal: ends.terminal, detach_keys };
    let session = engine.attach(&container.id, &how).await?;
    let conversation = Conversation {
        engine: &engine,
        with: With::Container(&container.id),
        terminal: ends.terminal,
        stdin,
        ends: ends.stdin_once,
        signals_to: args.sig_proxy.then_some(container.id.as_str()),
    };
    if ends.terminal {
        conversation.redraw().await;
    }
    to_the_end(&conversation, session, &mut signals, keys, &mut ending, false).await
}

/// Talks with a container until it has ended, or is no more if it is `removed` then, and returns
/// its exit code.
pub(crate) async fn to_the_end(
    conversation: &Conversation<'_>,
    session: Session,
    signals: &mut Signals,
    keys: DetachKeys,
    ending: &mut Ending<'_>,
    removed: bool,
) -> anyhow::Result<ExitCode> {
    match conversation.hold(session, signals, keys).await? {
        End::Signal(number) => return Ok(conversation::code_of_signal(number)),
        End::Detached => return Ok(ExitCode::SUCCESS),
        End::Silent => {}
    }
    loop {
        tokio::select! {
            code = ending.code() => {
                let code = code?;
                if removed {
                    ending.removed().await;
                }
                return Ok(conversation::code_of(code));
            }
            told = signals.next() => {
                if let Some(number) = conversation.pass_on(told).await {
                    return Ok(conversation::code_of_signal(number));
                }
            }
        }
    }
}
