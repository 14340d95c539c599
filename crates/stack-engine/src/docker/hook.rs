//! Runs a hook in a container.

use std::cell::RefCell;
use std::collections::VecDeque;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt;
use stack_file::model::Hook;
use stack_plan::plan::HookEvent;

use crate::docker::{DockerEngine, answered};
use crate::engine::EngineError;
use crate::event::Progress;

/// How many of a failed hook's last lines are kept.
const KEPT_LINES: usize = 20;
/// A longer line is cut here, bytes.
const LONGEST_LINE: usize = 16 << 10;

/// Runs a hook to its end, and reports each line that it writes.
pub(super) async fn run(
    engine: &DockerEngine,
    id: &str,
    event: HookEvent,
    hook: &Hook,
    report: &dyn Fn(Progress),
) -> Result<(), EngineError> {
    let kept = RefCell::new(VecDeque::new());
    let tell = |line: &str| {
        report(Progress::Hook(line.to_owned()));
        let mut kept = kept.borrow_mut();
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
    };
    match exec(engine, id, hook, &tell).await {
        Ok(0) => Ok(()),
        Ok(code) => Err(EngineError::Hook { event, code, output: kept.take().into() }),
        // What has ended meanwhile, or is gone, needs no preparation for its stop.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. })
            if event == HookEvent::PreStop =>
        {
            Ok(())
        }
        Err(error) => Err(answered(error)),
    }
}

/// Runs a command in a container to its end, and tells each line that it writes; returns its exit code.
pub(super) async fn exec(
    engine: &DockerEngine,
    id: &str,
    hook: &Hook,
    tell: &dyn Fn(&str),
) -> Result<i64, Error> {
    let docker = &engine.docker;
    let environment: Vec<String> = (hook.environment.iter())
        .map(|(name, value)| match &value.value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        })
        .collect();
    let options = CreateExecOptions {
        cmd: Some(hook.command.clone()),
        user: hook.user.clone(),
        working_dir: hook.working_dir.clone(),
        privileged: hook.privileged.then_some(true),
        env: (!environment.is_empty()).then_some(environment),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(id, options).await?.id;
    let mut lines = Lines { tell, begun: [Vec::new(), Vec::new()] };
    if let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec, None).await? {
        while let Some(part) = output.next().await {
            let part = part?;
            let stderr = matches!(part, LogOutput::StdErr { .. });
            lines.feed(&part.into_bytes(), usize::from(stderr));
        }
    }
    lines.end();
    Ok(docker.inspect_exec(&exec).await?.exit_code.unwrap_or(-1))
}

/// Puts pieces of output together to lines.
struct Lines<'a> {
    tell: &'a dyn Fn(&str),
    /// The line begun on standard output, and that on standard error.
    begun: [Vec<u8>; 2],
}

impl Lines<'_> {
    fn feed(&mut self, piece: &[u8], channel: usize) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let line = &mut self.begun[channel];
            let room = LONGEST_LINE.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                let line = std::mem::take(line);
                self.say(&line);
            }
        }
    }

    fn end(&mut self) {
        for line in std::mem::take(&mut self.begun) {
            if !line.is_empty() {
                self.say(&line);
            }
        }
    }

    fn say(&mut self, line: &[u8]) {
        (self.tell)(String::from_utf8_lossy(line).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let told = RefCell::new(Vec::new());
        let tell = |line: &str| told.borrow_mut().push(line.to_owned());
        let mut lines = Lines { tell: &tell, begun: [Vec::new(), Vec::new()] };
        lines.feed(b"on", 0);
        lines.feed(b"err\n", 1);
        lines.feed(b"e\r\ntwo", 0);
        lines.end();
        assert_eq!(*told.borrow(), ["err", "one", "two"]);
    }
}
