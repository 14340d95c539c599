//! Runs a hook in a container.

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
    let exec = match docker.create_exec(id, options).await {
        Ok(exec) => exec.id,
        // What has ended meanwhile, or is gone, needs no preparation for its stop.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. })
            if event == HookEvent::PreStop =>
        {
            return Ok(());
        }
        Err(error) => return Err(answered(error)),
    };
    let mut lines = Lines { report, begun: [Vec::new(), Vec::new()], kept: VecDeque::new() };
    let started = docker.start_exec(&exec, None).await.map_err(answered)?;
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(part) = output.next().await {
            let part = part.map_err(answered)?;
            let stderr = matches!(part, LogOutput::StdErr { .. });
            lines.feed(&part.into_bytes(), usize::from(stderr));
        }
    }
    lines.end();
    match docker.inspect_exec(&exec).await.map_err(answered)?.exit_code.unwrap_or(-1) {
        0 => Ok(()),
        code => Err(EngineError::Hook { event, code, output: lines.kept.into() }),
    }
}

/// Puts pieces of output together to lines.
struct Lines<'a> {
    report: &'a dyn Fn(Progress),
    /// The line begun on standard output, and that on standard error.
    begun: [Vec<u8>; 2],
    kept: VecDeque<String>,
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
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        (self.report)(Progress::Hook(line.clone()));
        if self.kept.len() == KEPT_LINES {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn pieces_become_lines_and_the_last_are_kept() {
        let told = RefCell::new(Vec::new());
        let report = |progress| {
            if let Progress::Hook(line) = progress {
                told.borrow_mut().push(line);
            }
        };
        let mut lines = Lines { report: &report, begun: [Vec::new(), Vec::new()], kept: VecDeque::new() };
        lines.feed(b"on", 0);
        lines.feed(b"err\n", 1);
        lines.feed(b"e\r\ntwo", 0);
        lines.end();
        assert_eq!(*told.borrow(), ["err", "one", "two"]);
        for number in 0..100 {
            lines.feed(format!("{number}\n").as_bytes(), 0);
        }
        assert_eq!(lines.kept.len(), KEPT_LINES);
        assert_eq!(lines.kept.back().map(String::as_str), Some("99"));
    }
}
