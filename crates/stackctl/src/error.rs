//! Whose fault it is, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

use stack_engine::docker::connect::ConnectError;
use stack_engine::engine::EngineError;

use crate::invocation::{self, Name};

/// An error with an exit code of its own.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command line is wrong.
    Usage,
    /// The stack file is wrong or missing.
    File,
    /// Data would be lost.
    Consent,
    /// What a plan was made for is not what is there now.
    Moved,
    /// What a plan needs is not there, or others have it; nothing was done.
    Refused,
    /// What is there does not allow it.
    Engine,
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// The exit code of a wrong command line, as `sysexits.h` has it: 2 says that a plan has changes.
const USAGE: u8 = 64;

/// The exit code after a plan with something to do was shown.
pub(crate) fn changes() -> ExitCode {
    ExitCode::from(2)
}

/// Shows the help that a command line asks for, or lacks.
pub(crate) fn help(error: &clap::Error) -> ExitCode {
    // Nobody is there to be told if this fails.
    let _: std::io::Result<()> = error.print();
    if error.use_stderr() { own(USAGE) } else { ExitCode::SUCCESS }
}

/// The exit code after a run in which something failed that was already told.
pub(crate) fn failed() -> ExitCode {
    ExitCode::from(1)
}

/// The exit code after waits that took longer than they were given, and nothing else that failed.
pub(crate) fn timed_out() -> ExitCode {
    ExitCode::from(7)
}

/// The exit code after new versions that were not good, in whose place the old ones serve again.
pub(crate) fn rolled_back() -> ExitCode {
    ExitCode::from(9)
}

/// The exit code after the engine went away in the middle of a run.
pub(crate) fn lost() -> ExitCode {
    ExitCode::from(4)
}

/// The exit code after a stack file was found wrong and all of it was told.
pub(crate) fn faulty() -> ExitCode {
    own(3)
}

/// The exit code after Ctrl-C, as shells count signals.
pub(crate) fn interrupted() -> ExitCode {
    ExitCode::from(130)
}

/// A container's exit code as ours: the low eight bits, as of any process.
pub(crate) fn of_container(code: i64) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}

/// The exit code of an error.
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    let code = if error.downcast_ref::<ConnectError>().is_some() {
        4
    } else if let Some(EngineError::Lost(_)) = error.downcast_ref::<EngineError>() {
        4
    } else {
        match error.downcast_ref::<Fault>().map(|fault| fault.kind) {
            Some(Kind::Usage) => USAGE,
            Some(Kind::File) => 3,
            Some(Kind::Consent) => 5,
            Some(Kind::Moved) => 6,
            Some(Kind::Refused) => 8,
            Some(Kind::Engine) | None => 1,
        }
    };
    own(code)
}

/// An exit code of ours; under the name of docker compose it is the one that it has for every failure.
fn own(code: u8) -> ExitCode {
    ExitCode::from(if invocation::name() == Name::Stackctl { code } else { 1 })
}

/// The exit code of a command that an engine could not start, as shells have it; `None` when the
/// engine refused for another reason.
pub(crate) fn unstartable(error: &EngineError) -> Option<ExitCode> {
    let EngineError::Refused { message, .. } = error else { return None };
    if message.contains("executable file not found") || message.contains("no such file or directory") {
        Some(ExitCode::from(127))
    } else if message.contains("permission denied") || message.contains("OCI runtime exec failed") {
        Some(ExitCode::from(126))
    } else {
        None
    }
}

/// What to do next.
pub(crate) fn hint_of(error: &anyhow::Error) -> Option<String> {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return fault.hint.clone();
    }
    if let Some(error) = error.downcast_ref::<ConnectError>() {
        return error.hint();
    }
    error.downcast_ref::<EngineError>().and_then(EngineError::hint)
}
