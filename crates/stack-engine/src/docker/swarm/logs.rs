//! What the tasks of services say, from all nodes: the swarm fetches it.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::docker::{DockerEngine, answered};
use crate::engine::{Channel, EngineError, LogLine, LogSource, Selection};

/// How much of a line that has not come to its end is kept.
const LONGEST: usize = 1 << 20;

impl DockerEngine {
    /// The lines of tasks, `source.id` being that of the task. Each task's lines come in their order;
    /// with `follow`, those that are yet to come, too.
    pub fn task_lines(
        &self,
        selection: &Selection,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        let streams = selection.containers.iter().map(|source| self.lines_of(source, selection, follow));
        futures_util::stream::select_all(streams.collect::<Vec<_>>()).boxed()
    }

    fn lines_of(
        &self,
        source: &LogSource,
        selection: &Selection,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        let mut options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(follow);
        let tail = selection.tail.map(|tail| tail.to_string());
        options = options.tail(tail.as_deref().unwrap_or("all"));
        if let Some(since) = selection.since.and_then(|since| i32::try_from(since.unix_timestamp()).ok()) {
            options = options.since(since);
        }
        let (since, until) = (selection.since, selection.until);
        let source = source.clone();
        let parts = Box::pin(self.docker.task_logs(&source.id.clone(), Some(options.build())));
        let open: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        let state = (parts, open, source, std::collections::VecDeque::new());
        futures_util::stream::unfold(state, move |(mut parts, mut open, source, mut ready)| async move {
            loop {
                if let Some(line) = ready.pop_front() {
                    return Some((line, (parts, open, source, ready)));
                }
                let part = match parts.next().await {
                    None => return None,
                    Some(Err(error)) => {
                        ready.push_back(Err(answered(error)));
                        continue;
                    }
                    Some(Ok(part)) => part,
                };
                let stderr = matches!(part, LogOutput::StdErr { .. });
                let channel = if stderr { Channel::Stderr } else { Channel::Stdout };
                let buffer = &mut open[usize::from(stderr)];
                buffer.extend_from_slice(&part.into_bytes());
                while let Some(end) = buffer
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .or_else(|| (buffer.len() > LONGEST).then_some(LONGEST))
                {
                    let mut line: Vec<u8> = buffer.drain(..=end.min(buffer.len() - 1)).collect();
                    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                        line.pop();
                    }
                    let (at, text) = split(&line);
                    let early = since.zip(at).is_some_and(|(since, at)| at < since);
                    let late = until.zip(at).is_some_and(|(until, at)| at > until);
                    if !early && !late {
                        let text = Bytes::copy_from_slice(text);
                        ready.push_back(Ok(LogLine { source: source.clone(), channel, at, text }));
                    }
                }
            }
        })
        .boxed()
    }
}

/// The moment before a line, and the line.
fn split(line: &[u8]) -> (Option<OffsetDateTime>, &[u8]) {
    let Some(end) = line.iter().position(|byte| *byte == b' ') else {
        let at = std::str::from_utf8(line).ok().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        return (at, if at.is_some() { &[] } else { line });
    };
    let at =
        std::str::from_utf8(&line[..end]).ok().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    match at {
        Some(at) => (Some(at), &line[end + 1..]),
        None => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_moment_before_a_line_is_told_from_the_line() {
        let (at, text) = split(b"2026-11-28T15:40:29.123456789Z hello  there");
        assert_eq!((at.map(|at| at.unix_timestamp()), text), (Some(1_795_880_429), &b"hello  there"[..]));
        let (at, text) = split(b"2026-11-28T15:40:29.1Z");
        assert!(at.is_some() && text.is_empty());
        assert_eq!(split(b"no moment"), (None, &b"no moment"[..]));
    }
}
