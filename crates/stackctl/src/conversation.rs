//! A conversation between the person at this end and a process in a container: what is typed
//! goes there, what it writes comes here, and so do the size of the terminal and the signals.

use std::future::pending;
use std::io::IsTerminal;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use stack_engine::docker::DockerEngine;
use stack_engine::docker::connect;
use stack_engine::docker::exec::Size;
use stack_engine::docker::session::Session;
use stack_engine::engine::Channel;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::render::passed_on::Outputs;
use crate::settings;
use crate::terminal::{self, DetachKeys, RawMode, Signals, Told};

/// How often the size of a terminal is set that is not there yet.
const ATTEMPTS: u32 = 10;
/// How much is read at once of what is typed, bytes.
const PIECE: usize = 32 * 1024;

/// How it is talked, and whom with.
pub(crate) struct Conversation<'a> {
    pub(crate) engine: &'a DockerEngine,
    pub(crate) with: With<'a>,
    /// Whether the process has a terminal.
    pub(crate) terminal: bool,
    /// Whether what is typed here goes there.
    pub(crate) stdin: bool,
    /// Whether the end of what is typed is passed on, too; where it is not, it would only end the output.
    pub(crate) ends: bool,
    /// The container that signals are passed on to; otherwise they end the conversation.
    pub(crate) signals_to: Option<&'a str>,
}

/// Whom with.
#[derive(Clone, Copy)]
pub(crate) enum With<'a> {
    /// A command, by the engine's id.
    Command(&'a str),
    /// A container's own process, by the engine's id.
    Container(&'a str),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process has nothing more to say.
    Silent,
    /// The person has typed the keys to detach.
    Detached,
    /// This signal has ended it.
    Signal(u8),
}

impl Conversation<'_> {
    /// Talks until the end. After that the terminal is as it was before.
    pub(crate) async fn hold(
        &self,
        session: Session,
        signals: &mut Signals,
        keys: DetachKeys,
    ) -> anyhow::Result<End> {
        let _raw;
        let raw = if self.terminal && self.stdin && std::io::stdin().is_terminal() {
            _raw = RawMode::enter().context("the terminal cannot be passed on")?;
            Some(&_raw)
        } else {
            None
        };
        self.talk(session, signals, keys, raw).await
    }

    async fn talk(
        &self,
        session: Session,
        signals: &mut Signals,
        keys: DetachKeys,
        raw: Option<&RawMode>,
    ) -> anyhow::Result<End> {
        let Session { mut output, input } = session;
        let mut outputs = Outputs::new();
        let mut typing = pin!(type_into(input, self.stdin, self.ends, self.terminal.then_some(keys)));
        let mut resizing = pin!(self.resize(ATTEMPTS));
        let mut resized = false;
        loop {
            tokio::select! {
                part = output.next() => match part.transpose()? {
                    Some(part) if part.channel == Channel::Stderr => outputs.err(&part.bytes).await?,
                    Some(part) => outputs.out(&part.bytes).await?,
                    None => return Ok(End::Silent),
                },
                () = &mut typing => return Ok(End::Detached),
                () = &mut resizing, if !resized => resized = true,
                told = signals.next() => match told {
                    Told::Stop => {
                        raw.map(RawMode::pause).transpose()?;
                        terminal::stop();
                    }
                    Told::Resized | Told::Continue => {
                        if told == Told::Continue {
                            raw.map(RawMode::again).transpose()?;
                        }
                        resizing.set(self.resize(1));
                        resized = false;
                    }
                    Told::Signal(..) => {
                        if let Some(number) = self.pass_on(told).await {
                            return Ok(End::Signal(number));
                        }
                    }
                },
            }
        }
    }

    /// Passes a signal on; the number of one that ends the conversation instead.
    pub(crate) async fn pass_on(&self, told: Told) -> Option<u8> {
        let Told::Signal(name, number) = told else { return None };
        let Some(container) = self.signals_to else { return Some(number) };
        // A container that has just ended needs none.
        let _ = self.engine.signal(container, name).await;
        None
    }

    /// Lets what is on the other terminal be drawn again, which only a change of its size does.
    pub(crate) async fn redraw(&self) {
        if let Some(Size { rows, columns }) = terminal::size().filter(|_| self.terminal) {
            self.set(Size { rows: rows.saturating_add(1), columns: columns.saturating_add(1) }).await;
        }
    }

    /// Gives the other terminal the size of ours; it may not be there at once.
    async fn resize(&self, attempts: u32) {
        for attempt in 1..=attempts {
            let Some(size) = terminal::size().filter(|_| self.terminal) else { return };
            if self.set(size).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 10)).await;
        }
    }

    async fn set(&self, size: Size) -> bool {
        let set = match self.with {
            With::Command(id) => self.engine.resize_exec(id, size).await,
            With::Container(id) => self.engine.resize(id, size).await,
        };
        set.is_ok()
    }
}

/// Passes on what is typed, and its end; completes when the keys to detach were typed.
async fn type_into(
    mut input: Pin<Box<dyn AsyncWrite + Send>>,
    stdin: bool,
    ends: bool,
    mut keys: Option<DetachKeys>,
) {
    if stdin {
        let mut source = tokio::io::stdin();
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = source.read(&mut piece).await {
            let detached = keys.as_mut().and_then(|keys| keys.typed(&piece[..length]));
            // The last of the keys stays here: an engine that sees all of them ends a command.
            let typed = &piece[..detached.unwrap_or(length)];
            if input.write_all(typed).await.is_err() || input.flush().await.is_err() {
                // Nobody reads it any more, and the output tells when the process has ended.
                return pending().await;
            }
            if detached.is_some() {
                return;
            }
        }
        if ends {
            // What cannot be ended has ended by itself.
            let _ = input.shutdown().await;
        }
    }
    // The connection is held open for the output.
    pending::<()>().await;
    drop(input);
}

/// The keys that detach: as the engine is told, and as they are watched for.
pub(crate) fn detach_keys(
    global: &Global,
    asked: Option<&str>,
) -> anyhow::Result<(Option<String>, DetachKeys)> {
    let lookup = settings::variables(global);
    let (text, from) = match asked {
        Some(text) => (Some(text.to_owned()), "--detach-keys"),
        None => (connect::detach_keys(&lookup), "detachKeys in docker's config.json:"),
    };
    let keys = DetachKeys::parse(text.as_deref().unwrap_or(DetachKeys::DEFAULT)).ok_or_else(|| {
        let told = format!("{from} {} names no keys", text.as_deref().unwrap_or_default());
        Fault::new(Kind::Usage, told).hint("write letters or ctrl-LETTER, separated by commas: ctrl-p,ctrl-q")
    })?;
    Ok((text, keys))
}

/// Whether a process gets a terminal: as asked for, else when a person sits at both ends.
pub(crate) fn wants_terminal(asked: Option<bool>, stdin: bool, detached: bool) -> anyhow::Result<bool> {
    let in_terminal = std::io::stdin().is_terminal();
    match asked {
        Some(true) if stdin && !in_terminal && !detached => {
            Err(Fault::new(Kind::Usage, "standard input is no terminal, so that there is none to pass on")
                .hint("leave --tty out, or say --no-tty")
                .into())
        }
        Some(asked) => Ok(asked),
        None => Ok(in_terminal && std::io::stdout().is_terminal()),
    }
}

/// A process's exit code as ours: the low eight bits, as of any process.
pub(crate) fn code_of(code: i64) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}

/// Our exit code after a signal, as shells count.
pub(crate) fn code_of_signal(number: u8) -> ExitCode {
    ExitCode::from(128_u8.saturating_add(number))
}
